"""
How money and times are kept in columns: exact, in UTC, and the same in both databases.

SQLite has neither decimals nor times: money is an INTEGER of ten-thousandths there, so that sums in SQL stay exact,
and times are text that sorts like time. Nothing is rounded; an amount that does not fit is refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation
from typing import Any

from sqlalchemy import DECIMAL, BigInteger, Dialect, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from shopsync.errors import InexactMoney

_CENT_OF_A_CENT = Decimal("0.0001")
_MONEY = Context(prec=19, traps=[Inexact, InvalidOperation])
"""DECIMAL(19,4): more digits, before or after the point, are an error instead of a rounding."""


def exact(amount: Decimal) -> Decimal:
    """
    Return `amount` with four decimals.

    Raises:
        InexactMoney: It has more of them, or more than fifteen digits before the point.
    """
    try:
        written = _MONEY.quantize(amount, _CENT_OF_A_CENT)
    except DecimalException as error:
        raise InexactMoney(str(amount)) from error
    if written.is_nan():
        raise InexactMoney(str(amount))
    return written


def ten_thousandths(amount: Decimal) -> int:
    """Return `amount` as SQLite keeps it: 12.5 is 125000."""
    return int(exact(amount).scaleb(4))


def utc_text(at: datetime) -> str:
    """Return an aware time as `YYYY-MM-DD HH:MM:SS` in UTC, cut to the second as Shopify's times are."""
    return _in_utc(at).isoformat(" ", "seconds")[:19]


def utc_text_to_the_microsecond(at: datetime) -> str:
    """Return an aware time as `YYYY-MM-DD HH:MM:SS.ffffff` in UTC."""
    return _in_utc(at).isoformat(" ", "microseconds")[:26]


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None:
        raise ValueError(f"the time {at} has no time zone")
    return at.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """DECIMAL(19,4) on MySQL, INTEGER ten-thousandths on SQLite; a Decimal in Python."""

    impl = DECIMAL(19, 4)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep money as an integer where the database has no decimals."""
        return BigInteger() if dialect.name == "sqlite" else DECIMAL(19, 4)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Refuse what would lose digits."""
        if value is None:
            return None
        return ten_thousandths(value) if dialect.name == "sqlite" else exact(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Return a Decimal with four decimals, sums included."""
        if value is None:
            return None
        return Decimal(value).scaleb(-4) if dialect.name == "sqlite" else value


class UtcDateTime(TypeDecorator[datetime]):
    """DATETIME on MySQL, text on SQLite; aware UTC in Python, whole seconds."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep times as text where the database has none."""
        return Text() if dialect.name == "sqlite" else mysql.DATETIME()

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse times without a zone."""
        return None if value is None else utc_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return aware UTC."""
        if value is None:
            return None
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        return at.replace(tzinfo=UTC)


class UtcInstant(UtcDateTime):
    """The same with microseconds, for what happens more than once a second: run records."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep the microseconds on MySQL."""
        return Text() if dialect.name == "sqlite" else mysql.DATETIME(fsp=6)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse times without a zone."""
        return None if value is None else utc_text_to_the_microsecond(value)
