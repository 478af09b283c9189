"""The reconciler's world in this process, and the hook that ends a cancelled run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
from prefect.client.schemas.objects import FlowRun

from shopsync.database import runs
from shopsync.errors import SyncError
from shopsync.prefect_api import PrefectAccess, PrefectApi, State, StateType
from shopsync.reconcile import World, end_run
from shopsync.run import Run
from tasks import connections
from tasks.request import cancel_own_operations

logger = logging.getLogger(__name__)


@contextmanager
def world() -> Iterator[World]:
    """Open everything that the reconciler looks at."""
    access = PrefectAccess.of(connections.settings())
    with httpx.Client() as http, connections.database() as database:
        yield World(PrefectApi(access, http), database, connections.lake(), connections.now, _cancel)


def end_cancelled_run(flow: Any, flow_run: FlowRun, state: Any) -> None:  # noqa: ARG001 - Prefect calls it by keyword
    """
    Record that a run was cancelled, unless it could say so itself, and cancel its operation at Shopify.

    Prefect calls it in a process of its own, once the run's process is gone.
    """
    try:
        with world() as opened:
            found = opened.prefect.flow_run(str(flow_run.id))
            cancelled = found and msgspec.structs.replace(found, state=State(StateType.CANCELLED))
            for known in runs.of_flow_run(opened.database, str(flow_run.id)):
                end_run(opened, known, cancelled)
    except SyncError as failure:
        logger.warning("the cancelled run is left to the reconciler: %s", failure)


def _cancel(run: Run) -> None:
    for operation_id in cancel_own_operations(run):
        logger.info("bulk operation %s is cancelled with its run %s", operation_id, run.run_id)
