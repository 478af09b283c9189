"""How values are written in answers, and read from requests: money, ids, times."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec

from api.problems import invalid

Now = Callable[[], datetime]
"""The clock, as routes are given it (the dependency `now`)."""


def money(amount: Decimal) -> str:
    """Return an exact amount with at least two decimals: `20.00`, `0.125`."""
    whole, _, decimals = f"{amount:.4f}".partition(".")
    return f"{whole}.{decimals[:2]}{decimals[2:].rstrip('0')}"


def money_or_none(amount: Decimal | None) -> str | None:
    """Return an exact amount, None where there is none."""
    return None if amount is None else money(amount)


def id_or_none(number: int | None) -> str | None:
    """Return an id as text, None where there is none."""
    return None if number is None else str(number)


MOMENT = {"format": "date-time"}
"""What a parameter for `moment_of` says of itself in the OpenAPI document."""


DAY = {"format": "date"}
"""What a parameter for `day_of` says of itself there."""


def day_of(text: str | None, field: str) -> date | None:
    """Read a day of a query, or raise Refused."""
    try:
        return None if text is None else msgspec.convert(text, date)
    except msgspec.ValidationError:
        raise invalid(field, "query", "it is no day such as 2026-11-20") from None


_LOST_PLUS = re.compile(r"\d \d\d:\d\d$")
"""A + means a space in a query."""


def moment_of(text: str | None, field: str, where: str = "query") -> datetime | None:
    """
    Read a time of a request, RFC 3339 and nothing else: the framework would take a number for seconds since 1970.

    Raises:
        Refused: It is no time, has no time zone, or lies beyond the calendar.
    """
    if text is None:
        return None
    try:
        at = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        if where == "query" and _LOST_PLUS.search(text):
            raise invalid(field, where, "it has a space before its offset: write the + as %2B in a query") from None
        raise invalid(field, where, "it is no RFC 3339 time such as 2026-11-20T12:00:00Z") from None
    return moment(at, field, where)


def moment(at: datetime | None, field: str, where: str = "query") -> datetime | None:
    """
    Return a time of a request in UTC; None where there is none.

    Raises:
        Refused: It has no time zone, or lies outside of what can be written in UTC.
    """
    if at is None:
        return None
    if at.tzinfo is None:
        raise invalid(field, where, "it has no time zone: write it with Z or an offset (a + as %2B in a query)")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise invalid(field, where, "it is beyond the calendar") from None
