"""A real process worker, which starts what is deployed, in a world of the tests'."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import psutil
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Cancelling

from tests.e2e.world import World
from tests.waiting import until

IDLE_S = 5
"""How long a worker without runs may take to end; some never do."""


@dataclass(frozen=True)
class Worker:
    """A worker's process, and what it has printed."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def told(self) -> str:
        """The end of what it printed, for a failed test."""
        return self.log.read_text()[-3_000:]

    def processes(self, flow_run_id: UUID) -> list[psutil.Process]:
        """Return the processes of a flow run."""
        found: list[psutil.Process] = []
        for each in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                found += [each] if each.environ().get("PREFECT__FLOW_RUN_ID") == str(flow_run_id) else []
        return found

    def kill(self, flow_run_id: UUID) -> None:
        """Kill a flow run's processes with SIGKILL, as a machine without memory does."""
        for each in self.processes(flow_run_id):
            each.kill()

    def kill_all(self) -> None:
        """Kill the worker and all that it started, as a machine that loses its power does."""
        for each in [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


@contextmanager
def worker(world: World, log: Path, pool: str | None = None) -> Iterator[Worker]:
    """Deploy everything to a pool, one of its own by default, as an operator does; serve it while the block runs."""
    pool = pool or f"pool-{uuid4().hex[:8]}"
    environ = world.environ | {"SHOPSYNC_WORK_POOL": pool, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    applied = subprocess.run(
        [sys.executable, "-m", "deployments", "apply"], env=environ, capture_output=True, text=True, check=False
    )
    assert 0 == applied.returncode, applied.stdout + applied.stderr
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    with log.open("a") as told:
        process = subprocess.Popen(command, env=environ, stdout=told, stderr=subprocess.STDOUT)
        try:
            yield Worker(process, log)
        finally:
            process.terminate()
            try:
                process.wait(IDLE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start(deployment: str, **parameters: Any) -> UUID:
    """Ask for a run of a deployment, as the API and the UI do; return the flow run's id."""
    return cast("FlowRun", run_deployment(deployment, parameters=parameters, timeout=0, as_subflow=False)).id


def cancel(flow_run_id: UUID) -> None:
    """Cancel a flow run, as the button in the UI does."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_id, Cancelling())


def ended(flow_run_id: UUID) -> FlowRun:
    """Wait until a flow run has ended."""
    return reached(flow_run_id, lambda found: found.state is not None and found.state.is_final())


def reached(flow_run_id: UUID, meets: Callable[[FlowRun], bool]) -> FlowRun:
    """Wait until a flow run is as wanted."""

    def found() -> FlowRun | None:
        run = state_of(flow_run_id)
        return run if meets(run) else None

    return until(found, look_s=0.25)


def state_of(flow_run_id: UUID) -> FlowRun:
    """Return a flow run as it stands."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run_id)
