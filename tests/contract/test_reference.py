"""The reference implementation of the figures, on cases that can be checked at a glance, and in its invariants."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import reference

ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
SUMMABLE = ("units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales")


def sale(**about: Any) -> dict[str, Any]:
    """Return a row of order_sale: one piece for 10.00, sold on 20 November at noon UTC."""
    return {
        "order_id": 1,
        "happened_at": NOON,
        "action_type": "ORDER",
        "line_type": "PRODUCT",
        "product_id": 5,
        "quantity": 1,
        "total_amount": Decimal("10.00"),
        "discount_amount": Decimal("0.00"),
        "tax_amount": Decimal("0.00"),
        "currency": "USD",
        "is_test": False,
    } | about


def days_ago(days: int, **about: Any) -> dict[str, Any]:
    """Return a sale so many days before 20 November."""
    return sale(happened_at=NOON - timedelta(days=days), **about)


def total(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the sums of those figures that can be summed."""
    return {name: sum(figures[name] for figures in groups) for name in SUMMABLE}


cents = st.integers(-100_000, 100_000).map(lambda value: Decimal(value).scaleb(-2))
sales = st.lists(
    st.builds(
        sale,
        order_id=st.integers(1, 5),
        happened_at=st.integers(0, 85 * 86_400).map(lambda second: SEPTEMBER + timedelta(seconds=second)),
        action_type=st.sampled_from(["ORDER", "RETURN", "UPDATE", "UNKNOWN"]),
        line_type=st.sampled_from(["PRODUCT", "PRODUCT", "SHIPPING", "GIFT_CARD", "ADJUSTMENT"]),
        product_id=st.sampled_from([None, 1, 2]),
        quantity=st.none() | st.integers(-9, 9),
        total_amount=cents,
        discount_amount=cents,
        tax_amount=cents,
        currency=st.sampled_from(["USD", "EUR"]),
        is_test=st.booleans(),
    ),
    max_size=30,
)
zones = st.sampled_from(ZONES)
as_of_days = st.dates(date(2026, 9, 1), date(2027, 2, 1))
quickly = settings(max_examples=60, deadline=None)


# --- one group of sales ---


def test_sale_counts_before_discount() -> None:
    """Gross is what the sale brought without tax, and its discount."""
    figures = reference.figures_of(
        [sale(quantity=2, total_amount=Decimal("21.60"), tax_amount=Decimal("1.60"), discount_amount=Decimal("5.00"))]
    )

    assert (2, Decimal("25.00"), Decimal("5.00"), Decimal("20.00"), Decimal("1.60")) == (
        figures["units_sold"],
        figures["gross_sales"],
        figures["discounts"],
        figures["net_sales"],
        figures["tax"],
    )


def test_return_counts_positive() -> None:
    """A return, negative in the ledger, is a positive number of returned units and of returns."""
    figures = reference.figures_of(
        [sale(action_type="RETURN", quantity=-1, total_amount=Decimal("-10.80"), tax_amount=Decimal("-0.80"))]
    )

    assert (0, 1, Decimal("10.00"), Decimal("-10.00"), Decimal("-0.80")) == (
        figures["orders"],
        figures["units_returned"],
        figures["returns"],
        figures["net_sales"],
        figures["tax"],
    )


def test_order_counts_once() -> None:
    """An order with several sales is one order."""
    figures = reference.figures_of([sale(), sale(), sale(order_id=2)])

    assert 2 == figures["orders"]


def test_update_without_quantity_counts() -> None:
    """A mere change of price makes its order count, and no unit."""
    figures = reference.figures_of([sale(action_type="UPDATE", quantity=None, total_amount=Decimal("-1.00"))])

    assert (1, 0, Decimal("-1.00")) == (figures["orders"], figures["units_sold"], figures["net_sales"])


@given(sales)
@quickly
def test_net_sales_sums_net(rows: list[dict[str, Any]]) -> None:
    """Net sales are the sum of all that sales and returns brought without tax."""
    figures = reference.figures_of(rows)

    assert figures["net_sales"] == sum((row["total_amount"] - row["tax_amount"] for row in rows), Decimal(0))


# --- days ---


@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/New_York", date(2026, 11, 19)), ("UTC", date(2026, 11, 20)), ("Asia/Kathmandu", date(2026, 11, 20))],
)
def test_day_is_the_shops(zone: str, day: date) -> None:
    """A sale just after midnight UTC belongs to the day that the shop's wall shows."""
    rows = [sale(happened_at=datetime(2026, 11, 20, 0, 30, tzinfo=UTC))]

    assert [day] == list(reference.sales_by_day(rows, zone))


@pytest.mark.parametrize("about", [{"is_test": True}, {"line_type": "GIFT_CARD"}, {"line_type": "SHIPPING"}])
def test_other_sales_make_no_day(about: dict[str, Any]) -> None:
    """Test orders and what is no product are in no figure."""
    assert {} == reference.sales_by_day([sale(**about)], "UTC")


def test_no_product_is_zero() -> None:
    """What has no product counts for product 0, apart for each currency."""
    rows = [sale(product_id=None), sale(product_id=None, currency="EUR")]

    by_key = reference.sales_by_day(rows, "UTC")[date(2026, 11, 20)]

    assert {(0, "USD"), (0, "EUR")} == set(by_key)


@given(sales, zones)
@quickly
def test_days_sum_to_whole(rows: list[dict[str, Any]], zone: str) -> None:
    """Cutting into days, products and currencies loses nothing."""
    days = reference.sales_by_day(rows, zone)

    groups = [figures for keys in days.values() for figures in keys.values()]
    whole = reference.figures_of(reference.counted(rows))
    assert {name: whole[name] for name in SUMMABLE} == total(groups)


@given(sales, zones, st.randoms(use_true_random=False))
@quickly
def test_order_of_rows_is_indifferent(rows: list[dict[str, Any]], zone: str, random: Any) -> None:
    """The figures are those of a set of rows."""
    shuffled = random.sample(rows, len(rows))

    assert reference.sales_by_day(rows, zone) == reference.sales_by_day(shuffled, zone)


# --- windows ---


@pytest.mark.parametrize(
    ("requested_at", "zone", "day"),
    [
        (datetime(2026, 11, 23, 6, 0, tzinfo=UTC), "UTC", date(2026, 11, 22)),
        (datetime(2026, 11, 23, 4, 59, 59, tzinfo=UTC), "America/New_York", date(2026, 11, 21)),
        (datetime(2026, 11, 23, 5, 0, tzinfo=UTC), "America/New_York", date(2026, 11, 22)),
        (datetime(2026, 11, 22, 13, 0, tzinfo=UTC), "Australia/Lord_Howe", date(2026, 11, 22)),
    ],
)
def test_as_of_is_last_complete_day(requested_at: datetime, zone: str, day: date) -> None:
    """The as-of day is the day before the one that the shop's wall shows."""
    assert day == reference.as_of_day(requested_at, zone)


@pytest.mark.parametrize(
    ("days", "figure"),
    [
        (0, "units_sold_7d"),
        (6, "units_sold_7d"),
        (7, "units_sold_prev_7d"),
        (13, "units_sold_prev_7d"),
        (29, "units_sold_30d"),
        (30, "units_sold_prev_30d"),
        (59, "units_sold_prev_30d"),
    ],
)
def test_windows_end_where_said(days: int, figure: str) -> None:
    """Windows of N days hold the as-of day and the N - 1 before it; those before them follow without a gap."""
    performance = reference.performance_as_of([days_ago(days)], "UTC", NOON.date())

    assert 1 == performance[5, "USD"][figure]


@pytest.mark.parametrize("days", [-1, 60])
def test_rest_is_in_no_window(days: int) -> None:
    """Neither today nor what is 60 days old makes a row."""
    assert {} == reference.performance_as_of([days_ago(days)], "UTC", NOON.date())


def test_last_sold_ignores_later_days() -> None:
    """The last day sold is not after the as-of day, and a day of returns alone is none."""
    rows = [days_ago(-1), days_ago(2, action_type="RETURN", quantity=-1), days_ago(70)]

    performance = reference.performance_as_of(rows, "UTC", NOON.date())

    assert NOON.date() - timedelta(days=70) == performance[5, "USD"]["last_sold_on"]


@given(sales, zones, as_of_days)
@quickly
def test_window_before_is_window_of_then(rows: list[dict[str, Any]], zone: str, as_of: date) -> None:
    """What is called the week before is the week as of seven days ago."""
    now = reference.performance_as_of(rows, zone, as_of)
    then = reference.performance_as_of(rows, zone, as_of - timedelta(days=7))

    both = {*now} & {*then}
    assert {key: (then[key]["units_sold_7d"], then[key]["net_sales_7d"]) for key in both} == {
        key: (now[key]["units_sold_prev_7d"], now[key]["net_sales_prev_7d"]) for key in both
    }


@given(sales, zones, as_of_days)
@quickly
def test_windows_are_sums_of_days(rows: list[dict[str, Any]], zone: str, as_of: date) -> None:
    """A window's figures are the sums of its days."""
    performance = reference.performance_as_of(rows, zone, as_of)

    days = reference.sales_by_day(rows, zone)
    month = [days.get(as_of - timedelta(days=back), {}) for back in range(30)]
    assert {key: total([day[key] for day in month if key in day]) for key in performance} == {
        key: {name: row[f"{name}_30d"] for name in SUMMABLE} for key, row in performance.items()
    }


def test_window_counts_order_once() -> None:
    """An order with sales on several days of a window is one order of the window."""
    performance = reference.performance_as_of([days_ago(1), days_ago(2), days_ago(9)], "UTC", NOON.date())

    assert (1, 1) == (performance[5, "USD"]["orders_7d"], performance[5, "USD"]["orders_30d"])


# --- the table `product` ---


def test_product_long_unsold_has_zeros() -> None:
    """A product that fell out of the windows has zeros, and still the day it was last sold."""
    figures = reference.product_figures([days_ago(90)], "UTC", NOON.date(), "USD")

    assert {5: reference.NO_PRODUCT_FIGURES | {"last_sold_on": NOON.date() - timedelta(days=90)}} == figures


def test_product_figures_are_of_one_currency() -> None:
    """Sales in another currency than the shop's are not in the product's figures, nor is product 0."""
    rows = [sale(), sale(currency="EUR"), sale(product_id=6, currency="EUR"), sale(product_id=None)]

    figures = reference.product_figures(rows, "UTC", NOON.date(), "USD")

    assert {5: Decimal("10.00")} == {product_id: row["net_sales_7d"] for product_id, row in figures.items()}
