"""Lines, wherever the pieces of their file are cut."""

from hypothesis import given
from hypothesis import strategies as st

from shopsync.lines import lines

PIECES = st.lists(st.text("ab\r\n", max_size=6).map(str.encode), max_size=6)


def test_last_line_may_be_open() -> None:
    """A last line without a line feed is a line."""
    assert list(lines([b"a\nb", b"", b"c"])) == [b"a", b"bc"]


@given(PIECES)
def test_lines_end_at_line_feeds(pieces: list[bytes]) -> None:
    """Lines are what stands between line feeds, and nothing follows the last."""
    *ended, rest = b"".join(pieces).split(b"\n")

    assert list(lines(pieces)) == ended + [rest] * bool(rest)
