"""A Prefect server of a few lines: it keeps runs, honours idempotency keys, and can be down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any

from msgspec.structs import replace

from shopsync.errors import PrefectUnavailable
from shopsync.prefect_api import PAGE, Artifact, Deployment, FlowRun, State, StateType

LONG_S = 3.0
"""How long somebody waits at most."""


class FakePrefect:
    """What the API asks of Prefect."""

    def __init__(self) -> None:
        self.runs: list[FlowRun] = []
        self.is_down = False
        self.loses_answers = False
        """It starts runs, and nobody hears of it."""
        self.asked = 0
        """How often anything was."""
        self.answers = Event()
        """Until it is set, whoever asks waits."""
        self.answers.set()
        self._lock = Lock()

    def deployment(self, full_name: str) -> Deployment:
        """Return a deployment whose id is its name."""
        self._answer()
        return Deployment(full_name, full_name.partition("/")[2], "flow")

    def flow_runs(
        self,
        *,
        ids: list[str] | None = None,
        deployment_ids: list[str] | None = None,
        state_types: frozenset[StateType] | None = None,
        sort: str = "EXPECTED_START_TIME_DESC",
        limit: int = PAGE,
    ) -> list[FlowRun]:
        """Return runs by their states, the newest first when the sort says so."""
        self._answer()
        with self._lock:
            found = [
                run
                for run in self.runs
                if (ids is None or run.id in ids)
                and (deployment_ids is None or run.deployment_id in deployment_ids)
                and (state_types is None or _type(run) in state_types)
            ]
        return (found[::-1] if sort.endswith("DESC") else found)[:limit]

    def create_flow_run(self, deployment_id: str, parameters: Mapping[str, Any], *, idempotency_key: str) -> FlowRun:
        """Start a run, or return the one of the key."""
        self._answer()
        with self._lock:
            for run in self.runs:
                if run.idempotency_key == idempotency_key:
                    return run
            self.add(deployment_id, dict(parameters), idempotency_key)
            created = self.runs[-1]
        if self.loses_answers:
            raise PrefectUnavailable("http://prefect", "the answer was lost")
        return created

    def artifacts(self, flow_run_id: str) -> list[Artifact]:
        """Return the progress of a run, a quarter."""
        self._answer()
        return [Artifact("artifact", datetime.now(UTC), type="progress", data=25.0)]

    def check_health(self) -> None:
        """Return when it is up."""
        self._answer()

    def add(
        self,
        deployment_id: str,
        parameters: dict[str, Any],
        key: str | None = None,
        expected: datetime | None = None,
    ) -> None:
        """Have a run that waits."""
        self.runs.append(
            FlowRun(
                f"flow-run-{len(self.runs)}",
                "name",
                "flow",
                deployment_id=deployment_id,
                idempotency_key=key,
                parameters=parameters,
                state=State(StateType.SCHEDULED, "Scheduled"),
                expected_start_time=expected,
            )
        )

    def move(self, type_: StateType, at: datetime) -> None:
        """Bring the last run into another state; one that is not cancelled has begun."""
        began = {} if type_ is StateType.CANCELLED else {"start_time": at, "run_count": 1}
        state = State(type_, type_.title(), message="as somebody wanted it")
        self.runs[-1] = replace(self.runs[-1], state=state, **began)

    def _answer(self) -> None:
        with self._lock:
            self.asked += 1
        self.answers.wait(LONG_S)
        if self.is_down:
            raise PrefectUnavailable("http://prefect", "connection refused")


def _type(run: FlowRun) -> StateType:
    assert run.state is not None
    return run.state.type
