"""
The figures and the events, a second time: slow and obvious, to be believed by reading.

Measurements are worked out from rows of order_sale (plain dicts), events from orders as Shopify shapes them. Nothing
here is shared with the product: no frames, no SQL, one sale after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Key = tuple[int, str]
Figures = dict[str, Any]

NO_PRODUCT = 0
WINDOWS = (7, 30)
# The figures that measurement.performance has; tax is none of them.
PERFORMANCE = ("units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "orders")
NO_PRODUCT_FIGURES: Figures = {
    "units_sold_7d": 0,
    "units_sold_30d": 0,
    "net_sales_7d": Decimal(0),
    "net_sales_30d": Decimal(0),
    "last_sold_on": None,
}


# --- One group of sales -------------------------------------------------------------------------------------------


def figures_of(sales: Iterable[Row]) -> Figures:
    """Return the figures of these sales taken together."""
    orders: set[int] = set()
    units_sold = units_returned = 0
    gross_sales = discounts = returns = tax = Decimal(0)
    for sale in sales:
        net = sale["total_amount"] - sale["tax_amount"]
        quantity = sale["quantity"] or 0
        tax += sale["tax_amount"]
        if sale["action_type"] == "RETURN":
            units_returned -= quantity
            returns -= net
        else:
            orders.add(sale["order_id"])
            units_sold += quantity
            discounts += sale["discount_amount"]
            gross_sales += net + sale["discount_amount"]
    return {
        "orders": len(orders),
        "units_sold": units_sold,
        "units_returned": units_returned,
        "gross_sales": gross_sales,
        "discounts": discounts,
        "returns": returns,
        "net_sales": gross_sales - discounts - returns,
        "tax": tax,
    }


def counted(sales: Iterable[Row]) -> list[Row]:
    """Return the sales that figures are made of: of products, in orders that are no tests."""
    return [sale for sale in sales if sale["line_type"] == "PRODUCT" and not sale["is_test"]]


def key_of(sale: Row) -> Key:
    """Return the product and the currency that a sale counts for."""
    return (NO_PRODUCT if sale["product_id"] is None else sale["product_id"], sale["currency"])


def day_of(sale: Row, zone: str) -> date:
    """Return the shop-local day on which a sale happened."""
    return sale["happened_at"].astimezone(ZoneInfo(zone)).date()


# --- measurement.sales --------------------------------------------------------------------------------------------


def sales_by_day(sales: Iterable[Row], zone: str) -> dict[date, dict[Key, Figures]]:
    """Return measurement.sales: the figures of every product, shop-local day and currency with a sale."""
    groups: dict[date, dict[Key, list[Row]]] = {}
    for sale in counted(sales):
        groups.setdefault(day_of(sale, zone), {}).setdefault(key_of(sale), []).append(sale)
    return {day: {key: figures_of(group) for key, group in keys.items()} for day, keys in groups.items()}


# --- measurement.performance --------------------------------------------------------------------------------------


def as_of_day(requested_at: datetime, zone: str) -> date:
    """Return the last shop-local day that was over when the run was asked for."""
    return requested_at.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)


def last_sold_on(sales: Iterable[Row], zone: str, as_of: date) -> dict[Key, date]:
    """Return the last day up to the as-of day on which each product had units sold."""
    last: dict[Key, date] = {}
    for day, rows in sorted(sales_by_day(sales, zone).items()):
        for key, figures in rows.items():
            if day <= as_of and figures["units_sold"] > 0:
                last[key] = day
    return last


def performance_as_of(sales: Iterable[Row], zone: str, as_of: date) -> dict[Key, Figures]:
    """Return measurement.performance: a row for all that has a figure in the 30 days or in the 30 before."""
    sales = counted(sales)
    last_sold = last_sold_on(sales, zone, as_of)
    days = {id(sale): day_of(sale, zone) for sale in sales}
    groups: dict[Key, list[Row]] = {}
    for sale in sales:
        groups.setdefault(key_of(sale), []).append(sale)

    def within(group: list[Row], first_days_ago: int, last_days_ago: int) -> Figures:
        first, last = as_of - timedelta(days=first_days_ago), as_of - timedelta(days=last_days_ago)
        return figures_of(sale for sale in group if first <= days[id(sale)] <= last)

    def has_figures(group: list[Row], first_days_ago: int, last_days_ago: int) -> bool:
        figures = within(group, first_days_ago, last_days_ago)
        return any(figures[name] for name in PERFORMANCE)

    performance: dict[Key, Figures] = {}
    for key, group in groups.items():
        row: Figures = {}
        for n in WINDOWS:
            now, before = within(group, n - 1, 0), within(group, 2 * n - 1, n)
            for name in PERFORMANCE:
                row[f"{name}_{n}d"] = now[name]
            row[f"units_sold_prev_{n}d"] = before["units_sold"]
            row[f"net_sales_prev_{n}d"] = before["net_sales"]
        row["last_sold_on"] = last_sold.get(key)
        if has_figures(group, 29, 0) or has_figures(group, 59, 30):
            performance[key] = row
    return performance


# --- the figures of the table `product` ---------------------------------------------------------------------------


def product_figures(sales: Iterable[Row], zone: str, as_of: date, currency: str) -> dict[int, Figures]:
    """Return what `product` says of every product ever sold in the shop's currency; those long unsold have zeros."""
    sales = list(sales)
    figures: dict[int, Figures] = {}
    for (product_id, sold_in), day in last_sold_on(sales, zone, as_of).items():
        if sold_in == currency:
            figures[product_id] = NO_PRODUCT_FIGURES | {"last_sold_on": day}
    for (product_id, sold_in), row in performance_as_of(sales, zone, as_of).items():
        if sold_in == currency:
            figures[product_id] = {name: row[name] for name in NO_PRODUCT_FIGURES}
    figures.pop(NO_PRODUCT, None)
    return figures


# --- commerce.telemetry -------------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """One thing that happened to an order, as commerce.telemetry tells it."""

    event: str
    occurred_at: datetime
    order_id: int
    order_name: str
    is_test: bool


def facts_of(orders: Iterable[dict[str, Any]]) -> Counter[Fact]:
    """Return every fact that these orders tell, with how often (two refunds may share a second)."""
    facts: Counter[Fact] = Counter()
    for order in orders:
        happened = [("order.created", order["createdAt"])]
        if order["updatedAt"] != order["createdAt"]:
            happened.append(("order.updated", order["updatedAt"]))
        happened.append(("order.cancelled", order["cancelledAt"]))
        happened.append(("order.closed", order["closedAt"]))
        happened.extend(("order.refunded", refund["processedAt"]) for refund in order["refunds"])
        for fulfillment in order["fulfillments"]:
            happened.append(("fulfillment.created", fulfillment["createdAt"]))
            happened.append(("fulfillment.delivered", fulfillment["deliveredAt"]))
        order_id = int(order["id"].rsplit("/", 1)[1])
        for event, at in happened:
            if at is not None:
                moment = datetime.fromisoformat(at).astimezone(UTC)
                facts[Fact(event, moment, order_id, order["name"], order["test"])] += 1
    return facts
