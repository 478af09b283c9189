"""The first change in a window."""

import json
from datetime import timedelta

import pytest

from shopsync.errors import UnexpectedAnswer
from shopsync.shopify.changes import count_orders, first_change
from tests.unit.shopify.fakes import NOW, WINDOW, Script, client, graphql


def test_tells_the_first_change() -> None:
    """The oldest order of the window is asked for, one order and no more."""
    shop = Script(graphql({"data": {"orders": {"nodes": [{"updatedAt": "2026-11-23T04:00:00Z"}]}}}))

    assert NOW - timedelta(hours=2) == first_change(client(shop), WINDOW)
    assert {"search": WINDOW.search()} == json.loads(shop.requests[0].content)["variables"]


def test_empty_window_has_no_change() -> None:
    """None means that nothing changed."""
    assert None is first_change(client(Script(graphql({"data": {"orders": {"nodes": []}}}))), WINDOW)


def test_another_shape_is_refused() -> None:
    """An answer without the orders is not taken for an empty window."""
    with pytest.raises(UnexpectedAnswer):
        first_change(client(Script(graphql({"data": {"orders": None}}))), WINDOW)


def test_counts_orders() -> None:
    """Shopify counts the window's orders, without the limit that it has by default."""
    shop = Script(graphql({"data": {"ordersCount": {"count": 12_345}}}))

    assert 12_345 == count_orders(client(shop), WINDOW)
    asked = json.loads(shop.requests[0].content)
    assert {"search": WINDOW.search()} == asked["variables"]
    assert "limit: null" in asked["query"]
