"""Starting runs: what a trigger gets, and that it gets it once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace
from sqlalchemy import Engine, update

from api.app import create_app
from api.starter import BACKFILL, DAILY
from shopsync.database.runs import project
from shopsync.database.tables import api_idempotency
from shopsync.prefect_api import StateType
from shopsync.telemetry import Initiator, JobType, RunRecord, Step
from tests.api.conftest import NOW, Settled
from tests.api.prefect import FakePrefect
from tests.api.staff import OPERATOR
from tests.factories import NOON

SYNC = "/api/performance-metrics/sync"
BACKFILLS = "/api/ingest/backfills"
KEY = {"Idempotency-Key": "key-1"}
RUN_ID = "6e2f3a1e-0000-4000-8000-000000000000"
RANGE = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z", "reason": "a repair"}


def test_trigger_starts_a_run(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """202 says where it is followed; the payload is that of a deployment's run."""
    answer = operator.post(SYNC)

    run_id = answer.json()["run_id"]
    assert (202, f"/api/ingest/runs/{run_id}") == (answer.status_code, answer.headers["location"])
    assert {"run_id": run_id, "status": "initiated", "url": f"/api/ingest/runs/{run_id}", "coalesced": False} == (
        answer.json()
    )
    assert [{"run_id": str(UUID(run_id)), "initiator": "user", "requested_at": "2026-11-21T00:00:00Z"}] == [
        run.parameters for run in prefect.runs
    ]


def test_run_is_followed_from_the_start(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """Its address answers before a worker took it: as initiated, with what Prefect says; a made-up one is 404."""
    started = operator.post(SYNC).json()

    run = operator.get(started["url"]).json()

    expected = {"status": "initiated", "requested_at": "2026-11-21T00:00:00Z", "process_initiated_at": None}
    assert expected == {name: run[name] for name in expected}
    assert ({"state": "Scheduled", "progress": None}, []) == (run["live"], run["records"])
    assert 404 == operator.get(f"/api/ingest/runs/{RUN_ID}").status_code


def test_trigger_takes_the_payload(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """All three fields may be given."""
    payload = {"run_id": RUN_ID, "initiator": "cron", "requested_at": "2026-11-20T06:00:00Z"}

    answer = operator.post(SYNC, json=payload)

    assert (202, RUN_ID) == (answer.status_code, answer.json()["run_id"])
    assert [payload] == [run.parameters for run in prefect.runs]


def test_further_trigger_gets_the_waiting_run(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """One run waits at most: 200, and it is said that it is another's."""
    first = operator.post(SYNC).json()

    second = operator.post(SYNC)

    assert (200, True, first["run_id"]) == (
        second.status_code,
        second.json()["coalesced"],
        second.json()["run_id"],
    )
    assert 1 == len(prefect.runs)


def test_one_waits_behind_the_one_at_work(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """What changed since the running one asked Shopify is the next one's."""
    operator.post(SYNC)
    prefect.move(StateType.RUNNING, NOW)

    answers = [operator.post(SYNC).status_code for _ in range(3)]

    assert [202, 200, 200] == answers
    assert 2 == len(prefect.runs)


def test_tomorrows_cron_run_is_not_waiting(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """What the schedule has ready is not what somebody gets now."""
    prefect.add(DAILY, {}, expected=NOW + timedelta(hours=6))

    assert 202 == operator.post(SYNC).status_code


def test_cron_run_that_is_due_is_joined(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """It has no run id of ours: its own is the run's."""
    prefect.add(DAILY, {}, expected=NOW - timedelta(seconds=5))

    answer = operator.post(SYNC)

    assert (200, "flow-run-0") == (answer.status_code, answer.json()["run_id"])


def test_cancelled_run_is_not_joined(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """A run that was cancelled before it began is over."""
    operator.post(SYNC)
    prefect.move(StateType.CANCELLED, NOW)

    assert 202 == operator.post(SYNC).status_code
    assert 2 == len(prefect.runs)


@pytest.mark.parametrize("end", [StateType.FAILED, StateType.CRASHED, StateType.CANCELLED])
def test_run_that_ended_early_goes_on(operator: TestClient[Any], prefect: FakePrefect, end: StateType) -> None:
    """The same run id starts it again, as often as it is sent: what is promised by 202 is at work."""
    _ = [(operator.post(SYNC, json={"run_id": RUN_ID}), prefect.move(end, NOW)) for _ in range(2)]

    answer = operator.post(SYNC, json={"run_id": RUN_ID})

    assert (202, RUN_ID, "initiated") == (answer.status_code, answer.json()["run_id"], answer.json()["status"])
    assert [RUN_ID] * 3 == [run.parameters["run_id"] for run in prefect.runs]


def test_run_at_work_is_the_same(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """Its id starts nothing more."""
    operator.post(SYNC, json={"run_id": RUN_ID})
    prefect.move(StateType.RUNNING, NOW)

    assert 202 == operator.post(SYNC, json={"run_id": RUN_ID}).status_code
    assert 1 == len(prefect.runs)


def test_run_that_goes_on_keeps_its_time(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """Whoever does not say when it was asked for gets the time that it was begun with: another would be refused."""
    _ran(seeded, JobType.DAILY, Step.FAILED)

    answer = operator.post(SYNC, json={"run_id": RUN_ID})

    assert (202, ["2026-11-20T12:00:00Z"]) == (
        answer.status_code,
        [run.parameters["requested_at"] for run in prefect.runs],
    )


def test_other_time_of_a_run_is_named(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """The flow would refuse it: 400 says so before anything is started."""
    _ran(seeded, JobType.DAILY, Step.FAILED)

    answer = operator.post(SYNC, json={"run_id": RUN_ID, "requested_at": "2026-11-20T13:00:00Z"})

    assert (400, ["requested_at"]) == (answer.status_code, [error["field"] for error in answer.json()["errors"]])
    assert "was asked for at 2026-11-20T12:00:00Z" in answer.json()["detail"]
    assert [] == prefect.runs


def test_completed_run_is_told(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """Nothing is left to do under its id: 200 with its status, and nothing is started."""
    _ran(seeded, JobType.DAILY, Step.COMPLETED)

    answer = operator.post(SYNC, json={"run_id": RUN_ID})

    assert (200, "completed", False) == (answer.status_code, answer.json()["status"], answer.json()["coalesced"])
    assert f"/api/ingest/runs/{RUN_ID}" == answer.headers["location"]
    assert [] == prefect.runs


@pytest.mark.parametrize("job_type", [JobType.BACKFILL, JobType.REPLAY])
def test_run_id_of_another_kind_is_refused(
    operator: TestClient[Any], seeded: Engine, prefect: FakePrefect, job_type: JobType
) -> None:
    """A daily run under a backfill's id would move the watermark over orders nobody asked for: 409 names the field."""
    _ran(seeded, job_type, Step.FAILED)

    answer = operator.post(SYNC, json={"run_id": RUN_ID})

    assert (409, "urn:shopsync:problem:run-id-taken") == (answer.status_code, answer.json()["type"])
    assert [("run_id", "body")] == [(error["field"], error["in"]) for error in answer.json()["errors"]]
    assert [] == prefect.runs


@pytest.mark.parametrize("headers", [KEY, {}], ids=["one key", "no key"])
def test_fifty_posts_start_one_run(
    settings: Settled, seeded: Engine, prefect: FakePrefect, headers: dict[str, str]
) -> None:
    """All at once: one of them starts it, the others get it, or are told that it is being started."""
    unlimited = settings(API_STAFF_LIMIT="0", API_ADDRESS_LIMIT="0")

    with TestClient(create_app(unlimited, prefect=prefect, now=lambda: NOW)) as client, ThreadPoolExecutor(50) as pool:
        posts = [pool.submit(client.post, SYNC, headers=OPERATOR | headers) for _ in range(50)]
        answers = [post.result() for post in posts]

    assert 1 == len(prefect.runs)
    assert {answer.status_code for answer in answers} <= {200, 202, 409}
    assert {prefect.runs[0].parameters["run_id"]} == {
        answer.json()["run_id"] for answer in answers if answer.status_code != 409
    }


def test_repetition_gets_the_same_answer(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """Also when the run is over long since; and it is said that it is a repetition."""
    first = operator.post(SYNC, headers=KEY)
    prefect.move(StateType.COMPLETED, NOW)

    second = operator.post(SYNC, headers=KEY)

    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert (None, "true") == (first.headers.get("idempotency-replayed"), second.headers["idempotency-replayed"])
    assert 1 == len(prefect.runs)


@pytest.mark.parametrize(("path", "body"), [(SYNC, {"run_id": RUN_ID}), (BACKFILLS, RANGE)])
def test_key_belongs_to_one_body(operator: TestClient[Any], path: str, body: dict[str, str]) -> None:
    """The same key with another body, or for another route, is a mistake of the sender."""
    operator.post(SYNC, headers=KEY)

    answer = operator.post(path, headers=KEY, json=body)

    assert (422, "urn:shopsync:problem:idempotency-key-reused") == (answer.status_code, answer.json()["type"])


def test_request_in_flight_is_told(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """A repetition that comes while the first is being answered waits."""
    operator.post(SYNC, headers=KEY)
    forget_the_answer(seeded, attempted_at=NOW)

    answer = operator.post(SYNC, headers=KEY)

    assert (409, "2") == (answer.status_code, answer.headers["retry-after"])


def test_crash_before_the_start_is_repaired(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """The process died between storing and starting: the retry starts the run that was stored."""
    stored = operator.post(SYNC, headers=KEY).json()
    forget_the_answer(seeded, attempted_at=NOW - timedelta(minutes=1))
    prefect.runs.clear()

    answer = operator.post(SYNC, headers=KEY)

    assert (202, stored["run_id"]) == (answer.status_code, answer.json()["run_id"])
    assert [stored["run_id"]] == [run.parameters["run_id"] for run in prefect.runs]


def test_crash_after_the_start_is_repaired(operator: TestClient[Any], seeded: Engine, prefect: FakePrefect) -> None:
    """The process died between starting and remembering: the retry finds the run, at work by then."""
    stored = operator.post(SYNC, headers=KEY).json()
    forget_the_answer(seeded, attempted_at=NOW - timedelta(minutes=1))
    prefect.move(StateType.RUNNING, NOW)

    answer = operator.post(SYNC, headers=KEY)

    assert (202, stored) == (answer.status_code, answer.json())
    assert 1 == len(prefect.runs)


def test_lost_answer_is_repaired(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """Prefect started the run, and nobody heard of it: the retry at once gets it."""
    prefect.loses_answers = True
    assert 503 == operator.post(SYNC, headers=KEY).status_code
    prefect.loses_answers = False

    answer = operator.post(SYNC, headers=KEY)

    assert (202, prefect.runs[0].parameters["run_id"]) == (answer.status_code, answer.json()["run_id"])
    assert 1 == len(prefect.runs)


def test_key_outlives_other_requests(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """It is remembered for a day since it was sent, for a request of long ago too."""
    long_ago = {"requested_at": "2026-01-01T00:00:00Z"}
    first = operator.post(SYNC, headers=KEY, json=long_ago)
    prefect.move(StateType.COMPLETED, NOW)
    operator.post(SYNC, headers={"Idempotency-Key": "key-2"})

    again = operator.post(SYNC, headers=KEY, json=long_ago)

    assert (first.json(), "true") == (again.json(), again.headers.get("idempotency-replayed"))


def test_missing_body_is_told(operator: TestClient[Any]) -> None:
    """A backfill cannot do without."""
    answer = operator.post(BACKFILLS)

    assert (400, "the body is missing: send JSON") == (answer.status_code, answer.json()["detail"])


def test_wrong_key_is_named_as_it_is_sent(operator: TestClient[Any]) -> None:
    """A header has a header's name."""
    answer = operator.post(SYNC, headers={"Idempotency-Key": "k" * 256})

    assert [("Idempotency-Key", "header")] == [(error["field"], error["in"]) for error in answer.json()["errors"]]


@pytest.mark.parametrize(("path", "body"), [(SYNC, {}), (BACKFILLS, RANGE)])
def test_prefect_down_is_said(operator: TestClient[Any], prefect: FakePrefect, path: str, body: dict[str, str]) -> None:
    """503, when to ask again, and who it is that does not answer; not where it is."""
    prefect.is_down = True

    answer = operator.post(path, json=body)

    assert (503, "15", "urn:shopsync:problem:prefect-unavailable") == (
        answer.status_code,
        answer.headers["retry-after"],
        answer.json()["type"],
    )
    assert "Prefect does not answer" in answer.json()["detail"]
    assert "http://prefect" not in answer.text


def test_backfill_is_started(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """Its parameters are the flow's."""
    answer = operator.post(BACKFILLS, json=RANGE | {"window_days": 10, "by": "updated"})

    assert 202 == answer.status_code
    assert RANGE | {
        "window_days": 10,
        "by": "updated",
        "run_id": answer.json()["run_id"],
        "initiator": "user",
        "requested_at": "2026-11-21T00:00:00Z",
    } == dict(prefect.runs[0].parameters)
    assert BACKFILL == prefect.runs[0].deployment_id


def test_same_backfill_is_joined(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """One that waits for the same range is what a further trigger gets."""
    operator.post(BACKFILLS, json=RANGE)

    answer = operator.post(BACKFILLS, json=RANGE | {"start": "2026-01-01T01:00:00+01:00", "reason": "another"})

    assert (200, True) == (answer.status_code, answer.json()["coalesced"])


def test_other_backfill_waits_its_turn(operator: TestClient[Any], prefect: FakePrefect) -> None:
    """A run over another range is not what was asked for: 409 names it."""
    waiting = operator.post(BACKFILLS, json=RANGE).json()["run_id"]

    answer = operator.post(BACKFILLS, json=RANGE | {"end": "2026-03-01T00:00:00Z"})

    assert (409, "urn:shopsync:problem:backfill-waiting") == (answer.status_code, answer.json()["type"])
    assert waiting in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "field", "problem"),
    [
        (SYNC, {"runid": RUN_ID}, "runid", "there is no such field"),
        (SYNC, {"run_id": "1"}, "run_id", "Invalid UUID"),
        (SYNC, {"initiator": "staff"}, "initiator", "Invalid enum value 'staff'"),
        (SYNC, {"requested_at": "2026-11-20T06:00:00"}, "requested_at", "it has no time zone"),
        (SYNC, {"requested_at": "2027-01-01T00:00:00Z"}, "requested_at", "it lies in the future"),
        (SYNC, {"requested_at": "1999-01-01T00:00:00Z"}, "requested_at", "it lies before Shopify's first order"),
        (SYNC, {"requested_at": 1763683200}, "requested_at", "Expected `str"),
        (SYNC, {"requested_at": "yesterday"}, "requested_at", "it is no RFC 3339 time"),
        (BACKFILLS, {"start": RANGE["start"], "end": RANGE["end"]}, "reason", "it is required"),
        (BACKFILLS, RANGE | {"end": RANGE["start"]}, "end", "it does not lie after start"),
        (BACKFILLS, RANGE | {"end": "2027-01-01T00:00:00Z"}, "end", "it lies in the future"),
        (BACKFILLS, RANGE | {"start": "2005-01-01T00:00:00Z"}, "start", "it lies before Shopify's first order"),
        (BACKFILLS, RANGE | {"reason": "  "}, "reason", "it is empty"),
        (BACKFILLS, RANGE | {"window_days": 0}, "window_days", "Expected `int` >= 1"),
        (BACKFILLS, RANGE | {"window_days": "ten"}, "window_days", "Expected `int"),
        (BACKFILLS, RANGE | {"force": True}, "force", "there is no such field"),
    ],
)
def test_malformed_field_is_named(
    operator: TestClient[Any], prefect: FakePrefect, path: str, body: dict[str, Any], field: str, problem: str
) -> None:
    """400 names the field, and nothing is started."""
    answer = operator.post(path, json=body)

    assert 400 == answer.status_code
    assert (field, "body") == (answer.json()["errors"][0]["field"], answer.json()["errors"][0]["in"])
    assert answer.json()["errors"][0]["problem"].startswith(problem)
    assert [] == prefect.runs


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b"", {"Sec-Fetch-Site": "cross-site"}, 403),
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"[]", {"Content-Type": "application/json"}, 400),
        (b"[" * 60_000, {"Content-Type": "application/json"}, 400),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b"", {"Origin": "https://evil.example"}, 403),
        (b"", {"Origin": "null"}, 403),
        (b"", {"Origin": "http://testserver.local"}, 202),
        (b'{"run_id": "' + b"1" * 70_000 + b'"}', {"Content-Type": "application/json"}, 413),
        (b"null", {"Content-Type": "application/json"}, 202),
        (b"", {"Sec-Fetch-Site": "same-origin"}, 202),
    ],
    ids=[
        "text",
        "form",
        "foreign page",
        "half JSON",
        "list",
        "deep",
        "no text",
        "foreign page of old",
        "file",
        "our page of old",
        "too large",
        "null",
        "our page",
    ],
)
def test_what_may_be_sent(operator: TestClient[Any], content: bytes, headers: dict[str, str], status: int) -> None:
    """JSON, of a bounded size, from nobody else's page."""
    assert status == operator.post(SYNC, content=content, headers=headers).status_code


def _ran(database: Engine, job_type: JobType, end: Step) -> None:
    first = RunRecord(
        RUN_ID, job_type, Initiator.USER, NOON, NOON, Step.INITIATED, Step.INITIATED.status, NOON, flow_run_id="old"
    )
    project(database, first)
    project(database, replace(first, step=end, status=end.status, at=NOON + timedelta(minutes=5)))


def forget_the_answer(database: Engine, attempted_at: datetime) -> None:
    with database.begin() as connection:
        connection.execute(update(api_idempotency).values(status=None, answer=None, attempted_at=attempted_at))
