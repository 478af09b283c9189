"""The truth: what it expects after several syncs, how it reads a database, how it words differences."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests import truth
from tests.simulator.shop import Shop

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def shop() -> Shop:
    """Return a shop that nobody has bought from."""
    return Shop(orders=0, now=NOW)


def everything(shop: Shop) -> tuple[datetime, datetime]:
    """Return a window that holds all that ever happened in a shop."""
    return LONG_AGO, shop.clock.now()


# --- windows ---


def test_updated_window_holds_both_bounds(shop: Shop) -> None:
    """An order updated at the first or at the last second of a window is in it."""
    order = shop.add_order(at=NOW - timedelta(days=5), updated_at=NOW)

    found = [truth.orders_within(shop, start, start + SECOND) for start in (NOW - SECOND, NOW)]

    assert [[order], [order]] == found


def test_created_window_excludes_end(shop: Shop) -> None:
    """A backfill's window holds its start and not its end, whenever the order was updated."""
    order = shop.add_order(at=NOW - timedelta(days=5), updated_at=NOW)
    created = NOW - timedelta(days=5)

    found = [truth.orders_within(shop, start, start + SECOND, "created") for start in (created - SECOND, created)]

    assert [[], [order]] == found


# --- several syncs ---


def test_vanished_line_is_gone(shop: Shop) -> None:
    """A line that the order no longer has is not expected any more."""
    order = shop.add_order([{"product": product} for product in list(shop.products.values())[:2]])
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    shop.remove_line(order, order["lineItems"][0])
    judge.fetch(shop, *everything(shop))

    assert [truth.number(order["lineItems"][0])] == list(judge.tables["order_line_item"])


def test_order_not_fetched_stays(shop: Shop) -> None:
    """Of an order that a window misses, the version fetched before is still expected."""
    order = shop.add_order(at=NOW - timedelta(days=2))
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))
    before = truth.rows_of([order])

    shop.touch(order, NOW)
    judge.fetch(shop, LONG_AGO, NOW - SECOND)

    assert before["order_header"] == judge.tables["order_header"]


def test_older_version_changes_nothing(shop: Shop) -> None:
    """A version older than the one that is there is not taken, nor are its children."""
    order = shop.add_order(at=NOW)
    older = order | {"updatedAt": "2026-11-23T05:59:59Z", "name": "#older", "lineItems": [], "agreements": []}
    judge = truth.Truth()
    judge.take([order])

    judge.take([older])

    assert [] == truth.differences(truth.rows_of([order]), judge.tables)


def test_known_product_id_stays(shop: Shop) -> None:
    """Lines and sales keep the product that was deleted after they were first fetched."""
    order = shop.add_order()
    product = order["lineItems"][0]["product"]
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    shop.delete_product(product)
    shop.touch(order)
    judge.fetch(shop, *everything(shop))

    known = truth.number(product)
    assert [known] == [row["product_id"] for row in judge.tables["order_line_item"].values()]
    assert [known] == [row["product_id"] for row in judge.sales]
    assert [known] == list(judge.tables["product"])


def test_return_after_deletion_has_no_product(shop: Shop) -> None:
    """A sale that is first seen after its product was deleted never had a product to keep."""
    order = shop.add_order()
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    shop.delete_product(order["lineItems"][0]["product"])
    shop.refund(order, order["lineItems"][0])
    judge.fetch(shop, *everything(shop))

    assert [None] == [row["product_id"] for row in judge.sales if row["action_type"] == "RETURN"]


def test_product_is_as_last_seen(shop: Shop) -> None:
    """A product has the title of the newest fetch, also where its order did not change."""
    order = shop.add_order()
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    shop.clock.advance(60)
    shop.rename_product(order["lineItems"][0]["product"], "Renamed")
    judge.fetch(shop, *everything(shop))

    assert ["Renamed"] == [row["title"] for row in judge.tables["product"].values()]


def test_figures_fall_to_zero(shop: Shop) -> None:
    """A product measured once has zeros when its sales are out of the windows, and keeps its last day."""
    shop.add_order(at=NOW)
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    judge.measure("UTC", date(2026, 11, 23), "USD")
    judge.measure("UTC", date(2027, 11, 23), "USD")

    (row,) = judge.tables["product"].values()
    assert (0, Decimal(0), date(2026, 11, 23)) == (row["units_sold_30d"], row["net_sales_30d"], row["last_sold_on"])


def test_figures_of_later_day_stay(shop: Shop) -> None:
    """A measurement of an earlier day does not replace that of a later one."""
    shop.add_order(at=NOW)
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))
    judge.measure("UTC", date(2026, 11, 23), "USD")

    judge.measure("UTC", date(2026, 11, 20), "USD")

    assert [(1, date(2026, 11, 23))] == [
        (row["units_sold_7d"], row["metrics_as_of"]) for row in judge.tables["product"].values()
    ]


def test_product_of_vanished_line_has_row(shop: Shop) -> None:
    """A product that was sold and edited away has figures; what it is called nobody told."""
    order = shop.add_order()
    shop.remove_line(order, order["lineItems"][0])
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))

    judge.measure("UTC", date(2026, 11, 23), "USD")

    assert [(None, 1)] == [(row["title"], row["units_sold_7d"]) for row in judge.tables["product"].values()]


def sync_through_spells_of_trade(shop: Shop, spells: int) -> truth.Truth:
    """Return the truth after so many incremental syncs of a shop that never rests."""
    judge = truth.Truth()
    since = LONG_AGO
    for spell in range(spells):
        judge.fetch(shop, since, shop.clock.now())
        since = shop.clock.now()
        shop.clock.advance(3600)
        shop.trade(40, seed=spell)
    judge.fetch(shop, since, shop.clock.now())
    return judge


def test_many_syncs_equal_one() -> None:
    """Incremental syncs lead to what one sync of the whole shop finds, but for products deleted in between."""
    shop = Shop(seed=4, orders=60, now=NOW)

    judge = sync_through_spells_of_trade(shop, 5)

    whole = truth.rows_of(shop.orders.values()) | {"product": {}}
    assert [] == truth.differences(whole, judge.tables | {"product": {}}, ignore={"product_id", "variant_id"})


# --- reading a database ---

SQLITE_KINDS = {"int": "INTEGER", "money": "INTEGER", "bool": "INTEGER"}


def sqlite_value(kind: str, value: object) -> object:
    """Return a value as docs/data.md stores it on SQLite."""
    written = {
        "money": lambda each: int(each * 10_000),
        "time": lambda each: f"{each:%Y-%m-%d %H:%M:%S}",
        "day": str,
        "bool": int,
        "json": truth.json.dumps,
    }
    return value if value is None or kind not in written else written[kind](value)


def store(path: Path, tables: truth.Tables) -> None:
    """Write rows into a SQLite file as docs/data.md has them."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in truth.COLUMNS.items():
            kinds = ", ".join(f"{name} {SQLITE_KINDS.get(kind, 'TEXT')}" for name, kind in columns.items())
            connection.execute(f"CREATE TABLE {table} ({kinds}, run_id TEXT, synced_at TEXT)")
            for row in tables[table].values():
                values = [sqlite_value(kind, row.get(name)) for name, kind in columns.items()]
                places = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO {table} VALUES ({places}, 'run', '2026-11-23 06:00:00')", values)


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_stored_rows_read_back(tmp_path: Path, prefix: str) -> None:
    """What is stored as docs/data.md says is read back in the truth's shapes."""
    shop = Shop(seed=2, orders=40, now=NOW)
    judge = truth.Truth()
    judge.fetch(shop, *everything(shop))
    judge.measure("America/New_York", date(2026, 11, 22), "USD")
    store(tmp_path / "shop.db", judge.tables)

    stored = truth.stored_rows(f"{prefix}{tmp_path / 'shop.db'}")

    assert [] == truth.differences(judge.tables, stored)


def test_stamps_tell_the_run(tmp_path: Path, shop: Shop) -> None:
    """Which run wrote an order is read apart from what it holds."""
    order = shop.add_order()
    store(tmp_path / "shop.db", truth.rows_of([order]))

    stamps = truth.stored_stamps(tmp_path / "shop.db")

    assert {truth.number(order): ("run", "2026-11-23 06:00:00")} == stamps


def test_float_money_is_an_error(tmp_path: Path, shop: Shop) -> None:
    """Money that is stored as a float is not read as if it were exact."""
    store(tmp_path / "shop.db", truth.rows_of([shop.add_order()]))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("UPDATE order_header SET total_price = 12.345")

    with pytest.raises(AssertionError, match="money is stored as 12"):
        truth.stored_rows(tmp_path / "shop.db")


# --- wording differences ---


def test_equal_rows_have_no_differences() -> None:
    """Equal numbers are equal however many zeros they are written with, and extra columns are free."""
    expected = {"product": {1: {"price": Decimal("1.5")}}, "order_sale": {}}

    assert [] == truth.differences(expected, {"product": {1: {"price": Decimal("1.5000"), "more": 1}}})


def test_differences_name_row_and_column() -> None:
    """Missing rows, rows too many and other values are each told with table, key and column."""
    expected = {"product": {1: {"title": "Mug"}, 2: {"title": "Hat"}}}

    found = truth.differences(expected, {"product": {2: {"title": "Cap"}, 3: {"title": "Tie"}}})

    assert [
        "product 1: missing, expected {'title': 'Mug'}",
        "product 2 title: expected 'Hat', found 'Cap'",
        "product 3: not expected, found {'title': 'Tie'}",
    ] == found


def test_long_lists_are_cut() -> None:
    """After the first differences only their number is told."""
    expected = {"product": {key: {} for key in range(50)}}

    found = truth.differences(expected, {})

    assert (21, "... and 30 more") == (len(found), found[-1])
