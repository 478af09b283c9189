"""
Starting runs in Prefect: the only module of the API that does.

At most one run of a deployment is at work and one waits. Two requests at one moment see the same last run, so they
ask Prefect under the same key, and Prefect starts one run for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shopsync.errors import PrefectUnavailable
from shopsync.prefect_api import PAGE, Artifact, Deployment, FlowRun, StateType
from shopsync.telemetry import JobType, Status

DAILY = "daily-sync/daily"
BACKFILL = "backfill/backfill"
KINDS = {DAILY: JobType.DAILY, BACKFILL: JobType.BACKFILL}
"""The kind of run that each deployment makes."""

_BEGUN = frozenset(StateType) - {StateType.SCHEDULED, StateType.PENDING}
_WAITING = frozenset({StateType.SCHEDULED, StateType.PENDING})
RECENT = 20
"""Runs among which a run that was started a moment ago is looked for."""
TRIES = 3

Parameters = Mapping[str, Any]


class Prefect(Protocol):
    """What is used of `shopsync.prefect_api.PrefectApi`."""

    def deployment(self, full_name: str) -> Deployment:
        """Return a deployment."""
        ...

    def flow_runs(
        self,
        *,
        ids: list[str] | None = None,
        deployment_ids: list[str] | None = None,
        state_types: frozenset[StateType] | None = None,
        sort: str = "EXPECTED_START_TIME_DESC",
        limit: int = PAGE,
    ) -> list[FlowRun]:
        """Return the flow runs that meet every condition."""
        ...

    def create_flow_run(self, deployment_id: str, parameters: Parameters, *, idempotency_key: str) -> FlowRun:
        """Start a run, or return the one that was started under the same key."""
        ...

    def artifacts(self, flow_run_id: str) -> list[Artifact]:
        """Return what a flow run shows, the newest first."""
        ...

    def check_health(self) -> None:
        """Return when it is up."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """The run that a request gets; `joined` when it was waiting already, `status` as staff see it."""

    run_id: str
    parameters: Parameters
    joined: bool
    status: Status = Status.INITIATED


class Starter:
    """Starts runs of deployments."""

    def __init__(self, prefect: Prefect, now: Callable[[], datetime]) -> None:
        self._prefect = prefect
        self._now = now

    def start(self, deployment_name: str, parameters: Parameters) -> Started:
        """
        Start a run, or return the one that waits; the same run id is the same run, unless that is over: it goes on.

        Raises:
            PrefectUnavailable: Prefect does not answer.
            PrefectRefused, NotInPrefect, FlowRunRefused: It does not do it.
        """
        deployment = self._prefect.deployment(deployment_name)
        run_id = str(parameters["run_id"])
        suffix = ""
        for _ in range(TRIES):
            begun = self._runs(deployment, _BEGUN, "START_TIME_DESC", RECENT)
            waiting = self._waiting(deployment)
            for run in (*waiting, *begun):
                if identity(run) == run_id and not run.is_over:
                    return Started(run_id, run.parameters, joined=False)
            for run in waiting:
                if run.run_count == 0:
                    return Started(identity(run), run.parameters, joined=True)
            resting = [run for run in waiting if run.run_count]  # begun, and waiting for Shopify
            last = max(
                (*begun[:1], *resting), key=lambda run: (run.start_time is not None, run.start_time), default=None
            )
            key = f"api:{deployment_name}:after:{last.id if last else 'nothing'}{suffix}"
            run = self._prefect.create_flow_run(deployment.id, parameters, idempotency_key=key)
            if not run.is_over:
                return Started(identity(run), run.parameters, joined=identity(run) != run_id)
            suffix = f":{run.id}"  # it was cancelled before it began
        raise PrefectUnavailable(deployment_name, "each run that is started ends at once")

    def _waiting(self, deployment: Deployment) -> list[FlowRun]:
        """Return the runs that are due and not at work, the oldest first; not those that the schedule has ready."""
        due = self._now()
        runs = self._runs(deployment, _WAITING, "EXPECTED_START_TIME_ASC", 200)
        return [
            run for run in runs if run.run_count or run.expected_start_time is None or run.expected_start_time <= due
        ]

    def _runs(self, deployment: Deployment, states: frozenset[StateType], sort: str, limit: int) -> list[FlowRun]:
        return self._prefect.flow_runs(deployment_ids=[deployment.id], state_types=states, sort=sort, limit=limit)


def identity(run: FlowRun) -> str:
    """Return the run id of a flow run: its own id when nobody gave it one."""
    return str(run.parameters.get("run_id") or run.id)
