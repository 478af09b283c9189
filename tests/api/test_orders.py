"""`/orders` as staff's programs read it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine

from tests.database import load
from tests.factories import NOON, line_item, order, sale
from tests.simulator.schema import schema_of


def ids(answer: Any) -> list[str]:
    return [found["order_id"] for found in answer.json()["data"]]


def test_list_has_stripes_shape(viewer: TestClient[Any]) -> None:
    """Newest first, with what the next page needs; ids are text."""
    answer = viewer.get("/orders", params={"limit": 2})

    assert ["1007", "1006"] == ids(answer)
    assert (True, 2) == (answer.json()["has_more"], answer.json()["limit"])


def test_next_link_leads_on(viewer: TestClient[Any]) -> None:
    """`Link: rel=next` is the next page, under the same filters."""
    first = viewer.get("/orders", params={"limit": 3, "financial_status": "PAID"})

    second = viewer.get(first.links["next"]["url"])

    assert ["1004", "1003", "1002"] == ids(second)
    assert first.json()["next_cursor"] in first.links["next"]["url"]


def test_last_page_says_so(viewer: TestClient[Any]) -> None:
    """There is no cursor and no link on it."""
    answer = viewer.get("/orders")

    assert (False, None) == (answer.json()["has_more"], answer.json()["next_cursor"])
    assert "link" not in answer.headers


def test_cursor_is_bound_to_its_filters(viewer: TestClient[Any]) -> None:
    """With other filters it would continue another list."""
    cursor = viewer.get("/orders", params={"limit": 1}).json()["next_cursor"]

    answer = viewer.get("/orders", params={"cursor": cursor, "name": "#1001"})

    assert 400 == answer.status_code
    assert "cursor: it was given under other filters" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("limit=0", "limit", "Expected `int` >= 1"),
        ("limit=201", "limit", "Expected `int` <= 200"),
        ("limit=many", "limit", "Expected `int`, got `str`"),
        ("limit=1&limit=2", "limit", "it is given twice"),
        ("financial_status=paid", "financial_status", "Invalid enum value 'paid'"),
        ("created_at_min=yesterday", "created_at_min", "it is no RFC 3339 time"),
        ("created_at_max=2026-11-01T00:00:00", "created_at_max", "it has no time zone"),
        (
            "created_at_min=2026-11-20T12:00:00+01:00",
            "created_at_min",
            "it has a space before its offset: write the + as %2B in a query",
        ),
        ("created_at_max=0001-01-01T00:00:00%2B05:00", "created_at_max", "it is beyond the calendar"),
        (
            "created_at_min=2026-11-02T00:00:00Z&created_at_max=2026-11-01T00:00:00Z",
            "created_at_max",
            "it lies before created_at_min",
        ),
        ("cursor=abc", "cursor", "it is not one that this listing gave"),
        ("created_at_min=null", "created_at_min", "null is no value"),
        ("created_at_min=0.5", "created_at_min", "it is no RFC 3339 time"),
        ("financial_status=null", "financial_status", "null is no value"),
        ("status=PAID", "status", "there is no such parameter: this route has created_at_max"),
    ],
)
def test_malformed_parameter_is_named(viewer: TestClient[Any], query: str, field: str, problem: str) -> None:
    """What is wrong is said of the parameter that it is about."""
    answer = viewer.get(f"/orders?{query}")

    assert (400, field, "query") == (
        answer.status_code,
        answer.json()["errors"][0]["field"],
        answer.json()["errors"][0]["in"],
    )
    assert answer.json()["errors"][0]["problem"].startswith(problem)


def test_one_order_has_lines_and_sales(viewer: TestClient[Any], seeded: Engine) -> None:
    """Money is exact text with two decimals or more, times are UTC."""
    lines = [line_item(1, unit_price=sale().total_amount / 8), line_item(2, product_id=None)]
    load(seeded, [order(5, line_items=lines, sales=[sale(3, quantity=None)])], archive="b" * 64)

    found = viewer.get("/orders/5").json()

    assert ["2.50", "10.00"] == [line["unit_price"] for line in found["line_items"]]
    assert ["7", None] == [line["product_id"] for line in found["line_items"]]
    assert [("3", "20.00", None)] == [(s["sale_id"], s["total_amount"], s["quantity"]) for s in found["sales"]]
    assert "2026-11-20T12:00:00Z" == found["created_at"]


def test_money_keeps_all_its_digits(viewer: TestClient[Any], seeded: Engine) -> None:
    """A price below the cent is not rounded."""
    load(seeded, [order(5, total_price=sale().tax_amount / 4)], archive="b" * 64)

    assert "0.7975" == viewer.get("/orders/5").json()["total_price"]


@pytest.mark.parametrize(
    ("order_id", "status"), [("42", 404), ("9" * 19, 404), ("9" * 20, 400), ("x", 400), ("-1", 400)]
)
def test_order_that_is_not_there(viewer: TestClient[Any], order_id: str, status: int) -> None:
    """An id that could be one is not found; what cannot be one is malformed."""
    assert status == viewer.get(f"/orders/{order_id}").status_code


@pytest.mark.parametrize("path", ["/orders", "/orders/1001"])
def test_unchanged_answer_is_not_sent_again(viewer: TestClient[Any], path: str) -> None:
    """A client that names the tag it has gets 304, without a body."""
    tag = viewer.get(path).headers["etag"]

    answer = viewer.get(path, headers={"If-None-Match": tag})

    assert (304, b"", tag) == (answer.status_code, answer.content, answer.headers["etag"])
    assert "private, no-cache" == answer.headers["cache-control"]


def test_changed_answer_is_sent(viewer: TestClient[Any], seeded: Engine) -> None:
    """A new version of an order has another tag."""
    tag = viewer.get("/orders/1001").headers["etag"]
    load(seeded, [order(1001, updated_at=NOON + timedelta(hours=1))], run_id="later", archive="b" * 64)

    assert 200 == viewer.get("/orders/1001", headers={"If-None-Match": tag}).status_code


def test_large_answers_are_compressed(viewer: TestClient[Any]) -> None:
    """To a client that takes gzip."""
    assert "gzip" == viewer.get("/orders").headers["content-encoding"]


@pytest.mark.parametrize("name", ["FinancialStatus", "FulfillmentStatus"])
def test_statuses_are_shopifys(app: Any, name: str) -> None:
    """The filters take what Shopify's schema has, no more and no less."""
    shopifys: Any = schema_of("2026-10").type_map[f"OrderDisplay{name}"]

    assert sorted(shopifys.values) == sorted(app.described["components"]["schemas"][name]["enum"])
