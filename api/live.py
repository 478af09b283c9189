"""
What Prefect says right now of runs that are not over, and of what comes next.

Beside our own records, never instead of them: while Prefect is down it is `unknown`, and the answer is there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from api.problems import RETRY_AFTER_S, Refused
from api.shared import Shared
from api.starter import KINDS, Prefect, identity
from shopsync.errors import FlowRunRefused, NotInPrefect, PrefectRefused, PrefectUnavailable
from shopsync.prefect_api import OVER, FlowRun, StateType
from shopsync.telemetry import JobType

UNKNOWN = "unknown"
GONE = "gone"
"""Prefect answers, and has no such flow run (any more)."""

FRESH_S = 1.0
"""How old an answer may be: nobody sees a run move within it."""
SILENT_S = 5.0
"""How long a Prefect that was silent is not asked: it costs whoever does two seconds and a thread."""

_NO_ANSWER = (PrefectRefused, NotInPrefect, FlowRunRefused)
"""It is up, and does not say: what is wrong then is the operator's, and no mistake of whoever reads."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Live(msgspec.Struct, frozen=True):
    """Prefect's view of a run that is not over."""

    state: str
    """The state's name in Prefect; `unknown` while Prefect does not answer, `gone` when it has no such flow run."""
    progress: float | None = None
    """Of the step that counts, in percent; null where nothing counts."""


class NextRun(msgspec.Struct, frozen=True):
    """The next scheduled run; `known` is false while Prefect does not answer."""

    known: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Awaited:
    """A run without a record: it has not begun, begins just now, or was over before it could."""

    job_type: JobType
    flow_run: FlowRun
    live: Live


class LiveRuns:
    """
    Asks Prefect, once for all who want to know the same, and not at all for a while after it was silent.

    Args:
        prefect: Its API, with the short patience of reads.
        clock: Seconds, never going back.
    """

    def __init__(self, prefect: Prefect, clock: Callable[[], float] = time.monotonic) -> None:
        self._prefect = prefect
        self._clock = clock
        self._shared = Shared(FRESH_S, clock)
        self._silent_until = float("-inf")

    def states(self, flow_runs: Mapping[str, str]) -> dict[str, Live]:
        """Return Prefect's view per run id of these flow runs, asked for at once."""
        if not flow_runs:
            return {}
        ids = sorted(set(flow_runs.values()))
        runs = self._ask(("states", *ids), lambda: self._prefect.flow_runs(ids=ids))
        if runs is None:
            return dict.fromkeys(flow_runs, Live(UNKNOWN))
        found = {run.id: run for run in runs}
        return {run_id: Live(_name(found.get(flow_run_id))) for run_id, flow_run_id in flow_runs.items()}

    def state(self, flow_run_id: str) -> Live:
        """Return Prefect's view of one flow run, with the progress that it shows."""
        live = self.states({flow_run_id: flow_run_id})[flow_run_id]
        if live.state in {UNKNOWN, GONE}:
            return live
        artifacts = self._ask(("artifacts", flow_run_id), lambda: self._prefect.artifacts(flow_run_id)) or []
        shown = next((one.data for one in artifacts if one.type == "progress"), None)
        return Live(live.state, float(shown) if isinstance(shown, int | float) else None)

    def awaited(self, run_id: str) -> Awaited | None:
        """
        Return a run that was started and has no record; None when Prefect does not know it (any more).

        Raises:
            Refused: Prefect, which may know it, does not answer.
        """
        found = self._ask(("awaited", run_id), lambda: self._search(run_id))
        if found is None:
            raise Refused(
                503,
                f"run {run_id} has no record here, and Prefect, which may know it, does not answer: "
                f"ask again in {RETRY_AFTER_S} s",
                kind="prefect-unavailable",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        return found[0] if found else None

    def next_run(self, deployment: str) -> NextRun:
        """Return when a deployment runs next."""
        scheduled = self._ask(("next", deployment), lambda: self._scheduled(deployment))
        if scheduled is None:
            return NextRun(known=False, at=None)
        return NextRun(known=True, at=scheduled[0].expected_start_time if scheduled else None)

    def _scheduled(self, deployment: str) -> list[FlowRun]:
        return self._prefect.flow_runs(
            deployment_ids=[self._prefect.deployment(deployment).id],
            state_types=frozenset({StateType.SCHEDULED}),
            sort="EXPECTED_START_TIME_ASC",
            limit=1,
        )

    def _search(self, run_id: str) -> list[Awaited]:
        """Find a run by its id, which Prefect cannot be asked for: among those to come, then among the last ones."""
        kinds = {self._prefect.deployment(name).id: kind for name, kind in KINDS.items()}
        for states, sort in ((frozenset(StateType) - OVER, "ASC"), (OVER, "DESC")):
            runs = self._prefect.flow_runs(
                deployment_ids=list(kinds), state_types=states, sort=f"EXPECTED_START_TIME_{sort}"
            )
            for run in runs:
                if identity(run) == run_id:
                    return [Awaited(kinds[run.deployment_id or ""], run, Live(_name(run)))]
        return []

    def _ask(self, key: Hashable, ask: Callable[[], T]) -> T | None:
        """Return what Prefect says; None while it does not."""
        return self._shared.ask(key, lambda: self._heard(ask))

    def _heard(self, ask: Callable[[], T]) -> T | None:
        if self._clock() < self._silent_until:
            return None
        try:
            return ask()
        except PrefectUnavailable as silence:
            self._silent_until = self._clock() + SILENT_S
            log.warning("%s", silence)
        except _NO_ANSWER as error:
            log.warning("%s", error)
        return None


def _name(run: FlowRun | None) -> str:
    if run is None or run.state is None:
        return GONE
    return run.state.name or run.state.type.value
