"""
The figures of the overview: what each of them is made of, exact, and what a rate or an average is divided by.

A leaf of values and arithmetic: it knows neither the database nor HTTP. `docs/figures.md` says in words what each
figure means and where it comes from; change both together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import ceil
from typing import Any, NamedTuple, TypeVar

import msgspec

from shopsync.records import ChargeSum, OrderState
from shopsync.telemetry import JobType
from shopsync.window import WindowField

ZERO = Decimal(0)
FOUR_DECIMALS = Decimal("0.0001")
PRODUCT = "PRODUCT"
SHIPPING = "SHIPPING"
FEES = frozenset({"DUTY", "FEE", "ADDITIONAL_FEE"})
"""Shopify counts them into total sales; gift cards, tips and adjustments it does not."""
DONE = frozenset({"FULFILLED", "FULFILLMENT_NOT_REQUIRED"})
"""The states in which nothing is left to send."""
AGED_DAYS = 3
"""An order that is not out after three whole days is worth a question."""
STALE = timedelta(hours=26)
"""A daily run and two hours: the usual warning threshold of a daily source."""

MEDIAN = Fraction(1, 2)
P90 = Fraction(9, 10)
P95 = Fraction(95, 100)

PRODUCT_FIGURES = ("units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "tax")
"""What measurement.sales says of a product and day, and the day's total says in sum."""

Measure = TypeVar("Measure", int, float)


class ShopDay(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of one day in one currency (`shop_day`); `ordered_sales` are gross less discounts as placed."""

    day: date
    currency: str
    orders: int = 0
    ordered_sales: Decimal = ZERO
    units_sold: int = 0
    units_returned: int = 0
    gross_sales: Decimal = ZERO
    discounts: Decimal = ZERO
    returns: Decimal = ZERO
    net_sales: Decimal = ZERO
    tax: Decimal = ZERO
    shipping: Decimal = ZERO
    shipping_tax: Decimal = ZERO
    fees: Decimal = ZERO
    fees_tax: Decimal = ZERO


class OrderDay(msgspec.Struct, frozen=True, kw_only=True):
    """
    The orders created on one shop-local day, as they stand, and who placed them.

    `hours` counts those that took so long to go out.
    """

    orders: int
    cancelled: int
    unfulfilled: int
    hours: Mapping[int, int]
    customers: frozenset[int]


class Sales(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold in some time, in one currency."""

    gross_sales: Decimal
    discounts: Decimal
    returns: Decimal
    net_sales: Decimal
    taxes: Decimal
    shipping: Decimal
    fees: Decimal
    total_sales: Decimal
    orders: int
    units_sold: int
    units_returned: int


class SalesFigures(Sales, frozen=True, kw_only=True):
    """What was sold in a period, in one currency; rates and averages are null where nothing is to be divided by."""

    average_order_value: Decimal | None
    return_rate: Decimal | None
    discount_rate: Decimal | None


class OrderFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The orders created in a period and the customers who placed them; hours are null when none has gone out."""

    created: int
    cancelled: int
    fulfilled: int
    hours_to_fulfilment_median: int | None
    hours_to_fulfilment_p90: int | None
    new_customers: int
    returning_customers: int


class CompletedWindow(NamedTuple):
    """What a completed daily run or backfill asked for; `field` is what its window cuts, None where nobody kept it."""

    job_type: str
    field: str | None
    start: datetime
    end: datetime


class Coverage(NamedTuple):
    """All orders created since `since` are in, with all that changed of them up to `as_of`; None before a daily run."""

    since: datetime | None
    as_of: datetime | None

    def lacks(self, start: datetime, end: datetime) -> bool:
        """Whether a part of a range of time lies outside."""
        return self.since is None or self.as_of is None or start < self.since or end > self.as_of


def coverage(windows: Sequence[CompletedWindow]) -> Coverage:
    """
    Return which orders are in, from the newest daily window backwards through all that touch or overlap.

    A window of changes holds every order that was created in it, since none was changed before it was created, and of
    a backfill by creation that is what it asks for. A backfill by change asks long afterwards: of the orders created
    in its window it lacks those that changed again since, unless windows of changes go on from its end without a gap.
    """
    as_of = max((window.end for window in windows if window.job_type == JobType.DAILY), default=None)
    if as_of is None:
        return Coverage(None, None)
    created = changed = as_of
    for window in sorted(windows, key=lambda window: window.end, reverse=True):
        if window.end < created:
            break
        is_daily, goes_on = window.job_type == JobType.DAILY, window.end >= changed
        if is_daily or goes_on or window.field == WindowField.CREATED:
            created = min(created, window.start)
        if goes_on and (is_daily or window.field == WindowField.UPDATED):
            changed = min(changed, window.start)
    return Coverage(created, as_of)


def shop_days(day: date, figures: Sequence[Mapping[str, Any]], charges: Sequence[ChargeSum]) -> list[ShopDay]:
    """
    Return the totals of a day, one per currency.

    Args:
        day: The shop-local day.
        figures: Its rows of measurement.sales; the totals of products are their sums.
        charges: The ledger's sums of the same day by line type.
    """
    currencies = {row["currency"] for row in figures} | {charge.currency for charge in charges if _counts(charge)}
    return [
        ShopDay(
            day=day,
            currency=currency,
            **{name: sum(row[name] for row in figures if row["currency"] == currency) for name in PRODUCT_FIGURES},
            **_charged([charge for charge in charges if charge.currency == currency]),
        )
        for currency in sorted(currencies)
    ]


def order_day(states: Iterable[OrderState]) -> OrderDay:
    """Count the orders of a day by how they stand, and those that went out by the hours that it took."""
    hours, customers = dict[int, int](), set[int]()
    orders = cancelled = unfulfilled = 0
    for state in states:
        orders += 1
        cancelled += state.cancelled_at is not None
        unfulfilled += _is_waiting(state)
        if state.first_fulfilled_at is not None:
            took = hours_between(state.created_at, state.first_fulfilled_at)
            hours[took] = hours.get(took, 0) + 1
        if state.customer_id is not None:
            customers.add(state.customer_id)
    return OrderDay(
        orders=orders, cancelled=cancelled, unfulfilled=unfulfilled, hours=hours, customers=frozenset(customers)
    )


def hours_between(start: datetime, end: datetime) -> int:
    """Return the hours that began between two times; none when the end is not after the start."""
    return max(0, ceil((end - start) / timedelta(hours=1)))


def sales_figures(days: Iterable[ShopDay]) -> SalesFigures:
    """Sum days of one currency, and divide."""
    total = _summed(list(days))
    return SalesFigures(
        **_day_figures(total),
        average_order_value=_divided(total.ordered_sales, total.orders),
        return_rate=_divided(total.units_returned, total.units_sold),
        discount_rate=_divided(total.discounts, total.gross_sales),
    )


class SalesDay(Sales, frozen=True, kw_only=True):
    """What was sold on one day, in one currency."""

    day: date


def sales_day(day: ShopDay) -> SalesDay:
    """Return a day of the series."""
    return SalesDay(day=day.day, **_day_figures(day))


def percentile(counts: Mapping[Measure, int], share: Fraction) -> Measure | None:
    """
    Return the smallest value that at least `share` of all do not exceed (the nearest rank); None of none.

    Args:
        counts: How many have each value.
        share: Between 0 and 1, exact: a float would miss the rank.
    """
    rank = ceil(share * sum(counts.values()))
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    return None


def _counts(charge: ChargeSum) -> bool:
    return charge.line_type in {PRODUCT, SHIPPING} | FEES


def _charged(charges: Sequence[ChargeSum]) -> dict[str, Any]:
    def net(picks: Callable[[ChargeSum], bool]) -> Decimal:
        return sum((charge.total_amount - charge.tax_amount for charge in charges if picks(charge)), ZERO)

    def tax(picks: Callable[[ChargeSum], bool]) -> Decimal:
        return sum((charge.tax_amount for charge in charges if picks(charge)), ZERO)

    def is_placed(charge: ChargeSum) -> bool:
        return charge.line_type == PRODUCT and charge.placed

    def is_shipping(charge: ChargeSum) -> bool:
        return charge.line_type == SHIPPING

    def is_fee(charge: ChargeSum) -> bool:
        return charge.line_type in FEES

    return {
        "orders": sum(charge.orders for charge in charges if is_placed(charge)),
        "ordered_sales": net(is_placed),
        "shipping": net(is_shipping),
        "shipping_tax": tax(is_shipping),
        "fees": net(is_fee),
        "fees_tax": tax(is_fee),
    }


def _is_waiting(state: OrderState) -> bool:
    open_ = state.cancelled_at is None and state.closed_at is None
    return open_ and state.fulfillment_status is not None and state.fulfillment_status not in DONE


def _summed(days: Sequence[ShopDay]) -> ShopDay:
    names = [name for name in ShopDay.__struct_fields__ if name not in {"day", "currency"}]
    sums: dict[str, Any] = {name: sum(getattr(day, name) for day in days) for name in names}
    # The day and the currency of a sum are nobody's.
    return ShopDay(day=date.min, currency="", **sums)


def _day_figures(day: ShopDay) -> dict[str, Any]:
    taxes = day.tax + day.shipping_tax + day.fees_tax
    money = {
        "gross_sales": day.gross_sales,
        "discounts": day.discounts,
        "returns": day.returns,
        "net_sales": day.net_sales,
        "taxes": taxes,
        "shipping": day.shipping,
        "fees": day.fees,
        "total_sales": day.net_sales + taxes + day.shipping + day.fees,
    }
    return {
        **{name: Decimal(amount).quantize(FOUR_DECIMALS) for name, amount in money.items()},
        "orders": day.orders,
        "units_sold": day.units_sold,
        "units_returned": day.units_returned,
    }


def _divided(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    return (Decimal(part) / Decimal(whole)).quantize(FOUR_DECIMALS, ROUND_HALF_UP) if whole else None
