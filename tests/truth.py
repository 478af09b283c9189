"""
What the four tables must hold, worked out from the simulated shop's own orders.

An independent judge: it knows Shopify's shapes and the columns of docs/data.md, and shares no code with the product.
Rows are plain dicts with Python values: Decimal, aware UTC datetimes, dates, bools, tags as a list. `run_id` and
`synced_at` say which run wrote a row, not what the shop holds, so they are left out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

import pymysql

from tests import reference

Node = dict[str, Any]
Row = dict[str, Any]
Tables = dict[str, dict[int, Row]]
Selection = Literal["updated", "created"]

# A fulfillment in one of these never shipped anything.
FAILED_FULFILLMENTS = {"CANCELLED", "ERROR", "FAILURE"}
# The kinds of sale that name a line of the order; shipping, adjustments, duties and fees have none.
SALES_OF_A_LINE = {"ProductSale", "GiftCardSale", "TipSale"}


class HasOrders(Protocol):
    """The part of the simulated shop that the truth reads."""

    @property
    def orders(self) -> Mapping[str, Node]:
        """Every order by gid, as it stands now."""
        ...


# --- Columns of docs/data.md, and how each is stored ---------------------------------------------------------------

COLUMNS: dict[str, dict[str, str]] = {
    "order_header": {
        "order_id": "int",
        "name": "text",
        "created_at": "time",
        "processed_at": "time",
        "updated_at": "time",
        "cancelled_at": "time",
        "cancel_reason": "text",
        "closed_at": "time",
        "is_test": "bool",
        "financial_status": "text",
        "fulfillment_status": "text",
        "return_status": "text",
        "source_name": "text",
        "customer_id": "int",
        "tags": "json",
        "currency": "text",
        "presentment_currency": "text",
        "subtotal_price": "money",
        "total_discounts": "money",
        "total_shipping": "money",
        "total_tax": "money",
        "total_price": "money",
        "total_refunded": "money",
        "current_total_price": "money",
        "first_fulfilled_at": "time",
    },
    "order_line_item": {
        "line_item_id": "int",
        "order_id": "int",
        "product_id": "int",
        "variant_id": "int",
        "sku": "text",
        "title": "text",
        "variant_title": "text",
        "vendor": "text",
        "quantity": "int",
        "current_quantity": "int",
        "unfulfilled_quantity": "int",
        "unit_price": "money",
        "total_discount": "money",
        "is_gift_card": "bool",
        "currency": "text",
        "order_updated_at": "time",
    },
    "order_sale": {
        "sale_id": "int",
        "order_id": "int",
        "agreement_id": "int",
        "happened_at": "time",
        "reason": "text",
        "action_type": "text",
        "line_type": "text",
        "line_item_id": "int",
        "product_id": "int",
        "quantity": "int",
        "total_amount": "money",
        "discount_amount": "money",
        "tax_amount": "money",
        "currency": "text",
        "is_test": "bool",
        "order_updated_at": "time",
    },
    "product": {
        "product_id": "int",
        "title": "text",
        "handle": "text",
        "vendor": "text",
        "product_type": "text",
        "status": "text",
        "updated_at": "time",
        "currency": "text",
        "units_sold_7d": "int",
        "units_sold_30d": "int",
        "net_sales_7d": "money",
        "net_sales_30d": "money",
        "last_sold_on": "day",
        "metrics_as_of": "day",
    },
}
# What the orders' lines tell of a product; the rest of its columns is written by the measurement.
PRODUCT_ATTRIBUTES = ("product_id", "title", "handle", "vendor", "product_type", "status", "updated_at")


# --- From Shopify's shapes to rows --------------------------------------------------------------------------------


def number(node: Node | None) -> int | None:
    """Return the numeric tail of a node's gid; an absent node has none."""
    return None if node is None else int(node["id"].rsplit("/", 1)[1])


def moment(text: str | None) -> datetime | None:
    """Return a Shopify timestamp as an aware UTC datetime."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def shop_money(bag: Node | None) -> Decimal | None:
    """Return a MoneyBag's amount in the shop's currency, never the one that the customer saw."""
    return None if bag is None else Decimal(bag["shopMoney"]["amount"])


def header_row(order: Node) -> Row:
    """Return the order_header row of an order."""
    shipped = [f["createdAt"] for f in order["fulfillments"] if f["status"] not in FAILED_FULFILLMENTS]
    return {
        "order_id": number(order),
        "name": order["name"],
        "created_at": moment(order["createdAt"]),
        "processed_at": moment(order["processedAt"]),
        "updated_at": moment(order["updatedAt"]),
        "cancelled_at": moment(order["cancelledAt"]),
        "cancel_reason": order["cancelReason"],
        "closed_at": moment(order["closedAt"]),
        "is_test": order["test"],
        "financial_status": order["displayFinancialStatus"],
        "fulfillment_status": order["displayFulfillmentStatus"],
        "return_status": order["returnStatus"],
        "source_name": order["sourceName"],
        "customer_id": number(order["customer"]),
        "tags": list(order["tags"]),
        "currency": order["currencyCode"],
        "presentment_currency": order["presentmentCurrencyCode"],
        "subtotal_price": shop_money(order["subtotalPriceSet"]),
        "total_discounts": shop_money(order["totalDiscountsSet"]),
        "total_shipping": shop_money(order["totalShippingPriceSet"]),
        "total_tax": shop_money(order["totalTaxSet"]),
        "total_price": shop_money(order["totalPriceSet"]),
        "total_refunded": shop_money(order["totalRefundedSet"]),
        "current_total_price": shop_money(order["currentTotalPriceSet"]),
        "first_fulfilled_at": moment(min(shipped, default=None)),
    }


def line_row(order: Node, line: Node) -> Row:
    """Return the order_line_item row of one line of an order."""
    allocated = [Decimal(each["allocatedAmountSet"]["shopMoney"]["amount"]) for each in line["discountAllocations"]]
    return {
        "line_item_id": number(line),
        "order_id": number(order),
        "product_id": number(line["product"]),
        "variant_id": number(line["variant"]),
        "sku": line["sku"],
        "title": line["title"],
        "variant_title": line["variantTitle"],
        "vendor": line["vendor"],
        "quantity": line["quantity"],
        "current_quantity": line["currentQuantity"],
        "unfulfilled_quantity": line["unfulfilledQuantity"],
        "unit_price": shop_money(line["originalUnitPriceSet"]),
        "total_discount": sum(allocated, Decimal(0)),
        "is_gift_card": line["isGiftCard"],
        "currency": order["currencyCode"],
        "order_updated_at": moment(order["updatedAt"]),
    }


def sale_row(order: Node, agreement: Node, sale: Node) -> Row:
    """Return the order_sale row of one sale of one agreement of an order."""
    line = sale["lineItem"] if sale["__typename"] in SALES_OF_A_LINE else None
    return {
        "sale_id": number(sale),
        "order_id": number(order),
        "agreement_id": number(agreement),
        "happened_at": moment(agreement["happenedAt"]),
        "reason": agreement["reason"],
        "action_type": sale["actionType"],
        "line_type": sale["lineType"],
        "line_item_id": number(line),
        "product_id": None if line is None else number(line["product"]),
        "quantity": sale["quantity"],
        "total_amount": shop_money(sale["totalAmount"]),
        "discount_amount": shop_money(sale["totalDiscountAmountBeforeTaxes"]),
        "tax_amount": shop_money(sale["totalTaxAmount"]),
        "currency": order["currencyCode"],
        "is_test": order["test"],
        "order_updated_at": moment(order["updatedAt"]),
    }


def product_row(product: Node) -> Row:
    """Return what the order's lines tell of a product: the product row without its figures."""
    return {
        "product_id": number(product),
        "title": product["title"],
        "handle": product["handle"],
        "vendor": product["vendor"],
        "product_type": product["productType"],
        "status": product["status"],
        "updated_at": moment(product["updatedAt"]),
    }


def rows_of(orders: Iterable[Node]) -> Tables:
    """Return the rows that these orders become, in all four tables; the products are without figures."""
    tables: Tables = {name: {} for name in COLUMNS}
    for order in orders:
        header = header_row(order)
        tables["order_header"][header["order_id"]] = header
        for line in order["lineItems"]:
            row = line_row(order, line)
            tables["order_line_item"][row["line_item_id"]] = row
            if line["product"] is not None:
                product = product_row(line["product"])
                tables["product"][product["product_id"]] = product
        for agreement in order["agreements"]:
            for sale in agreement["sales"]:
                row = sale_row(order, agreement, sale)
                tables["order_sale"][row["sale_id"]] = row
    return tables


def orders_within(shop: HasOrders, start: datetime, end: datetime, by: Selection = "updated") -> list[Node]:
    """Return the orders of a window: by updatedAt with both bounds in it, by createdAt without the end."""
    if by == "created":
        return [order for order in shop.orders.values() if start <= datetime.fromisoformat(order["createdAt"]) < end]
    return [order for order in shop.orders.values() if start <= datetime.fromisoformat(order["updatedAt"]) <= end]


def expected_rows(shop: HasOrders, start: datetime, end: datetime, by: Selection = "updated") -> Tables:
    """Return the rows of one sync of an empty database over one window; the products are without figures."""
    return rows_of(orders_within(shop, start, end, by))


# --- Several syncs ------------------------------------------------------------------------------------------------


class Truth:
    """
    What the database should hold after the syncs so far.

    A row of `product` that was not measured yet has no figures, and none are compared.
    """

    def __init__(self) -> None:
        self.tables: Tables = {name: {} for name in COLUMNS}
        self._children: dict[tuple[str, int], list[int]] = {}

    def fetch(self, shop: HasOrders, start: datetime, end: datetime, by: Selection = "updated") -> list[Node]:
        """Take in what a sync of this window finds in the shop now, and return those orders."""
        orders = orders_within(shop, start, end, by)
        self.take(orders)
        return orders

    def take(self, orders: Iterable[Node]) -> None:
        """Take in these orders as they are: the fetched version replaces an older or equal one, children and all."""
        for order in orders:
            fetched = rows_of([order])
            self._take_products(fetched["product"])
            self._take_order(fetched)

    def _take_products(self, fetched: dict[int, Row]) -> None:
        for product_id, product in fetched.items():
            known = self.tables["product"].setdefault(product_id, {})
            if known.get("updated_at") is None or known["updated_at"] <= product["updated_at"]:
                known.update(product)

    def _take_order(self, fetched: Tables) -> None:
        ((order_id, header),) = fetched["order_header"].items()
        known = self.tables["order_header"].get(order_id)
        if known is not None and known["updated_at"] > header["updated_at"]:
            return
        self.tables["order_header"][order_id] = header
        for table in ("order_line_item", "order_sale"):
            self._replace_children(table, order_id, fetched[table])

    def _replace_children(self, table: str, order_id: int, fetched: dict[int, Row]) -> None:
        """Put the fetched children in the place of the order's former ones; a product id once known stays."""
        former = {key: self.tables[table].pop(key) for key in self._children.get((table, order_id), [])}
        for key, row in fetched.items():
            if row["product_id"] is None and key in former:
                row["product_id"] = former[key]["product_id"]
        self.tables[table].update(fetched)
        self._children[table, order_id] = list(fetched)

    def measure(self, zone: str, as_of: date, currency: str) -> None:
        """
        Bring every product's figures to this as-of day, in the shop's currency; those of a later day stay.

        A product that only a sale still names (its line has vanished) gets a row too, while it is in the windows.
        """
        products = self.tables["product"]
        performance = reference.performance_as_of(self.sales, zone, as_of)
        for product_id in {key[0] for key in performance if key[1] == currency} - {reference.NO_PRODUCT}:
            products.setdefault(product_id, dict.fromkeys(PRODUCT_ATTRIBUTES) | {"product_id": product_id})
        figures = reference.product_figures(self.sales, zone, as_of, currency)
        for product_id, row in products.items():
            if row.get("metrics_as_of", as_of) <= as_of:
                measured = figures.get(product_id, reference.NO_PRODUCT_FIGURES)
                row.update(measured, currency=currency, metrics_as_of=as_of)

    @property
    def sales(self) -> list[Row]:
        """The rows of order_sale, all that a measurement is made of."""
        return list(self.tables["order_sale"].values())


# --- What a database holds ----------------------------------------------------------------------------------------


def stored_rows(database: str | Path) -> Tables:
    """Return the four tables of a database (a SQLite file, or a sqlite: or mysql: URL) in the truth's shapes."""
    tables: Tables = {}
    for table, columns in COLUMNS.items():
        key = next(iter(columns))
        tables[table] = {}
        for values in select(database, f"SELECT {', '.join(columns)} FROM {table}"):
            row = {name: _value(kind, value) for (name, kind), value in zip(columns.items(), values, strict=True)}
            tables[table][row[key]] = row
    return tables


def stored_stamps(database: str | Path) -> dict[int, tuple[Any, Any]]:
    """Return (run_id, synced_at) of every order: which run wrote it, and when."""
    rows = select(database, "SELECT order_id, run_id, synced_at FROM order_header")
    return {order_id: (run_id, synced_at) for order_id, run_id, synced_at in rows}


def select(database: str | Path, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, with times as text on either database."""
    address = str(database)
    if address.startswith("mysql"):
        url = urlsplit(address)
        connection = pymysql.connect(
            host=url.hostname or "127.0.0.1",
            port=url.port or 3306,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            database=url.path.removeprefix("/"),
            charset="utf8mb4",
            ssl_disabled=True,
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(_mysql_value(value) for value in values) for values in cursor.fetchall()]
    path = address.removeprefix("sqlite:///")
    with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def _mysql_value(value: Any) -> Any:
    """Return a MySQL value in SQLite's form, except for money, which is told by being a Decimal."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    return value


def _value(kind: str, value: Any) -> Any:
    """Return a stored value as Python's; one of the wrong storage class is an error, not a difference."""
    if value is None:
        return None
    match kind:
        case "money" if isinstance(value, int):
            return Decimal(value).scaleb(-4)
        case "money":
            assert isinstance(value, Decimal), f"money is stored as {value!r}"
            return value
        case "time":
            # strptime would take as long as all the rest.
            at = datetime.fromisoformat(value)
            assert (value, 19) == (str(at), len(value)), f"a time is stored as {value!r}"
            return at.replace(tzinfo=UTC)
        case "day":
            return date.fromisoformat(value)
        case "bool":
            assert value in (0, 1), f"a boolean is stored as {value!r}"
            return bool(value)
        case "json":
            return json.loads(value)
        case "int":
            assert isinstance(value, int), f"a whole number is stored as {value!r}"
            return value
        case _:
            assert isinstance(value, str), f"text is stored as {value!r}"
            return value


# --- Comparing ----------------------------------------------------------------------------------------------------


def differences(
    expected: Mapping[Any, Mapping[Any, Mapping[str, Any]]],
    stored: Mapping[Any, Mapping[Any, Mapping[str, Any]]],
    ignore: Collection[str] = (),
    shown: int = 20,
) -> list[str]:
    """
    Return in words how two sets of keyed rows differ: nothing when they are equal.

    Args:
        expected: Rows by key by table (or by day): what should be there. Only its columns are compared.
        stored: The same of what is there. A table or day without rows equals one that is absent.
        ignore: Columns that are not compared.
        shown: How many differences are spelt out; the last line counts the others.
    """
    found: list[str] = []
    for table in sorted({*expected, *stored}, key=str):
        wanted, present = expected.get(table, {}), stored.get(table, {})
        for key in sorted({*wanted, *present}):
            if key not in present:
                found.append(f"{table} {key}: missing, expected {dict(wanted[key])}")
            elif key not in wanted:
                found.append(f"{table} {key}: not expected, found {dict(present[key])}")
            else:
                found.extend(
                    f"{table} {key} {column}: expected {value!r}, found {present[key].get(column, 'no such column')!r}"
                    for column, value in wanted[key].items()
                    if column not in ignore and present[key].get(column, "no such column") != value
                )
    rest = len(found) - shown
    return found if rest <= 0 else [*found[:shown], f"... and {rest} more"]
