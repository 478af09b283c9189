"""The figures of docs/data.md, exact to the last digit, on the shop's own days."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopsync.errors import InexactMoney
from shopsync.measurements import (
    ledger_figures,
    performance,
    performance_frame,
    performance_parquet,
    product_figures,
    sales_parquet,
    windows,
)
from shopsync.records import LedgerSum, ProductFigures
from shopsync.shop_days import DayRange, as_of_day

FEW = settings(max_examples=10)  # frames are slow to make, and these properties fail at once
NOTHING = ledger_figures([])
AS_OF = date(2026, 11, 22)


def sold(product_id: int = 7, currency: str = "EUR", **overrides: Any) -> LedgerSum:
    """Three pieces in two orders: 119 with 19 of tax, after 10 of discount."""
    fields: dict[str, Any] = {
        "is_return": False,
        "orders": 2,
        "quantity": 3,
        "total_amount": Decimal("119.0000"),
        "tax_amount": Decimal("19.0000"),
        "discount_amount": Decimal("10.0000"),
    }
    return LedgerSum(product_id, currency, **fields | overrides)


def returned(product_id: int = 7, currency: str = "EUR", **overrides: Any) -> LedgerSum:
    """One piece back: 23.80 with 3.80 of tax."""
    fields: dict[str, Any] = {
        "is_return": True,
        "orders": 1,
        "quantity": -1,
        "total_amount": Decimal("-23.8000"),
        "tax_amount": Decimal("-3.8000"),
        "discount_amount": Decimal("-2.0000"),
    }
    return LedgerSum(product_id, currency, **fields | overrides)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as plain rows."""
    return frame.to_dict("records")  # type: ignore[return-value]


def read(parquet: bytes) -> pa.Table:
    """A partition as its readers see it."""
    return pq.read_table(BytesIO(parquet))


money = st.decimals(Decimal("-99999.9999"), Decimal("99999.9999"), places=4)
sums = st.lists(
    st.builds(
        LedgerSum,
        product_id=st.integers(0, 3),
        currency=st.sampled_from(["EUR", "USD"]),
        is_return=st.booleans(),
        orders=st.integers(0, 9),
        quantity=st.integers(-9, 9),
        total_amount=money,
        tax_amount=money,
        discount_amount=money,
    ),
    max_size=8,
    unique_by=lambda one: (one.product_id, one.currency, one.is_return),
)


def added(parts: Iterable[LedgerSum]) -> list[LedgerSum]:
    """The ledger's sums over several days at once."""
    totals: dict[tuple[int, str, bool], list[Any]] = {}
    for one in parts:
        key = (one.product_id, one.currency, one.is_return)
        new = [one.orders, one.quantity, one.total_amount, one.tax_amount, one.discount_amount]
        totals[key] = [a + b for a, b in zip(totals.get(key, [0] * 5), new, strict=True)]
    return [LedgerSum(*key, *total) for key, total in totals.items()]


# --- Days ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", "2026-11-22", "2026-11-22T00:00Z", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00Z", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00Z", 25),
        ("Asia/Kathmandu", "2026-11-22", "2026-11-21T18:15Z", 24),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30Z", 23.5),
        # No midnight: the clock jumps from 00:00 to 01:00.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00Z", 23),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00Z", 23),
        # Midnight twice: the clock falls from 01:00 to 00:00.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00Z", 25),
        # A day that the island of Samoa skipped.
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00Z", 0),
    ],
)
def test_day_has_its_own_length(zone: str, day: str, start: str, hours: float) -> None:
    """A day begins at its first instant in the shop's time zone, and ends where the next begins."""
    begin, end = DayRange(date.fromisoformat(day), date.fromisoformat(day)).bounds(ZoneInfo(zone))

    assert begin == datetime.fromisoformat(start)
    assert end - begin == timedelta(hours=hours)


@given(
    st.integers(0, 25 * 365 * 86400),
    st.sampled_from(["Europe/Berlin", "America/Santiago", "Asia/Beirut", "Africa/Casablanca", "Pacific/Chatham"]),
)
def test_instant_lies_in_its_day(second: int, name: str) -> None:
    """The bounds of the local date of any instant hold that instant."""
    instant, zone = datetime(2012, 1, 1, tzinfo=UTC) + timedelta(seconds=second), ZoneInfo(name)
    day = instant.astimezone(zone).date()

    begin, end = DayRange(day, day).bounds(zone)

    assert begin <= instant < end


@pytest.mark.parametrize(
    ("zone", "requested_at", "as_of"),
    [
        ("UTC", "2026-11-23T06:00Z", "2026-11-22"),
        ("UTC", "2026-11-23T00:00Z", "2026-11-22"),
        ("Asia/Tokyo", "2026-11-23T15:00Z", "2026-11-23"),
        ("America/Los_Angeles", "2026-11-23T06:00Z", "2026-11-21"),
    ],
)
def test_as_of_is_last_complete_day(zone: str, requested_at: str, as_of: str) -> None:
    """The shop's own today is never in the figures."""
    assert as_of_day(datetime.fromisoformat(requested_at), ZoneInfo(zone)) == date.fromisoformat(as_of)


def test_windows_end_at_as_of() -> None:
    """The last 7 and 30 days include the as-of day; the ones before end where they begin."""
    found = windows(AS_OF)

    assert found.last_7 == DayRange(date(2026, 11, 16), date(2026, 11, 22))
    assert found.last_30 == DayRange(date(2026, 10, 24), date(2026, 11, 22))
    assert found.prev_7 == DayRange(date(2026, 11, 9), date(2026, 11, 15))
    assert found.prev_30 == DayRange(date(2026, 9, 24), date(2026, 10, 23))


def test_window_spans_its_days() -> None:
    """A window of local days is one range of instants, an hour longer when the clock falls back in it."""
    begin, end = windows(AS_OF).last_30.bounds(ZoneInfo("Europe/Berlin"))

    assert (begin, end - begin) == (datetime(2026, 10, 23, 22, tzinfo=UTC), timedelta(days=30, hours=1))


# --- Sales --------------------------------------------------------------------------------------------------------


def test_sale_counts_as_defined() -> None:
    """Net is without tax, gross is net before discounts."""
    assert rows(ledger_figures([sold()])) == [
        {
            "product_id": 7,
            "currency": "EUR",
            "orders": 2,
            "units_sold": 3,
            "units_returned": 0,
            "gross_sales": Decimal(110),
            "discounts": Decimal(10),
            "returns": Decimal(0),
            "net_sales": Decimal(100),
            "tax": Decimal(19),
        }
    ]


def test_return_counts_apart() -> None:
    """A return is no order, no negative sale and no discount: it is units and money that came back."""
    assert rows(ledger_figures([returned()])) == [
        {
            "product_id": 7,
            "currency": "EUR",
            "orders": 0,
            "units_sold": 0,
            "units_returned": 1,
            "gross_sales": Decimal(0),
            "discounts": Decimal(0),
            "returns": Decimal(20),
            "net_sales": Decimal(-20),
            "tax": Decimal("-3.8"),
        }
    ]


def test_sale_and_return_share_row() -> None:
    """What a product sold and got back on one day is one row."""
    (row,) = rows(ledger_figures([returned(), sold()]))

    assert (row["orders"], row["units_sold"], row["units_returned"]) == (2, 3, 1)
    assert (row["gross_sales"], row["returns"], row["net_sales"]) == (Decimal(110), Decimal(20), Decimal(80))
    assert row["tax"] == Decimal("15.2")


def test_removed_units_lower_sales() -> None:
    """An edit that removes units is a negative sale, not a return."""
    edit = sold(quantity=-1, total_amount=Decimal("-11.9"), tax_amount=Decimal("-1.9"), discount_amount=Decimal(-1))

    (row,) = rows(ledger_figures([edit]))

    assert (row["units_sold"], row["units_returned"]) == (-1, 0)
    assert (row["gross_sales"], row["discounts"], row["net_sales"]) == (Decimal(-11), Decimal(-1), Decimal(-10))


def test_rows_are_sorted() -> None:
    """Products come by id, then by currency, product 0 first."""
    figures = ledger_figures([sold(10, "USD"), sold(9), sold(10, "EUR"), sold(0)])

    assert list(zip(figures["product_id"], figures["currency"], strict=True)) == [
        (0, "EUR"),
        (9, "EUR"),
        (10, "EUR"),
        (10, "USD"),
    ]


def test_cents_add_up_exactly() -> None:
    """Ten thousandths survive sums that a float would blur."""
    sale = sold(total_amount=Decimal("999999999999999.9999"), tax_amount=Decimal(0), discount_amount=Decimal(0))
    back = returned(total_amount=Decimal("-0.0001"), tax_amount=Decimal(0))

    (row,) = rows(ledger_figures([sale, back]))

    assert row["net_sales"] == Decimal("999999999999999.9998")


@FEW
@given(sums)
def test_net_is_gross_less_both(ledger: list[LedgerSum]) -> None:
    """Net = gross - discounts - returns, and all net together is what the ledger took, without tax."""
    figures = ledger_figures(ledger)

    assert list(figures["net_sales"]) == list(figures["gross_sales"] - figures["discounts"] - figures["returns"])
    assert figures["net_sales"].sum() == sum(one.total_amount - one.tax_amount for one in ledger)
    assert figures["tax"].sum() == sum(one.tax_amount for one in ledger)


@FEW
@given(sums, sums)
def test_days_add_up(monday: list[LedgerSum], tuesday: list[LedgerSum]) -> None:
    """Two days measured apart and added are the two days measured at once, orders aside."""
    names = ["units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "tax"]

    apart = [ledger_figures(monday)[names].sum(), ledger_figures(tuesday)[names].sum()]

    assert list(apart[0] + apart[1]) == list(ledger_figures(added([*monday, *tuesday]))[names].sum())


# --- Performance --------------------------------------------------------------------------------------------------


def test_performance_joins_four_windows() -> None:
    """Each window fills its own columns, and what has no figure in a window is zero there."""
    frame = performance(
        ledger_figures([sold()]),
        ledger_figures([sold(quantity=30), returned()]),
        ledger_figures([sold(quantity=5)]),
        ledger_figures([sold(quantity=8), sold(0)]),
        {(7, "EUR"): AS_OF},
    )

    none, seven = rows(frame)
    assert [
        seven[name] for name in ("units_sold_7d", "units_sold_30d", "units_sold_prev_7d", "units_sold_prev_30d")
    ] == [
        3,
        30,
        5,
        8,
    ]
    assert (seven["returns_7d"], seven["returns_30d"], seven["net_sales_30d"]) == (0, Decimal(20), Decimal(80))
    assert (none["product_id"], none["units_sold_30d"], none["net_sales_prev_30d"]) == (0, 0, Decimal(100))
    assert (seven["last_sold_on"], none["last_sold_on"]) == (AS_OF, None)


def test_zero_figures_have_no_row() -> None:
    """A product without a figure in 60 days is absent; one that merely changed price was in an order, and stays."""
    zero = {"quantity": 0, "total_amount": Decimal(0), "tax_amount": Decimal(0), "discount_amount": Decimal(0)}
    month = ledger_figures([sold(1, orders=0, **zero), sold(2, orders=1, **zero)])

    frame = performance(NOTHING, month, NOTHING, NOTHING, {})

    assert frame["product_id"].tolist() == [2]


def test_currencies_stay_apart() -> None:
    """One product sold in two currencies has two rows."""
    month = ledger_figures([sold(7, "USD"), sold(7, "EUR")])

    frame = performance(month, month, NOTHING, NOTHING, {(7, "USD"): AS_OF})

    assert frame["currency"].tolist() == ["EUR", "USD"]
    assert frame["last_sold_on"].tolist() == [None, AS_OF]


def test_product_shows_shop_currency() -> None:
    """The table product takes the figures in the shop's currency, and has no product 0."""
    week, month = ledger_figures([sold(7)]), ledger_figures([sold(7, quantity=9), sold(0), sold(8, "USD")])

    shown = product_figures(performance(week, month, NOTHING, NOTHING, {}), "EUR")

    assert shown == {7: ProductFigures(3, 9, Decimal(100), Decimal(100))}


@FEW
@given(sums, sums)
def test_month_equals_its_sales(month: list[LedgerSum], before: list[LedgerSum]) -> None:
    """No figure of the month is lost or doubled on the way into the performance."""
    frame = performance(NOTHING, ledger_figures(month), NOTHING, ledger_figures(before), {})

    assert frame["net_sales_30d"].sum() == sum(one.total_amount - one.tax_amount for one in month)
    assert frame["net_sales_prev_30d"].sum() == sum(one.total_amount - one.tax_amount for one in before)
    assert frame["units_sold_7d"].sum() == 0


# --- Parquet ------------------------------------------------------------------------------------------------------


def test_sales_parquet_is_the_contract() -> None:
    """Readers rely on names, order and types."""
    table = read(sales_parquet(ledger_figures([sold(), returned(0)])))

    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("product_id", "int64"),
        ("currency", "string"),
        ("orders", "int64"),
        ("units_sold", "int64"),
        ("units_returned", "int64"),
        ("gross_sales", "decimal128(19, 4)"),
        ("discounts", "decimal128(19, 4)"),
        ("returns", "decimal128(19, 4)"),
        ("net_sales", "decimal128(19, 4)"),
        ("tax", "decimal128(19, 4)"),
    ]
    assert table.column("net_sales").to_pylist() == [Decimal("-20.0000"), Decimal("100.0000")]


def test_performance_parquet_is_the_contract() -> None:
    """Readers rely on names, order and types."""
    month = ledger_figures([sold()])

    table = read(performance_parquet(performance(month, month, month, month, {(7, "EUR"): AS_OF})))

    count, amount = "int64", "decimal128(19, 4)"
    window = [
        ("units_sold", count),
        ("units_returned", count),
        ("gross_sales", amount),
        ("discounts", amount),
        ("returns", amount),
        ("net_sales", amount),
        ("orders", count),
        ("units_sold_prev", count),
        ("net_sales_prev", amount),
    ]
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("product_id", "int64"),
        ("currency", "string"),
        *((f"{name}_7d", kind) for name, kind in window),
        *((f"{name}_30d", kind) for name, kind in window),
        ("last_sold_on", "date32[day]"),
    ]
    assert table.column("last_sold_on").to_pylist() == [AS_OF]


def test_empty_partitions_have_types() -> None:
    """A day that became empty is a file without rows, of the same shape."""
    sales, products = read(sales_parquet(NOTHING)), performance(NOTHING, NOTHING, NOTHING, NOTHING, {})

    assert sales.schema == read(sales_parquet(ledger_figures([sold()]))).schema
    assert (len(sales), len(read(performance_parquet(products)))) == (0, 0)


def test_equal_figures_give_equal_bytes() -> None:
    """A measurement that is repeated writes the same object, in whatever order the sums come."""
    one, other = sales_parquet(ledger_figures([sold(1), sold(2)])), sales_parquet(ledger_figures([sold(2), sold(1)]))

    assert one == other


@pytest.mark.parametrize("amount", ["1000000000000000", "0.00001"])
def test_refuses_inexact_money(amount: str) -> None:
    """A sum that does not fit is refused, never rounded."""
    figures = ledger_figures([sold(total_amount=Decimal(amount), tax_amount=Decimal(0), discount_amount=Decimal(0))])

    with pytest.raises(InexactMoney, match=amount):
        sales_parquet(figures)


def test_performance_is_read_back() -> None:
    """The product step reads the partition that the measurement wrote, to the last digit."""
    month = ledger_figures([sold()])
    frame = performance(month, month, month, month, {(7, "EUR"): AS_OF})

    again = performance_frame(performance_parquet(frame))

    assert product_figures(again, "EUR") == product_figures(frame, "EUR")
    assert again["last_sold_on"].tolist() == [AS_OF]
