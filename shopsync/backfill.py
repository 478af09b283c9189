"""
A backfill: a range that somebody chose, cut into windows which are runs of their own.

A leaf that decides without network or clock. The plan starts as one gap, the whole range; a window is cut off its
front when it is begun, as long as the windows before it suggest, and what a window could not take becomes a gap again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from uuid import UUID, uuid5

from shopsync.errors import WindowError
from shopsync.telemetry import Counts
from shopsync.window import SyncWindow, WindowField, stamp, whole_second

NEARLY_EMPTY_ORDERS = 1_000
"""Below this Shopify's overhead of an operation outweighs its work, and the next window is twice as long."""

GOOD_IN_A_ROW = 4
"""How many good windows prove that a longer one may be good too; if not, one operation in five outlasts its polls."""

ATTEMPTS = 3
"""How often one window is tried before the backfill goes on without it, and fails by its name."""

SHOWN = 100
"""How many windows of a kind are in the table of a backfill; the plan in the database has all."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""No shop is older: an earlier date is a typing mistake."""

_UNCOUNTED = Counts()


class By(StrEnum):
    """The timestamp by which a backfill chooses orders; that of creation never moves, so no window can miss one."""

    CREATED = "created"
    UPDATED = "updated"

    @property
    def field(self) -> WindowField:
        """What the windows cut."""
        return WindowField.CREATED if self is By.CREATED else WindowField.UPDATED


class WindowStatus(StrEnum):
    """Where a part of the range stands; `planned` is a gap that nobody has begun."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BackfillWindow:
    """
    One part of a backfill's range, and how it went.

    `length` is what was wanted when it was begun: the range may have ended before, and a window that was too much for
    one run is `halved`. `failures` counts attempts that came to nothing, `flow_run_id` is the flow run of its own
    that a worker was given.
    """

    start: datetime
    end: datetime
    status: WindowStatus = WindowStatus.PLANNED
    run_id: str | None = None
    length: timedelta | None = None
    halved: bool = False
    failures: int = 0
    counts: Counts = _UNCOUNTED
    started_at: datetime | None = None
    ended_at: datetime | None = None
    flow_run_id: str | None = None
    error: str | None = None

    @property
    def name(self) -> str:
        """How people name it: its start and its end."""
        return f"{stamp(self.start)}/{stamp(self.end)}"


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long windows are: the first, and the longest that nearly empty ones lead to."""

    first: timedelta = timedelta(days=30)
    longest: timedelta = timedelta(days=240)

    @classmethod
    def of(cls, window_days: int | None) -> Lengths:
        """Return the lengths that an operator asked for: then no window is longer."""
        return cls() if window_days is None else cls(timedelta(days=window_days), timedelta(days=window_days))

    def following(self, windows: Sequence[BackfillWindow]) -> timedelta:
        """
        Return how long the next window should be, from the one that ended last.

        After one that had to be halved no window is longer than what became of it, until some in a row were good: what
        was too much once is so again, unless it was a stall of Shopify's. From then on the bound doubles with each.
        """
        ended = [window for window in windows if window.status is WindowStatus.DONE and window.ended_at]
        if not ended:
            return self.first
        # Stored times have whole seconds: of two that ended together the later is the last.
        ended.sort(key=lambda window: (window.ended_at or window.start, window.start))
        last = ended[-1]
        length = last.length or self.first
        nearly_empty = (last.counts.orders or 0) < NEARLY_EMPTY_ORDERS
        return min(2 * length if nearly_empty else length, self._bound(ended))

    def _bound(self, ended: Sequence[BackfillWindow]) -> timedelta:
        """Return the longest that a window may be after those that ended, the last one last."""
        good = list(takewhile(lambda window: not window.halved, reversed(ended)))
        if len(good) == len(ended):
            return self.longest
        halved = ended[-1 - len(good)]
        half, doublings = halved.end - halved.start, max(len(good) - GOOD_IN_A_ROW + 1, 0)
        # Compared first: 2 ** 1000 times a second is no length any more.
        return self.longest if doublings >= math.log2(self.longest / half) else half * 2**doublings


def worth_showing(windows: Sequence[BackfillWindow]) -> list[BackfillWindow]:
    """
    Return the windows that a table of a backfill shows, oldest first: of a range of ten years there are thousands.

    The last hundred that were begun are among them, the last hundred that failed, and whichever are running.
    """
    begun = [window for window in windows if window.status is not WindowStatus.PLANNED]
    begun.sort(key=lambda window: (window.started_at or EARLIEST, window.start))
    failed = [window for window in begun if window.status is WindowStatus.FAILED]
    running = [window for window in begun if window.status is WindowStatus.RUNNING]
    shown = {window.start: window for window in (*begun[-SHOWN:], *failed[-SHOWN:], *running)}
    return [shown[start] for start in sorted(shown)]


def is_hopeless(windows: Sequence[BackfillWindow]) -> bool:
    """Whether a window was given up before its last attempt: what it met is not its own, the others would meet it."""
    return any(window.status is WindowStatus.FAILED and window.failures < ATTEMPTS for window in windows)


def backfill_range(start: datetime, end: datetime, by: By, now: datetime) -> SyncWindow:
    """
    Return the whole range of a backfill, in whole seconds: what `[start, end)` holds of them, and no less.

    Raises:
        WindowError: A time has no zone, the range is empty or turned round, or reaches into the future or before 1970.
    """
    for name, at in (("start", start), ("end", end)):
        if at.tzinfo is None:
            raise WindowError(f"the backfill's {name} {at.isoformat()} has no time zone: write it with Z or an offset")
        if at < EARLIEST:
            raise WindowError(f"the backfill's {name} {at.isoformat()} is before 1970: no shop has orders so old")
    if start >= end:
        raise WindowError(f"the backfill starts at {stamp(start)}, which is not before its end at {stamp(end)}")
    if end > now:
        raise WindowError(
            f"the backfill ends at {stamp(end)}, which lies in the future (it is {stamp(now)}): orders that do not "
            "exist yet come with the daily run"
        )
    if end - start < timedelta(seconds=1):
        raise WindowError(f"the backfill's range at {stamp(start)} is shorter than a second")
    # An order of the second in which the range ends is in it; a window by creation leaves its last second out.
    last = end if by is By.UPDATED else end + timedelta(seconds=1, microseconds=-1)
    return SyncWindow(whole_second(start), whole_second(last), by.field)


def window_run_id(backfill_run_id: str, window: BackfillWindow) -> str:
    """Return the identity of a window's run: the same for the same window of the same backfill, whoever starts it."""
    return str(uuid5(UUID(backfill_run_id), window.name))


def cut(whole: SyncWindow, length: timedelta) -> Iterator[SyncWindow]:
    """Yield the windows of a range, oldest first, each `length` long but for the last."""
    start = whole.start
    while start < whole.end:
        end = min(start + length, whole.end)
        yield SyncWindow(start, end, whole.field)
        start = end


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill is: windows by status (`left` is an estimate), what they brought, and when it may end."""

    done: int
    running: int
    failed: int
    left: int
    share: float
    counts: Counts
    ends_at: datetime | None

    @classmethod
    def of(
        cls, windows: Sequence[BackfillWindow], next_length: timedelta, now: datetime, at_once: int = 1
    ) -> BackfillProgress:
        """Return the progress over a plan; the end follows from the time that the windows so far took per day."""
        by = {status: [window for window in windows if window.status is status] for status in WindowStatus}
        brought = _length(by[WindowStatus.DONE])
        ahead = _length(by[WindowStatus.PLANNED]) + _length(by[WindowStatus.RUNNING])
        took = sum(((w.ended_at - w.started_at) for w in by[WindowStatus.DONE] if w.ended_at and w.started_at), _NONE)
        counts = _UNCOUNTED
        for window in by[WindowStatus.DONE]:
            counts = counts.plus(window.counts)
        return cls(
            done=len(by[WindowStatus.DONE]),
            running=len(by[WindowStatus.RUNNING]),
            failed=len(by[WindowStatus.FAILED]),
            left=sum(math.ceil((window.end - window.start) / next_length) for window in by[WindowStatus.PLANNED]),
            share=brought / _length(windows) if windows else 1.0,
            counts=counts,
            ends_at=now + took * (ahead / brought) / at_once if brought else None,
        )

    def __str__(self) -> str:
        parts = [f"{self.done} windows done", f"{self.running} running" if self.running else ""]
        parts += [f"{self.failed} failed" if self.failed else "", f"about {self.left} left" if self.left else ""]
        parts += [f"{self.counts.orders or 0:,} orders"]
        if self.ends_at is not None and (self.left or self.running):
            parts.append(f"it may end at {stamp(self.ends_at)}")
        return ", ".join(part for part in parts if part)


_NONE = timedelta()


def _length(windows: Sequence[BackfillWindow]) -> timedelta:
    return sum(((window.end - window.start) for window in windows), _NONE)
