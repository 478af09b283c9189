"""
Values as each database takes them: bound for SQLite, written out for MySQL.

Both work column by column: one look at a column's type serves a whole chunk, and one scan tells whether any text of
a chunk needs escaping at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, Double, Integer, String
from sqlalchemy.types import TypeEngine

from shopsync.database.columns import Money, UtcDateTime, UtcInstant, exact, ten_thousandths
from shopsync.database.columns import utc_text as seconds
from shopsync.database.columns import utc_text_to_the_microsecond as microseconds

_NEEDS_ESCAPING = re.compile(r"""['"\\\0\n\r\x1a]""")

Kind = TypeEngine[Any]
Rows = Sequence[Sequence[Any]]
Quote = Callable[[str], str]
"""Returns a text as the driver quotes and escapes it: it alone knows the server's rules."""


def bound(kinds: Sequence[Kind], rows: Rows) -> list[tuple[Any, ...]]:
    """Return the rows as SQLite binds them."""
    columns = [_bound(kind, values) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
    return list(zip(*columns, strict=True))


def literals(kinds: Sequence[Kind], rows: Rows, quote: Quote) -> Iterator[str]:
    """Return each row as MySQL reads it: `(1,'text',NULL)`."""
    columns = [_written(kind, values, quote) for kind, values in zip(kinds, zip(*rows, strict=True), strict=True)]
    return (f"({','.join(row)})" for row in zip(*columns, strict=True))


def _bound(kind: Kind, values: Sequence[Any]) -> Sequence[Any]:
    bind = _BINDS.get(type(kind))
    return values if bind is None else [None if value is None else bind(value) for value in values]


def _written(kind: Kind, values: Sequence[Any], quote: Quote) -> Sequence[str]:
    if isinstance(kind, String):
        return _text(values, quote)
    write = _WRITES[type(kind)]
    return ["NULL" if value is None else write(value) for value in values]


def _text(values: Sequence[str | None], quote: Quote) -> list[str]:
    together = "".join(filter(None, values))
    together.encode()  # the driver would let lone surrogates through as bytes that are not UTF-8
    if _NEEDS_ESCAPING.search(together) is None:
        return ["NULL" if value is None else f"'{value}'" for value in values]
    return ["NULL" if value is None else _escaped(value, quote) for value in values]


def _escaped(value: str, quote: Quote) -> str:
    return quote(value) if _NEEDS_ESCAPING.search(value) else f"'{value}'"


def _quoted(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: f"'{write(value)}'"


def _decimal(amount: Decimal) -> str:
    return str(exact(amount))


_BINDS: dict[type[Kind], Callable[[Any], Any]] = {
    Money: ten_thousandths,
    UtcDateTime: seconds,
    UtcInstant: microseconds,
    Boolean: int,
    Date: date.isoformat,
}
# Each refuses a value of another type, so that no text comes near a statement but through `_text`.
_WRITES: dict[type[Kind], Callable[[Any], str]] = {
    Money: _decimal,
    UtcDateTime: _quoted(seconds),
    UtcInstant: _quoted(microseconds),
    Boolean: int.__repr__,
    Integer: int.__repr__,
    BigInteger: int.__repr__,
    Date: _quoted(date.isoformat),
    Double: float.__repr__,
}
