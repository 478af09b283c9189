"""A run that fails, at whichever step: it says so, the watermark stays, and the next run leaves nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shopsync import errors
from shopsync.errors import SyncError
from tasks import watermark
from tests import lake_reader
from tests.e2e.history import History, records
from tests.e2e.world import World, environment
from tests.truth import stored_stamps


def nothing(_history: History) -> None:
    """What needs no repair."""


@dataclass(frozen=True)
class Condition:
    """Something around the run that is out of order from `begin` to `end`."""

    begin: Callable[[History], None] = nothing
    end: Callable[[History], None] = nothing


@dataclass(frozen=True)
class Trouble:
    """Something that ends a run in `step` with `error`; it is a case of one row of the matrix."""

    name: str
    row: str
    error: type[SyncError]
    step: str
    around: Condition = Condition()
    faults: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def unwritable(folder: str) -> Condition:
    """A folder of the lake that takes nothing."""
    return Condition(
        lambda history: history.world.storage.block(folder), lambda history: history.world.storage.unblock()
    )


def raw_unwritable() -> Condition:
    """The folder of the archives takes nothing any more, from the middle of the run on."""

    def begin(history: History) -> None:
        history.world.shop.faults.order_updated_during_run = lambda _shop: history.world.storage.block("raw")

    return Condition(begin, lambda history: history.world.storage.unblock())


def refusing(change: str, table: str, column: str | None = None) -> Condition:
    """A table that refuses a kind of change."""
    return Condition(
        lambda history: history.world.storage.refuse(change, table, column),
        lambda history: history.world.storage.allow(),
    )


BEFORE_THE_ARCHIVE = [
    Trouble("request refused", "400s that stay", errors.ShopRefused, "request", faults={"let_pass": 1, "forbidden": 1}),
    Trouble(
        "access denied",
        "access denied",
        errors.BulkAccessDenied,
        "poll",
        faults={"failed": 1, "failed_error_code": "ACCESS_DENIED"},
    ),
    Trouble(
        "operations fail",
        "fails always",
        errors.RetryBudgetSpent,
        "poll",
        faults={"failed": 99},
        settings={"RETRY_BUDGET_S": "1"},
    ),
    Trouble(
        "download never whole",
        "always truncated",
        errors.RetryBudgetSpent,
        "archive",
        faults={"truncated": 99},
        settings={"RETRY_BUDGET_S": "1"},
    ),
]
LATER = [
    Trouble(
        "operations outlast the smallest window",
        "never ends",
        errors.PollBudgetExhausted,
        "poll",
        faults={"runs_long": 99},
        settings={"POLL_ATTEMPTS": "1", "OVERLAP_S": "6"},
    ),
    Trouble("raw archive unwritable", "lake refuses", errors.LakeUnavailable, "archive", raw_unwritable()),
    Trouble("line broken", "broken line", errors.JsonlError, "archive", faults={"broken_line": 7}),
    Trouble("child without parent", "orphan", errors.JsonlError, "upsert", faults={"orphan_child": 1}),
    Trouble("rows refused", "rows refused", errors.RowRefused, "upsert", refusing("INSERT", "order_sale")),
    Trouble("events unwritable", "lake refuses", errors.LakeUnavailable, "events", unwritable("commerce.telemetry")),
    Trouble("sales unwritable", "lake refuses", errors.LakeUnavailable, "measure", unwritable("measurement.sales")),
    Trouble("days uncleared", "writes refused", errors.DatabaseUnavailable, "measure", refusing("DELETE", "dirty_day")),
    Trouble(
        "products refused",
        "writes refused",
        errors.DatabaseUnavailable,
        "products",
        refusing("UPDATE", "product", "net_sales_7d"),
    ),
    Trouble(
        "advance refused",
        "writes refused",
        errors.DatabaseUnavailable,
        "watermark",
        refusing("INSERT", "watermark_advance"),
    ),
]


def named(trouble: Trouble) -> Any:
    """The trouble as a parameter, under its name."""
    return pytest.param(trouble, id=trouble.name.replace(" ", "-"), marks=pytest.mark.proves(trouble.row))


def written_by_newest(world: World) -> list[str]:
    """What the newest run wrote but its records: rows of its own, and objects in the lake."""
    run_id = records(world)[-1]["run_id"]
    rows = [f"order {key}" for key, (by, _at) in stored_stamps(world.database).items() if by == run_id]
    return rows + [key for key in lake_reader.snapshot(world.lake) if run_id in key]


def fail(history: History, trouble: Trouble) -> SyncError:
    """Let a run meet the trouble, then end it; return the failure."""
    world = history.world
    trouble.around.begin(history)
    for name, value in trouble.faults.items():
        setattr(world.shop.faults, name, value)
    soon = {"RETRY_BASE_S": "0.01"}
    world.settings.update({f"SHOPSYNC_{name}": value for name, value in (soon | trouble.settings).items()})
    with pytest.raises(SyncError) as failed:
        history.sync()
    trouble.around.end(history)
    world.shop.faults.clear()
    world.settings.clear()
    return failed.value


def failed_as_told(history: History, trouble: Trouble) -> None:
    """Let a run meet the trouble, and check what it leaves: the watermark, and a record of what happened."""
    world = history.world
    before = world.watermark
    world.shop.trade(12, seed=3)

    failure = fail(history, trouble)

    told = records(world)[-1]
    assert before == world.watermark
    assert trouble.error is type(failure)
    assert ("failed", "failed", None) == (told["step"], told["status"], told["watermark_after"])
    assert (trouble.error.__name__, str(failure), trouble.step) == tuple(
        told["error"][name] for name in ("type", "message", "step")
    )


@pytest.mark.parametrize("trouble", [named(each) for each in BEFORE_THE_ARCHIVE])
def test_failed_run_keeps_watermark(settled: History, trouble: Trouble):
    """A run that fails before it has anything leaves the watermark and a failed record; the next one is exact."""
    failed_as_told(settled, trouble)

    assert [] == written_by_newest(settled.world)
    settled.sync()
    assert [] == settled.wrong()


@pytest.mark.parametrize("trouble", [named(each) for each in LATER])
def test_next_run_makes_a_failed_one_good(settled: History, trouble: Trouble):
    """A run that fails later does the same, and the next one brings everything to the truth."""
    failed_as_told(settled, trouble)

    settled.sync()

    assert [] == settled.wrong()


@pytest.mark.proves("broken line")
def test_broken_line_is_named(settled: History):
    """Of a line that cannot be read, key and number are in the record, and the bytes in the lake for whoever looks."""
    world = settled.world
    world.shop.trade(12, seed=3)

    fail(settled, next(trouble for trouble in LATER if trouble.name == "line broken"))

    told = records(world)[-1]["error"]
    assert 7 == told["line"]
    stored = lake_reader.archived_bytes(world.lake, records(world)[-1]["run_id"])
    assert {told["archive_key"]: world.shop.served_bytes(world.shop.operations[-1])} == stored


@pytest.mark.proves("no telemetry")
def test_lost_lake_is_told_as_such(settled: History):
    """When even the failed record cannot be written, the lake's failure is what the run ends with."""
    world = settled.world
    before = world.watermark
    world.shop.faults.order_updated_during_run = lambda _shop: world.storage.block("sync.telemetry")

    with pytest.raises(errors.LakeUnavailable, match="SHOPSYNC_LAKE_URL"):
        settled.sync()

    world.storage.unblock()
    assert before == world.watermark
    settled.sync()
    assert [] == settled.wrong()


def test_second_run_adds_no_sales(settled: History):
    """A run over what is here already changes no row, no figure and no file of them."""
    settled.sync()
    rows, files = settled.world.rows, lake_reader.snapshot(settled.world.lake, lake_reader.OF_ONE_RUN)

    settled.sync()

    assert [] == settled.wrong()
    assert rows == settled.world.rows
    assert files == lake_reader.snapshot(settled.world.lake, lake_reader.OF_ONE_RUN)


def test_watermark_never_goes_back(settled: History):
    """A run that finds only orders older than the watermark leaves it where it is."""
    world = settled.world
    before = world.watermark
    newest = max(world.shop.orders.values(), key=lambda order: order["updatedAt"])
    del world.shop.orders[newest["id"]]
    world.shop.touch(next(iter(world.shop.orders.values())), at=settled.standing - timedelta(seconds=60))

    settled.sync()

    assert before == world.watermark
    assert (1, None) == (records(world)[-1]["counts"]["orders"], records(world)[-1]["watermark_after"])
    assert [] == settled.wrong()


def test_overtaken_run_leaves_the_watermark(settled: History):
    """Where another run has moved the block further meanwhile, it stays there."""
    world = settled.world

    before = settled.standing

    with environment(world.environ):
        watermark.advance(world.block, world.shop.domain, before - timedelta(days=1))

    assert before == world.watermark
