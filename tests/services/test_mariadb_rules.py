"""What only a server can show: sessions, locks, limits, refusals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import URL, Connection, Engine, event, text

from shopsync.database import pages, schema
from shopsync.database.chunks import ChunkBudget
from shopsync.database.engine import open_database, reading, writing
from shopsync.database.orders import prepare_orders, write_orders
from shopsync.database.progress import UpsertProgress
from shopsync.database.tables import order_header, order_line_item, sales_day
from shopsync.errors import DatabaseUnavailable, RowRefused, SchemaOutdated
from shopsync.records import Order
from tests.database import BERLIN, column, load, replace_sales_day, rows, rows_at_once
from tests.factories import NOON, line_item, order

# The database of the unit tests, on the `url` of this folder.
from tests.unit.database.conftest import database, migrated  # noqa: F401

# ruff: noqa: F811

pytestmark = pytest.mark.services
LATER = NOON + timedelta(hours=1)
ONE_BY_ONE = ChunkBudget(rows=1, bytes=1)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("@@tx_isolation", "READ-COMMITTED"),
        ("@@time_zone", "+00:00"),
        ("@@sql_mode", "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"),
        ("@@character_set_connection", "utf8mb4"),
    ],
)
def test_session_is_set_up(database: Engine, variable: str, value: str) -> None:
    """Every connection has the session that the statements count on, whatever the server's defaults."""
    with reading(database) as connection:
        assert value == connection.scalar(text(f"SELECT {variable}"))


def test_old_schema_names_the_command(url: URL) -> None:
    """On a server nothing is migrated behind the operator's back."""
    engine = open_database(url)

    with pytest.raises(SchemaOutdated, match=r"0001_initial.*: run `python -m shopsync.database apply`"):
        schema.prepare(engine)

    engine.dispose()


def test_wrong_password_is_one_line(url: URL) -> None:
    """The server's words, without the password."""
    engine = open_database(url.set(username="nobody", password="hunter2"))

    with pytest.raises(DatabaseUnavailable, match="Access denied for user 'nobody'") as caught:
        schema.missing(engine)

    assert "hunter2" not in str(caught.value)


def test_too_long_text_is_refused(database: Engine) -> None:
    """A text beyond its column is not cut: its order is named, those before it are in."""
    orders = [order(1), order(2), order(3, line_items=[line_item(3, title="x" * 1_025)]), order(4)]

    with pytest.raises(RowRefused, match="refuses order 3: Data too long for column 'title'"):
        load(database, orders)

    assert [1, 2] == column(database, order_header, "order_id")


def test_chunk_beyond_a_packet(database: Engine) -> None:
    """A chunk larger than any statement goes in as several."""
    tags = "x" * 60_000

    load(database, [order(number, tags=tags) for number in range(40)], budget=ChunkBudget(1_000, 10_000_000))

    assert [tags] * 40 == column(database, order_header, "tags")


def test_killed_connections_are_replaced(database: Engine) -> None:
    """Connections that the server closes after the first chunk, also in the middle of the next, cost a moment."""

    def kill() -> None:
        other = open_database(database.url)
        with other.begin() as connection:
            ids = connection.scalars(
                text("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
            )
            _ = [connection.execute(text(f"KILL {number}")) for number in ids.all()]
        other.dispose()

    load(
        database,
        [order(1), order(2), order(3)],
        budget=ONE_BY_ONE,
        on_chunk=lambda progress: kill() if progress.orders == 1 else None,
        sleep=lambda seconds: None,
    )

    assert [1, 2, 3] == column(database, order_header, "order_id")


def test_older_version_waits_and_yields(database: Engine) -> None:
    """An older version that meets an uncommitted newer one leaves no trace: the lost line stays lost."""
    newer = order(1, updated_at=LATER, line_items=[], sales=[])

    with ThreadPoolExecutor(1) as pool:
        with writing(database) as connection:
            _write(connection, newer, "newer")
            older = pool.submit(load, database, [order(1)], run_id="older")
            _wait_for_lock(connection)
        older.result(30)

    assert ["newer"] == column(database, order_header, "run_id")
    assert [] == rows(database, order_line_item)


def test_newer_version_waits_and_wins(database: Engine) -> None:
    """A newer version that meets an uncommitted older one removes the line that this one brings."""
    newer = order(1, updated_at=LATER, line_items=[], sales=[])

    with ThreadPoolExecutor(1) as pool:
        with writing(database) as connection:
            _write(connection, order(1), "older")
            waiting = pool.submit(load, database, [newer], run_id="newer")
            _wait_for_lock(connection)
        progress = waiting.result(30)

    assert ["newer"] == column(database, order_header, "run_id")
    assert [] == rows(database, order_line_item)
    assert 2 == progress.removed


@pytest.mark.parametrize("others", [[], [2], [2, 3]], ids=["alone", "with a new one", "with two new ones"])
@pytest.mark.parametrize("known", [[], [4]], ids=["", "and a known one"])
@pytest.mark.parametrize("age", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)], ids=["older", "same", "newer"])
def test_order_that_came_between_look_and_write(
    database: Engine, others: list[int], known: list[int], age: timedelta
) -> None:
    """An order that another run stores after it was looked for, before it is written, ends as its newest version."""
    between = order(1, updated_at=NOON + age, line_items=[line_item(10), line_item(11)], sales=[])
    load(database, [order(number) for number in known], run_id="earlier")
    chunk = [order(number) for number in (1, *others, *known)]

    with _before_headers(database, lambda other: load(other, [between], run_id="other")):
        progress = load(database, chunk)

    newest = between if age > timedelta(0) else order(1)
    lines = {each.line_item_id for each in newest.line_items} | {number * 10 for number in (*others, *known)}
    assert lines == set(column(database, order_line_item, "line_item_id"))
    assert NOON + max(age, timedelta(0)) == rows(database, order_header)[0]["updated_at"]
    assert (0 if newest is between else 1) == progress.removed


def test_new_orders_have_no_children_to_look_for(database: Engine) -> None:
    """A chunk of new orders asks for none of what it would find nothing of."""
    sent: list[str] = []

    with _at_each_statement(database, sent.append):
        load(database, [order(1), order(2)])

    assert [] == [each for each in sent if "FROM order_line_item" in each or "FROM order_sale" in each]


def test_runs_at_once_keep_the_newest(database: Engine) -> None:
    """Runs over the same orders in opposite order neither fail nor lose the newest version."""
    versions = [
        [order(number, updated_at=NOON + timedelta(minutes=age), name=f"version {age}") for number in range(60)]
        for age in range(4)
    ]

    def run(age: int) -> UpsertProgress:
        orders = versions[age] if age % 2 else versions[age][::-1]
        return load(database, orders, run_id=str(age), budget=ChunkBudget(21, 1_000_000), sleep=lambda seconds: None)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(run, range(4)))

    assert [60] * 4 == [progress.orders for progress in done]
    assert ["version 3"] * 60 == column(database, order_header, "name")
    assert 60 == len(rows(database, order_line_item))


def _write(connection: Connection, given: Order, run_id: str) -> None:
    write_orders(connection, prepare_orders("mysql", [given], run_id=run_id, synced_at=NOON), BERLIN)


@contextmanager
def _at_each_statement(engine: Engine, act: Callable[[str], object]) -> Generator[None]:
    """Call `act` with whatever is about to be sent."""

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        act(statement)

    event.listen(engine, "before_cursor_execute", listen)
    yield
    event.remove(engine, "before_cursor_execute", listen)


@contextmanager
def _before_headers(engine: Engine, act: Callable[[Engine], object]) -> Generator[None]:
    """Let another run act, before headers are written."""
    other = open_database(engine.url)
    with _at_each_statement(engine, lambda statement: "INSERT INTO order_header" in statement and act(other)):
        yield
    other.dispose()


def _wait_for_lock(connection: Connection) -> None:
    """Return once another transaction waits for one of this one's locks."""
    waiting = text("SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
    # InnoDB refreshes this table only when it was left alone for 0.1 s.
    pause = threading.Event()
    assert any(connection.scalar(waiting) or pause.wait(0.15) for _ in range(100))


def test_large_day_is_replaced_page_by_page(database: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of more products than a statement may delete is replaced all the same, and other days stay."""
    amounts = ("orders", "units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "tax")
    figures = [{"product_id": number, "currency": "EUR", **dict.fromkeys(amounts, 1)} for number in range(1, 8)]
    replace_sales_day(database, NOON.date(), figures)
    replace_sales_day(database, LATER.date() + timedelta(days=1), figures[:1])
    monkeypatch.setattr(pages, "PAGE", 3)

    with rows_at_once(database) as counts:
        replace_sales_day(database, NOON.date(), figures[:2])

    assert [3, 3, 1] == counts
    assert [1, 2, 1] == column(database, sales_day, "product_id")
