"""
What a database's exception means: the one place that reads driver codes and texts.

PlanetScale says most of what it has to say as error 1105, so its texts tell more than its codes. No exception of
SQLAlchemy or of a driver leaves `shopsync/database/`: `translated` turns what is left over into the errors of
`shopsync/errors.py`. Texts are the driver's alone; SQLAlchemy's would repeat the statement and its values.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from shopsync.errors import DatabaseUnavailable, SchemaOutdated


class Fault(Enum):
    """What the caller does next; each has been rolled back, or will be with its connection."""

    CONFLICT = auto()
    """Another transaction was in the way: try again, after a moment."""
    BUSY = auto()
    """The server has no connection left: try again, after a while, with fewer of them."""
    LOST = auto()
    """The connection is gone, perhaps after a commit: look, then try again; halve if it is lost again."""
    TOO_LARGE = auto()
    """The transaction meets a limit of the server: never again unchanged, but halved."""
    REFUSED = auto()
    """A row holds what the column cannot: find it and name it."""
    OUTDATED = auto()
    """A table or a column is not there."""
    UNAVAILABLE = auto()
    """Anything else, which nothing here can mend."""


DRIVER_ERRORS = (SQLAlchemyError, UnicodeEncodeError, OverflowError)
"""What a statement may raise; the drivers use Python's own errors for lone surrogates and integers beyond 64 bits."""

# Sources: MySQL 8.4 and MariaDB 10.11 error references; Vitess's and PlanetScale's texts as users recorded them.
_BY_CODE = {
    Fault.CONFLICT: {1213, 1205, 1020},  # deadlock, lock wait time-out, a row changed since it was read
    Fault.BUSY: {1040, 1203, 1226},  # too many connections: of all, of this user, as this user may have
    # Gone away, lost during a query, killed, shutting down, idle for too long, packets out of step or not read or sent.
    Fault.LOST: {0, 2006, 2013, 2055, 1927, 1053, 4031, 1156, 1158, 1159, 1160, 1161},
    # A packet, the table of locks, the time that a statement may take (MySQL, MariaDB).
    Fault.TOO_LARGE: {1153, 1206, 3024, 1969},
}
_BY_TEXT = {
    Fault.TOO_LARGE: re.compile(
        r"row count exceeded \d+"
        r"|transaction \S+: (ended at .*\(exceeded timeout|in use: for tx killer rollback)"
        r"|context deadline exceeded"
        r"|message larger than max",
        re.IGNORECASE,
    ),
    Fault.BUSY: re.compile(r"(pool|connection) .*limit exceeded|code = ResourceExhausted", re.IGNORECASE),
}
_LACKING = re.compile(
    r"no such (?P<kind>table|column): (?P<lite>\S+)"
    r"|has no column named (?P<column>\S+)"
    r"|Table '(?P<table>[^']+)' doesn't exist"
    r"|Unknown column '(?P<unknown>[^']+)'"
)
_THERE = {1050, 1060, 1061}
"""Table, column and index of this name exist."""
_THERE_ALREADY = re.compile(r"duplicate column name: \S+|(table|index) \S+ already exists")
_DISK_FULL = {1021, 1114}
"""Their texts speak of a table that is full."""


def fault(error: BaseException) -> Fault:
    """Tell one failure of a database from another."""
    if isinstance(error, (UnicodeEncodeError, OverflowError)):
        return Fault.REFUSED
    code, text = _code_and_text(error)
    for meaning, pattern in _BY_TEXT.items():
        if pattern.search(text):
            return meaning
    for meaning, codes in _BY_CODE.items():
        if code in codes:
            return meaning
    if _LACKING.search(text):
        return Fault.OUTDATED
    return Fault.REFUSED if isinstance(error, (DataError, IntegrityError)) else Fault.UNAVAILABLE


def there_already(error: BaseException) -> bool:
    """Tell whether a statement would have made a table, a column or an index that is there."""
    code, text = _code_and_text(error)
    return code in _THERE or _THERE_ALREADY.fullmatch(text) is not None


def described(error: BaseException) -> str:
    """Return the driver's own text in one line."""
    if isinstance(error, UnicodeEncodeError):
        return f"text that is not Unicode ({error.reason})"
    code, text = _code_and_text(error)
    text = " ".join(text.split()) or type(error).__name__
    return f"its disk is full ({text})" if code in _DISK_FULL else text


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Turn what the drivers raise into shopsync's own errors."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise in_our_words(url, error) from error


def in_our_words(url: URL, error: BaseException) -> BaseException:
    """Return the error that tells the caller what to do; the URL without its password."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig  # a column's type refused a value: that is said in our own words already
    database = url.render_as_string(hide_password=True)
    if fault(error) is Fault.OUTDATED:
        found = _LACKING.search(described(error))
        name = next(filter(None, found.group("lite", "column", "table", "unknown"))) if found else "a table"
        return SchemaOutdated(database, (name,))
    return DatabaseUnavailable(database, described(error))


def _code_and_text(error: BaseException) -> tuple[int | None, str]:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return None, str(error.args[0]) if error.args else ""
    given: tuple[Any, ...] = error.orig.args
    if len(given) > 1 and isinstance(given[0], int):
        return given[0], str(given[1])
    return None, str(error.orig)
