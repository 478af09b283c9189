"""The statements for MySQL, as text; what they do is tested on a real server in tests/services."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pymysql
import pytest
from sqlalchemy import BigInteger, Boolean, Date, Double, String

from shopsync.database.columns import Money, UtcDateTime, UtcInstant
from shopsync.database.literals import literals
from shopsync.database.orders import HEADERS, LINE_ITEMS, PRODUCTS
from shopsync.database.statements import mysql_statement, packed
from tests.factories import NOON


def _quote(text: str) -> str:
    return "'" + pymysql.converters.escape_string(text) + "'"


def _never(text: str) -> str:
    raise AssertionError(f"{text} needs no escaping")


def _written(kinds: Sequence[Any], *rows: Sequence[Any]) -> list[str]:
    return list(literals(kinds, rows, _quote))


def test_values_follow_their_types() -> None:
    """Each type has its literal; null is null in all of them."""
    kinds = [BigInteger(), Money(), UtcDateTime(), UtcInstant(), Boolean(), Date(), Double(), String(64)]
    row = (7, Decimal("1.25E+1"), NOON, NOON, True, date(2026, 11, 20), 1.5, "tea")

    assert [
        "(7,12.5000,'2026-11-20 12:00:00','2026-11-20 12:00:00.000000',1,'2026-11-20',1.5,'tea')",
        "(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)",
    ] == _written(kinds, row, [None] * 8)


@pytest.mark.parametrize("kind", [BigInteger(), Money(), UtcDateTime(), Boolean(), Date(), Double()])
def test_text_is_no_number(kind: Any) -> None:
    """A text in a column of another type is refused: it would go into the statement as it is."""
    with pytest.raises((TypeError, AttributeError)):
        _written([kind], ["1); DROP TABLE product"])


@pytest.mark.parametrize("text", ["'", '"', "\\", "\0", "\n", "\r", "\x1a"])
def test_hostile_text_goes_to_the_driver(text: str) -> None:
    """What the server would read as more than text is escaped by the driver."""
    assert [f"({_quote(text)})", "('tea')"] == _written([String(64)], [text], ["tea"])


def test_harmless_text_is_not_escaped() -> None:
    """Where one scan finds nothing, nothing is escaped value by value."""
    assert ["('tea 🍵')"] == list(literals([String(64)], [["tea 🍵"]], _never))


def test_surrogates_are_refused() -> None:
    """A lone surrogate would reach the server as bytes that are not UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        _written([String(64)], ["\ud83d"])


def test_guard_is_assigned_last() -> None:
    """MySQL assigns from left to right: every other column still sees the old guard."""
    _, tail = mysql_statement(LINE_ITEMS)

    *_, last = tail.split(", order_updated_at = ")
    assert "IF(VALUES(order_updated_at) >= order_updated_at, VALUES(order_updated_at), order_updated_at)" == last
    assert 1 == tail.count("order_updated_at = ")


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
    assert ["(1),(2)", "('éééé')", "(3)"] == list(packed(["(1)", "(2)", "('éééé')", "(3)"], 9))
