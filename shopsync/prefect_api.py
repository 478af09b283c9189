"""
Prefect's REST API, as far as those need it who do not import Prefect: the staff API and the reconciler.

A thin client: one call, one request. It waits only where the server asks for it (a 503 of its database, and of two
posts with one idempotency key), for a second or two: somebody is waiting for the answer.
Source: the server's routes of Prefect 3.8.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from shopsync.errors import FlowRunRefused, NotInPrefect, PrefectRefused, PrefectUnavailable, SettingsError
from shopsync.settings import Settings

TIMEOUT = httpx.Timeout(10.0, connect=2.0)
"""A server on SQLite under load takes seconds; one that does not take the connection is not there."""

BUSY_WAITS_S = (0.1, 0.2, 0.4, 0.8)
"""Between tries after a 503: another request of the same key, or a writer of the server's database, is at work."""

PAGE = 200
"""The most that Prefect gives at once."""

GONE = re.compile(r".+ not found\.?")
"""How Prefect itself says that it does not have a thing; who stands before it says `Not Found`, or something else."""

_Shape = TypeVar("_Shape")


class StateType(StrEnum):
    """Prefect's kinds of states; a state's name may say more (AwaitingRetry is SCHEDULED)."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


OVER = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})
"""States that a run leaves only when somebody retries it."""


class StateDetails(msgspec.Struct, frozen=True):
    """What a state knows beside its name; `scheduled_time` is when a waiting run goes on."""

    scheduled_time: datetime | None = None


class State(msgspec.Struct, frozen=True):
    """A state of a flow run or a task run."""

    type: StateType
    name: str | None = None
    message: str | None = None
    timestamp: datetime | None = None
    state_details: StateDetails = StateDetails()


class Deployment(msgspec.Struct, frozen=True):
    """A flow as it is deployed; `paused` holds its schedules, not the runs that somebody starts."""

    id: str
    name: str
    flow_id: str
    paused: bool = False
    parameters: dict[str, Any] = {}
    tags: list[str] = []


class FlowRun(msgspec.Struct, frozen=True):
    """Prefect's record of one execution; None where it does not know."""

    id: str
    name: str
    flow_id: str
    deployment_id: str | None = None
    idempotency_key: str | None = None
    parameters: dict[str, Any] = {}
    tags: list[str] = []
    state: State | None = None
    run_count: int = 0
    created: datetime | None = None
    expected_start_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it ended."""
        return self.state is not None and self.state.type in OVER


class Artifact(msgspec.Struct, frozen=True):
    """What a flow run shows in Prefect's UI; `data` depends on the `type`."""

    id: str
    created: datetime
    key: str | None = None
    type: str | None = None
    description: str | None = None
    data: Any = None
    task_run_id: str | None = None


class _SetState(msgspec.Struct):
    status: str
    state: State | None = None
    details: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class PrefectAccess:
    """Where Prefect's API is, and how it lets us in."""

    url: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> PrefectAccess:
        """
        Return the access of the settings.

        Raises:
            SettingsError: No URL is given.
        """
        if settings.prefect_api_url is None:
            expects = Settings.model_fields["prefect_api_url"].description
            raise SettingsError("SHOPSYNC_PREFECT_API_URL", f"is not set: it expects {expects}")
        headers = dict[str, str]()
        if settings.prefect_api_key is not None:
            headers["Authorization"] = f"Bearer {settings.prefect_api_key.get_secret_value()}"
        elif settings.prefect_api_auth_string is not None:
            encoded = b64encode(settings.prefect_api_auth_string.get_secret_value().encode()).decode()
            headers["Authorization"] = f"Basic {encoded}"
        return cls(settings.prefect_api_url.rstrip("/"), headers)


class PrefectApi:
    """
    A Prefect server, or Prefect Cloud; safe to use from several threads.

    Args:
        access: Where it is.
        http: Its timeouts are overruled; it is the caller's to close.
        sleep: Waits between the tries after a 503.
        timeout: For each request.

    Every call may raise:
        PrefectUnavailable: It does not answer, or not in a way that this release knows. A 404 that is not Prefect's own
            is a proxy's, which has no Prefect behind it for now.
        PrefectRefused: It does not take the credentials.
    """

    def __init__(
        self,
        access: PrefectAccess,
        http: httpx.Client,
        sleep: Callable[[float], None] = time.sleep,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._access = access
        self._http = http
        self._sleep = sleep
        self._timeout = timeout

    def check_health(self) -> None:
        """Return when the server is up and lets us in (its health alone anyone may see)."""
        self._told("GET", "/health", None, object)
        self._told("POST", "/flows/count", {}, int)

    def deployment(self, full_name: str) -> Deployment:
        """
        Return a deployment by its name, `flow/deployment`.

        Raises:
            NotInPrefect: There is none of this name.
        """
        flow, _, name = full_name.partition("/")
        found = self._ask("GET", f"/deployments/name/{quote(flow)}/{quote(name)}", None, Deployment)
        return self._known(found, f"deployment {full_name}")

    def create_flow_run(self, deployment_id: str, parameters: Mapping[str, Any], *, idempotency_key: str) -> FlowRun:
        """
        Start a run of a deployment, or return the one that was started under the same key.

        Args:
            parameters: JSON values by their names; Prefect checks them against the deployment's schema.
            idempotency_key: A second call with it returns the first one's run, also when the parameters differ.

        Raises:
            FlowRunRefused: A parameter is not what the deployment expects.
            NotInPrefect: The deployment was deleted.
        """
        state = {"type": StateType.SCHEDULED}
        body = {"parameters": dict(parameters), "state": state, "idempotency_key": idempotency_key}
        created = self._ask("POST", f"/deployments/{deployment_id}/create_flow_run", body, FlowRun)
        return self._known(created, f"deployment {deployment_id}")

    def flow_run(self, flow_run_id: str) -> FlowRun | None:
        """Return a flow run; None when Prefect does not know it (any more)."""
        return self._ask("GET", f"/flow_runs/{flow_run_id}", None, FlowRun)

    def flow_runs(
        self,
        *,
        ids: Collection[str] | None = None,
        deployment_ids: Collection[str] | None = None,
        state_types: Collection[StateType] | None = None,
        tags: Collection[str] | None = None,
        ended_after: datetime | None = None,
        ended_before: datetime | None = None,
        sort: str = "EXPECTED_START_TIME_DESC",
        limit: int = PAGE,
    ) -> list[FlowRun]:
        """
        Return the flow runs that meet every given condition, at most `limit`.

        Args:
            ids, deployment_ids, state_types: Any of them; empty means none at all.
            tags: All of them.
            ended_after, ended_before: Bounds of the end, both included; a run without an end meets neither.
            sort: A FlowRunSort of Prefect, such as END_TIME_DESC or EXPECTED_START_TIME_ASC.
        """
        chosen: dict[str, Any] = {}
        anys = {"id": ids, "deployment_id": deployment_ids}
        chosen |= {field: {"any_": list(values)} for field, values in anys.items() if values is not None}
        chosen |= {"state": {"type": {"any_": list(state_types)}}} if state_types is not None else {}
        chosen |= {"tags": {"all_": list(tags)}} if tags else {}
        bounds = {"after_": ended_after, "before_": ended_before}
        bounds = {name: at.isoformat() for name, at in bounds.items() if at is not None}
        chosen |= {"end_time": bounds} if bounds else {}
        return self._filtered("/flow_runs/filter", {"flow_runs": chosen, "sort": sort}, limit, FlowRun)

    def states(self, flow_run_id: str) -> list[State]:
        """Return every state that a flow run was ever in, the oldest first."""
        return self._told("GET", f"/flow_run_states/?flow_run_id={flow_run_id}", None, list[State])

    def set_state(
        self,
        flow_run_id: str,
        type_: StateType,
        name: str | None = None,
        *,
        at: datetime | None = None,
        message: str | None = None,
    ) -> bool:
        """
        Propose a state for a flow run, and return whether Prefect took it.

        Args:
            at: When a scheduled state is due.

        Raises:
            NotInPrefect: There is no such flow run.
        """
        state: dict[str, Any] = {"type": type_, "name": name, "message": message}
        state |= {"state_details": {"scheduled_time": at.isoformat()}} if at is not None else {}
        answer = self._ask("POST", f"/flow_runs/{flow_run_id}/set_state", {"state": state}, _SetState)
        return self._known(answer, f"flow run {flow_run_id}").status == "ACCEPT"

    def artifacts(self, flow_run_id: str) -> list[Artifact]:
        """Return the artifacts of a flow run, the newest first, a page of them."""
        body = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "CREATED_DESC"}
        return self._filtered("/artifacts/filter", body, PAGE, Artifact)

    def _filtered(self, path: str, body: dict[str, Any], limit: int, shape: type[_Shape]) -> list[_Shape]:
        found: list[_Shape] = []
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            page = self._told("POST", path, {**body, "limit": size, "offset": len(found)}, list[shape])
            found += page
            if len(page) < size:
                break
        return found

    def _known(self, found: _Shape | None, what: str) -> _Shape:
        if found is None:
            raise NotInPrefect(self._access.url, what)
        return found

    def _told(self, method: str, path: str, body: Any, shape: type[_Shape]) -> _Shape:
        """Return the answer to what every Prefect can be asked."""
        answer = self._ask(method, path, body, shape)
        if answer is None:
            raise PrefectUnavailable(self._access.url, "it answered 404")
        return answer

    def _ask(self, method: str, path: str, body: Any, shape: type[_Shape]) -> _Shape | None:
        """Return the answer in its shape; None when Prefect says that it does not have the thing."""
        response = self._sent(method, path, body)
        for wait_s in BUSY_WAITS_S:
            if response.status_code != 503:
                break
            self._sleep(wait_s)
            response = self._sent(method, path, body)
        match response.status_code:
            case 404 if GONE.fullmatch(_detail(response)):
                return None
            case 401 | 403:
                raise PrefectRefused(self._access.url, response.status_code)
            case 400 | 409 | 422:
                raise FlowRunRefused(_detail(response))
            case _ if not response.is_success:
                raise PrefectUnavailable(self._access.url, f"it answered {response.status_code}")
            case _:
                return self._decoded(response, shape)

    def _sent(self, method: str, path: str, body: Any) -> httpx.Response:
        try:
            return self._http.request(
                method, self._access.url + path, json=body, headers=dict(self._access.headers), timeout=self._timeout
            )
        except httpx.HTTPError as error:
            raise PrefectUnavailable(self._access.url, str(error) or type(error).__name__) from error

    def _decoded(self, response: httpx.Response, shape: type[_Shape]) -> _Shape:
        try:
            return msgspec.json.decode(response.content, type=shape)
        except msgspec.DecodeError as error:
            raise PrefectUnavailable(self._access.url, f"an answer that this release does not know: {error}") from error


def _detail(response: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return f"it answered {response.status_code}"
    return " ".join(str(said.get("detail") or said.get("exception_message") or said).split())[:500]
