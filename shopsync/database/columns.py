"""
How money, times and sets of ids are kept in columns: exact, in UTC, and the same in both databases.

SQLite has neither decimals nor times: money is an INTEGER of ten-thousandths there, so that sums in SQL stay exact,
and times are text that sorts like time. Nothing is rounded; an amount that does not fit is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from msgspec import to_builtins
from sqlalchemy import DECIMAL, BigInteger, Dialect, LargeBinary, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from shopsync.money import exact

# Amounts of orders come again and again, and formatting them costs more than looking them up. A shop with 2,500 orders
# has 9,000 amounts: in half of this room each would have been forgotten when it comes again.
remembered = lru_cache(maxsize=16_384)


@remembered
def money_text(amount: Decimal) -> str:
    """Return `amount` as MySQL reads and shows it: 12.5 is `12.5000`."""
    return str(exact(amount))


@remembered
def ten_thousandths(amount: Decimal) -> int:
    """Return `amount` as SQLite keeps it: 12.5 is 125000."""
    return int(exact(amount).scaleb(4))


def utc_text(at: datetime) -> str:
    """Return an aware time as `YYYY-MM-DD HH:MM:SS` in UTC, cut to the second as Shopify's times are."""
    # msgspec writes the same as `isoformat`, which asks the zone for its offset and takes eight times as long.
    return to_builtins(in_utc(at))[:19].replace("T", " ")


def utc_text_to_the_microsecond(at: datetime) -> str:
    """Return an aware time as `YYYY-MM-DD HH:MM:SS.ffffff` in UTC."""
    return in_utc(at).isoformat(" ", "microseconds")[:26]


def in_utc(at: datetime) -> datetime:
    """Return an aware time in UTC, or raise ValueError for one without a zone."""
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


class Ids(TypeDecorator[Iterable[int]]):
    """A set of ids in eight bytes each: to be read as a whole, by the thousand. None of them is an empty set."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Leave room for two million."""
        return LargeBinary() if dialect.name == "sqlite" else mysql.MEDIUMBLOB()

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Write them in order, so that the same ids are the same bytes."""
        ids = sorted(set(value or ()))
        return struct.pack(f"<{len(ids)}q", *ids)

    def process_result_value(self, value: Any, dialect: Dialect) -> Iterable[int]:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the ids in order."""
        return struct.unpack(f"<{len(value or b'') // 8}q", value or b"")
