"""
Artifacts that a flow run shows for as long as it goes on: one each, whichever of its processes brings it up to date.

Prefect keeps every artifact that is created, so what changes often is changed in place.
"""

from __future__ import annotations

from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.runtime import flow_run


def shown_artifact(key: str) -> tuple[object, str | None] | None:
    """Return what this flow run's artifact of a key shows, and its description; None without one."""
    with get_client(sync_client=True) as client:
        found = _own(client, key)
    return None if found is None else (found.data, found.description)


def show_artifact(kind: str, key: str, data: str | float, description: str) -> None:
    """Make this flow run's artifact of a key, or change it; `data` is as Prefect keeps that kind (a table: JSON)."""
    with get_client(sync_client=True) as client:
        found = _own(client, key)
        if found is None:
            own = UUID(flow_run.id)
            client.create_artifact(
                ArtifactCreate(type=kind, key=key, data=data, description=description, flow_run_id=own)
            )
            return
        # Their own call would tell the whole of it once more, as an event that Prefect keeps for days.
        update = ArtifactUpdate(data=data, description=description).model_dump(mode="json", exclude_unset=True)
        client.request("PATCH", "/artifacts/{id}", path_params={"id": found.id}, json=update)


def _own(client: SyncPrefectClient, key: str) -> Artifact | None:
    own = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]), flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run.id)])
    )
    return next(iter(client.read_artifacts(artifact_filter=own, limit=1)), None)
