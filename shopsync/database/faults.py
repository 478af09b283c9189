"""
What a database's exception means: the one place that reads driver codes and texts.

No exception of SQLAlchemy or of a driver leaves `shopsync/database/`: `translated` turns what is left over into the
errors of `shopsync/errors.py`. Texts are the driver's alone; SQLAlchemy's would repeat the statement and its values.
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

_CONFLICTS = frozenset({1213, 1205, 1020})
"""Deadlock, lock wait time-out, a row changed since it was read: rolled back, and worth another try."""
_LACKING = re.compile(
    r"no such (?P<kind>table|column): (?P<lite>\S+)"
    r"|has no column named (?P<column>\S+)"
    r"|Table '(?P<table>[^']+)' doesn't exist"
    r"|Unknown column '(?P<unknown>[^']+)'"
)


class Fault(Enum):
    """What the caller does next."""

    CONFLICT = auto()
    """Roll back and try again."""
    REFUSED = auto()
    """A row holds what the column cannot: find it and name it."""
    OUTDATED = auto()
    """A table or a column is not there."""
    UNAVAILABLE = auto()
    """Anything else."""


def fault(error: BaseException) -> Fault:
    """Tell one failure of a database from another."""
    # The drivers raise Python's own errors for lone surrogates and for integers beyond 64 bits.
    if isinstance(error, (UnicodeEncodeError, OverflowError)):
        return Fault.REFUSED
    code, text = _code_and_text(error)
    if code in _CONFLICTS:
        return Fault.CONFLICT
    if _LACKING.search(text):
        return Fault.OUTDATED
    return Fault.REFUSED if isinstance(error, (DataError, IntegrityError)) else Fault.UNAVAILABLE


def described(error: BaseException) -> str:
    """Return the driver's own text in one line."""
    if isinstance(error, UnicodeEncodeError):
        return f"text that is not Unicode ({error.reason})"
    return " ".join(_code_and_text(error)[1].split())


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Turn what the drivers raise into shopsync's own errors."""
    try:
        yield
    except (SQLAlchemyError, UnicodeEncodeError, OverflowError) as error:
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
        return None, str(error.args[0]) if error.args else type(error).__name__
    given: tuple[Any, ...] = error.orig.args
    if len(given) > 1 and isinstance(given[0], int):
        return given[0], str(given[1])
    return None, str(error.orig)
