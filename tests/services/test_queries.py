"""Every query of a run and of staff finds its rows by an index, however large the tables have grown."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import URL, Engine, event, text
from sqlalchemy.engine.interfaces import DBAPICursor

from shopsync.database import leases, overview, pages, schema
from shopsync.database.day_totals import order_states, replace_day
from shopsync.database.days import mark_every_day
from shopsync.database.engine import open_database, reading, snapshot, writing
from shopsync.database.ledger import last_sold_on, ledger_sums
from shopsync.database.orders_read import read_order
from shopsync.database.pipelines import pipeline_facts
from shopsync.database.products import best_products, refresh_products
from shopsync.database.runs import requested_at
from shopsync.database.runs_read import RunFilters, RunPosition, read_run, read_runs
from shopsync.database.watermarks import last_advance, record_advance
from shopsync.records import ProductFigures
from shopsync.shop_days import DayRange
from shopsync.telemetry import JobType
from tests.database import BERLIN, load, replace_sales_day
from tests.factories import NOON, line_item, order, product, sale

pytestmark = pytest.mark.services

ORDERS = 20_000
A_FEW = 2_500
"""Rows that a query may look at; each large table has eight times as many."""
DAY = date(2026, 11, 20)
EXPLAINED = re.compile(r"\s*(SELECT|UPDATE|DELETE)\b", re.IGNORECASE)
FIGURES = {7: ProductFigures(1, 1, Decimal(1), Decimal(1))}


@pytest.fixture(scope="module")
def large(mariadb: Callable[[], URL]) -> Generator[Engine]:
    """A database with so many orders, lines, sales, products and days that reading them all would cost."""
    engine = open_database(mariadb())
    schema.apply(engine)
    load(engine, (_order(number, minutes=0) for number in range(1, ORDERS)))
    amounts = ("orders", "units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "tax")
    day = [{"product_id": number, "currency": "EUR", **dict.fromkeys(amounts, 1)} for number in range(400)]
    for ago in range(50):
        replace_sales_day(engine, DAY - timedelta(days=ago), day)
    record_advance(engine, "a-shop", "run-1", NOON, NOON)
    with writing(engine) as connection:
        _ = [connection.execute(text(statement), {"noon": NOON}) for statement in (*DAYS_AND_RUNS, ANALYZE)]
    yield engine
    engine.dispose()


def _order(number: int, minutes: int) -> Any:
    """An order whose sale happened so many minutes before noon as its number says, changed so many later."""
    return order(
        number,
        updated_at=NOON + timedelta(minutes=minutes),
        line_items=[line_item(10**9 + number, quantity=1 + minutes)],
        sales=[sale(2 * 10**9 + number, happened_at=NOON - timedelta(minutes=number), quantity=1 + minutes)],
        products=[product(number)],
    )


def _marked(engine: Engine) -> None:
    with writing(engine) as connection:
        mark_every_day(connection, BERLIN, BERLIN)


def _read_overview(engine: Engine) -> None:
    month = DayRange(DAY - timedelta(days=127), DAY)
    with snapshot(engine) as connection:
        overview.shop_place(connection)
        overview.covered(connection)
        overview.owed_days(connection, month)
        overview.sales_by_currency(connection, month, "EUR")
        overview.order_figures(connection, month, BERLIN)
        overview.backlog(connection, DAY)
        overview.top_products(connection, "EUR")


def _runs(**filters: str) -> Callable[[Engine], object]:
    half = RunPosition(NOON - timedelta(hours=ORDERS // 2), "run-10000")

    def read(engine: Engine) -> None:
        read_runs(engine, RunFilters(**filters), None, 51)
        read_runs(engine, RunFilters(**filters), half, 51)

    return read


DAYS_AND_RUNS = (
    f"INSERT INTO sync_run (run_id, job_type, initiator, requested_at, process_initiated_at, step, status, updated_at,"
    f" window_field, window_start, window_end)"
    f" SELECT CONCAT('run-', seq), IF(seq % 10, '{JobType.BACKFILL}', '{JobType.DAILY}'), 'cron',"
    f" :noon - INTERVAL seq HOUR, :noon, 'completed', IF(seq % 50, 'completed', 'failed'),"
    f" :noon - INTERVAL seq HOUR, IF(seq % 10, 'created_at', 'updated_at'), :noon - INTERVAL seq + 2 HOUR,"
    f" :noon - INTERVAL seq HOUR"
    f" FROM seq_1_to_{ORDERS}",
    f"INSERT INTO sync_step (run_id, at, step) SELECT CONCAT('run-', seq DIV 5), :noon + INTERVAL seq % 5 SECOND,"
    f" 'poll' FROM seq_1_to_{5 * ORDERS}",
    "INSERT INTO shop_day SELECT DATE(:noon) - INTERVAL seq DAY, 'EUR', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1"
    f" FROM seq_1_to_{ORDERS}",
    "INSERT INTO order_day SELECT DATE(:noon) - INTERVAL seq DAY, 1, 1, 1, '' FROM seq_1_to_2000",
    f"INSERT INTO fulfilment_day SELECT DATE(:noon) - INTERVAL seq DIV 5 DAY, seq % 5, 1 FROM seq_5_to_{ORDERS}",
    f"INSERT INTO customer SELECT seq, :noon - INTERVAL 2 * seq HOUR FROM seq_1_to_{ORDERS}",
    f"INSERT INTO dirty_day SELECT DATE(:noon) - INTERVAL seq DAY, 1 FROM seq_1_to_{ORDERS}"
    " ON DUPLICATE KEY UPDATE marks = 1",
    "UPDATE product SET currency = 'EUR', net_sales_30d = product_id",
)
ANALYZE = (
    "ANALYZE TABLE order_header, order_line_item, order_sale, product, sales_day, sync_run, sync_step, shop_day,"
    " order_day, fulfilment_day, customer, dirty_day"
)

ASKED: dict[str, Callable[[Engine], object]] = {
    "write orders that are there": lambda engine: load(
        engine, [_order(number, minutes=5) for number in range(100, 300)], run_id="run-2"
    ),
    "write orders that are new": lambda engine: load(
        engine, [_order(number, minutes=0) for number in range(ORDERS, ORDERS + 200)], run_id="run-3"
    ),
    "write orders without their lines": lambda engine: load(
        engine, [order(500, updated_at=NOON + timedelta(hours=1), line_items=[], sales=[])], run_id="run-4"
    ),
    "sum a day": lambda engine: ledger_sums(engine, NOON - timedelta(days=1), NOON),
    "the orders of a day": lambda engine: list(order_states(engine, NOON - timedelta(days=1), NOON)),
    "replace the totals of a day": lambda engine: replace_day(
        engine,
        DAY - timedelta(days=60),
        (NOON - timedelta(days=61), NOON - timedelta(days=60)),
        [],
        totals=[],
        states=[],
    ),
    "replace a day": lambda engine: replace_sales_day(engine, DAY, []),
    "mark every day": _marked,
    "refresh products": lambda engine: refresh_products(engine, DAY, "EUR", FIGURES, {7: DAY}),
    "best products": lambda engine: best_products(engine, FIGURES, "EUR", limit=10),
    "when a run was asked for": lambda engine: requested_at(engine, "run-1"),
    "the last advance": lambda engine: last_advance(engine, "a-shop"),
    "the overview": _read_overview,
    "the pipelines": lambda engine: pipeline_facts(engine, NOON),
    "runs": _runs(),
    "runs by status": _runs(status="failed"),
    "runs by kind": _runs(job_type=JobType.DAILY),
    "runs by kind and status": _runs(job_type=JobType.DAILY, status="failed"),
    "one run": lambda engine: read_run(engine, "run-9"),
    "one order": lambda engine: read_order(engine, 7),
    "a lease": lambda engine: leases.acquire(engine, "measure", "run-1", NOON, timedelta(minutes=1)),
}


@pytest.mark.parametrize("what", ASKED)
def test_query_has_its_index(large: Engine, what: str) -> None:
    """Nothing reads a large table from end to end, nor a large part of an index."""
    with statements(large) as sent:
        ASKED[what](large)

    assert sent
    assert [] == [found for statement in sent for found in costly(large, statement)]


IN_PAGES: dict[str, Callable[[Engine], object]] = {
    "the orders of a crowded day": lambda engine: list(order_states(engine, NOON, NOON + timedelta(days=1))),
    "when each product was last sold": lambda engine: last_sold_on(engine, DAY),
}


@pytest.mark.parametrize("what", IN_PAGES)
def test_page_reads_its_own_rows(large: Engine, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Where all there is has to be read, each page begins in an index where the one before it ended."""
    monkeypatch.setattr(pages, "PAGE", A_FEW)

    with statements(large) as sent:
        IN_PAGES[what](large)

    assert [] == [found for statement in sent for found in costly(large, statement)]


def test_a_scan_is_seen(large: Engine) -> None:
    """A query without an index would be found out."""
    assert costly(large, "SELECT order_id FROM order_header WHERE source_name = 'web'")


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """Note what is sent while the block runs, with its values written in."""
    sent: list[str] = []

    def note(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if EXPLAINED.match(statement):
            sent.append(cursor.mogrify(statement, parameters or None))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def costly(engine: Engine, statement: str) -> list[str]:
    """Return the tables of which a statement would look at many rows, with how it would."""
    with reading(engine) as connection:
        cursor: DBAPICursor = connection.connection.cursor()
        cursor.execute(f"EXPLAIN {statement}")
        plan = [dict(zip([column[0] for column in cursor.description], row, strict=True)) for row in cursor.fetchall()]
    return [
        f"{step['table']}: {step['type']}, {step['rows']} rows: {statement[:80]}"
        for step in plan
        if _rows(step, statement) > A_FEW
    ]


def _rows(step: dict[str, Any], statement: str) -> int:
    """Return how many rows a step looks at; one that reads in the order of its index stops at a LIMIT."""
    limit = re.search(r"LIMIT (\d+)", statement)
    in_order = step["key"] and "filesort" not in (step["Extra"] or "")
    return min(int(step["rows"] or 0), int(limit[1]) if limit and in_order else ORDERS)
