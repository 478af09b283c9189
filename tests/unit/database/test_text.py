"""Arbitrary text through every text column; tests/services runs this on MariaDB too."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from sqlalchemy import Engine

from shopsync.database.tables import order_header, order_line_item, order_sale, product
from shopsync.errors import RowRefused
from shopsync.records import Order
from tests.database import load, rows
from tests.factories import line_item, order, sale
from tests.factories import product as a_product

HOSTILE = (
    "",
    "'",
    '"',
    "\\",
    "\\'",
    "'); DROP TABLE order_header; --",
    "%s %(a)s %%",
    ":name ?",
    "a\x00b",
    "\x1a\r\n\t\x08",
    "\u2028\u2029",
    "🍵 \U0010ffff",
    "é e\u0301",
    " trailing ",
)
NUMBERS = itertools.count(1)
HALF = "half an emoji \ud83d"
ORDER_TEXTS = (
    "name",
    "cancel_reason",
    "financial_status",
    "fulfillment_status",
    "return_status",
    "source_name",
    "tags",
    "currency",
    "presentment_currency",
)
LINE_TEXTS = ("sku", "title", "variant_title", "vendor")
SALE_TEXTS = ("reason", "action_type", "line_type")
PRODUCT_TEXTS = ("title", "handle", "vendor", "product_type", "status")


def half(name: str) -> dict[str, Any]:
    """Half a character in one field."""
    return {name: HALF}


def _store_everywhere(database: Engine, word: str, text: str) -> None:
    number = next(NUMBERS)
    given = order(
        number,
        name=text,
        cancel_reason=word,
        financial_status=word,
        fulfillment_status=word,
        return_status=word,
        source_name=text,
        tags=text,
        currency=word,
        presentment_currency=word,
        line_items=[line_item(number, sku=text, title=text, variant_title=text, vendor=text, currency=word)],
        sales=[sale(number, reason=word, action_type=word, line_type=word, currency=word)],
        products=[a_product(number, title=text, handle=text, vendor=text, product_type=text, status=word)],
    )

    load(database, [given], archive=str(number))

    assert asdict(given.header).items() <= rows(database, order_header)[-1].items()
    assert asdict(given.line_items[0]) == rows(database, order_line_item)[-1]
    assert asdict(given.sales[0]) == rows(database, order_sale)[-1]
    assert asdict(given.products[0]).items() <= rows(database, product)[-1].items()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back(database: Engine, text: str) -> None:
    """Quotes, backslashes, placeholders and control characters are text like any other."""
    _store_everywhere(database, text, text)


@given(word=st.text(st.characters(exclude_categories=["Cs"]), max_size=64), text=st.text(max_size=255))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(database: Engine, word: str, text: str) -> None:
    """Any Unicode text is read back unchanged."""
    _store_everywhere(database, word, text)


@pytest.mark.parametrize(
    "given",
    [
        *(order(1, **half(name)) for name in ORDER_TEXTS),
        *(order(1, line_items=[line_item(1, **half(name))]) for name in LINE_TEXTS),
        *(order(1, sales=[sale(1, **half(name))]) for name in SALE_TEXTS),
        *(order(1, products=[a_product(1, **half(name))]) for name in PRODUCT_TEXTS),
    ],
    ids=[*ORDER_TEXTS, *LINE_TEXTS, *SALE_TEXTS, *PRODUCT_TEXTS],
)
def test_half_a_character_is_refused(database: Engine, given: Order) -> None:
    """A lone surrogate, in whichever column, is refused by the order's name, and nothing of the order is in."""
    with pytest.raises(RowRefused, match="refuses order 1: text that is not Unicode"):
        load(database, [given])

    assert [[]] * 4 == [rows(database, table) for table in (order_header, order_line_item, order_sale, product)]
