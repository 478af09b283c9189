"""A whole run over the golden orders: every figure is one that was worked out by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from tests import golden
from tests.e2e.judge import Judge, Ran
from tests.e2e.world import opened
from tests.lake_reader import performance_days, read_events
from tests.truth import differences


@pytest.fixture(scope="module")
def ran(prefect: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run at 01:00 of 23 November in New York."""
    with opened(golden.golden_shop(), tmp_path_factory.mktemp("golden"), prefect) as world:
        return Judge(world, golden.REQUESTED_AT + timedelta(minutes=1)).sync(requested_at=golden.REQUESTED_AT)


def test_stores_the_golden_rows(ran: Ran):
    """Headers, lines and sales have the values that the orders were written with."""
    by_hand = {
        "order_header": golden.GOLDEN_HEADERS,
        "order_line_item": golden.GOLDEN_LINES,
        "order_sale": golden.GOLDEN_LEDGER,
    }

    stored = {table: {key: ran.rows[table][key] for key in rows} for table, rows in by_hand.items()}

    assert [] == differences(by_hand, stored)


def test_stores_every_golden_order(ran: Ran):
    """Nothing is missing from the tables, and nothing is there that is not in the shop."""
    assert [] == differences(ran.truth, ran.rows)
    assert len(golden.golden_orders()) == len(ran.rows["order_header"])


def test_measures_golden_sales(ran: Ran):
    """measurement.sales has every day, product and currency as worked out by hand, and no other."""
    assert [] == differences(golden.GOLDEN_SALES, ran.sales)
    assert set(golden.GOLDEN_SALES) == set(ran.sales)


def test_measures_golden_performance(ran: Ran):
    """measurement.performance as of 22 November is as worked out by hand."""
    assert [golden.AS_OF] == performance_days(ran.world.lake)
    assert [] == differences({golden.AS_OF: golden.GOLDEN_PERFORMANCE}, {golden.AS_OF: ran.performance})


def test_products_show_golden_figures(ran: Ran):
    """A product shows its 7- and 30-day figures in the shop's currency; a gift card shows 0."""
    figures = ("units_sold_7d", "units_sold_30d", "net_sales_7d", "net_sales_30d", "last_sold_on")
    money = {
        number: (week, month, Decimal(net_week), Decimal(net_month), last_sold)
        for number, (week, month, net_week, net_month, last_sold) in golden.GOLDEN_PRODUCTS.items()
    }

    shown = {number: tuple(row[name] for name in figures) for number, row in ran.rows["product"].items()}

    assert money | {110: (0, 0, Decimal(0), Decimal(0), None)} == shown
    assert {("USD", golden.AS_OF)} == {(row["currency"], row["metrics_as_of"]) for row in ran.rows["product"].values()}


def test_tells_golden_events(ran: Ran):
    """What happened to an order is told as it was written down by hand."""
    told = read_events(ran.world.lake)

    by_order = {
        number: Counter(
            (event["event"], datetime.fromisoformat(event["occurred_at"]))
            for event in told
            if event["order_id"] == number
        )
        for number in golden.GOLDEN_EVENTS
    }

    assert {number: Counter(events) for number, events in golden.GOLDEN_EVENTS.items()} == by_order
    assert {True} == {event["is_test"] for event in told if event["order_id"] == 23}
