"""What time it is in the simulated shop: frozen until a test moves it, or ticking for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that stands still unless told, or follows real time plus an offset."""

    def __init__(self, at: datetime | None, offset: timedelta = timedelta(0)) -> None:
        self._at = at
        self._offset = offset

    @classmethod
    def frozen(cls, at: datetime) -> Clock:
        """Return a clock that shows `at` until it is advanced."""
        return cls(at.astimezone(UTC))

    @classmethod
    def ticking(cls, offset: timedelta = timedelta(0)) -> Clock:
        """Return a clock that follows real time plus `offset`."""
        return cls(None, offset)

    @property
    def is_frozen(self) -> bool:
        """Whether time passes only when it is advanced."""
        return self._at is not None

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return (self._at or datetime.now(UTC)) + self._offset

    def advance(self, by: timedelta | float) -> None:
        """Move the clock forward by a timedelta or by seconds."""
        self._offset += by if isinstance(by, timedelta) else timedelta(seconds=by)
