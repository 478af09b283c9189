"""The client of Prefect's REST API, against answers as a real server gives them (tests/e2e has the server itself)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shopsync.errors import FlowRunRefused, NotInPrefect, PrefectRefused, PrefectUnavailable, SettingsError
from shopsync.prefect_api import PAGE, PrefectAccess, PrefectApi, StateType
from shopsync.settings import Settings

URL = "http://127.0.0.1:4200/api"
AT = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
RUN = {"id": "r1", "name": "wise-owl", "flow_id": "f1", "state": {"type": "RUNNING", "name": "Running"}, "new": 1}


class Server:
    """Answers requests from a list, in order, and remembers them; `waits` are the client's sleeps."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def client(self, environ: dict[str, str] | None = None) -> PrefectApi:
        settings = Settings.from_environment({"SHOPSYNC_PREFECT_API_URL": URL} | (environ or {}))
        http = httpx.Client(transport=httpx.MockTransport(self._answer))
        return PrefectApi(PrefectAccess.of(settings), http, self.waits.append)

    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.pop(0)
        return httpx.Response(status, json=body)


def test_needs_an_address():
    """Without a URL the setting is named."""
    with pytest.raises(SettingsError, match="SHOPSYNC_PREFECT_API_URL is not set"):
        PrefectAccess.of(Settings.from_environment({}))


@pytest.mark.parametrize(
    ("environ", "header"),
    [
        ({"SHOPSYNC_PREFECT_API_KEY": "pnu_x"}, "Bearer pnu_x"),
        ({"SHOPSYNC_PREFECT_API_AUTH_STRING": "user:pass"}, "Basic dXNlcjpwYXNz"),
        ({}, None),
    ],
)
def test_sends_its_credentials(environ, header):
    """Prefect Cloud takes a key, a server an auth string."""
    server = Server((200, True), (200, 3))

    server.client(environ).check_health()

    assert [header, header] == [request.headers.get("authorization") for request in server.requests]


def test_finds_a_deployment():
    """A deployment has its flow's name and its own."""
    server = Server((200, {"id": "d1", "name": "daily", "flow_id": "f1"}))

    assert "d1" == server.client().deployment("daily-sync/daily").id
    assert "/api/deployments/name/daily-sync/daily" == server.requests[0].url.path


def test_unprepared_server_names_the_command():
    """A server without the deployment is one that nobody prepared."""
    with pytest.raises(NotInPrefect, match="no deployment daily-sync/daily: run `python -m deployments apply`"):
        Server((404, {"detail": "Deployment not found"})).client().deployment("daily-sync/daily")


def test_starts_a_run():
    """A run is created as scheduled, with its key, so that a second try finds it."""
    server = Server((201, RUN))

    run = server.client().create_flow_run("d1", {"initiator": "user"}, idempotency_key="k")

    assert ("r1", False) == (run.id, run.is_over)
    assert [
        {
            "parameters": {"initiator": "user"},
            "state": {"type": "SCHEDULED"},
            "idempotency_key": "k",
        }
    ] == server.bodies()


def test_asks_again_when_the_server_is_busy():
    """Two posts with one key meet in the server's database: one of them gets 503, and then the other's run."""
    server = Server((503, {}), (503, {}), (200, RUN))

    assert "r1" == server.client().create_flow_run("d1", {}, idempotency_key="k").id
    assert [0.1, 0.2] == server.waits


def test_busy_for_too_long_is_unavailable():
    """Somebody is waiting: after a second or two it is told."""
    with pytest.raises(PrefectUnavailable, match="it answered 503"):
        Server(*[(503, {})] * 5).client().flow_run("r1")


def test_wrong_parameter_is_told():
    """Prefect's own words name the parameter."""
    with pytest.raises(FlowRunRefused, match="'x' is not a 'uuid'"):
        Server((409, {"detail": "Error creating flow run: 'x' is not a 'uuid'"})).client().create_flow_run(
            "d1", {}, idempotency_key="k"
        )


def test_refusal_without_words():
    """A proxy's page is not repeated."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(422, text="<html>"))

    with pytest.raises(FlowRunRefused, match="it answered 422"):
        PrefectApi(PrefectAccess(URL, {}), httpx.Client(transport=transport)).flow_run("r1")


def test_unknown_run_is_none():
    """Prefect forgets runs that somebody deleted."""
    assert Server((404, {"detail": "Flow run not found"})).client().flow_run("r1") is None


@pytest.mark.parametrize("body", [{}, {"detail": "Not Found"}, {"message": "no Route matched"}])
def test_foreign_404_is_no_answer(body: Any):
    """A proxy in front of a Prefect that restarts knows nothing of runs."""
    with pytest.raises(PrefectUnavailable, match="it answered 404"):
        Server((404, body)).client().flow_run("r1")


@pytest.mark.parametrize("ask", [PrefectApi.flow_runs, PrefectApi.check_health, lambda api: api.states("r1")])
def test_404_is_no_empty_answer(ask: Callable[[PrefectApi], Any]):
    """What every Prefect has an answer to cannot be unknown to it."""
    with pytest.raises(PrefectUnavailable, match="it answered 404"):
        ask(Server((404, {"detail": "Flow run not found"})).client())


def test_states_are_a_runs_past():
    """All states that a run was in come in one answer."""
    server = Server((200, [{"type": "PENDING"}, {"type": "CRASHED", "timestamp": "2026-11-23T06:00:00Z"}]))

    states = server.client().states("r1")

    assert [(StateType.PENDING, None), (StateType.CRASHED, AT)] == [(each.type, each.timestamp) for each in states]
    assert f"{URL}/flow_run_states/?flow_run_id=r1" == str(server.requests[0].url)


def test_filters_runs():
    """Only what is given is asked for; an empty choice is a choice."""
    server = Server((200, [RUN]), (200, []))
    prefect = server.client()

    found = prefect.flow_runs(deployment_ids=["d1"], state_types=[StateType.CRASHED], ended_before=AT, tags=["a"])
    prefect.flow_runs(ids=[], sort="END_TIME_DESC", limit=5)

    assert ["r1"] == [run.id for run in found]
    assert [
        {
            "flow_runs": {
                "deployment_id": {"any_": ["d1"]},
                "state": {"type": {"any_": ["CRASHED"]}},
                "tags": {"all_": ["a"]},
                "end_time": {"before_": "2026-11-23T06:00:00+00:00"},
            },
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": PAGE,
            "offset": 0,
        },
        {"flow_runs": {"id": {"any_": []}}, "sort": "END_TIME_DESC", "limit": 5, "offset": 0},
    ] == server.bodies()


def test_reads_every_page():
    """Prefect gives at most 200 at once."""
    server = Server((200, [RUN] * PAGE), (200, [RUN] * 50))

    assert 250 == len(server.client().flow_runs(limit=250))
    assert [(200, 0), (50, 200)] == [(body["limit"], body["offset"]) for body in server.bodies()]


@pytest.mark.parametrize(("status", "taken"), [("ACCEPT", True), ("REJECT", False), ("ABORT", False)])
def test_sets_a_state(status, taken):
    """Prefect's rules may refuse a transition; the caller is told."""
    server = Server((201, {"status": status, "state": None}))

    assert taken == server.client().set_state("r1", StateType.SCHEDULED, "AwaitingRetry", at=AT, message="again")
    assert [
        {
            "state": {
                "type": "SCHEDULED",
                "name": "AwaitingRetry",
                "message": "again",
                "state_details": {"scheduled_time": "2026-11-23T06:00:00+00:00"},
            },
        }
    ] == server.bodies()


def test_state_of_an_unknown_run():
    """A run that is gone takes no state."""
    with pytest.raises(NotInPrefect, match="no flow run r1"):
        answer = {"exception_message": "Flow run with id r1 not found"}
        Server((404, answer)).client().set_state("r1", StateType.CRASHED)


def test_shows_what_a_run_did():
    """Its artifacts, the newest first."""
    server = Server((200, [{"id": "a1", "created": "2026-11-23T06:00:00.123456Z", "type": "progress", "data": 50.0}]))

    assert [50.0] == [artifact.data for artifact in server.client().artifacts("r1")]
    assert {"flow_run_id": {"any_": ["r1"]}} == server.bodies()[0]["artifacts"]


def test_wrong_credentials_are_told():
    """401 and 403 name the variables to set."""
    with pytest.raises(PrefectRefused, match="refuses this process"):
        Server((200, True), (401, {})).client().check_health()


def test_silent_server_is_told():
    """No connection is one line that names the server."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    with pytest.raises(PrefectUnavailable, match=r"127\.0\.0\.1:4200/api \(connection refused\)"):
        PrefectApi(PrefectAccess(URL, {}), httpx.Client(transport=httpx.MockTransport(refuse))).flow_run("r1")


def test_answer_of_another_release_is_told():
    """A run without an id is not a run."""
    with pytest.raises(PrefectUnavailable, match="does not know"):
        Server((200, {"name": "x"})).client().flow_run("r1")


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"])
def test_knows_what_is_over(state):
    """A final state ends a run; one without any state has not begun."""
    over, new = {"id": "r", "name": "n", "flow_id": "f", "state": {"type": state}}, {"id": "r", "name": "n"}
    server = Server((200, over), (200, new | {"flow_id": "f"}))
    prefect = server.client()

    found = [prefect.flow_run("r"), prefect.flow_run("r")]

    assert [True, False] == [run.is_over for run in found if run]
