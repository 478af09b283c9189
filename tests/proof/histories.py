"""
Random histories of a shop and of its runs, against the truth: whatever happens, in whatever order, nothing is wrong.

Orders change, clocks move, runs of every kind come, fail, die and go on. After each step what must always hold is
looked at, and after each run that completed everything.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ClassVar

from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shopsync.errors import ArchiveMismatch, SyncError, WindowError
from tests import reference
from tests.proof.stage import Death, Killed, Stage, staged
from tests.simulator import Shop
from tests.simulator.generate import random_order

AT = datetime(2026, 11, 20, 6, tzinfo=UTC)
DAYS = 12

FAULTS: list[dict[str, Any]] = [
    {"let_pass": 1, "forbidden": 1},
    {"let_pass": 3, "server_error": 2},
    {"lost_answer": 1},
    {"failed": 1},
    {"failed": 9, "failed_error_code": "ACCESS_DENIED"},
    {"canceled_by_shopify": 1, "expired": 1},
    {"runs_long": 1},
    {"truncated": 1, "reset_mid_file": 1},
    {"broken_line": 3},
    {"orphan_child": 1},
    {"shuffled": True},
    {"interleaved": True, "duplicate_line": 1},
    {"wrong_root_object_count": 1, "bad_files": 1},
    {"search_lag_s": 100.0},
]

UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
"""What hypothesis would say of histories, each of which takes a second."""

between_chunks = st.builds(Death, st.integers(1, 4), st.just("chunks"))
deaths = st.none() | st.none() | st.builds(Death, st.integers(0, 420)) | between_chunks
"""When a run dies; one that does not come so far lives."""
trades = st.tuples(st.integers(0, 5), st.integers(0, 999))
"""How many orders come or change before a run, and the seed that chooses how."""
some_trades = st.tuples(st.integers(1, 5), st.integers(0, 999))


class Histories(RuleBasedStateMachine):
    """One history; `tally` counts what all of them had: histories, runs by how they ended, rows compared."""

    tally: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.world = ExitStack()
        self.reached: datetime | None = None
        self.interrupted: Callable[..., object] | None = None
        self.latest_day = date.min

    @initialize(seed=st.integers(0, 999), orders=st.integers(0, 14))
    def open(self, seed: int, orders: int) -> None:
        """A shop with some orders of the last days, and nothing else yet."""
        folder = Path(self.world.enter_context(tempfile.TemporaryDirectory(prefix="shopsync-history-")))
        shop = Shop(seed=seed, orders=orders, now=AT, days=DAYS)
        self.tally["histories"] += 1
        self.stage: Stage = self.world.enter_context(staged(shop, folder))

    def teardown(self) -> None:
        """Let everything be well for a day, and a run come: it leaves nothing wrong. Then forget the history."""
        with self.world:
            if hasattr(self, "stage"):
                self.stage.shop.faults.clear()
                self.stage.skew = timedelta(0)
                self.stage.shop.clock.advance(timedelta(hours=30))
                self.stage.sync()
                assert [] == self.stage.wrong()

    # --- what happens ---

    @rule(minutes=st.sampled_from([1, 4, 30, 60 * 7, 60 * 25]))
    def wait(self, minutes: int) -> None:
        """Time passes."""
        self.stage.shop.clock.advance(timedelta(minutes=minutes))

    @rule(seconds=st.sampled_from([-3_600, -90, 0, 90, 3_600]))
    def set_clock(self, seconds: int) -> None:
        """This machine's clock jumps, away from Shopify's or back to it."""
        self.stage.skew = timedelta(seconds=seconds)

    @rule(faults=st.sampled_from(FAULTS))
    def bad_day(self, faults: dict[str, Any]) -> None:
        """Shopify has a bad day, until the end of the next run."""
        for name, value in faults.items():
            setattr(self.stage.shop.faults, name, value)

    @rule(traded=trades, dies=deaths)
    def daily(self, traded: tuple[int, int], dies: Death | None) -> None:
        """The shop trades, and a daily run comes."""
        self._trade(*traded)
        self._run(self.stage.sync, dies=dies)

    @precondition(lambda self: self.interrupted is not None)
    @rule(traded=trades, dies=deaths)
    def resume(self, traded: tuple[int, int], dies: Death | None) -> None:
        """The shop trades on, and the last run that did not end well goes on under its id."""
        self._trade(*traded)
        assert self.interrupted is not None
        run, self.interrupted = self.interrupted, None
        self._run(run, dies=dies)

    @rule(traded=trades, dies=between_chunks)
    def die_between_chunks(self, traded: tuple[int, int], dies: Death) -> None:
        """A daily run dies with some chunks of its archive in, and goes on at once."""
        self.daily(traded, dies)
        if self.interrupted is not None:
            self.resume((0, 0), None)

    @rule(traded=some_trades, bought=some_trades, dies=st.builds(Death, st.integers(20, 160)) | between_chunks)
    def overtake(self, traded: tuple[int, int], bought: tuple[int, int], dies: Death) -> None:
        """A daily run dies with its window fixed, a newer one brings new orders, and the older goes on with its own."""
        self.daily(traded, dies)
        older, self.interrupted = self.interrupted, None
        shop, (count, seed) = self.stage.shop, bought
        shop.clock.advance(timedelta(minutes=10))
        for number in range(count):
            random_order(shop, Random(seed + number), shop.clock.now(), shop.clock.now())
        self.daily((0, 0), None)
        if older is not None:
            self.interrupted = older
            self.resume((0, 0), None)

    @precondition(lambda self: self._archives())
    @rule(traded=trades, which=st.integers(0, 99))
    def go_back(self, traded: tuple[int, int], which: int) -> None:
        """Orders change and are brought in; then somebody replays an archive of before."""
        archives = self._archives()
        self.daily(traded, None)
        self._run(partial(self.stage.replay, archive=archives[which % len(archives)]), dies=None)

    @rule(first=st.integers(1, DAYS), length=st.integers(1, DAYS), window_days=st.integers(2, 9), dies=deaths)
    def backfill(self, first: int, length: int, window_days: int, dies: Death | None) -> None:
        """Somebody backfills some days."""
        now = self.stage.now()
        start = now - timedelta(days=first)
        end = min(start + timedelta(days=length), now - timedelta(hours=1))
        self._run(partial(self.stage.backfill, start, end, window_days=window_days), dies=dies)

    @precondition(lambda self: self._archives())
    @rule(which=st.integers(0, 99), dies=deaths)
    def replay(self, which: int, dies: Death | None) -> None:
        """Somebody replays an archive."""
        archives = self._archives()
        self._run(partial(self.stage.replay, archive=archives[which % len(archives)]), dies=dies)

    def _trade(self, count: int, seed: int) -> None:
        self.stage.shop.clock.advance(60)
        self.stage.shop.trade(count, seed=seed)

    def _run(self, run: Callable[..., object], dies: Death | None) -> None:
        """Let a run come; whatever becomes of it, what it says of itself must be so."""
        stage = self.stage
        try:
            run(dies=dies)
        except Killed:
            self.tally["killed"] += 1
            self.interrupted = partial(run, run_id=stage.run_id, requested_at=stage.requested_at)
        except WindowError as refusal:
            self.tally["refused"] += 1
            # By this clock it is asked for ahead, or the watermark lies ahead: nothing was touched.
            assert "future" in str(refusal) or "clock" in str(refusal), refusal
        except ArchiveMismatch as refusal:
            self.tally["refused"] += 1
            # An attempt at a download has left it, which another replaced: nothing was touched.
            assert "does not name it" in str(refusal), refusal
            assert [] == stage.records()
        except SyncError as failure:
            self.tally["failed"] += 1
            self.interrupted = partial(run, run_id=stage.run_id, requested_at=stage.requested_at)
            told = stage.records()[-1]
            assert ("failed", type(failure).__name__, str(failure)) == (
                told["status"],
                told["error"]["type"],
                told["error"]["message"],
            )
        else:
            self.tally["completed"] += 1
            assert "completed" == stage.records()[-1]["status"]
            self._look_at_everything()
        self.latest_day = max(self.latest_day, reference.as_of_day(stage.requested_at, stage.zone))
        stage.shop.faults.clear()
        self.watermark_never_goes_back()  # a move of several runs might hide it

    def _look_at_everything(self) -> None:
        # Figures of a later day stay; which run brought them last is not known here.
        if self.latest_day <= reference.as_of_day(self.stage.requested_at, self.stage.zone):
            assert [] == self.stage.wrong()

    def _archives(self) -> list[str]:
        folders = (self.stage.lake / "raw/shopify/orders").glob("date=*/run_id=*/manifest.json")
        archives = [path.relative_to(self.stage.lake) for each in folders for path in each.parent.glob("*.zst")]
        return sorted(str(path) for path in archives)

    # --- what always holds ---

    @invariant()
    def watermark_never_goes_back(self) -> None:
        """The watermark stands, or moves on."""
        before, self.reached = self.reached, self.stage.watermark
        assert before is None or (self.reached is not None and before <= self.reached)

    @invariant()
    def rows_are_those_of_the_shop(self) -> None:
        """No row is missing, doubled, older than what was fetched, or left by what its order no longer has."""
        self.tally["rows"] += sum(len(rows) for rows in self.stage.truth.tables.values())
        assert [] == self.stage.wrong_rows()

    @invariant()
    def figures_are_right_or_owed(self) -> None:
        """Each day's measurement is that of its sales, or the day is marked."""
        assert [] == self.stage.wrong_days()

    @invariant()
    def nothing_is_skipped(self) -> None:
        """Every order that changed up to the watermark is in, as it is now."""
        assert [] == self.stage.missing()
