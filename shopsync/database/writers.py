"""
Chunks of one archive, written side by side and committed in the archive's order.

A chunk is written ahead of its turn, waits for the one before it, and commits. Whatever goes wrong with it is mended
in its turn, with no other transaction of ours in the way: again after a moment, or in ever smaller pieces, down to
one order, which is then named.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine
from tenacity import RetryCallState, Retrying, retry_if_exception

from shopsync.database.chunks import Chunks
from shopsync.database.engine import ask, transaction
from shopsync.database.faults import DRIVER_ERRORS, Fault, described, fault, in_our_words
from shopsync.database.orders import PreparedOrders, Written, finish_orders, prepare_orders, write_orders
from shopsync.database.progress import ProgressKey, UpsertProgress, advance, forgotten, stored
from shopsync.errors import RowRefused
from shopsync.records import Order, Product

TURN_S = 1.0
"""
How long a written chunk waits for the one before it: then it gives its locks back until its turn comes.

Its predecessor may wait for one of them, by way of another run: a circle that no server sees whole.
"""
TRIES = 6
REMEMBERED = 20_000
"""Products, about 10 MB of them."""
ALONE = 16
"""How many chunks are written one after the other once the server had no connection left, before it is asked again."""
_TRIES = {Fault.CONFLICT: TRIES, Fault.BUSY: TRIES, Fault.LOST: 2}
"""How often a chunk may meet each; a connection that is lost twice has a reason, which may be the chunk's size."""
_PAUSES_S = {Fault.CONFLICT: (0.05, 2.0), Fault.BUSY: (1.0, 15.0), Fault.LOST: (0.05, 2.0)}
"""The first pause at most, which doubles, and the longest; each is drawn at random below."""
_HALVED = {Fault.TOO_LARGE, Fault.LOST, Fault.REFUSED}
"""For a lost connection only a server that answers is a reason: one that is away would lose any."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Orders `first`, `first + 1`, ... of an archive.

    `ready` is None for what has to be written in its turn; `whole` tells a chunk from the pieces that it was cut in.
    """

    number: int
    first: int
    orders: Sequence[Order]
    ready: PreparedOrders | None = None
    whole: bool = True

    @property
    def rows(self) -> int:
        """How many table rows it has."""
        return sum(order.rows for order in self.orders)

    def halves(self) -> tuple[Chunk, Chunk]:
        """Cut it in two."""
        half = len(self.orders) // 2
        return (
            Chunk(self.number, self.first, self.orders[:half], whole=False),
            Chunk(self.number, self.first + half, self.orders[half:], whole=False),
        )


class _InTurnInstead(Exception):
    """The attempt ahead came to nothing: it waited too long, or what is in has moved."""


class _Stopped(Exception):
    """A chunk before this one failed: nothing is committed any more."""


@dataclass
class Writers:
    """The writers of one archive: `write` may run in several threads at once; after a failure none commits any more."""

    engine: Engine
    key: ProgressKey
    synced_at: datetime
    zone: ZoneInfo
    cut: Chunks
    progress: UpsertProgress
    at_once: int
    sleep: Callable[[float], None]

    def __post_init__(self) -> None:
        self._turn = threading.Condition()
        self._next = 0
        self._stopped = False
        self._alone = 0
        self._prepared = self.progress.orders
        self._recent = deque[set[int]](maxlen=self.at_once + 1)
        self._offered = dict[int, Product]()

    def prepare(self, number: int, orders: Sequence[Order]) -> Chunk:
        """Build a chunk's statements; called for one chunk after the other."""
        first, self._prepared = self._prepared, self._prepared + len(orders)
        keys = {order.header.order_id for order in orders}
        comes_again = any(not keys.isdisjoint(earlier) for earlier in self._recent)
        self._recent.append(keys)
        if comes_again:  # ahead, it would hold its lock against the chunk that it has to wait for
            return Chunk(number, first, orders)
        try:
            return Chunk(number, first, orders, self._ready(orders))
        except (UnicodeEncodeError, OverflowError):  # which order it is comes out in its turn
            return Chunk(number, first, orders)

    def write(self, chunk: Chunk) -> UpsertProgress:
        """
        Write a chunk, commit it in its turn, and return what is in then.

        Raises:
            RowRefused, InexactMoney, DatabaseUnavailable, SchemaOutdated: As `upsert_orders`.
        """
        try:
            progress = self._written(chunk)
        except Exception:
            # Those before it are well: they commit, and this failure is the one that the caller hears of.
            self._comes(chunk.number)
            with self._turn:
                self._stopped = True
                self._turn.notify_all()
            raise
        with self._turn:
            self.progress = progress
            self._next = chunk.number + 1
            self._turn.notify_all()
        return progress

    def _written(self, chunk: Chunk) -> UpsertProgress:
        met = _Met()
        tries = Retrying(
            retry=retry_if_exception(met.passes),
            stop=met.enough,
            wait=met.pause_s,
            before_sleep=self._tell,
            sleep=lambda seconds: self.sleep(seconds) if seconds else None,
            reraise=True,
        )
        try:
            return tries(self._attempt, chunk, tries)
        except DRIVER_ERRORS as error:
            return self._halved(chunk, error)

    def _attempt(self, chunk: Chunk, tries: Retrying) -> UpsertProgress:
        again = tries.statistics["attempt_number"] > 1
        return self._in_turn(chunk) if again or self._alone or chunk.ready is None else self._ahead(chunk, chunk.ready)

    def _ahead(self, chunk: Chunk, ready: PreparedOrders) -> UpsertProgress:
        with transaction(self.engine) as connection:
            written = write_orders(connection, ready, self.zone)
            if not self._comes(chunk.number, TURN_S) or self.progress.orders != chunk.first:
                raise _InTurnInstead
            progress = self._finish(connection, ready, chunk.orders, self.progress, written)
        self._remember(ready.products)
        self.cut.grow()
        return progress

    def _in_turn(self, chunk: Chunk) -> UpsertProgress:
        self._comes(chunk.number)
        with transaction(self.engine) as connection:
            before = stored(connection, self.key)
            if before.orders < chunk.first:
                raise forgotten(self.engine)
            # A commit that nobody heard of may have brought them in, or another process under this run id.
            rest = chunk.orders[before.orders - chunk.first :]
            if not rest:
                return before
            ready = self._ready(rest)
            written = write_orders(connection, ready, self.zone)
            progress = self._finish(connection, ready, rest, before, written)
        self._remember(ready.products)
        self._alone = max(0, self._alone - 1)
        if chunk.whole:
            self.cut.grow()
        return progress

    def _halved(self, chunk: Chunk, error: BaseException) -> UpsertProgress:
        trouble = fault(error)
        if trouble not in _HALVED:
            raise in_our_words(self.engine.url, error) from error
        if trouble is Fault.LOST:
            ask(self.engine)
        if len(chunk.orders) == 1:
            raise RowRefused(chunk.orders[0].header.order_id, described(error)) from error
        self._comes(chunk.number)
        if trouble is not Fault.REFUSED:
            self.cut.shrink(chunk.rows)
            _log.warning("%d orders at once are too many, going on in halves: %s", len(chunk.orders), described(error))
        former, latter = chunk.halves()
        self._written(former)
        return self._written(latter)

    def _ready(self, orders: Sequence[Order]) -> PreparedOrders:
        return prepare_orders(self.engine.dialect.name, orders, run_id=self.key.run_id, synced_at=self.synced_at)

    def _finish(
        self,
        connection: Connection,
        ready: PreparedOrders,
        orders: Sequence[Order],
        before: UpsertProgress,
        written: Written,
    ) -> UpsertProgress:
        offered = [each for each in ready.products if self._offered.get(each.product_id) != each]
        finish_orders(connection, offered, written.days)
        after = _after(before, orders, written)
        if not advance(connection, self.key, before, after):
            raise _InTurnInstead
        return after

    def _remember(self, products: Sequence[Product]) -> None:
        """Offer no snapshot of a product twice: most orders show what the last ones showed."""
        if len(self._offered) > REMEMBERED:
            self._offered.clear()
        self._offered.update((product.product_id, product) for product in products)

    def _comes(self, number: int, within_s: float | None = None) -> bool:
        """Wait for a chunk's turn; return whether it came."""
        with self._turn:
            came = self._turn.wait_for(lambda: self._stopped or self._next == number, within_s)
            if self._stopped:
                raise _Stopped
            return came

    def _tell(self, state: RetryCallState) -> None:
        failure = _failure(state)
        if fault(failure) is Fault.BUSY:
            self._alone = ALONE
        if not isinstance(failure, _InTurnInstead):
            _log.warning("a chunk is written again in %.1f s: %s", state.upcoming_sleep, described(failure))


def _after(before: UpsertProgress, orders: Sequence[Order], written: Written) -> UpsertProgress:
    newest = max(order.header.updated_at for order in orders)
    return replace(
        before,
        orders=before.orders + len(orders),
        line_items=before.line_items + sum(len(order.line_items) for order in orders),
        sales=before.sales + sum(len(order.sales) for order in orders),
        unchanged=before.unchanged + len(orders) - written.changed,
        removed=before.removed + written.removed,
        max_updated_at=newest if before.max_updated_at is None else max(before.max_updated_at, newest),
    )


def _failure(state: RetryCallState) -> BaseException:
    failure = state.outcome.exception() if state.outcome else None
    assert failure is not None, "tenacity asks only after a failure"
    return failure


class _Met:
    """What a chunk has met so far; each kind of fault has tries of its own, and moving into its turn costs none."""

    def __init__(self) -> None:
        self._times = Counter[Fault]()

    def passes(self, error: BaseException) -> bool:
        """Count a failure; return whether another try may not meet it."""
        if isinstance(error, _InTurnInstead):
            return True
        self._times[fault(error)] += 1
        return fault(error) in _TRIES

    def enough(self, state: RetryCallState) -> bool:
        """Return whether a kind of fault was met as often as it may be."""
        trouble = _trouble(state)
        return trouble is not None and self._times[trouble] >= _TRIES[trouble]

    def pause_s(self, state: RetryCallState) -> float:
        """Return how long to wait before the next try."""
        trouble = _trouble(state)
        if trouble is None:
            return 0.0
        first_s, longest_s = _PAUSES_S[trouble]
        return random.uniform(0, min(longest_s, first_s * 2.0 ** (self._times[trouble] - 1)))  # noqa: S311 - no secret


def _trouble(state: RetryCallState) -> Fault | None:
    failure = _failure(state)
    return None if isinstance(failure, _InTurnInstead) else fault(failure)
