"""A backfill brings a range in exactly, window by window, and leaves the watermark alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deployments.__main__ import main
from flows.backfill import backfill
from shopsync.errors import BackfillIncomplete, DatabaseUnavailable, WindowError
from tests import lake_reader
from tests.e2e.backfilled import Backfilled
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import records
from tests.e2e.world import World, environment, now
from tests.simulator import Shop
from tests.soak import victim

DAY = timedelta(days=1)


def test_every_row_and_day_is_exact(long_history: Backfilled):
    """Rows, every measurement day, the performance and the products are those of the whole history."""
    assert [] == long_history.wrong() + long_history.manifest_problems()


def test_backfill_keeps_watermark(long_history: Backfilled):
    """The block stays where it was, and no record of the backfill knows a watermark."""
    world = long_history.world
    told = [record for record in lake_reader.read_telemetry(world.lake) if record["job_type"] != "DAILY_SYNC_EXECUTE"]

    assert long_history.standing == world.watermark
    assert {(None, None)} == {(record["watermark_before"], record["watermark_after"]) for record in told}


def test_windows_are_runs(long_history: Backfilled):
    """Each window has records, an archive and a manifest of its own; they touch each other and cover the range."""
    world = long_history.world
    windows = long_history.windows("window_start", "window_end", "status", "run_id")

    manifests = [lake_reader.read_manifest(world.lake, run_id) for *_, run_id in windows]
    assert {"done"} == {status for *_, status, _ in windows}
    assert [end for _, end, *_ in windows[:-1]] == [start for start, *_ in windows[1:]]
    assert {("FULL_BACKFILL_EXECUTE", "created_at", long_history.run_id)} == {
        (each["job_type"], each["window_field"], each["parent_run_id"]) for each in manifests
    }
    assert {"completed"} == {records(world, run_id)[-1]["status"] for *_, run_id in windows}


def test_parent_tells_the_whole(long_history: Backfilled):
    """The backfill's own records tell the range, the reason and the sum of what its windows brought."""
    told = records(long_history.world, long_history.run_id)

    (orders,) = {record["counts"]["orders"] for record in told[-1:]}
    assert ("initiated", "completed") == (told[0]["status"], told[-1]["status"])
    assert "a test" == told[-1]["reason"]
    assert sum(count for (count,) in long_history.windows("orders")) == orders
    assert len(long_history.world.shop.orders) == orders


def test_list_of_runs_is_rebuilt_from_their_records(long_history: Backfilled):
    """Emptied, the projection comes back from the lake to the last column: a daily run, a backfill, its windows."""
    world = long_history.world
    tables = ("sync_run", "sync_step")
    live = [sorted(world.storage.select(f"SELECT * FROM {table}"), key=repr) for table in tables]
    _ = [world.storage.write(f"DELETE FROM {table}") for table in tables]

    with environment(world.environ):
        code = main(["rebuild-runs"])

    assert 0 == code
    assert live == [sorted(world.storage.select(f"SELECT * FROM {table}"), key=repr) for table in tables]


def test_nearly_empty_windows_grow(long_history: Backfilled):
    """A quiet shop needs few operations: windows double while they bring little."""
    lengths = [length / 86_400 for (length,) in long_history.windows("length_s")]

    assert [30, 60, 120, 240] == lengths


def test_completed_backfill_is_not_run_again(long_history: Backfilled):
    """The same run id a second time asks Shopify for nothing."""
    world, end = (
        long_history.world,
        datetime.fromisoformat(records(long_history.world, long_history.run_id)[0]["window_end"]),
    )
    before = len(world.shop.requests)

    again = world.backfill(end - 401 * DAY, end, run_id=UUID(long_history.run_id))

    assert long_history.run_id == again.run_id
    assert before == len(world.shop.requests)


@pytest.fixture
def filled(open_world: OpenWorld) -> Backfilled:
    """A small shop of 60 days, nothing of which is here."""
    return Backfilled(
        open_world(Shop(seed=42, orders=80, now=now() - timedelta(minutes=5), days=60, operation_seconds=0.2))
    )


EMBEDDED = pytest.mark.parametrize("storage", ["embedded"], indirect=True)


@EMBEDDED
def test_range_by_update(filled: Backfilled):
    """By update, orders that changed in the range are brought in, whenever they were created."""
    end = now() - 10 * DAY

    filled.backfill(end - 20 * DAY, end, "updated")

    assert [] == filled.wrong()


@EMBEDDED
def test_slow_window_is_halved(filled: Backfilled):
    """A window that outlasts the poll budget is cancelled and halved; the rest of it is a window of its own."""
    end = now()
    filled.world.settings |= {"SHOPSYNC_POLL_ATTEMPTS": "20", "SHOPSYNC_POLL_INTERVAL_S": "0.1"}
    filled.world.shop.faults.runs_long_over = 20 * DAY

    filled.backfill(end - 60 * DAY, end, window_days=30)

    days = [
        datetime.fromisoformat(b) - datetime.fromisoformat(a) for a, b in filled.windows("window_start", "window_end")
    ]
    assert [15 * DAY] * 4 == days
    assert [1, 0, 0, 0] == [halved for (halved,) in filled.windows("halved")]
    assert ["CANCELED", "COMPLETED"] == sorted({each.status for each in filled.world.shop.operations})
    assert 0 == sum(operation.is_open for operation in filled.world.shop.operations)
    assert [] == filled.wrong()


@EMBEDDED
def test_large_result_is_halved(filled: Backfilled):
    """A window whose result has too many lines is not downloaded, but asked for in parts."""
    end = now()
    filled.world.settings["SHOPSYNC_BACKFILL_LINES"] = "300"

    filled.backfill(end - 60 * DAY, end)

    archived = [lake_reader.read_manifest(filled.world.lake, run_id) for (run_id,) in filled.windows("run_id")]
    assert max(file["lines"] for each in archived for file in each["files"]) <= 300
    assert [] == filled.wrong()


@EMBEDDED
def test_broken_file_is_asked_for_anew(filled: Backfilled):
    """A window whose file is broken is tried again with a new operation."""
    end = now()
    filled.world.shop.faults.broken_line, filled.world.shop.faults.bad_files = 2, 2

    filled.backfill(end - 60 * DAY, end)

    assert 3 <= len(filled.world.shop.operations)
    assert [] == filled.wrong()


@EMBEDDED
def test_file_that_only_the_parser_refuses_is_asked_for_anew(filled: Backfilled):
    """So is a window whose file is whole, and makes no sense; vouched for is the file that did, kept are both."""
    end = now()
    filled.world.shop.faults.orphan_child, filled.world.shop.faults.bad_files = 1, 1

    filled.backfill(end - 60 * DAY, end, window_days=60)

    assert [("done", 1)] == filled.windows("status", "failures")
    ((run_id,),) = filled.windows("run_id")
    assert 2 == len(filled.world.shop.operations)
    assert filled.world.shop.operations[-1].id == lake_reader.read_manifest(filled.world.lake, run_id)["operation_id"]
    assert 2 == len(lake_reader.archived_bytes(filled.world.lake, run_id))
    assert [] == filled.wrong()


@EMBEDDED
def test_failed_window_fails_by_name(filled: Backfilled):
    """A window that cannot be brought in is named; the others are done, and the same run id tries it again."""
    end, run_id = now(), uuid4()
    filled.world.shop.faults.broken_line, filled.world.shop.faults.bad_files = 2, 3

    with pytest.raises(BackfillIncomplete, match="line 2") as failed:
        filled.backfill(end - 60 * DAY, end, run_id=run_id, window_days=20)

    last = records(filled.world, run_id)[-1]
    assert ("failed", "BackfillIncomplete") == (last["status"], last["error"]["type"])
    assert ["failed", "done", "done"] == [status for (status,) in filled.windows("status")]
    assert 1 == len(failed.value.windows)
    asked = len(filled.world.shop.operations)
    filled.backfill(end - 60 * DAY, end, run_id=run_id, window_days=20)
    assert asked + 1 == len(filled.world.shop.operations)
    assert [] == filled.wrong()


@EMBEDDED
def test_spent_budget_ends_the_backfill(filled: Backfilled):
    """A window that waited for a slot as long as a run may wait is the last: the next would wait as long."""
    end, shop = now(), filled.world.shop
    others = [shop.foreign_operation() for _ in range(5)]
    filled.world.settings["SHOPSYNC_RETRY_BUDGET_S"] = "1"

    with pytest.raises(BackfillIncomplete, match="slots are taken"):
        filled.backfill(end - 60 * DAY, end, window_days=20)

    assert ["failed", "planned"] == [status for (status,) in filled.windows("status")]
    assert len(others) == len(shop.operations)


@EMBEDDED
def test_refused_begin_does_not_bind(filled: Backfilled, tmp_path: Path):
    """A backfill that could not begin has said so under its run id, which begins it later all the same."""
    end, run_id = now(), uuid4()
    filled.world.settings["SHOPSYNC_DATABASE_URL"] = f"sqlite:///{tmp_path}"
    with pytest.raises(DatabaseUnavailable):
        filled.backfill(end - 9 * DAY, end, run_id=run_id)
    del filled.world.settings["SHOPSYNC_DATABASE_URL"]

    filled.backfill(end - 9 * DAY, end, run_id=run_id)

    assert ["failed", "initiated"] == [record["step"] for record in records(filled.world, run_id)[:2]]
    assert [] == filled.wrong()


@EMBEDDED
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--start", "2025-02-01T00:00:00Z", "--end", "2099-01-01T00:00:00Z"], "lies in the future"),
        (["--start", "yesterday", "--end", "2025-03-01T00:00:00Z"], "is not an ISO 8601 time"),
    ],
)
def test_senseless_command_is_refused(world: World, tmp_path: Path, arguments: list[str], words: str):
    """What makes no sense is refused in one line, and nothing is written."""
    with environment(world.environ):  # for the process that runs are forked from
        code, said = victim.run(world.environ, [*arguments, "--reason", "a test"], tmp_path / "log", "flows.backfill")

    assert code in {1, 2}
    assert 1 == said.count(words), said
    assert "Traceback" not in said
    assert [] == [path for path in world.folder.rglob("*.jsonl") if path.is_file()]


@EMBEDDED
@pytest.mark.parametrize(
    ("start", "end", "reason", "words"),
    [
        ("2025-02-01T00:00:00Z", "2025-01-01T00:00:00Z", "a test", "not before its end"),
        ("2025-02-01T00:00:00", "2025-03-01T00:00:00Z", "a test", "start 2025-02-01T00:00:00 has no time zone"),
        ("2025-02-01T00:00:00Z", "2025-03-01T00:00:00Z", " ", "needs a reason"),
    ],
)
def test_senseless_backfill_is_refused(world: World, start: str, end: str, reason: str, words: str):
    """The flow refuses what makes no sense, whoever starts it, and writes neither record nor row."""
    with environment(world.environ), pytest.raises(WindowError, match=words):
        backfill(datetime.fromisoformat(start), datetime.fromisoformat(end), reason)

    assert [] == [path for path in world.folder.rglob("*.jsonl") if path.is_file()]
    assert [] == world.shop.requests


@EMBEDDED
def test_run_id_keeps_its_range(filled: Backfilled):
    """Another range under the same run id is refused; what was begun stays as it was."""
    end, run_id = now(), uuid4()
    filled.backfill(end - 60 * DAY, end, run_id=run_id)
    before = records(filled.world, run_id)

    with pytest.raises(WindowError, match="was begun over"):
        filled.world.backfill(end - 50 * DAY, end, run_id=run_id)

    assert before == records(filled.world, run_id)


@EMBEDDED
def test_dry_run_counts_and_writes_nothing(filled: Backfilled):
    """A dry run tells the windows with Shopify's counts of their orders; no operation runs, no row is written."""
    end = now()

    result = filled.world.backfill(end - 60 * DAY, end, window_days=30, dry_run=True)

    assert result.run_id is None
    assert "| 2 windows | orders |" in result.report
    assert f"| **in all** | **{len(filled.world.shop.orders)}** |" in result.report
    assert [] == filled.world.shop.operations
    assert not filled.world.lake.exists() or [] == list(filled.world.lake.iterdir())
