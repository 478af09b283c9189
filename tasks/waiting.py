"""
Waiting without paying: the container ends, and the same flow run goes on later in another one.

The flow run is put into AwaitingRetry with the time at which a worker is to start it again; then this process leaves
the flow by Prefect's `Abort`, which reports nothing. Finished tasks come back from their persisted results.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext
from prefect.exceptions import Abort
from prefect.runtime import flow_run
from prefect.states import AwaitingRetry
from prefect.utilities.engine import propose_state_sync

from shopsync.window import stamp

SETTLE_S = 5.0
"""A heartbeat that arrives after AwaitingRetry looks like a run that fell silent: the last one is let through first."""


class ContainerEnds(Abort):
    """This process has nothing more to do: the flow run goes on at `until` in another one."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"this run goes on at {stamp(until)}")
        self.until = until


def is_restarted() -> bool:
    """Whether a worker would start this flow run again; `python -m ...` has nobody who does."""
    return deployment_id() is not None


def deployment_id() -> UUID | None:
    """Return the deployment of this flow run; None for one that somebody started in a process of their own."""
    context = FlowRunContext.get()
    return None if context is None or context.flow_run is None else context.flow_run.deployment_id


def is_continued() -> bool:
    """Whether another process worked on this flow run before."""
    return flow_run.run_count > 1


def wait_until(until: datetime, why: str) -> None:
    """
    End the container and go on at `until` as the same flow run; without a deployment sleep in this process.

    Call it from the body of the flow. With a deployment it does not return: the flow starts anew at that time, and
    its finished tasks are `Cached`. The caller's `finally` blocks run.
    """
    if is_restarted():
        end_container(until, why)
    get_run_logger().info("waiting until %s: %s", stamp(until), why)
    time.sleep(max((until - datetime.now(UTC)).total_seconds(), 0))


def end_container(until: datetime, why: str) -> NoReturn:
    """
    Put the own flow run into AwaitingRetry until then, and leave the flow.

    Raises:
        ContainerEnds: Always, unless Prefect does not let the run wait: somebody cancelled it.
    """
    get_run_logger().info("this process ends; the run goes on at %s: %s", stamp(until), why)
    time.sleep(SETTLE_S)
    until = max(until, datetime.now(UTC))
    proposed = AwaitingRetry(scheduled_time=until, message=why)
    with get_client(sync_client=True) as client:
        _forget_process(client)
        state = propose_state_sync(client, proposed, flow_run_id=UUID(flow_run.id))
    if state.name != proposed.name:
        raise Abort(f"the run is {state.name} by now, and does not wait")
    raise ContainerEnds(until)


def _forget_process(client: SyncPrefectClient) -> None:
    # Cancelling a waiting run in the UI would wait minutes for a process that is gone. Their client has no call for it.
    client._client.patch(f"/flow_runs/{flow_run.id}", json={"infrastructure_pid": None}).raise_for_status()
