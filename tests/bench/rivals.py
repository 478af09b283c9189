"""
What a user would otherwise pick, each written as well as its users write it, into the tables of the product.

They do less than the product: no progress, no removed children, no marked days. Rows come as tuples in the order of
the columns, sorted by key, in chunks of whole orders that are committed one by one; money is exact in them too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pymysql
from msgspec.structs import astuple
from sqlalchemy import URL, Table, create_engine

from shopsync.database.tables import order_header, order_line_item, order_sale, product
from shopsync.records import Order
from tests.factories import NOON

TABLES = {
    "order_header": order_header,
    "order_line_item": order_line_item,
    "order_sale": order_sale,
    "product": product,
}
GUARDS = {
    "order_header": "updated_at",
    "order_line_item": "order_updated_at",
    "order_sale": "order_updated_at",
    "product": "updated_at",
}
PRODUCT_COLUMNS = 7
"""Of `product`, what comes with the orders; its figures come later."""
NONE = "\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})

Rows = dict[str, list[Sequence[Any]]]


def connect(url: URL) -> pymysql.Connection[Any]:
    """Connect to a server as the product does."""
    address: dict[str, Any] = url.translate_connect_args(username="user")
    connection = pymysql.connect(**address, charset="utf8mb4")
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return connection


def in_chunks(orders: Iterable[Order], rows: int) -> Iterator[Rows]:
    """Cut orders into chunks of about so many rows, and turn them into tuples."""
    chunk: Rows = {name: [] for name in TABLES}
    count = 0
    for order in orders:
        chunk["order_header"].append((*astuple(order.header), "run", NOON))
        chunk["order_line_item"].extend(astuple(line) for line in order.line_items)
        chunk["order_sale"].extend(astuple(sale) for sale in order.sales)
        chunk["product"].extend(astuple(each) for each in order.products)
        count += order.rows
        if count >= rows:
            yield _sorted(chunk)
            chunk, count = {name: [] for name in TABLES}, 0
    yield _sorted(chunk)


def _sorted(chunk: Rows) -> Rows:
    """Return a chunk's rows by key, the product's once each."""
    chunk["product"] = list({row[0]: row for row in chunk["product"]}.values())
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in chunk.items()}


def written(table: Table) -> list[str]:
    """Return the columns that come with the orders."""
    names = [column.name for column in table.c]
    return names[:PRODUCT_COLUMNS] if table is product else names


def guarded(table: Table, source: str) -> str:
    """Return the upsert that no older row gets past, its values from `source`."""
    guard = GUARDS[table.name]
    names = written(table)
    updated = sorted((name for name in names if not table.c[name].primary_key), key=lambda name: name == guard)
    newer = f"VALUES({guard}) >= {table.name}.{guard}"
    values = ", ".join(f"{name} = IF({newer}, VALUES({name}), {table.name}.{name})" for name in updated)
    return f"INSERT INTO {table.name} ({', '.join(names)}) {source} ON DUPLICATE KEY UPDATE {values}"


class LoadData:
    """The yardstick: LOAD DATA into staging tables, then INSERT..SELECT; no managed server of ours offers it."""

    def __init__(self, url: URL, folder: Path) -> None:
        self._connection, self._file = connect(url), folder / "staged.tsv"
        with self._connection.cursor() as cursor:
            for name, table in TABLES.items():
                names = ", ".join(written(table))
                cursor.execute(f"CREATE TEMPORARY TABLE staged_{name} AS SELECT {names} FROM {name} LIMIT 0")

    def write(self, orders: Sequence[Order], rows: int) -> None:
        """Upsert orders in chunks of about so many rows."""
        for chunk in in_chunks(orders, rows):
            with self._connection.cursor() as cursor:
                for name, table in TABLES.items():
                    self._load(cursor, table, chunk[name])
                self._connection.commit()
                for name in TABLES:
                    cursor.execute(f"TRUNCATE staged_{name}")

    def _load(self, cursor: Any, table: Table, rows: list[Sequence[Any]]) -> None:
        with self._file.open("w", encoding="utf-8", newline="") as file:
            file.writelines("\t".join(map(_field, row)) + "\n" for row in rows)
        cursor.execute(f"LOAD DATA INFILE '{self._file}' INTO TABLE staged_{table.name} CHARACTER SET utf8mb4")
        names = ", ".join(written(table))
        cursor.execute(guarded(table, f"SELECT {names} FROM staged_{table.name}"))


def _field(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, str):
        return value.translate(ESCAPES)
    if isinstance(value, bool):
        return "1" if value else "0"
    return value.strftime("%Y-%m-%d %H:%M:%S") if isinstance(value, datetime) else str(value)


class ExecuteMany:
    """The stock way: the driver's `executemany`, which escapes value by value."""

    def __init__(self, url: URL) -> None:
        self._connection = connect(url)
        self._statements = {
            name: guarded(table, f"VALUES ({', '.join(['%s'] * len(written(table)))})")
            for name, table in TABLES.items()
        }

    def write(self, orders: Sequence[Order], rows: int) -> None:
        """Upsert orders in chunks of about so many rows."""
        for chunk in in_chunks(orders, rows):
            self.write_chunk(chunk)

    def write_chunk(self, chunk: Rows) -> None:
        """Upsert and commit one chunk."""
        with self._connection.cursor() as cursor:
            for name, statement in self._statements.items():
                if chunk[name]:
                    cursor.executemany(statement, chunk[name])
        self._connection.commit()


@dataclass
class JsonReader:
    """The stock way to read: `json.loads` line by line, and what the tables need picked out of the dicts."""

    rows: Rows = field(default_factory=lambda: {name: [] for name in TABLES})
    count: int = 0
    _order: dict[str, Any] = field(default_factory=dict[str, Any])
    _agreements: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    def chunks(self, lines: Iterable[bytes], rows: int) -> Iterator[Rows]:
        """Yield chunks of whole orders with about so many rows."""
        for line in lines:
            node = json.loads(line)
            if "__parentId" not in node and self.count >= rows:
                yield _sorted(self.rows)
                self.rows, self.count = {name: [] for name in TABLES}, 0
            self._read(node)
        yield _sorted(self.rows)

    def _read(self, node: dict[str, Any]) -> None:
        if "__parentId" not in node:
            self._order, self._agreements = node, {}
            self.rows["order_header"].append(_header(node))
        elif node["__typename"] == "LineItem":
            self.rows["order_line_item"].append(_line_item(node, self._order))
            if node["product"]:
                self.rows["product"].append(_product(node["product"]))
        elif node["__typename"].endswith("Agreement"):
            self._agreements[node["id"]] = node
            return
        else:
            self.rows["order_sale"].append(_sale(node, self._agreements[node["__parentId"]], self._order))
        self.count += 1


def _header(node: dict[str, Any]) -> Sequence[Any]:
    shipped = [_time(each["createdAt"]) for each in node["fulfillments"] if each["status"] == "SUCCESS"]
    return (
        _id(node["id"]),
        node["name"],
        _time(node["createdAt"]),
        _time(node["processedAt"]),
        _time(node["updatedAt"]),
        _time(node["cancelledAt"]),
        node["cancelReason"],
        _time(node["closedAt"]),
        node["test"],
        node["displayFinancialStatus"],
        node["displayFulfillmentStatus"],
        node["returnStatus"],
        node["sourceName"],
        _id_of(node["customer"]),
        json.dumps(node["tags"]),
        node["currencyCode"],
        node["presentmentCurrencyCode"],
        *(
            _money(node[name])
            for name in (
                "subtotalPriceSet",
                "totalDiscountsSet",
                "totalShippingPriceSet",
                "totalTaxSet",
                "totalPriceSet",
                "totalRefundedSet",
                "currentTotalPriceSet",
            )
        ),
        min((each for each in shipped if each), default=None),
        "run",
        NOON,
    )


def _line_item(node: dict[str, Any], order: dict[str, Any]) -> Sequence[Any]:
    return (
        _id(node["id"]),
        _id(order["id"]),
        _id_of(node["product"]),
        _id_of(node["variant"]),
        node["sku"],
        node["title"],
        node["variantTitle"],
        node["vendor"],
        node["quantity"],
        node["currentQuantity"],
        node["unfulfilledQuantity"],
        _money(node["originalUnitPriceSet"]),
        sum((_amount(each["allocatedAmountSet"]) for each in node["discountAllocations"]), Decimal(0)),
        node["isGiftCard"],
        order["currencyCode"],
        _time(order["updatedAt"]),
    )


def _product(node: dict[str, Any]) -> Sequence[Any]:
    return (
        _id(node["id"]),
        node["title"],
        node["handle"],
        node["vendor"],
        node["productType"],
        node["status"],
        _time(node["updatedAt"]),
    )


def _sale(node: dict[str, Any], agreement: dict[str, Any], order: dict[str, Any]) -> Sequence[Any]:
    line = node.get("lineItem")
    return (
        _id(node["id"]),
        _id(order["id"]),
        _id(agreement["id"]),
        _time(agreement["happenedAt"]),
        agreement["reason"],
        node["actionType"],
        node["lineType"],
        _id_of(line),
        _id_of(line["product"]) if line else None,
        node["quantity"],
        _money(node["totalAmount"]),
        _money(node["totalDiscountAmountBeforeTaxes"]),
        _money(node["totalTaxAmount"]),
        order["currencyCode"],
        order["test"],
        _time(order["updatedAt"]),
    )


def _id(gid: str) -> int:
    return int(gid.rpartition("/")[2].partition("?")[0])


def _id_of(node: dict[str, Any] | None) -> int | None:
    return None if node is None else _id(node["id"])


def _money(bag: dict[str, Any] | None) -> Decimal | None:
    return None if bag is None else _amount(bag)


def _amount(bag: dict[str, Any]) -> Decimal:
    return Decimal(bag["shopMoney"]["amount"])


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def to_sql(url: URL, orders: Sequence[Order]) -> int:
    """Append all line items with `pandas.to_sql`, which knows no upsert; return how many."""
    from pandas import DataFrame

    names = [column.name for column in order_line_item.c]
    frame = DataFrame([astuple(line) for order in orders for line in order.line_items], columns=names)
    engine = create_engine(url)
    frame.to_sql("order_line_item", engine, if_exists="append", index=False, chunksize=2_000)
    engine.dispose()
    return len(frame)


def dlt_load(url: URL, lines: Iterable[bytes], line_count: int, folder: Path) -> Callable[[], None]:
    """Return what loads so many lines with dlt as its users do: raw nodes, merged by id into the tables it makes."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    from dlt.destinations import sqlalchemy

    dataset = f"{url.database}_dlt"
    with connect(url).cursor() as cursor:
        for name in (dataset, f"{dataset}_staging"):  # by itself it takes the server's character set
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    pipeline = dlt.pipeline(
        dataset,
        destination=sqlalchemy(url.render_as_string(hide_password=False)),
        dataset_name=dataset,
        pipelines_dir=str(folder),
    )
    wanted = list(islice(lines, line_count))

    def load() -> None:
        nodes = dlt.resource(
            map(json.loads, wanted),
            name="nodes",
            table_name=lambda node: node["__typename"],
            primary_key="id",
            write_disposition="merge",
        )
        pipeline.run(nodes)

    return load
