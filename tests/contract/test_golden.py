"""The reference implementation and the truth agree with what was worked out by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests import golden, reference, truth
from tests.reference import Fact

ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

# What a first daily run asks for: 128 days and the overlap of 5 minutes, up to the lag of 3 minutes.
FIRST_WINDOW = (datetime(2026, 7, 18, 5, 55, tzinfo=UTC), datetime(2026, 11, 23, 5, 57, tzinfo=UTC))


@pytest.fixture(scope="module")
def tables() -> truth.Tables:
    """Return the rows that the golden orders become."""
    return truth.rows_of(golden.golden_orders())


def chosen_columns(rows: dict[int, dict[str, Any]], wanted: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return of the rows what the wanted ones name."""
    return {key: {column: rows[key][column] for column in columns} for key, columns in wanted.items()}


def test_sales_equal_hand_worked_days(tables: truth.Tables) -> None:
    """Every day, product and currency has the figures that were worked out, and no other day has any."""
    sales = reference.sales_by_day(tables["order_sale"].values(), golden.ZONE)

    assert [] == truth.differences(golden.GOLDEN_SALES, sales)
    assert golden.GOLDEN_SALES == sales


def test_performance_equals_hand_worked_rows(tables: truth.Tables) -> None:
    """Every window has the figures that were worked out, and what has none has no row."""
    performance = reference.performance_as_of(tables["order_sale"].values(), golden.ZONE, golden.AS_OF)

    assert [] == truth.differences({"performance": golden.GOLDEN_PERFORMANCE}, {"performance": performance})
    assert golden.GOLDEN_PERFORMANCE == performance


def test_product_figures_equal_hand_worked(tables: truth.Tables) -> None:
    """The table `product` repeats the windows of the shop's currency, for products only."""
    figures = reference.product_figures(tables["order_sale"].values(), golden.ZONE, golden.AS_OF, golden.CURRENCY)

    assert {
        product_id: {
            "units_sold_7d": week,
            "units_sold_30d": month,
            "net_sales_7d": Decimal(net_week),
            "net_sales_30d": Decimal(net_month),
            "last_sold_on": last_sold_on,
        }
        for product_id, (week, month, net_week, net_month, last_sold_on) in golden.GOLDEN_PRODUCTS.items()
    } == figures


def test_as_of_day_is_yesterday() -> None:
    """At 01:00 in New York the last day that was over is yesterday."""
    assert golden.AS_OF == reference.as_of_day(golden.REQUESTED_AT, golden.ZONE)


def test_header_rows_equal_literals(tables: truth.Tables) -> None:
    """Order headers have the columns that were written down."""
    rows = chosen_columns(tables["order_header"], golden.GOLDEN_HEADERS)

    assert golden.GOLDEN_HEADERS == rows


def test_line_rows_equal_literals(tables: truth.Tables) -> None:
    """Line items have the columns that were written down."""
    rows = chosen_columns(tables["order_line_item"], golden.GOLDEN_LINES)

    assert golden.GOLDEN_LINES == rows


def test_ledger_rows_equal_literals(tables: truth.Tables) -> None:
    """Sales have the columns that were written down."""
    rows = chosen_columns(tables["order_sale"], golden.GOLDEN_LEDGER)

    assert golden.GOLDEN_LEDGER == rows


@pytest.mark.parametrize("number", golden.GOLDEN_EVENTS)
def test_events_equal_literals(number: int) -> None:
    """Each order tells exactly the facts that were written down."""
    orders = [order for order in golden.golden_orders() if order["id"] == golden.gid("Order", number)]

    facts = reference.facts_of(orders)

    assert facts == Counter(
        Fact(event, at, number, f"#{number}", number == 23) for event, at in golden.GOLDEN_EVENTS[number]
    )


def test_shop_holds_golden_orders() -> None:
    """The simulated shop has these orders, all within the reach of a first daily run."""
    shop = golden.golden_shop()

    assert truth.rows_of(golden.golden_orders()) == truth.expected_rows(shop, *ALWAYS)
    assert truth.expected_rows(shop, *FIRST_WINDOW) == truth.expected_rows(shop, *ALWAYS)
