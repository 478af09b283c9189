"""Windows: what one run asks for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.errors import WindowError
from shopsync.window import FLOOR, SyncWindow, WindowField, daily_window, stamp

NOW = datetime(2026, 11, 23, 6, 0, 5, 700_000, tzinfo=UTC)
OVERLAP = timedelta(seconds=300)
LAG = timedelta(seconds=180)

moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
short = st.timedeltas(timedelta(0), timedelta(hours=2))


def test_starts_an_overlap_before_the_watermark():
    """The window reaches back behind the watermark, and ends a lag before now, in whole seconds."""
    watermark = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)

    daily = daily_window(watermark, NOW, overlap=OVERLAP, lag=LAG)

    assert SyncWindow(watermark - OVERLAP, datetime(2026, 11, 23, 5, 57, 5, tzinfo=UTC)) == daily.window
    assert not daily.floored


def test_first_run_starts_at_the_floor():
    """Without a watermark a run asks for 128 days, and nothing was cut."""
    daily = daily_window(None, NOW, overlap=timedelta(0), lag=LAG)

    assert timedelta(days=128) == NOW.replace(microsecond=0) - daily.window.start
    assert not daily.floored


def test_old_watermark_is_floored():
    """A watermark older than the floor is cut, and the cut is told."""
    daily = daily_window(NOW - FLOOR - timedelta(seconds=1), NOW, overlap=OVERLAP, lag=LAG)

    assert stamp(NOW - FLOOR - OVERLAP) == stamp(daily.window.start)
    assert daily.floored


def test_future_watermark_is_refused():
    """A clock that went back behind the watermark is named, not turned into an empty window."""
    with pytest.raises(WindowError, match="clock"):
        daily_window(NOW + timedelta(hours=1), NOW, overlap=OVERLAP, lag=LAG)


def test_lag_behind_the_watermark_is_told():
    """A lag that ends the window before it starts is named; the clock is right."""
    with pytest.raises(WindowError, match="SHOPSYNC_LAG_S") as refused:
        daily_window(NOW - timedelta(minutes=1), NOW, overlap=OVERLAP, lag=timedelta(hours=1))

    assert "the lag of 3600 s ends the window at 2026-11-23T05:00:05Z" in str(refused.value)
    assert "clock" not in str(refused.value)


def test_search_quotes_both_bounds_in_utc():
    """Unquoted times and offsets are misread by Shopify, so neither is ever sent."""
    berlin = timezone(timedelta(hours=1))
    window = SyncWindow(datetime(2026, 11, 22, 1, tzinfo=berlin), datetime(2026, 11, 23, 1, tzinfo=berlin))

    assert "updated_at:>='2026-11-22T00:00:00Z' AND updated_at:<='2026-11-23T00:00:00Z'" == window.search()


def test_creation_window_is_half_open():
    """A backfill's window leaves its end to the next one."""
    window = SyncWindow(NOW - timedelta(days=1), NOW, WindowField.CREATED)

    assert "created_at:>='2026-11-22T06:00:05Z' AND created_at:<'2026-11-23T06:00:05Z'" == window.search()


def test_naive_bound_is_refused():
    """A time without a zone means nothing."""
    with pytest.raises(WindowError, match="no time zone"):
        SyncWindow(datetime(2026, 1, 1), NOW)  # noqa: DTZ001


def test_reversed_bounds_are_refused():
    """A window ends no earlier than it starts."""
    with pytest.raises(WindowError, match="after its end"):
        SyncWindow(NOW, NOW - timedelta(seconds=1))


def test_one_second_cannot_be_halved():
    """Halving ends at a single second instead of going on for ever."""
    at = NOW.replace(microsecond=0)

    with pytest.raises(WindowError, match="cannot be halved"):
        SyncWindow(at, at).first_half()


@given(moments, st.timedeltas(timedelta(seconds=2), timedelta(days=400)))
def test_half_is_the_beginning(start, length):
    """The first half starts with the window and is shorter."""
    window = SyncWindow(start.replace(microsecond=0), (start + length).replace(microsecond=0))

    half = window.first_half()

    assert half.start == window.start
    assert half.start <= half.end < window.end


def test_beyond_begins_a_second_later():
    """What lies after a moment does not include the moment's own second."""
    at = NOW.replace(microsecond=0)
    window = SyncWindow(at - timedelta(hours=1), at)

    assert SyncWindow(at - timedelta(seconds=59), at) == window.beyond(at - timedelta(seconds=60))


@pytest.mark.parametrize(
    ("moment", "beyond"),
    [(NOW, None), (NOW - timedelta(hours=2), SyncWindow(NOW - timedelta(hours=1), NOW))],
)
def test_beyond_stays_within(moment, beyond):
    """Nothing lies beyond the window's end, and a moment before its start leaves all of it."""
    assert beyond == SyncWindow(NOW - timedelta(hours=1), NOW).beyond(moment)


def test_until_keeps_the_start():
    """The part up to a moment begins with the window."""
    window = SyncWindow(NOW - timedelta(hours=1), NOW)

    assert SyncWindow(window.start, NOW - timedelta(minutes=5)) == window.until(NOW - timedelta(minutes=5))


@given(st.none() | moments, moments, short, short)
def test_window_never_leaves_its_bounds(watermark, now, overlap, lag):
    """Whatever the watermark: no start before floor and overlap, no end after now and lag."""
    try:
        daily = daily_window(watermark, now, overlap=overlap, lag=lag)
    except WindowError:
        assert watermark is not None
        assert watermark - overlap > now - lag - timedelta(seconds=1)
        return

    assert daily.window.end <= now - lag
    assert daily.window.start <= max(watermark or now - FLOOR, now - FLOOR) - overlap
    assert daily.window.start > now - FLOOR - overlap - timedelta(seconds=1)
