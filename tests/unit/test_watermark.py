"""The watermark's rules."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.watermark import Move, advanced, agreed, move

OLD = datetime(2026, 11, 20, tzinfo=UTC)
END = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
maybe = st.none() | moments


def test_advances_to_the_newest_fetched():
    """The watermark is MAX(updated_at) of what was fetched."""
    assert datetime(2026, 11, 22, tzinfo=UTC) == advanced(OLD, datetime(2026, 11, 22, tzinfo=UTC), END)


def test_never_passes_the_window():
    """An order newer than the window's end, read live, proves nothing about its neighbours."""
    assert END == advanced(OLD, END + timedelta(hours=1), END)


def test_empty_window_keeps_it():
    """Nothing fetched, nothing moved."""
    assert OLD == advanced(OLD, None, END)


def test_first_watermark_is_set():
    """A shop's first completed run makes the watermark."""
    assert OLD == advanced(None, OLD, END)


@given(maybe, maybe, moments)
def test_watermark_never_goes_back(old, fetched, end):
    """Whatever was fetched, the new watermark is no older."""
    new = advanced(old, fetched, end)

    assert old is None or (new is not None and new >= old)
    assert new is None or new in (old, fetched, end)


@given(moments, moments)
def test_older_of_block_and_database_counts(block, database):
    """A restored database, or a restored Prefect, leaves no gap."""
    assert min(block, database) == agreed(block, database)


def test_missing_one_counts_as_oldest():
    """A new database has not seen what the block claims."""
    assert agreed(OLD, None) is None
    assert agreed(None, OLD) is None


@pytest.mark.parametrize(
    ("block", "began_from", "becomes"),
    [
        (OLD, OLD, Move.FORWARD),
        (OLD + HOUR, OLD, Move.FORWARD),  # another run moved it, or a restored database is behind it
        (None, OLD, Move.FORWARD),
        (OLD - HOUR, None, Move.FORWARD),
        (OLD - HOUR, OLD, Move.SET_BACK),
        (END, OLD, Move.THERE),
        (END + HOUR, OLD, Move.BEYOND),
    ],
)
def test_block_moves_unless_it_was_set_back(block: datetime | None, began_from: datetime | None, becomes: Move):
    """A run vouches for what lies after the watermark that it began from, and for nothing before."""
    assert becomes is move(block, began_from, END)
