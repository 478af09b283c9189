"""
Values as each database takes them: bound for SQLite, written out for MySQL.

Both work column by column: one look at a column's type serves a whole chunk. MySQL's rows are written as JSON, whose
values it reads: in C, at a tenth of the cost of a row put together in Python. What either escapes that the other does
not know is put right in `_escaped`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from msgspec import Raw, convert, json, to_builtins
from sqlalchemy import BigInteger, Boolean, Column, Date, Double, Integer
from sqlalchemy.types import TypeEngine

from shopsync.database.columns import Money, UtcDateTime, UtcInstant, in_utc, remembered, ten_thousandths
from shopsync.database.columns import utc_text as seconds
from shopsync.database.columns import utc_text_to_the_microsecond as microseconds
from shopsync.money import exact

Kind = TypeEngine[Any]
Columns = Sequence[Column[Any]]
Rows = Sequence[Sequence[Any]]

_JSON = json.Encoder()
_ESCAPE = re.compile(rb"\\(?:\\|f|u....)")
_UNKNOWN = {rb"\f": b"\f", rb"\u0000": rb"\0"} | {rb"\u%04x" % code: b"%c" % code for code in range(1, 32)}
"""
Escapes of JSON that MySQL would take for the letter behind the backslash, and what stands for the same character.

Source: RFC 8259, section 7; MySQL 8.4 and MariaDB, "String Literals", special character escape sequences.
"""


def bound(columns: Columns, rows: Rows) -> list[tuple[Any, ...]]:
    """Return the rows as SQLite binds them."""
    values = [_bound(column, values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)]
    return list(zip(*values, strict=True))


def literals(columns: Columns, rows: Rows) -> bytes:
    """
    Return rows, at least one, as MySQL reads them behind VALUES: `(1,"text",null),(2,"more",true)`.

    For a session without ANSI_QUOTES and NO_BACKSLASH_ESCAPES, which is what `engine` opens.

    Raises:
        InexactMoney: An amount has more than four decimals.
        UnicodeEncodeError: A text holds half of a character.
    """
    values = [_written(column, values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)]
    lines = _JSON.encode_lines(zip(*values, strict=True))
    # Within a text a line feed is escaped: those that are left stand between the rows.
    return _escaped(b"(%b)" % lines[1:-2].replace(b"]\n[", b"),("))


def _bound(column: Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    bind = _BINDS.get(type(column.type))
    return values if bind is None else [None if value is None else bind(value) for value in values]


def _written(column: Column[Any], values: Sequence[Any]) -> Sequence[Any]:
    write = _WRITES.get(type(column.type))
    return values if write is None else write(values)


def _times(values: Sequence[datetime | None]) -> Sequence[str | None]:
    """
    Write a column of times at once: one by one they cost several times as much.

    Source: MySQL 8.4 and MariaDB, "Date and Time Literals": a T may stand for the space.
    """
    in_zone = [at if at is None or at.tzinfo is UTC else in_utc(at) for at in values]
    return [text and text[:19] for text in to_builtins(in_zone)]


def _instants(values: Sequence[datetime | None]) -> Sequence[str | None]:
    return [None if at is None else microseconds(at) for at in values]


def _amounts(values: Sequence[Decimal | None]) -> Sequence[Raw]:
    return list(map(_amount, values))


@remembered
def _amount(amount: Decimal | None) -> Raw:
    return Raw(b"null" if amount is None else str(exact(amount)).encode())


def _escaped(lines: bytes) -> bytes:
    """Turn the escapes of JSON into those of MySQL, which are the same but for control characters."""
    if b"\\u" not in lines and b"\\f" not in lines:
        return lines
    return _ESCAPE.sub(lambda escape: _UNKNOWN.get(escape[0], escape[0]), lines)


def _only(kind: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what refuses values of another type: as they are, the server would make something of them."""
    values_of_kind = tuple[kind | None, ...]
    return lambda values: convert(values, values_of_kind)


_BINDS: dict[type[Kind], Callable[[Any], Any]] = {
    Money: ten_thousandths,
    UtcDateTime: seconds,
    UtcInstant: microseconds,
    Boolean: int,
    Date: date.isoformat,
}
_WRITES: dict[type[Kind], Callable[[Sequence[Any]], Sequence[Any]]] = {
    Money: _amounts,
    UtcDateTime: _times,
    UtcInstant: _instants,
    Boolean: _only(bool),
    Integer: _only(int),
    BigInteger: _only(int),
    Double: _only(float),
    Date: _only(date),
}
