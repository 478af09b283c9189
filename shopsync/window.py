"""
Windows: which orders one run asks for.

A leaf that decides without network or clock: `now` is always an argument. Shopify's timestamps have whole seconds,
and its search index lags behind its data, hence the overlap before the watermark and the lag before now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from shopsync.errors import WindowError

FLOOR = timedelta(days=128)
"""The oldest daily start: what changed before is left to a backfill."""


class WindowField(StrEnum):
    """The timestamp of an order that a window cuts."""

    UPDATED = "updated_at"
    CREATED = "created_at"


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """Orders whose `field` lies from `start` to `end`, aware UTC, whole seconds, both bounds sent."""

    start: datetime
    end: datetime
    field: WindowField = WindowField.UPDATED

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if getattr(self, name).tzinfo is None:
                raise WindowError(f"the window's {name} has no time zone: write it with Z or an offset")
        if self.start > self.end:
            raise WindowError(f"the window starts at {stamp(self.start)}, after its end at {stamp(self.end)}")

    def search(self) -> str:
        """
        Return Shopify's search filter for the window.

        Timestamps are quoted (unquoted, Shopify silently ignores the time of day) and in UTC with Z (offsets were
        mishandled). An update window includes its end; a creation window is half-open, yet Shopify may treat `<` as
        `<=`, which costs nothing since upserts are idempotent.
        Source: shopify.dev, API search syntax.
        """
        last = "<=" if self.field is WindowField.UPDATED else "<"
        return f"{self.field}:>='{stamp(self.start)}' AND {self.field}:{last}'{stamp(self.end)}'"

    def first_half(self) -> SyncWindow:
        """Return the older half, or raise WindowError when a single second is left."""
        half = whole_second(self.start + (self.end - self.start) / 2)
        if half == self.end:
            raise WindowError(f"the window of one second at {stamp(self.start)} cannot be halved")
        return SyncWindow(self.start, half, self.field)

    def until(self, end: datetime) -> SyncWindow:
        """Return the part of the window up to `end`."""
        return SyncWindow(self.start, end, self.field)

    def since(self, start: datetime) -> SyncWindow:
        """Return the part of the window from `start` on."""
        return SyncWindow(whole_second(start), self.end, self.field)

    def beyond(self, moment: datetime) -> SyncWindow | None:
        """Return the part of the window that lies after `moment`; None when nothing does."""
        start = max(self.start, whole_second(moment) + timedelta(seconds=1))
        return SyncWindow(start, self.end, self.field) if start <= self.end else None


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """A daily run's window, and whether the floor cut it: then changes between `since` and its start are missing."""

    window: SyncWindow
    watermark: datetime | None
    floored: bool


def daily_window(watermark: datetime | None, now: datetime, *, overlap: timedelta, lag: timedelta) -> DailyWindow:
    """
    Return the window of a daily run that starts at `now`.

    Args:
        watermark: Up to where all orders are in; None when there is none yet.
        now: The run's first start.
        overlap: How far before the watermark the window starts.
        lag: How far before `now` the window ends.

    Raises:
        WindowError: The watermark lies in the future of `now`, or the lag reaches behind it: nothing can be asked for.
    """
    floor = now - FLOOR
    since = floor if watermark is None else max(watermark, floor)
    start, end = whole_second(since - overlap), whole_second(now - lag)
    if start > end:
        raise WindowError(_why_empty(since, now, overlap, lag))
    return DailyWindow(SyncWindow(start, end), watermark, watermark is not None and watermark < floor)


def _why_empty(since: datetime, now: datetime, overlap: timedelta, lag: timedelta) -> str:
    if since > now:
        return (
            f"the watermark {stamp(since)} lies after this machine's clock ({stamp(now)} UTC): correct the clock, "
            "or set the watermark back with `python -m deployments watermark set`"
        )
    return (
        f"the lag of {lag.total_seconds():g} s ends the window at {stamp(now - lag)}, before its start at "
        f"{stamp(since - overlap)}: lower SHOPSYNC_LAG_S, or run again later"
    )


def whole_second(at: datetime) -> datetime:
    """Return `at` in UTC, cut to the second."""
    return at.astimezone(UTC).replace(microsecond=0)


def stamp(at: datetime) -> str:
    """Return `at` as Shopify writes times: `2026-11-23T06:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
