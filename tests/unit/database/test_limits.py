"""
What the write path does about a server's limits and faults, by the texts that servers were recorded to give.

The faults are raised in place of a statement; tests/services runs this on MariaDB too, where it provokes what a real
server can be brought to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from shopsync.database.chunks import ChunkBudget
from shopsync.database.tables import archive_progress, order_header
from shopsync.database.writers import TRIES
from shopsync.errors import DatabaseUnavailable, RowRefused
from tests.database import column, load
from tests.factories import order

ROW_LIMIT = (
    1105,
    "target: shop.-.primary: vttablet: rpc error: code = Aborted desc = Row count exceeded 100000 (CallerID: shopsync)",
)
TOO_LONG = (
    1105,
    "target: shop.-.primary: vttablet: rpc error: code = Aborted desc = transaction 1700000000: ended at 2026-11-23 "
    "06:00:20 UTC (exceeded timeout: 20s) (CallerID: shopsync)",
)
KILLED = (1105, "vttablet: rpc error: code = Aborted desc = transaction 17: in use: for tx killer rollback")
DEADLINE = (1105, "code = Canceled desc = (errno 2013) due to context deadline exceeded, elapsed time: 20.1s")
POOL = (1105, "code = ResourceExhausted desc = transaction pool connection limit exceeded (CallerID: shopsync)")
PACKET = (1153, "Got a packet bigger than 'max_allowed_packet' bytes")
DEADLOCK = (1213, "Deadlock found when trying to get lock; try restarting transaction")
LOST = (2013, "Lost connection to MySQL server during query")
READ_ONLY = (1290, "The MariaDB server is running with the --read-only option so it cannot execute this statement")
FULL = (1114, "The table 'order_header' is full")

EIGHT = [order(number) for number in range(1, 9)]
WHOLE = ChunkBudget(rows=1_000, bytes=1_000_000)
Fault = tuple[int, str]
Meets = Callable[[int], Fault | None]


@contextmanager
def server_that(database: Engine, meets: Meets) -> Iterator[list[int]]:
    """Raise what `meets` says of a number of headers in place of writing them; give the numbers that were tried."""
    tried: list[int] = []

    def before(_conn: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.startswith("INSERT INTO order_header"):
            tried.append(len(parameters) if many else statement.count('"#1001"') or 1)
            fault = meets(tried[-1])
            if fault:
                raise OperationalError("INSERT", None, pymysql.MySQLError(*fault))

    event.listen(database, "before_cursor_execute", before)
    yield tried
    event.remove(database, "before_cursor_execute", before)


def once(fault: Fault, times: int = 1) -> Meets:
    """Meet a fault the first time, or the first few times, and never again."""
    faults = iter([fault] * times)
    return lambda _headers: next(faults, None)


def beyond(limit: int, fault: Fault) -> Meets:
    """Meet a fault with more headers than `limit`."""
    return lambda headers: fault if headers > limit else None


@pytest.mark.proves("row limit")
@pytest.mark.parametrize("fault", [ROW_LIMIT, TOO_LONG, KILLED, DEADLINE, PACKET])
def test_limit_halves_the_chunk(database: Engine, fault: Fault) -> None:
    """What is too much is never sent again unchanged, but in halves; each order is in once."""
    with server_that(database, beyond(3, fault)) as tried:
        progress = load(database, EIGHT, budget=WHOLE)

    assert [8, 4, 2, 2, 4, 2, 2] == tried
    assert list(range(1, 9)) == column(database, order_header, "order_id")
    assert (8, 8, 8, 0) == (progress.orders, progress.line_items, progress.sales, progress.unchanged)


def test_limit_is_remembered(database: Engine) -> None:
    """The chunks after one that was too large are smaller, and grow back slowly."""
    orders = [order(number) for number in range(1, 201)]

    with server_that(database, once(ROW_LIMIT)) as tried:
        load(database, orders, budget=ChunkBudget(rows=96, bytes=1_000_000), writers=1)

    assert 32 == tried[0]
    assert max(tried[4:8]) < 32
    assert sorted(tried[5:-1]) == tried[5:-1]
    assert 200 == len(column(database, order_header, "order_id"))


def test_one_order_too_many_is_named(database: Engine) -> None:
    """An order that alone meets the limit is named; those before it are in."""
    with server_that(database, beyond(0, ROW_LIMIT)), pytest.raises(RowRefused, match=r"order 1: .*Row count exceeded"):
        load(database, EIGHT, budget=WHOLE)

    assert [] == column(database, order_header, "order_id")
    assert [0] == column(database, archive_progress, "orders")


@pytest.mark.parametrize(("fault", "longest_s"), [(DEADLOCK, 2.0), (POOL, 15.0)])
def test_passing_fault_is_tried_again(database: Engine, fault: Fault, longest_s: float) -> None:
    """A deadlock or an exhausted pool costs a moment, not the run."""
    waits: list[float] = []

    with server_that(database, once(fault, 2)) as tried:
        progress = load(database, EIGHT, budget=WHOLE, sleep=waits.append)

    assert [8, 8, 8] == tried
    assert 2 == len(waits)
    assert max(waits) <= longest_s
    assert (8, 0) == (progress.orders, progress.unchanged)


def test_endless_fault_is_told(database: Engine) -> None:
    """After some tries the step fails in the server's words, and nothing of the chunk is in."""
    with (
        server_that(database, beyond(0, POOL)) as tried,
        pytest.raises(DatabaseUnavailable, match="pool connection limit exceeded"),
    ):
        load(database, EIGHT, budget=WHOLE, sleep=lambda seconds: None)

    assert [8] * TRIES == tried
    assert [] == column(database, order_header, "order_id")


def test_lost_connection_is_tried_again(database: Engine) -> None:
    """A connection lost in mid-chunk is replaced after a moment."""
    waits: list[float] = []

    with server_that(database, once(LOST)) as tried:
        load(database, EIGHT, budget=WHOLE, sleep=waits.append)

    assert [8, 8] == tried
    assert 1 == len(waits)
    assert max(waits) <= 2.0
    assert list(range(1, 9)) == column(database, order_header, "order_id")


def test_connection_lost_again_halves(database: Engine) -> None:
    """A chunk that loses its connection twice is halved: its size may be the reason."""
    with server_that(database, beyond(4, LOST)) as tried:
        load(database, EIGHT, budget=WHOLE, sleep=lambda seconds: None)

    assert [8, 8, 4, 4] == tried
    assert list(range(1, 9)) == column(database, order_header, "order_id")


def test_each_fault_has_its_own_tries(database: Engine) -> None:
    """A connection that is lost once is not taken for lost twice because the chunk had met a deadlock before."""
    faults = iter([DEADLOCK, LOST])

    with server_that(database, lambda _headers: next(faults, None)) as tried:
        progress = load(database, EIGHT[:1], budget=WHOLE, sleep=lambda seconds: None)

    assert [1, 1, 1] == tried
    assert 1 == progress.orders


def test_chunks_grow_back_after_busy_server(database: Engine) -> None:
    """A server that had no connection left for a moment, and met a limit, gets whole chunks again in the end."""
    orders = [order(number, line_items=[], sales=[]) for number in range(1, 1_500)]
    faults = iter([POOL, None, ROW_LIMIT])

    with server_that(database, lambda _headers: next(faults, None)) as tried:
        load(database, orders, budget=ChunkBudget(rows=32, bytes=1_000_000), sleep=lambda seconds: None)

    assert min(tried[3:8]) <= 16
    assert 32 == tried[-2]
    assert 1_499 == len(column(database, order_header, "order_id"))


@pytest.mark.parametrize(
    ("fault", "words"), [(READ_ONLY, "--read-only option"), (FULL, r"its disk is full \(The table 'order_header'")]
)
def test_lasting_fault_is_told(database: Engine, fault: Fault, words: str) -> None:
    """What no other try can mend fails at once, in words."""
    with server_that(database, beyond(0, fault)) as tried, pytest.raises(DatabaseUnavailable, match=words):
        load(database, EIGHT, budget=WHOLE)

    assert [8] == tried


def test_fault_leaves_what_was_committed(database: Engine) -> None:
    """A run that failed goes on behind the last chunk that was committed."""
    budget = ChunkBudget(rows=6, bytes=1_000_000)
    faults = iter([None, None, READ_ONLY])
    with server_that(database, lambda _headers: next(faults, READ_ONLY)), pytest.raises(DatabaseUnavailable):
        load(database, EIGHT, budget=budget, writers=1)

    with server_that(database, lambda _headers: None) as tried:
        progress = load(database, EIGHT, budget=budget)

    assert [2, 2] == tried
    assert (8, 0) == (progress.orders, progress.unchanged)
