"""The upsert's rules; tests/services runs them on MariaDB too."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import asdict
from sqlalchemy import Engine

from shopsync.database.chunks import ChunkBudget
from shopsync.database.days import dirty_days
from shopsync.database.products import refresh_products
from shopsync.database.progress import UpsertProgress
from shopsync.database.shops import remember_shop
from shopsync.database.tables import archive_progress, order_header, order_line_item, order_sale, product
from shopsync.database.upsert import SWITCH_S
from shopsync.errors import InexactMoney, RowRefused
from shopsync.records import Order
from tests.database import column, everything, load, rows
from tests.factories import NOON, line_item, order, sale
from tests.factories import product as a_product

LATER = NOON + timedelta(hours=1)
EARLIER = NOON - timedelta(hours=1)
ONE_BY_ONE = ChunkBudget(rows=1, bytes=1)
TODAY = date(2026, 11, 20)


def test_every_column_comes_back(database: Engine) -> None:
    """What a record holds is what its row holds, in type and value."""
    given = order(7, cancelled_at=NOON, first_fulfilled_at=NOON, products=[a_product()])

    load(database, [given], run_id="run-1", synced_at=LATER)

    assert [asdict(given.header) | {"run_id": "run-1", "synced_at": LATER}] == rows(database, order_header)
    assert [asdict(given.line_items[0])] == rows(database, order_line_item)
    assert [asdict(given.sales[0])] == rows(database, order_sale)
    assert asdict(given.products[0]).items() <= rows(database, product)[0].items()


def test_nulls_come_back(database: Engine) -> None:
    """What does not apply is null, in numbers, times and texts alike."""
    line = line_item(1, product_id=None, variant_id=None, sku=None, variant_title=None, vendor=None)
    entry = sale(1, line_item_id=None, product_id=None, quantity=None)
    given = order(7, line_items=[line], sales=[entry], processed_at=None, subtotal_price=None, customer_id=None)

    load(database, [given])

    assert asdict(given.header).items() <= rows(database, order_header)[0].items()
    assert [asdict(given.line_items[0])] == rows(database, order_line_item)
    assert [asdict(given.sales[0])] == rows(database, order_sale)


def test_money_keeps_four_decimals(database: Engine) -> None:
    """The largest and the smallest amounts of DECIMAL(19,4) that SQLite's integers hold come back to the digit."""
    line = line_item(1, unit_price=Decimal("922337203685477.5807"), total_discount=Decimal("-0.0001"))

    load(database, [order(7, line_items=[line])])

    assert [Decimal("922337203685477.5807")] == column(database, order_line_item, "unit_price")
    assert [Decimal("-0.0001")] == column(database, order_line_item, "total_discount")


def test_second_run_changes_nothing(database: Engine) -> None:
    """The same orders in a later run leave every row and every mark as it was, run_id and synced_at included."""
    orders = [order(number, products=[a_product(number)]) for number in (1, 2, 3)]
    load(database, orders, run_id="run-1")
    before = everything(database)

    progress = load(database, orders, run_id="run-2", synced_at=LATER)

    assert before == everything(database)
    assert (3, 3, 0) == (progress.orders, progress.unchanged, progress.removed)


def test_newer_order_overwrites(database: Engine) -> None:
    """A newer version replaces header and children, and carries its run."""
    load(database, [order(1)], run_id="run-1")
    newer = order(1, updated_at=LATER, financial_status="REFUNDED", line_items=[line_item(10, title="Black tea")])

    progress = load(database, [newer], run_id="run-2", synced_at=LATER)

    assert asdict(newer.header) | {"run_id": "run-2", "synced_at": LATER} == rows(database, order_header)[0]
    assert ["Black tea"] == column(database, order_line_item, "title")
    assert 0 == progress.unchanged


def test_equal_version_keeps_its_run(database: Engine) -> None:
    """Other content under the same `updated_at` overwrites, but the run that first brought the version stays."""
    load(database, [order(1)], run_id="run-1")

    load(database, [order(1, return_status="RETURNED")], run_id="run-2", synced_at=LATER)

    row = rows(database, order_header)[0]
    assert ("RETURNED", "run-1", NOON) == (row["return_status"], row["run_id"], row["synced_at"])


def test_older_order_changes_nothing(database: Engine) -> None:
    """An older version leaves no trace: not in the header, not as a line that the newer one has lost."""
    load(database, [order(1, updated_at=LATER, line_items=[], sales=[])], archive="a")
    before = everything(database)

    progress = load(database, [order(1, name="old")], archive="b", run_id="run-2")

    assert before == everything(database)
    assert 1 == progress.unchanged


def test_removed_line_is_gone(database: Engine) -> None:
    """A line that the order lost is deleted, and counted."""
    load(database, [order(1, line_items=[line_item(10), line_item(11)]), order(2)])

    progress = load(database, [order(1, updated_at=LATER, line_items=[line_item(11)])], run_id="run-2")

    assert [11, 20] == column(database, order_line_item, "line_item_id")
    assert 1 == progress.removed


def test_replaced_sale_is_gone(database: Engine) -> None:
    """A sale that another one replaced is deleted, and counted."""
    load(database, [order(1, sales=[sale(10)]), order(2)])

    progress = load(database, [order(1, updated_at=LATER, sales=[sale(11)])], run_id="run-2")

    assert [11, 20] == column(database, order_sale, "sale_id")
    assert 1 == progress.removed


def test_deleted_product_keeps_its_id(database: Engine) -> None:
    """Shopify forgets the product of a line and of a sale once it is deleted; the rows do not, and no day is owed."""
    load(database, [order(1, line_items=[line_item(10, product_id=7)], sales=[sale(10, product_id=7)])])
    marked = dirty_days(database)
    forgotten = order(1, line_items=[line_item(10, product_id=None)], sales=[sale(10, product_id=None)])

    load(database, [forgotten], run_id="run-2")

    assert [7] == column(database, order_line_item, "product_id")
    assert [7] == column(database, order_sale, "product_id")
    assert marked == dirty_days(database)


@pytest.mark.parametrize("budget", [ChunkBudget(100, 100_000), ONE_BY_ONE])
@pytest.mark.parametrize("names", [("old", "new"), ("new", "old")])
def test_newest_duplicate_wins(database: Engine, names: tuple[str, str], budget: ChunkBudget) -> None:
    """Of an order that an archive holds twice the newer version stays, in one chunk as in two."""
    times = {"old": EARLIER, "new": LATER}

    load(database, [order(1, name=name, updated_at=times[name]) for name in names], budget=budget)

    assert ["new"] == column(database, order_header, "name")


def test_new_sale_marks_its_day(database: Engine) -> None:
    """A sale at 23:30 UTC belongs to Berlin's next day."""
    load(database, [order(1, sales=[sale(1, happened_at=NOON.replace(hour=23, minute=30))])])

    assert [(TODAY, 1), (date(2026, 11, 21), 1)] == dirty_days(database)


def test_newer_order_marks_the_day_of_its_creation(database: Engine) -> None:
    """A day has figures of the orders that were created on it: what happens to one later owes that day again."""
    load(database, [order(1)])

    load(database, [order(1, updated_at=LATER, first_fulfilled_at=LATER)], run_id="run-2")

    assert [(TODAY, 2)] == dirty_days(database)


def test_newer_orders_alone_mark(database: Engine) -> None:
    """Of a chunk in which some orders are as they were, the others mark their days."""
    yesterday = order(2, created_at=NOON - timedelta(days=1), sales=[])
    load(database, [order(1), yesterday])

    load(database, [order(1, updated_at=LATER), yesterday], run_id="run-2")

    assert [(TODAY - timedelta(days=1), 1), (TODAY, 2)] == dirty_days(database)


@pytest.mark.parametrize(
    "repaired",
    [
        {"cancelled_at": NOON},
        {"closed_at": NOON},
        {"first_fulfilled_at": NOON},
        {"fulfillment_status": None},
        {"customer_id": 502},
        {"customer_id": None},
    ],
)
def test_repaired_order_marks_the_day_of_its_creation(database: Engine, repaired: dict[str, Any]) -> None:
    """So does the version that was here already, when what the day's figures ask of it is read in another way."""
    yesterday = order(2, created_at=NOON - timedelta(days=1), sales=[])
    load(database, [order(1), yesterday])

    progress = load(database, [order(1, **repaired), yesterday], run_id="run-2")

    assert [(TODAY - timedelta(days=1), 1), (TODAY, 2)] == dirty_days(database)
    assert 1 == progress.unchanged


def test_test_order_without_sales_marks_its_day(database: Engine) -> None:
    """An order without sales that turns out to be a test is no more one of its day."""
    load(database, [order(1, sales=[])])

    load(database, [order(1, sales=[], is_test=True)], run_id="run-2")

    assert [(TODAY, 2)] == dirty_days(database)


def test_moved_creation_marks_both_days(database: Engine) -> None:
    """Shopify moves no creation; a repaired reading may, and then the day that an order leaves is owed too."""
    load(database, [order(1, sales=[])])

    load(database, [order(1, sales=[], created_at=NOON - timedelta(days=2))], run_id="run-2")

    assert [(TODAY - timedelta(days=2), 1), (TODAY, 2)] == dirty_days(database)


def test_same_orders_of_every_kind_mark_nothing(database: Engine) -> None:
    """Whatever an order's columns hold, what comes again as it is owes no day."""
    ended = order(1, cancelled_at=NOON, closed_at=LATER, first_fulfilled_at=EARLIER)
    orders = [ended, order(2, customer_id=None, fulfillment_status=None, is_test=True), order(3)]
    load(database, orders)

    progress = load(database, orders, run_id="run-2")

    assert [(TODAY, 1)] == dirty_days(database)
    assert 3 == progress.unchanged


def test_moved_sale_marks_both_days(database: Engine) -> None:
    """The day that a sale left is owed as well as the day that it went to."""
    load(database, [order(1, sales=[sale(1)])])

    load(database, [order(1, sales=[sale(1, happened_at=NOON + timedelta(days=3))])], run_id="run-2")

    assert [(TODAY, 2), (TODAY + timedelta(days=3), 1)] == dirty_days(database)


def test_removed_sale_marks_its_day(database: Engine) -> None:
    """The day that lost a sale is owed."""
    load(database, [order(1)])

    load(database, [order(1, sales=[])], run_id="run-2")

    assert [(TODAY, 2)] == dirty_days(database)


@pytest.mark.parametrize(
    "change",
    [
        {"action_type": "RETURN"},
        {"reason": "ORDER_EDIT"},
        {"line_type": "SHIPPING"},
        {"product_id": 8},
        {"quantity": None},
        {"total_amount": Decimal("19.99")},
        {"discount_amount": Decimal("0.01")},
        {"tax_amount": Decimal("3.2")},
        {"currency": "USD"},
    ],
)
def test_changed_figure_marks_its_day(database: Engine, change: dict[str, Any]) -> None:
    """Whatever the figures are made of owes its day when it changes."""
    load(database, [order(1, sales=[sale(1)])])

    load(database, [order(1, sales=[sale(1, **change)])], run_id="run-2")

    assert [(TODAY, 2)] == dirty_days(database)


def test_order_turned_test_marks_its_day(database: Engine) -> None:
    """An order that turns out to be a test takes its sales out of the figures."""
    load(database, [order(1)])

    load(database, [order(1, is_test=True)], run_id="run-2")

    assert [(TODAY, 2)] == dirty_days(database)


def test_same_order_marks_nothing(database: Engine) -> None:
    """An order that comes again in the version that is there, with sales that say the same, owes no day."""
    load(database, [order(1, sales=[sale(1)])])

    load(database, [order(1, name="new", sales=[sale(1, agreement_id=9002)])], run_id="run-2")

    assert [(TODAY, 1)] == dirty_days(database)


def test_chunk_marks_a_day_once(database: Engine) -> None:
    """A mark stands for a transaction that changed the day, however many sales it changed."""
    load(database, [order(1), order(2)])

    assert [(TODAY, 1)] == dirty_days(database)


def test_newest_product_wins(database: Engine) -> None:
    """Of several snapshots of a product the newest counts, whatever order shows it."""
    snapshots = [a_product(7, title="new", updated_at=LATER), a_product(7, title="old")]

    load(database, [order(number, products=[shown]) for number, shown in enumerate(snapshots, 1)])

    assert ["new"] == column(database, product, "title")


def test_older_product_changes_nothing(database: Engine) -> None:
    """An older snapshot never overwrites a product, not even in a newer order."""
    load(database, [order(1, products=[a_product(7, title="new", updated_at=LATER)])])

    load(database, [order(2, updated_at=LATER, products=[a_product(7, title="old")])], run_id="run-2")

    assert ["new"] == column(database, product, "title")


def test_product_of_an_older_order_counts(database: Engine) -> None:
    """A product's snapshot has its own age: it is taken from an order that itself came too late."""
    load(database, [order(1, updated_at=LATER)])

    load(database, [order(1, products=[a_product(7, title="seen")])], run_id="run-2")

    assert ["seen"] == column(database, product, "title")


def test_attributes_leave_figures_alone(database: Engine) -> None:
    """A product that had figures first gets its attributes and keeps the figures."""
    refresh_products(database, TODAY, "EUR", {}, {})
    load(database, [order(1, products=[a_product(7)])])
    refresh_products(database, TODAY, "EUR", {}, {7: TODAY})

    load(database, [order(1, products=[a_product(7, title="new", updated_at=LATER)])], run_id="run-2")

    row = rows(database, product)[0]
    assert ("new", 0, TODAY, TODAY) == (row["title"], row["units_sold_7d"], row["last_sold_on"], row["metrics_as_of"])


def test_progress_counts_what_was_in(database: Engine) -> None:
    """Progress counts the archive's orders and children, and knows the newest `updated_at`."""
    orders = [order(1, products=[a_product()]), order(2, updated_at=LATER, line_items=[], sales=[sale(1), sale(2)])]

    progress = load(database, orders)

    assert UpsertProgress(2, 1, 3, 0, 0, LATER, finished=True) == progress


def test_empty_archive_is_finished(database: Engine) -> None:
    """No order is an archive like another."""
    progress = load(database, [])

    assert UpsertProgress(finished=True) == progress


def test_each_commit_is_told(database: Engine) -> None:
    """After each chunk the caller hears how far the archive is in."""
    told: list[UpsertProgress] = []

    load(database, [order(1), order(2), order(3)], budget=ChunkBudget(6, 100_000), on_chunk=told.append)

    assert [2, 3] == [progress.orders for progress in told]


def test_resumes_at_next_chunk(database: Engine) -> None:
    """A run that died goes on behind the last commit: what is in is not sent again."""
    with pytest.raises(ConnectionError):
        load(database, _dying([order(1), order(2), order(3)]), budget=ONE_BY_ONE)
    again = [order(1, name="not sent"), order(2, name="not sent"), order(3), order(4)]
    told: list[UpsertProgress] = []

    progress = load(database, again, budget=ONE_BY_ONE, on_chunk=told.append)

    assert ["#1001"] * 4 == column(database, order_header, "name")
    assert [3, 4] == [each.orders for each in told]
    assert UpsertProgress(4, 4, 4, 0, 0, NOON, finished=True) == progress


def test_finished_archive_is_not_read(database: Engine) -> None:
    """Of a finished archive the run reads nothing, and answers what it answered."""
    done = load(database, [order(1)])

    assert done == load(database, _dying([]))


def test_another_run_reads_it_again(database: Engine) -> None:
    """Progress is a run's own: a replay of the same bytes repairs what is missing."""
    load(database, [order(1), order(2)], run_id="run-1")
    with database.begin() as connection:
        connection.execute(order_line_item.delete())

    load(database, [order(1), order(2)], run_id="run-2")

    assert [10, 20] == column(database, order_line_item, "line_item_id")


def test_order_larger_than_budget(database: Engine) -> None:
    """An order beyond the budget goes in whole, in one transaction of many statements' size."""
    lines = [line_item(number) for number in range(1, 2_501)]
    told: list[UpsertProgress] = []

    load(database, [order(1, line_items=lines, sales=[])], budget=ONE_BY_ONE, on_chunk=told.append)
    progress = load(database, [order(1, line_items=[], sales=[])], run_id="run-2")

    assert [2_500] == [each.line_items for each in told]
    assert 2_500 == progress.removed
    assert [] == rows(database, order_line_item)


def test_interpreter_is_left_as_it_was(database: Engine) -> None:
    """Threads take turns often only while an upsert is under way, and it hides nothing from the garbage collector."""
    usual = (sys.getswitchinterval(), gc.get_freeze_count())
    during: list[tuple[float, bool]] = []

    with pytest.raises(RowRefused):
        load(
            database,
            [order(1), order(2, name="half an emoji \ud83d")],
            budget=ONE_BY_ONE,
            on_chunk=lambda progress: during.append((sys.getswitchinterval(), gc.get_freeze_count() > usual[1])),
        )

    assert [(pytest.approx(SWITCH_S), True)] == during
    assert usual == (sys.getswitchinterval(), gc.get_freeze_count())


def test_refused_order_is_named(database: Engine) -> None:
    """An order that the database cannot hold is named; those before it are in, nothing of it is."""
    orders = [order(1), order(2), order(3, line_items=[line_item(2**63)]), order(4)]

    with pytest.raises(RowRefused, match="refuses order 3"):
        load(database, orders)

    assert [1, 2] == column(database, order_header, "order_id")
    assert [2] == column(database, archive_progress, "orders")


def test_lone_surrogate_is_refused(database: Engine) -> None:
    """Text that no encoding can carry is refused, not altered."""
    with pytest.raises(RowRefused, match="refuses order 1: text that is not Unicode"):
        load(database, [order(1, name="half an emoji \ud83d")])

    assert [] == rows(database, order_header)


def test_inexact_money_is_refused(database: Engine) -> None:
    """An amount with five decimals fails the run instead of being rounded."""
    with pytest.raises(InexactMoney, match=r"0\.00001"):
        load(database, [order(1, total_price=Decimal("0.00001"))])

    assert [] == rows(database, order_header)


def test_zone_cuts_the_days(database: Engine) -> None:
    """The same moment is yesterday in Honolulu and tomorrow in Kiritimati."""
    morning = NOON.replace(hour=9)
    load(database, [order(1)], archive="a", zone=ZoneInfo("Pacific/Kiritimati"))
    earlier = order(2, created_at=morning, sales=[sale(2, happened_at=morning)])
    load(database, [earlier], archive="b", zone=ZoneInfo("HST"))

    assert [(date(2026, 11, 19), 1), (date(2026, 11, 21), 1)] == dirty_days(database)


def test_stored_zone_cuts_the_days(database: Engine) -> None:
    """A run that began in another zone marks in the one that the database holds by now."""
    remember_shop(database, "tea.myshopify.com", "Europe/Berlin", "EUR", NOON)

    late = NOON.replace(hour=23)
    load(database, [order(1, created_at=late, sales=[sale(1, happened_at=late)])], zone=ZoneInfo("UTC"))

    assert [(TODAY + timedelta(days=1), 1)] == dirty_days(database)


def _dying(orders: list[Order]) -> Iterator[Order]:
    yield from orders
    raise ConnectionError("the archive ends here")
