"""Faults of a real server and of the way to it: every order is in once, or the step fails clearly and goes on later."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from datetime import timedelta
from random import Random
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL, Engine, event, text
from sqlalchemy.exc import OperationalError

from api.connections import POOL
from shopsync.database.chunks import ChunkBudget
from shopsync.database.engine import open_database
from shopsync.database.progress import UpsertProgress
from shopsync.database.tables import archive_progress, order_header, order_line_item
from shopsync.errors import DatabaseUnavailable, RowRefused, SchemaOutdated
from tests.database import column, everything, load
from tests.factories import NOON, line_item, order
from tests.services.mysql_proxy import CutAfter, CutBefore, Forward, Judge, Proxy, Refuse, Verdict, mysql_proxy
from tests.unit.database.conftest import database, migrated  # noqa: F401
from tests.waiting import PATIENCE_S

# ruff: noqa: F811

pytestmark = pytest.mark.services
TWELVE = [order(number) for number in range(1, 13)]
ONE_BY_ONE = ChunkBudget(rows=1, bytes=1)
HOUR = timedelta(hours=1)
THREE_AT_ONCE = ChunkBudget(rows=9, bytes=1_000_000)
ALL_IN = UpsertProgress(12, 12, 12, 0, 0, TWELVE[0].header.updated_at, finished=True)


@pytest.fixture
def proxy(database: Engine) -> Generator[Proxy]:
    """A proxy before the migrated database."""
    with mysql_proxy(database.url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy) -> Generator[Engine]:
    """The database as it is reached through the proxy."""
    engine = open_database(proxy.url)
    yield engine
    engine.dispose()


HEADERS = b"INSERT INTO order_header"


def at(number: int, beginning: bytes, verdict: Verdict, after: int = 0) -> Judge:
    """Give a verdict on one statement of a kind, counted from 1 once `after` chunks were begun; let others through."""
    chunks = seen = 0

    def judge(statement: bytes) -> Verdict:
        nonlocal chunks, seen
        if chunks >= after and statement.startswith(beginning):
            seen += 1
            if seen == number:
                return verdict
        chunks += statement.startswith(HEADERS)
        return Forward()

    return judge


@pytest.mark.proves("cut connection")
@pytest.mark.parametrize("verdict", [CutBefore(), CutAfter()], ids=["unsent", "unheard"])
@pytest.mark.parametrize(
    "beginning",
    [
        b"SELECT shop.timezone",
        b"SELECT order_id,",
        HEADERS,
        b"SELECT line_item_id",
        b"INSERT INTO order_line_item",
        b"SELECT sale_id,",
        b"INSERT INTO order_sale",
        b"INSERT INTO dirty_day",
        b"UPDATE archive_progress",
        b"COMMIT",
    ],
)
def test_cut_connection_costs_nothing(
    database: Engine, proxy: Proxy, behind: Engine, beginning: bytes, verdict: Verdict
) -> None:
    """Wherever a connection breaks, a commit that was not heard included, each order is in and counted once."""
    load(database, [order(number, updated_at=NOON - HOUR) for number in range(1, 13)], run_id="earlier")
    proxy.judge = at(1, beginning, verdict, after=2)

    progress = load(behind, TWELVE, budget=THREE_AT_ONCE, sleep=lambda seconds: None)

    assert any(statement.startswith(beginning) for statement in proxy.statements)
    assert ALL_IN == progress
    assert [12, 12] == column(database, archive_progress, "orders")
    assert ["run-1"] * 12 == column(database, order_header, "run_id")
    assert list(range(1, 13)) == column(database, order_header, "order_id")


@pytest.mark.proves("cut connection")
def test_unheard_commit_is_not_repeated(database: Engine, proxy: Proxy, behind: Engine) -> None:
    """A chunk whose commit went through is not sent again, though nobody heard of it."""
    proxy.judge = at(1, b"COMMIT", CutAfter(), after=2)

    load(behind, TWELVE, budget=THREE_AT_ONCE, writers=1, sleep=lambda seconds: None)

    assert 4 == sum(statement.startswith(HEADERS) for statement in proxy.statements)


@pytest.mark.proves("cut connection", "deadlock")
@pytest.mark.parametrize("seed", range(5))
def test_any_cuts_cost_nothing(database: Engine, proxy: Proxy, behind: Engine, seed: int) -> None:
    """Connections that break again and again, at any statement, lose nothing and double nothing."""
    random = Random(seed)
    verdicts = [CutBefore(), CutAfter(), Refuse(1213, "Deadlock found when trying to get lock", "40001")]
    proxy.judge = lambda _statement: random.choice(verdicts) if random.random() < 0.03 else Forward()
    done: list[UpsertProgress] = []

    for _ in range(20):
        try:
            done.append(load(behind, TWELVE, budget=THREE_AT_ONCE, sleep=lambda seconds: None))
        except DatabaseUnavailable:
            continue

    assert ALL_IN == done[0]
    assert list(range(1, 13)) == column(database, order_header, "order_id")


@pytest.mark.proves("cut connection")
def test_server_that_is_away_blames_no_order(database: Engine, proxy: Proxy, behind: Engine) -> None:
    """A server that restarts behind a proxy, which drops connections, is no order's fault; the run can go on later."""
    away = False

    def judge(statement: bytes) -> Verdict:
        nonlocal away
        away = away or (statement.startswith(HEADERS) and b'(5,"#1001"' in statement)
        return CutBefore() if away else Forward()

    proxy.judge = judge

    with pytest.raises(DatabaseUnavailable, match="Lost connection"):
        load(behind, TWELVE, budget=THREE_AT_ONCE, writers=1, sleep=lambda seconds: None)

    assert [1, 2, 3] == column(database, order_header, "order_id")
    proxy.judge = lambda _statement: Forward()
    assert ALL_IN == load(behind, TWELVE, budget=THREE_AT_ONCE)


@pytest.mark.proves("cut connection")
def test_order_that_kills_its_connection_is_named(database: Engine, proxy: Proxy, behind: Engine) -> None:
    """One order that the server never survives, while it answers all else, is named; those before it are in."""
    proxy.judge = lambda statement: (
        CutBefore() if statement.startswith(HEADERS) and b'(5,"#1001"' in statement else Forward()
    )

    with pytest.raises(RowRefused, match="refuses order 5: Lost connection"):
        load(behind, TWELVE, budget=THREE_AT_ONCE, sleep=lambda seconds: None)

    assert [1, 2, 3, 4] == column(database, order_header, "order_id")


@pytest.mark.proves("busy server")
def test_exhausted_pool_is_waited_for(database: Engine, proxy: Proxy, behind: Engine) -> None:
    """PlanetScale's exhausted pool makes the writers wait and take turns; nothing is lost."""
    proxy.judge = at(2, HEADERS, Refuse(1105, "code = ResourceExhausted desc = transaction pool"))
    waits: list[float] = []

    progress = load(behind, TWELVE, budget=THREE_AT_ONCE, sleep=waits.append)

    assert ALL_IN == progress
    assert 1 == len(waits)


def test_silent_server_is_given_up_soon(proxy: Proxy) -> None:
    """The API's staff get an answer in two seconds, over a connection that was kept too; later it is used again."""
    engine, took_s = open_database(proxy.url, POOL), list[float]()
    assert [] == column(engine, order_header, "order_id")

    for _ in range(3):
        proxy.is_silent = True
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            column(engine, order_header, "order_id")
        took_s.append(time.monotonic() - began)
        proxy.is_silent = False
        assert [] == column(engine, order_header, "order_id")

    assert min(took_s) < 2  # what else the machine does only adds to them
    engine.dispose()


@pytest.mark.proves("small packets")
def test_small_packets_are_met(database: Engine, url: URL) -> None:
    """A server that takes only small packets closes the connection; the chunks are halved until they fit."""
    orders = [order(number, tags="x" * 10_000) for number in range(1, 13)]
    with _global(database, "max_allowed_packet", 40_960):
        engine = open_database(url)
        progress = load(engine, orders, sleep=lambda seconds: None)
        engine.dispose()

    assert (12, 12, 12) == (progress.orders, progress.line_items, progress.sales)
    assert ["x" * 10_000] * 12 == column(database, order_header, "tags")


def test_order_beyond_a_packet_is_named(database: Engine, url: URL) -> None:
    """One order that no packet of the server takes is named; those before it are in."""
    orders = [order(1), order(2, tags="x" * 100_000)]
    with _global(database, "max_allowed_packet", 40_960):
        engine = open_database(url)
        with pytest.raises(RowRefused, match="refuses order 2: "):
            load(engine, orders, sleep=lambda seconds: None)
        engine.dispose()

    assert [1] == column(database, order_header, "order_id")


@pytest.mark.proves("deadlock")
def test_lock_wait_is_tried_again(database: Engine, url: URL) -> None:
    """A row that somebody holds for too long is waited for again, and written once it is free."""
    load(database, TWELVE)
    with _global(database, "innodb_lock_wait_timeout", 1):
        engine = open_database(url)
        holder = database.connect()
        held = holder.begin()
        holder.execute(text("UPDATE order_header SET name = 'held' WHERE order_id = 5"))

        progress = load(engine, TWELVE, run_id="run-2", sleep=lambda seconds: held.rollback())

        holder.close()
        engine.dispose()
    assert (12, 12) == (progress.orders, progress.unchanged)


def test_read_only_server_is_told(database: Engine, url: URL) -> None:
    """A server that takes no writes fails the step in its own words."""
    with database.begin() as connection:
        connection.execute(text("CREATE USER IF NOT EXISTS staff"))
        connection.execute(text(f"GRANT ALL ON {url.database}.* TO staff"))
    with _global(database, "read_only", 1):
        engine = open_database(url.set(username="staff"))
        with pytest.raises(DatabaseUnavailable, match="--read-only option"):
            load(engine, TWELVE)
        engine.dispose()

    assert [] == column(database, order_header, "order_id")


def test_missing_table_names_the_command(database: Engine) -> None:
    """A table that is not there is told with the command that makes it."""
    with database.begin() as connection:
        connection.execute(text("DROP TABLE order_sale"))

    with pytest.raises(SchemaOutdated, match=r"order_sale: run `python -m shopsync.database apply`"):
        load(database, TWELVE)


def test_large_order_takes_many_statements(database: Engine, proxy: Proxy, behind: Engine) -> None:
    """An order of more than a statement's bytes goes in by several, in one transaction."""
    lines = [line_item(number, title="x" * 1_000) for number in range(1, 2_501)]

    load(behind, [order(1, line_items=lines, sales=[])])

    assert 2 < sum(statement.startswith(b"INSERT INTO order_line_item") for statement in proxy.statements)
    assert 2_500 == len(column(database, order_line_item, "line_item_id"))
    assert {"order_header", "order_line_item"} <= everything(database).keys()


class _global:  # noqa: N801 - reads as the statement that it stands for
    """A global variable of the server for the length of a block; connections made meanwhile have it."""

    def __init__(self, database: Engine, name: str, value: int) -> None:
        self._database, self._name, self._value = database, name, value

    def __enter__(self) -> None:
        with self._database.connect() as connection:
            self._before = connection.scalar(text(f"SELECT @@GLOBAL.{self._name}"))
            connection.execute(text(f"SET GLOBAL {self._name} = {self._value}"))

    def __exit__(self, *_: object) -> None:
        with self._database.connect() as connection:
            connection.execute(text(f"SET GLOBAL {self._name} = {self._before}"))


@pytest.mark.parametrize("wrong", [{"title": "x" * 1_025}, {"quantity": 2**40}], ids=["too long", "too large"])
def test_failure_ahead_waits_for_its_turn(database: Engine, wrong: dict[str, Any]) -> None:
    """A chunk that fails while the one before it is still being written costs that one nothing, and is named."""
    failed = threading.Event()
    event.listen(database, "handle_error", lambda _context: failed.set())

    def hold(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO order_line_item") and "(10,1," in statement:
            assert failed.wait(PATIENCE_S)

    event.listen(database, "before_cursor_execute", hold)
    orders = [order(1), order(2, line_items=[line_item(20, **wrong)]), order(3)]

    with pytest.raises(RowRefused, match="order 2"):
        load(database, orders, budget=ONE_BY_ONE)

    assert [1] == column(database, order_header, "order_id")


def test_outage_ahead_waits_for_its_turn(database: Engine) -> None:
    """When a chunk ahead meets what nothing mends, the caller hears of it, and what came before is in."""
    failed = threading.Event()

    def meet(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO order_header") and '(2,"#1001"' in statement:
            failed.set()
            raise OperationalError("INSERT", None, pymysql.MySQLError(1290, "read-only"))
        if statement.startswith("INSERT INTO order_line_item") and "(10,1," in statement:
            assert failed.wait(PATIENCE_S)

    event.listen(database, "before_cursor_execute", meet)

    with pytest.raises(DatabaseUnavailable, match="read-only"):
        load(database, [order(1), order(2), order(3)], budget=ONE_BY_ONE)

    assert [1] == column(database, order_header, "order_id")
