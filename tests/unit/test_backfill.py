"""How a backfill's range becomes windows, and what is told of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.backfill import (
    BackfillProgress,
    BackfillWindow,
    By,
    Lengths,
    WindowStatus,
    backfill_range,
    cut,
    is_hopeless,
    window_run_id,
    worth_showing,
)
from shopsync.errors import WindowError
from shopsync.telemetry import Counts
from shopsync.window import SyncWindow, WindowField

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
BACKFILL = "2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11"


def window(first: int, last: int, **fields: object) -> BackfillWindow:
    """A window between two days of 2025, done in an hour unless told otherwise."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    done = BackfillWindow(
        start + first * DAY,
        start + last * DAY,
        WindowStatus.DONE,
        length=(last - first) * DAY,
        counts=Counts(orders=5_000),
        started_at=NOW - timedelta(hours=1_001 - last),
        ended_at=NOW - timedelta(hours=1_000 - last),
    )
    return replace(done, **fields)


def test_range_is_half_open_in_utc():
    """Start and end come in any zone; a second is the smallest unit."""
    berlin = timezone(timedelta(hours=1))

    whole = backfill_range(datetime(2025, 1, 1, 1, tzinfo=berlin), NOW, By.CREATED, NOW)

    assert SyncWindow(datetime(2025, 1, 1, tzinfo=UTC), NOW, WindowField.CREATED) == whole


@given(start=st.integers(-9_000_000, 0), length=st.integers(1_000_000, 9_000_000), by=st.sampled_from(By))
def test_no_second_of_the_range_is_left_out(start: int, length: int, by: By):
    """Whatever fractions its ends have: an order of each whole second in `[start, end)` is asked for."""
    first = NOW + timedelta(microseconds=start)
    last = first + timedelta(microseconds=length)

    whole = backfill_range(first, last, by, NOW + DAY)

    seconds = [NOW + timedelta(seconds=number) for number in range(-10, 11)]
    asked = [at for at in seconds if whole.start <= at and (at <= whole.end if by is By.UPDATED else at < whole.end)]
    assert {at for at in seconds if first <= at < last} <= set(asked)
    assert len(asked) <= length // 1_000_000 + 2


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (NOW, NOW - DAY, "not before its end"),
        (NOW - DAY, NOW - DAY, "not before its end"),
        (NOW - DAY, NOW + timedelta(seconds=1), "in the future"),
        (datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None), NOW, "start 2025-01-01T00:00:00 has no time zone"),
        (
            NOW - DAY,
            datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None),
            "end 2026-11-22T00:00:00 has no time zone",
        ),
        (
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            NOW,
            "start 0001-01-01T00:00:00\\+14:00 is before 1970",
        ),
        (NOW - timedelta(microseconds=7), NOW - timedelta(microseconds=5), "shorter than a second"),
    ],
)
def test_senseless_range_is_refused(start: datetime, end: datetime, words: str):
    """A range that cannot be meant is refused in one line that says why."""
    with pytest.raises(WindowError, match=words):
        backfill_range(start, end, By.CREATED, NOW)


@given(days=st.integers(1, 900), length=st.integers(1, 120))
def test_windows_cover_the_range(days: int, length: int):
    """Windows touch each other and cover the range, none longer than asked."""
    whole = SyncWindow(NOW - days * DAY, NOW, WindowField.CREATED)

    windows = list(cut(whole, length * DAY))

    assert [whole.start, *(each.end for each in windows)] == [*(each.start for each in windows), whole.end]
    assert max(each.end - each.start for each in windows) <= length * DAY


def test_window_has_an_identity_of_its_own():
    """The same window of the same backfill is the same run, whoever starts it; another window is another."""
    first, other = window(0, 30), window(30, 60)

    assert window_run_id(BACKFILL, first) == window_run_id(BACKFILL, replace(first, failures=2))
    assert 3 == len({BACKFILL, window_run_id(BACKFILL, first), window_run_id(BACKFILL, other)})


def test_first_window_lasts_a_month():
    """Nothing is known of the shop yet."""
    assert timedelta(days=30) == Lengths().following([])


def test_nearly_empty_windows_double():
    """A window that brought little is followed by one twice as long, up to eight months."""
    empty = [window(0, 30, counts=Counts(orders=999)), window(30, 190, counts=Counts(orders=0))]

    assert timedelta(days=60) == Lengths().following(empty[:1])
    assert timedelta(days=240) == Lengths().following(empty)


def test_full_windows_keep_their_length():
    """A window with a thousand orders or more was long enough; the last to end counts."""
    windows = [window(0, 10, counts=Counts(orders=1_000)), window(10, 90, ended_at=NOW - 99 * DAY)]

    assert timedelta(days=10) == Lengths().following(windows)


def test_short_end_does_not_shorten():
    """A window that the range's end cut short says nothing of the next."""
    assert timedelta(days=30) == Lengths().following([window(0, 3, length=30 * DAY)])


def test_halved_window_shortens_all_others():
    """What was too much once is so again at first, also where there were few orders."""
    halved = window(0, 15, length=30 * DAY, halved=True, counts=Counts(orders=1))

    assert timedelta(days=15) == Lengths().following([halved])
    assert timedelta(days=15) == Lengths().following([halved, window(15, 30, counts=Counts(orders=1))])


def with_next(windows: list[BackfillWindow], **fields: object) -> list[BackfillWindow]:
    """The windows and one more, as long as they suggest, which ended later."""
    start = windows[-1].end
    length = Lengths().following(windows)
    ended = NOW + timedelta(hours=len(windows))
    end = start + (max(length / 2, SECOND) if fields.get("halved") else length)
    done = replace(windows[-1], start=start, end=end, length=length, halved=False, ended_at=ended)
    return [*windows, replace(done, **fields)]


def lengths_of(windows: list[BackfillWindow]) -> list[timedelta]:
    return [each.end - each.start for each in windows]


def test_stall_is_forgotten():
    """Halved ten times over, because Shopify stood still: after four good windows the next is twice as long again."""
    stalled = replace(window(0, 30), counts=Counts(orders=1), halved=True)
    windows = [replace(stalled, end=stalled.start + 30 * DAY / 1024)]

    windows = reduce(lambda known, _: with_next(known), range(20), windows)

    short = 30 * DAY / 1024
    assert [short] * 5 + [2 * short, 4 * short] == lengths_of(windows)[:7]
    assert [240 * DAY] == lengths_of(windows)[-1:]


def test_full_windows_are_good_ones_too():
    """Windows with many orders prove as much, but nothing asks for longer ones."""
    halved = replace(window(0, 15), length=30 * DAY, halved=True)

    windows = reduce(lambda known, _: with_next(known, counts=Counts(orders=9_000)), range(9), [halved])

    assert {15 * DAY} == {*lengths_of(windows)}


endings = st.lists(
    st.fixed_dictionaries(
        {"halved": st.booleans(), "counts": st.sampled_from([Counts(orders=5), Counts(orders=5_000)])}
    )
)


@given(endings)
def test_any_history_ends_at_the_longest(history: list[dict[str, object]]):
    """Whatever was halved before, no window is longer than the longest, and nearly empty ones lead back to it."""
    before = reduce(lambda known, ending: with_next(known, **ending), history, [window(0, 30)])

    after = reduce(lambda known, _: with_next(known, counts=Counts(orders=5)), range(4 + 28), before)

    assert SECOND <= min(lengths_of(after))
    assert 240 * DAY >= max(lengths_of(after))
    assert 240 * DAY == Lengths().following(after)


def test_wished_length_is_the_longest():
    """An operator's window_days are never exceeded."""
    lengths = Lengths.of(7)

    assert timedelta(days=7) == lengths.following([window(0, 7, counts=Counts(orders=0))])


def test_table_of_windows_is_short():
    """Of thousands of windows those are shown that were begun last, that failed, or that are running; no gap is."""
    old = [window(day, day + 1, status=WindowStatus.FAILED) for day in (3, 7)]
    running = window(9, 10, status=WindowStatus.RUNNING)
    done = [window(day, day + 1) for day in range(10, 400)]
    gap = window(400, 500, status=WindowStatus.PLANNED)

    assert [*old, running, *done[-100:]] == worth_showing([*old, running, *done, gap])


def test_many_failures_are_cut_off():
    """Nor are all shown of a range that fails throughout."""
    failed = [window(day, day + 1, status=WindowStatus.FAILED) for day in range(900)]

    assert failed[-100:] == worth_showing(failed)


def test_window_given_up_early_speaks_for_all():
    """Three attempts were a window's own trouble; one that is given up before met what all would meet."""
    own, everybodys = (window(0, 30, status=WindowStatus.FAILED, failures=failures) for failures in (3, 0))

    assert not is_hopeless([own])
    assert is_hopeless([own, everybodys])


def test_progress_tells_the_end():
    """The rest is expected to take as long per day as what is done; windows at once share it."""
    windows = [
        window(0, 30),
        window(30, 60, status=WindowStatus.FAILED),
        window(60, 90, status=WindowStatus.RUNNING),
        window(90, 150, status=WindowStatus.PLANNED),
    ]

    progress = BackfillProgress.of(windows, 30 * DAY, NOW, at_once=3)

    assert (1, 1, 1, 2) == (progress.done, progress.running, progress.failed, progress.left)
    assert 0.2 == progress.share
    assert NOW + timedelta(hours=1) == progress.ends_at
    assert "1 windows done, 1 running, 1 failed, about 2 left, 5,000 orders, it may end at 2026-11-23T07:00:00Z" == str(
        progress
    )


def test_progress_before_the_first_window():
    """Without a window that is done nothing can be said of the end."""
    progress = BackfillProgress.of([window(0, 60, status=WindowStatus.PLANNED)], 30 * DAY, NOW)

    assert progress.ends_at is None
    assert "0 windows done, about 2 left, 0 orders" == str(progress)
