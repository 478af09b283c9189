"""A world whose daily runs are deployed: they start on a process worker, die, are cancelled and go on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from api.starter import DAILY
from shopsync.reconcile import LAST_WORD, reconcile
from tasks.reconciliation import world as opened_for_reconciling
from tests.e2e.history import History
from tests.e2e.storage import embedded
from tests.e2e.worker import Worker, start, state_of, worker
from tests.e2e.world import World, environment, opened
from tests.simulator import Shop
from tests.waiting import until

COUNT = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000) SELECT x FROM n"
SLOW = f"CREATE TRIGGER trouble BEFORE INSERT ON order_header BEGIN SELECT max(x) FROM ({COUNT}); END"
"""Lets an order take a tenth of a second to be written."""


@dataclass(frozen=True)
class Deployed:
    """The truth of the world so far, and the worker that serves it."""

    history: History
    worker: Worker

    @property
    def world(self) -> World:
        """The world itself."""
        return self.history.world

    def start(self) -> UUID:
        """Start a daily run over what the shop has now; its run id is the flow run's."""
        self.history.take()
        return start(DAILY, requested_at=self.history.requested_at.isoformat())

    def until(self, met: Callable[[], bool], look_s: float = 0.001) -> None:
        """Wait for something."""
        try:
            until(met, look_s=look_s)
        except AssertionError as error:
            error.add_note(self.worker.told)
            raise

    def until_step(self, run_id: UUID, step: str) -> None:
        """Wait until a run tells that a step begins."""
        self.until(lambda: any(self.world.lake.glob(f"sync.telemetry/date=*/run_id={run_id}/*-{step}.jsonl")))

    def reconcile_after_crash(self, flow_run_id: UUID) -> list[str]:
        """Do what the reconciler does a minute after a crash, as soon as the worker has said its last of it."""
        self.until(lambda: self._is_let_go(flow_run_id), look_s=0.25)
        goes_on = f"flow run {state_of(flow_run_id).name} crashed and is started again"
        said: list[str] = []
        with environment(self.world.environ), opened_for_reconciling() as known:
            sooner = replace(known, late_report=LAST_WORD + timedelta(seconds=1))
            # The server knows crashed runs of other tests' worlds too, and these go on as well.
            self.until(lambda: bool(said.extend(reconcile(sooner).done) or goes_on in said), look_s=0.5)
        return said

    def _is_let_go(self, flow_run_id: UUID) -> bool:
        wanted = {
            "event": {"name": ["prefect.worker.executed-flow-run"]},
            "related": {"id": [f"prefect.flow-run.{flow_run_id}"]},
        }
        with get_client(sync_client=True) as client:
            found = client._client.post("/events/filter", json={"filter": wanted})
        return bool(found.json()["events"])


@contextmanager
def deployed(shop: Shop, folder: Path, prefect: Mapping[str, str], **settings: str) -> Iterator[Deployed]:
    """Open a world around a shop, and serve its deployments."""
    with (
        opened(shop, folder, prefect, embedded, **settings) as world,
        worker(world, folder.with_suffix(".log")) as serving,
    ):
        yield Deployed(History(world), serving)


def steps(flow_run_id: UUID) -> dict[str, list[str]]:
    """Return how each step of a flow run ended, over all its processes; `Cached` is one that was not carried out."""
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])))
    ended = defaultdict[str, list[str]](list)
    for each in sorted(found, key=lambda each: str(each.created)):
        ended[each.name.rpartition("-")[0]].append(str(each.state_name))
    return dict(ended)
