"""`/api/ingest/runs` as staff's programs read it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine

from shopsync.lake import open_lake
from shopsync.prefect_api import StateType
from tests.api.conftest import HOUR, Settled
from tests.api.prefect import FakePrefect
from tests.factories import NOON


def _ids(answer: Any) -> list[str]:
    return [run["run_id"] for run in answer.json()["data"]]


def test_newest_run_is_first(viewer: TestClient[Any], journals: Engine) -> None:
    """By when they were asked for, with what they counted and why they failed."""
    answer = viewer.get("/api/ingest/runs").json()["data"]

    assert ["run-4", "run-3", "run-2", "run-1"] == [run["run_id"] for run in answer]
    assert (3, 3) == (answer[3]["counts"]["orders"], answer[3]["counts"]["roots"])
    assert {"type": "Throttled", "message": "Shopify throttles this app"} == answer[2]["error"]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"status": "completed"}, ["run-3", "run-1"]),
        ({"job_type": "DAILY_SYNC_EXECUTE"}, ["run-4", "run-2", "run-1"]),
        ({"job_type": "DAILY_SYNC_EXECUTE", "status": "completed"}, ["run-1"]),
    ],
)
def test_filters_choose(viewer: TestClient[Any], journals: Engine, filters: dict[str, str], ids: list[str]) -> None:
    """By status, by kind, by both."""
    assert ids == _ids(viewer.get("/api/ingest/runs", params=filters))


def test_pages_lead_on(viewer: TestClient[Any], journals: Engine) -> None:
    """The next page begins after the last run of this one."""
    first = viewer.get("/api/ingest/runs", params={"limit": 3})

    assert ["run-1"] == _ids(viewer.get(first.links["next"]["url"]))


def test_run_that_goes_on_has_prefects_state(viewer: TestClient[Any], journals: Engine, prefect: FakePrefect) -> None:
    """With its progress; a run that is over has none."""
    prefect.add("daily-sync/daily", {})

    assert {"state": "Scheduled", "progress": 25.0} == viewer.get("/api/ingest/runs/run-4").json()["live"]
    assert viewer.get("/api/ingest/runs/run-1").json()["live"] is None


def test_forgotten_flow_run_is_gone(viewer: TestClient[Any], journals: Engine) -> None:
    """Prefect answers, and knows of no such run."""
    assert "gone" == viewer.get("/api/ingest/runs").json()["data"][0]["live"]["state"]


def test_runs_are_read_without_prefect(viewer: TestClient[Any], journals: Engine, prefect: FakePrefect) -> None:
    """While it is down, its view is unknown, and all else is there."""
    prefect.is_down = True

    assert "unknown" == viewer.get("/api/ingest/runs").json()["data"][0]["live"]["state"]
    assert "unknown" == viewer.get("/api/ingest/runs/run-4").json()["live"]["state"]


def test_run_has_its_records(viewer: TestClient[Any], journals: Engine) -> None:
    """In order, as they stand in the lake."""
    records = viewer.get("/api/ingest/runs/run-1").json()["records"]

    assert ["initiated", "completed"] == [record["step"] for record in records]
    assert 90.0 == records[1]["duration_s"]


def test_unknown_run_is_not_found(viewer: TestClient[Any]) -> None:
    """An id that no run has."""
    assert 404 == viewer.get("/api/ingest/runs/run-9").status_code


def test_run_may_be_there_while_prefect_is_down(viewer: TestClient[Any], prefect: FakePrefect) -> None:
    """A run that was promised and has no record yet is not denied: Prefect may know it, and does not answer."""
    prefect.is_down = True

    answer = viewer.get("/api/ingest/runs/run-9")

    assert (503, "urn:shopsync:problem:prefect-unavailable", "15") == (
        answer.status_code,
        answer.json()["type"],
        answer.headers["retry-after"],
    )


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        (StateType.CRASHED, "failed", "Crashed"),
        (StateType.CANCELLED, "failed", "Cancelled"),
        (StateType.COMPLETED, "completed", None),
    ],
)
def test_run_that_left_no_record_is_found(
    viewer: TestClient[Any], prefect: FakePrefect, end: StateType, status: str, error: str | None
) -> None:
    """Its flow run ended before it could write one: it is told as it ended, with why."""
    prefect.add("daily-sync/daily", {"run_id": "run-9", "requested_at": "2026-11-20T06:00:00Z"})
    prefect.move(end, NOON)

    run = viewer.get("/api/ingest/runs/run-9").json()

    assert (status, {"state": end.title(), "progress": None}) == (run["status"], run["live"])
    assert error == (run["error"] and run["error"]["type"])


def test_run_that_left_no_record_says_why(viewer: TestClient[Any], prefect: FakePrefect) -> None:
    """In Prefect's words."""
    prefect.add("daily-sync/daily", {"run_id": "run-9", "requested_at": "2026-11-20T06:00:00Z"})
    prefect.move(StateType.CRASHED, NOON)

    error = viewer.get("/api/ingest/runs/run-9").json()["error"]

    assert "its flow run is over, and left no record of its end: as somebody wanted it" == error["message"]


def test_damaged_record_is_a_problem(viewer: TestClient[Any], journals: Engine, settings: Settled) -> None:
    """A lake that cannot be read is said to be that; the list does without it."""
    at: datetime = NOON + HOUR
    open_lake(settings().lake_url).put(f"sync.telemetry/date={at:%Y-%m-%d}/run_id=run-1/0009-poll.jsonl", b"{")

    assert 503 == viewer.get("/api/ingest/runs/run-1").status_code
    assert 200 == viewer.get("/api/ingest/runs").status_code
