"""The shapes of the overview; money and rates are decimal strings."""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class SalesFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold in a period, in one currency; a rate or an average is null where there is nothing to divide by."""

    gross_sales: str
    discounts: str
    returns: str
    net_sales: str
    taxes: str
    shipping: str
    fees: str
    total_sales: str
    orders: int
    units_sold: int
    units_returned: int
    average_order_value: str | None
    return_rate: str | None
    discount_rate: str | None


class SalesDay(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold on one shop-local day, in one currency."""

    day: date
    gross_sales: str
    discounts: str
    returns: str
    net_sales: str
    taxes: str
    shipping: str
    fees: str
    total_sales: str
    orders: int
    units_sold: int
    units_returned: int


class CurrencySales(msgspec.Struct, frozen=True):
    """The sales of one currency; amounts of two currencies are never added."""

    currency: str
    current: SalesFigures
    previous: SalesFigures
    days: list[SalesDay]


class OrderFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The orders created in a period, as they stand now; hours are null when none has gone out."""

    created: int
    cancelled: int
    fulfilled: int
    hours_to_fulfilment_median: int | None
    hours_to_fulfilment_p90: int | None
    new_customers: int
    returning_customers: int


class OrderPeriods(msgspec.Struct, frozen=True):
    """The figures of orders of the period, and of the equal one before it."""

    current: OrderFigures
    previous: OrderFigures


class Backlog(msgspec.Struct, frozen=True):
    """All orders that wait to be sent now, whenever they were created."""

    unfulfilled: int
    aged: int
    aged_before: date
    """Aged are those created before this day."""


class TopProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A product with its figures of the 7 and 30 days up to `as_of`, in the shop's currency."""

    product_id: str
    title: str | None
    units_sold_7d: int
    net_sales_7d: str
    units_sold_30d: int
    net_sales_30d: str
    last_sold_on: date | None
    as_of: date


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The shop's figures of a period."""

    start: date
    end: date
    previous_start: date
    previous_end: date
    timezone: str
    """Cuts the days."""
    currency: str
    """The shop's; the first of `sales`."""
    basis: str
    """What the sales are made of."""
    data_as_of: datetime | None
    """Up to when all orders are in; null before the first completed daily run."""
    complete_since: datetime | None
    """Since when: of the days before it there are only some orders, until a backfill brings the others in."""
    stale: bool
    """Whether that is more than 26 hours ago."""
    partial: bool
    """Whether the period reaches beyond `data_as_of`, or begins before `complete_since`: its figures lack sales."""
    previous_partial: bool
    """Whether the period before does: what is compared with it is compared with a fragment."""
    owed_days: int
    """Days of the two periods that have changed since they were measured; a run is about to."""
    sales: list[CurrencySales]
    orders: OrderPeriods
    backlog: Backlog
    top_products: list[TopProduct]
