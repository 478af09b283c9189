"""
`backfill_window`: the plan of a backfill, and how each of its windows went.

It stands beside the rows that the windows brought: a database that was restored or emptied has lost both together,
and the backfill that goes on brings the windows in again, from their archives. Every change is one transaction that
expects what was read, so two processes of one backfill never begin the same window twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, insert, select, update

from shopsync.backfill import ATTEMPTS, BackfillWindow, WindowStatus, is_hopeless, window_run_id
from shopsync.database.engine import insert_if_absent, reading, writing
from shopsync.database.tables import backfill_window
from shopsync.telemetry import Counts
from shopsync.window import SyncWindow, whole_second

ERROR_CHARACTERS = 4_000
"""The whole message is in sync.telemetry."""

_COUNTS = tuple(Counts.__dataclass_fields__)
_PLAN = insert_if_absent(backfill_window)
_AGAIN = {"status": WindowStatus.RUNNING, "failures": 0, "error_message": None, "ended_at": None, "flow_run_id": None}


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The plan of one backfill in a database."""

    engine: Engine
    backfill_run_id: str

    def make(self, whole: SyncWindow) -> None:
        """Plan the whole range as one gap, unless it is planned already."""
        if self.windows():
            return
        with writing(self.engine) as connection:
            connection.execute(_PLAN, self._row(BackfillWindow(whole.start, whole.end)))

    def windows(self) -> list[BackfillWindow]:
        """Return all parts of the range, oldest first; none when it is not planned."""
        with reading(self.engine) as connection:
            mine = select(backfill_window).where(self._mine).order_by(backfill_window.c.window_start)
            return [_window(dict(row)) for row in connection.execute(mine).mappings()]

    def begin_next(self, length: timedelta, now: datetime) -> BackfillWindow | None:
        """Cut the next window off the oldest gap and return it, running; None when no gap is left, or no hope."""
        while True:
            windows = self.windows()
            gap = _first(windows, WindowStatus.PLANNED)
            if gap is None or is_hopeless(windows):
                return None
            # As it is read again: a step that is given the same window is the same step.
            begun = replace(gap, end=min(gap.start + length, gap.end), length=length, started_at=whole_second(now))
            begun = replace(begun, status=WindowStatus.RUNNING, run_id=window_run_id(self.backfill_run_id, begun))
            if self._change(gap, begun):
                return begun

    def finish(self, window: BackfillWindow, reached: datetime, counts: Counts, now: datetime) -> BackfillWindow:
        """Record that a window is in up to `reached`; what lies beyond becomes a gap again."""
        halved = reached < window.end
        done = replace(window, status=WindowStatus.DONE, ended_at=now, counts=counts, error=None)
        done = replace(done, end=reached, halved=True) if halved else done
        self._change(window, done)
        return done

    def fail(self, window: BackfillWindow, error: str, now: datetime) -> BackfillWindow:
        """Record a failed attempt at a window; after the last one this backfill does not try it again."""
        failed = replace(window, failures=window.failures + 1, error=error[:ERROR_CHARACTERS])
        if failed.failures >= ATTEMPTS:
            failed = replace(failed, status=WindowStatus.FAILED, ended_at=now)
        self._change(window, failed)
        return failed

    def give_up(self, window: BackfillWindow, error: str, now: datetime) -> BackfillWindow:
        """Record that a window failed for a reason that is not its own: no further one is begun."""
        given_up = replace(window, status=WindowStatus.FAILED, error=error[:ERROR_CHARACTERS], ended_at=now)
        self._change(window, given_up)
        return given_up

    def assign(self, window: BackfillWindow, flow_run_id: str | None) -> BackfillWindow:
        """Record which flow run a running window was given to; None takes it away from one that died."""
        given = replace(window, flow_run_id=flow_run_id)
        self._change(window, given)
        return given

    def reopen(self, now: datetime) -> None:
        """Let windows that failed for good be tried again, since somebody started the backfill again."""
        failed = backfill_window.c.status == WindowStatus.FAILED
        with writing(self.engine) as connection:
            connection.execute(update(backfill_window).where(self._mine, failed).values(_AGAIN | {"started_at": now}))

    @property
    def _mine(self) -> ColumnElement[bool]:
        return backfill_window.c.backfill_run_id == self.backfill_run_id

    def _change(self, before: BackfillWindow, after: BackfillWindow) -> bool:
        """Change a window unless somebody else did, and make a gap of what it lost; return whether it was changed."""
        column = backfill_window.c
        as_read = (column.status == before.status) & (column.window_end == before.end)
        unchanged = self._mine & (column.window_start == before.start) & as_read
        with writing(self.engine) as connection:
            changed = connection.execute(update(backfill_window).where(unchanged).values(self._row(after))).rowcount
            if changed and after.end < before.end:
                connection.execute(insert(backfill_window), self._row(BackfillWindow(after.end, before.end)))
        return bool(changed)

    def _row(self, window: BackfillWindow) -> dict[str, Any]:
        return {
            "backfill_run_id": self.backfill_run_id,
            "window_start": window.start,
            "window_end": window.end,
            "status": window.status,
            "run_id": window.run_id,
            "length_s": None if window.length is None else int(window.length.total_seconds()),
            "halved": window.halved,
            "failures": window.failures,
            **asdict(window.counts),
            "started_at": window.started_at,
            "ended_at": window.ended_at,
            "flow_run_id": window.flow_run_id,
            "error_message": window.error,
        }


def _first(found: Sequence[BackfillWindow], status: WindowStatus) -> BackfillWindow | None:
    return next((window for window in found if window.status is status), None)


def _window(row: dict[str, Any]) -> BackfillWindow:
    return BackfillWindow(
        row["window_start"],
        row["window_end"],
        WindowStatus(row["status"]),
        row["run_id"],
        None if row["length_s"] is None else timedelta(seconds=row["length_s"]),
        row["halved"],
        row["failures"],
        Counts(**{name: row[name] for name in _COUNTS}),
        row["started_at"],
        row["ended_at"],
        row["flow_run_id"],
        row["error_message"],
    )
