"""The statements for MySQL, as text; what they do is tested on a real server in tests/services."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, Double, String

from shopsync.database.columns import Money, UtcDateTime, UtcInstant
from shopsync.database.literals import literals
from shopsync.database.orders import HEADERS, LINE_ITEMS, PRODUCTS
from shopsync.database.statements import mysql_statement, packed
from tests.factories import NOON


def _columns(kinds: Sequence[Any]) -> list[Column[Any]]:
    return [Column("", kind) for kind in kinds]


def _written(kinds: Sequence[Any], *rows: Sequence[Any]) -> str:
    return literals(_columns(kinds), rows).decode()


def test_values_follow_their_types() -> None:
    """Each type has its literal; null is null in all of them."""
    kinds = [BigInteger(), Money(), UtcDateTime(), UtcInstant(), Boolean(), Date(), Double(), String(64)]
    row = (7, Decimal("1.25E+1"), NOON, NOON, True, date(2026, 11, 20), 1.5, "tea")

    assert (
        '(7,12.5000,"2026-11-20T12:00:00","2026-11-20 12:00:00.000000",true,"2026-11-20",1.5,"tea"),'
        "(null,null,null,null,null,null,null,null)"
    ) == _written(kinds, row, [None] * 8)


@pytest.mark.parametrize("kind", [BigInteger(), Money(), UtcDateTime(), UtcInstant(), Boolean(), Date(), Double()])
def test_text_is_no_number(kind: Any) -> None:
    """A text in a column of another type is refused, before the server makes something of it."""
    with pytest.raises((TypeError, AttributeError, msgspec.ValidationError)):
        _written([kind], ["1); DROP TABLE product"])


def test_times_are_written_in_utc() -> None:
    """A time of another zone is written as the same moment, cut to the second; one without a zone is refused."""
    berlin = NOON.astimezone(ZoneInfo("Europe/Berlin")).replace(microsecond=500_000)

    assert '("2026-11-20T12:00:00")' == _written([UtcDateTime()], [berlin])
    with pytest.raises(ValueError, match="has no time zone"):
        _written([UtcDateTime()], [NOON.replace(tzinfo=None)])


def test_rows_are_told_from_text() -> None:
    """What looks like the end of a row, or of the statement, is text within quotes."""
    assert r'("]\n["),("\"),(\"")' == _written([String(64)], ["]\n["], ['"),("'])


@pytest.mark.parametrize("character", [*map(chr, range(0x20)), "\x7f", "'", '"', "\\", "/", "%", "\u2028", "🍵"])
@pytest.mark.parametrize("after", ["", "\\", "u0041", "\0"])
def test_server_reads_each_character(character: str, after: str) -> None:
    """MySQL's rules for strings give back every character that JSON escapes, and those that it does not."""
    text = f"{character}{after}"

    assert text == _read_by_mysql(_written([String(64)], [text]))


def _read_by_mysql(literal: str) -> str:
    """Read `("...")` as the server does: MySQL 8.4, "String Literals", table 11.1."""
    known = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": r"\%", "_": r"\_"}
    text = re.fullmatch(r'\("((?:[^"\\]|\\.)*)"\)', literal, re.DOTALL)
    assert text is not None
    return re.sub(r"\\(.)", lambda escape: known.get(escape[1], escape[1]), text[1], flags=re.DOTALL)


def test_surrogates_are_refused() -> None:
    """A lone surrogate would reach the server as bytes that are not UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        _written([String(64)], ["\ud83d"])


def test_guard_is_assigned_last() -> None:
    """MySQL assigns from left to right: every other column still sees the old guard."""
    _, tail = mysql_statement(HEADERS)

    *_, last = tail.split(", updated_at = ")
    assert "IF(VALUES(updated_at) >= updated_at, VALUES(updated_at), updated_at)" == last
    assert 1 == tail.count(", updated_at = ")


def test_children_need_no_guard() -> None:
    """Lines and sales follow a header that is locked: they are overwritten, but for a product that is forgotten."""
    _, tail = mysql_statement(LINE_ITEMS)

    assert "product_id = COALESCE(VALUES(product_id), product_id), variant_id = VALUES(variant_id)" in tail
    assert "IF(" not in tail


def test_null_guard_is_overwritten() -> None:
    """A row that has no version yet takes any."""
    _, tail = mysql_statement(PRODUCTS)

    assert "title = IF((updated_at IS NULL OR VALUES(updated_at) >= updated_at), VALUES(title), title)" in tail


def test_run_changes_with_newer_only() -> None:
    """The run of a header changes with a strictly newer version."""
    _, tail = mysql_statement(HEADERS)

    assert "run_id = IF(VALUES(updated_at) > updated_at, VALUES(run_id), run_id)" in tail


def test_statement_stays_small() -> None:
    """Rows go into as many statements as their bytes need; a row beyond the limit goes alone."""
    rows = [["1"], ["2"], ["éééé"], ["3"]]

    assert [b'("1"),("2")', '("éééé")'.encode(), b'("3")'] == list(packed(_columns([String(64)]), rows, 11))
