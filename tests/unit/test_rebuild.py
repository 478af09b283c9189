"""The projection made anew is the one that was written run by run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from shopsync.database import runs
from shopsync.database.engine import writing
from shopsync.database.tables import sync_run, sync_step
from shopsync.errors import DatabaseUnavailable, RecordDamaged
from shopsync.journal import open_run
from shopsync.lake import Lake, open_lake, telemetry_prefix
from shopsync.rebuild import rebuild_runs
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Step
from tests.database import rows
from tests.factories import NOON
from tests.unit.database.conftest import database, migrated, url  # noqa: F401 - fixtures

# ruff: noqa: F811

Told = list[tuple[Step, dict[str, Any]]]

counts = st.builds(Counts, orders=st.none() | st.integers(0, 9), sales=st.none() | st.integers(0, 9))
said = st.fixed_dictionaries(
    {"counts": counts},
    optional={
        "waiting_until": st.just(NOON + timedelta(hours=1)),
        "error": st.just(RunError("Throttled", "Shopify throttles this app")),
        "bulk_operation_id": st.sampled_from(["gid://shopify/BulkOperation/1", "gid://shopify/BulkOperation/2"]),
        "roots": st.integers(0, 9),
        "flow_run_id": st.sampled_from(["flow-1", "flow-2"]),
    },
)
histories = st.lists(st.lists(st.tuples(st.sampled_from(Step), said), max_size=8), min_size=1, max_size=4)


def _never(damage: RecordDamaged) -> None:
    raise damage


def _run(lake: Lake, database: Engine, number: int, told: Told) -> None:
    """Write the records of a run that began so many days ago, and project each."""
    first = _first(number)
    journal = open_run(lake, first, lambda record: runs.project(database, record))
    _ = [
        journal.append(step, at=first.at + timedelta(seconds=after), **changes)
        for after, (step, changes) in enumerate(told, 1)
    ]


def _first(number: int) -> RunRecord:
    at = NOON - timedelta(days=number)
    return RunRecord(f"run-{number}", JobType.DAILY, Initiator.CRON, at, at, Step.INITIATED, Step.INITIATED.status, at)


def _projection(database: Engine) -> object:
    return rows(database, sync_run), rows(database, sync_step)


def _emptied(database: Engine) -> None:
    with writing(database) as connection:
        _ = [connection.execute(table.delete()) for table in (sync_run, sync_step)]


@given(history=histories)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rebuilt_is_what_was_live(database: Engine, history: list[Told]) -> None:
    """From nothing, and over what is there: the same rows, to the last column."""
    _emptied(database)
    lake = open_lake("memory://")
    _ = [_run(lake, database, number, told) for number, told in enumerate(history)]
    live = _projection(database)

    assert len(history) == rebuild_runs(lake, database, _never)
    assert live == _projection(database)

    _emptied(database)
    assert len(history) == rebuild_runs(lake, database, _never)
    assert live == _projection(database)


def test_what_was_missed_comes_in(database: Engine) -> None:
    """A database that was down while a run ended learns how it ended."""
    lake = open_lake("memory://")

    def down(record: RunRecord) -> None:
        raise DatabaseUnavailable("mysql://", "gone")

    _run(lake, database, 1, [])
    open_run(lake, _first(1), down).append(Step.COMPLETED, at=NOON)

    rebuild_runs(lake, database, _never)

    assert "completed" == rows(database, sync_run)[0]["status"]


def test_what_no_record_says_goes(database: Engine) -> None:
    """A column that somebody changed by hand is what the records say again."""
    lake = open_lake("memory://")
    _run(lake, database, 1, [(Step.POLL, {})])
    live = _projection(database)
    with writing(database) as connection:
        connection.execute(update(sync_run).values(archive_key="raw/of/another", status="failed"))

    rebuild_runs(lake, database, _never)

    assert live == _projection(database)


def test_run_that_goes_on_is_not_set_back(database: Engine) -> None:
    """Records that were read before a run went on change nothing of what it wrote since."""
    lake = open_lake("memory://")
    _run(lake, database, 1, [(Step.POLL, {})])
    read = list(open_run(lake, _first(1)).records())
    open_run(lake, _first(1), lambda record: runs.project(database, record)).append(Step.ARCHIVE, at=NOON)
    live = _projection(database)

    runs.project_anew(database, read)

    assert live == _projection(database)


def test_damaged_run_is_told_and_left(database: Engine) -> None:
    """The other runs come in; the damage is named by its key."""
    lake, damaged = open_lake("memory://"), list[RecordDamaged]()
    _ = [_run(lake, database, number, []) for number in (1, 2)]
    key = f"{telemetry_prefix(NOON - timedelta(days=1), 'run-1')}/0001-poll.jsonl"
    lake.put(key, b"{")
    live = _projection(database)

    rebuilt = rebuild_runs(lake, database, damaged.append)

    assert (1, [key]) == (rebuilt, [damage.key for damage in damaged])
    assert live == _projection(database)


def test_runs_the_lake_forgot_stay(database: Engine) -> None:
    """A lake whose oldest records were expired loses no run of the list."""
    _run(open_lake("memory://"), database, 1, [])
    live = _projection(database)

    assert 0 == rebuild_runs(open_lake("memory://"), database, _never)
    assert live == _projection(database)
