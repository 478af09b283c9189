"""Who asked for a flow run, and when: what its parameters leave out."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.runtime import flow_run

from shopsync.telemetry import Initiator


def initiator_of_flow_run() -> Initiator:
    """Return cron for a scheduled flow run, user for any other."""
    return Initiator.CRON if "auto-scheduled" in (flow_run.tags or []) else Initiator.USER


def scheduled_start() -> datetime:
    """Return when the flow run was to start."""
    # Prefect's own datetime type, which our JSON does not know.
    return datetime.fromtimestamp(flow_run.scheduled_start_time.timestamp(), UTC)
