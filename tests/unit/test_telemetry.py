"""What runs moved, added up."""

from shopsync.telemetry import Counts


def test_counts_add_up():
    """Two counts make one; what neither counted stays uncounted, zero stays zero."""
    both = Counts(orders=3, sales=0).plus(Counts(orders=4, removed=1, sales=0))

    assert Counts(orders=7, removed=1, sales=0) == both
