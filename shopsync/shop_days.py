"""
Shop-local days: ranges of them, and when they begin in UTC.

A leaf without frames, for the reads too, which should not load pandas.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class DayRange(NamedTuple):
    """Shop-local days, both included."""

    first: date
    last: date

    def bounds(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return the range as UTC: from its first instant up to, not including, the instant after its last."""
        return first_instant(self.first, zone), first_instant(self.last + timedelta(days=1), zone)

    @property
    def length(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def before(self) -> DayRange:
        """Return as many days right before it."""
        last = self.first - timedelta(days=1)
        return DayRange(last - timedelta(days=self.length - 1), last)

    def days(self) -> list[date]:
        """Return every day of it, in order."""
        return [self.first + timedelta(days=number) for number in range(self.length)]


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """
    Return the UTC instant at which a day begins in a time zone.

    Where the clock skips midnight, `fold=0` reads it with the offset before the skip: that is the instant of the
    skip. Where midnight comes twice, it is the first.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def as_of_day(requested_at: datetime, zone: ZoneInfo) -> date:
    """Return the last shop-local day that was complete at `requested_at`."""
    return requested_at.astimezone(zone).date() - timedelta(days=1)
