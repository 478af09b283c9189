"""The projection of run records; tests/services runs this on MariaDB too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Engine

from shopsync.database.runs import MESSAGE_CHARACTERS, last_heard_of, project, requested_at
from shopsync.database.tables import sync_run
from shopsync.telemetry import Counts, Initiator, JobType, RunError, RunRecord, Status, Step
from shopsync.window import WindowField
from tests.database import rows
from tests.factories import NOON

SECOND = timedelta(seconds=1)


def _record(step: Step, after: timedelta = timedelta(), **fields: Any) -> RunRecord:
    record = RunRecord("run-1", JobType.DAILY, Initiator.CRON, NOON, NOON, step, step.status, NOON + after)
    return replace(record, **fields)


def _row(database: Engine) -> dict[str, Any]:
    (row,) = rows(database, sync_run)
    return row


def test_record_becomes_a_row(database: Engine) -> None:
    """A run's row holds what its record says."""
    project(
        database,
        _record(
            Step.COMPLETED,
            after=timedelta(microseconds=7),
            shop="tea.myshopify.com",
            timezone="Europe/Berlin",
            flow_run_id="flow-1",
            window_start=NOON - SECOND,
            window_end=NOON,
            watermark_before=NOON - SECOND,
            watermark_after=NOON,
            bulk_operation_id="gid://shopify/BulkOperation/1",
            archive_key="raw/1",
            counts=Counts(1, 2, 3, 4, 5, 6, 7, 8),
            duration_s=1.5,
            roots=2,
            api_version="2026-10",
            differences=["order 1 is not here", "order 2 is not here"],
            window_field=WindowField.CREATED,
        ),
    )

    assert {
        "run_id": "run-1",
        "job_type": "DAILY_SYNC_EXECUTE",
        "initiator": "cron",
        "requested_at": NOON,
        "process_initiated_at": NOON,
        "step": "completed",
        "status": "completed",
        "updated_at": NOON + timedelta(microseconds=7),
        "flow_run_id": "flow-1",
        "shop": "tea.myshopify.com",
        "timezone": "Europe/Berlin",
        "window_start": NOON - SECOND,
        "window_end": NOON,
        "watermark_before": NOON - SECOND,
        "watermark_after": NOON,
        "bulk_operation_id": "gid://shopify/BulkOperation/1",
        "archive_key": "raw/1",
        "objects": 1,
        "orders": 2,
        "line_items": 3,
        "sales": 4,
        "products": 5,
        "unchanged": 6,
        "removed": 7,
        "bytes": 8,
        "waiting_until": None,
        "error_type": None,
        "error_message": None,
        "duration_s": 1.5,
        "roots": 2,
        "api_version": "2026-10",
        "differences": 2,
        "window_field": "created_at",
    } == _row(database)


def test_later_record_wins(database: Engine) -> None:
    """A record that arrives late changes nothing, were it late by a millisecond."""
    project(database, _record(Step.UPSERT, after=timedelta(milliseconds=2)))

    project(database, _record(Step.POLL, after=timedelta(milliseconds=1)))

    assert Status.UPSERTING == _row(database)["status"]


def test_last_of_one_time_wins(database: Engine) -> None:
    """Records of one time, after a clock that was ahead, count in their order."""
    for step in (Step.POLL, Step.UPSERT, Step.COMPLETED):
        project(database, _record(step))

    assert Status.COMPLETED == _row(database)["status"]


def test_nulls_erase_nothing(database: Engine) -> None:
    """What a later record does not repeat stays known."""
    project(database, _record(Step.POLL, bulk_operation_id="gid://shopify/BulkOperation/1", counts=Counts(orders=3)))

    project(database, _record(Step.COMPLETED, after=SECOND, counts=Counts(sales=4)))

    row = _row(database)
    assert ("gid://shopify/BulkOperation/1", 3, 4) == (row["bulk_operation_id"], row["orders"], row["sales"])


def test_wait_and_error_end(database: Engine) -> None:
    """A run that got past a wait or an error shows neither."""
    project(
        database, _record(Step.FAILED, waiting_until=NOON + SECOND, error=RunError("Throttled", "Shopify throttles"))
    )

    project(database, _record(Step.COMPLETED, after=SECOND))

    row = _row(database)
    assert (None, None, None) == (row["waiting_until"], row["error_type"], row["error_message"])


def test_error_is_shown(database: Engine) -> None:
    """A failed run shows its error; an endless message is cut, since sync.telemetry has the whole."""
    project(database, _record(Step.FAILED, error=RunError("JsonlError", "x" * 10_000)))

    row = _row(database)
    assert ("failed", "JsonlError", "x" * MESSAGE_CHARACTERS) == (
        row["status"],
        row["error_type"],
        row["error_message"],
    )


def test_run_is_heard_of(database: Engine) -> None:
    """A run is heard of by its records, and until when it said that it waits."""
    project(database, _record(Step.WINDOWS))
    project(database, _record(Step.POLL, run_id="run-2", after=SECOND))
    project(database, _record(Step.REQUEST, run_id="run-3", waiting_until=NOON + 9 * SECOND))

    assert NOON == last_heard_of(database, ["run-1"])
    assert NOON + SECOND == last_heard_of(database, ["run-1", "run-2"])
    assert NOON + 9 * SECOND == last_heard_of(database, ["run-1", "run-2", "run-3"])
    assert last_heard_of(database, ["run-4"]) is None


def test_knows_when_a_run_was_requested(database: Engine) -> None:
    """A run's request is known from its first record on."""
    project(database, _record(Step.INITIATED))

    assert NOON == requested_at(database, "run-1")
    assert requested_at(database, "run-2") is None
