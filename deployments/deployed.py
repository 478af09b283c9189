"""The deployments of prefect.yaml: what is deployed, when, and with which parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import construct_schedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from deployments.comparison import differences
from deployments.parts import NOT_THERE
from deployments.templates import filled
from shopsync.errors import SettingsError

PREFECT_YAML = Path(__file__).parents[1] / "prefect.yaml"

COMPARED = (
    *("version", "description", "tags", "entrypoint", "pull_steps", "parameters", "parameter_openapi_schema"),
    *("enforce_parameter_schema", "work_pool_name", "job_variables", "concurrency_limit", "concurrency_options"),
)


@dataclass(frozen=True)
class Deployed:
    """One deployment: `fields` as Prefect's API takes them, `schedules` by their slugs."""

    flow_name: str
    name: str
    fields: Mapping[str, Any]
    schedules: Mapping[str, dict[str, Any]]

    @property
    def full_name(self) -> str:
        """Its name in Prefect: flow/deployment."""
        return f"{self.flow_name}/{self.name}"

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"deployment {self.full_name}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return what differs; whether it or a schedule is paused is the operator's."""
        found = _read(server, self.full_name)
        if found is None:
            return [NOT_THERE]
        stored = found.model_dump(mode="json", include=set(COMPARED))
        limit = found.global_concurrency_limit
        stored |= {"concurrency_limit": limit.limit if limit else None}
        schedules = {each.slug or str(each.id): _schedule(each.schedule, each.parameters) for each in found.schedules}
        return [
            *differences(dict(self.fields), stored),
            *differences(dict(self.schedules), schedules, path="schedules"),
        ]

    def write(self, server: SyncPrefectClient) -> None:
        """Create or update it; schedules that the file no longer has are deleted."""
        found = _read(server, self.full_name)
        written = [{"slug": slug, **each} for slug, each in self.schedules.items()]
        if found is None:
            server.create_deployment(
                server.create_flow_from_name(self.flow_name),
                self.name,
                schedules=[DeploymentScheduleCreate.model_validate(each) for each in written],
                **self.fields,
            )
            return
        for each in found.schedules:
            if each.slug not in self.schedules:
                server.delete_deployment_schedule(found.id, each.id)
        server.update_deployment(found.id, DeploymentUpdate.model_validate({**self.fields, "schedules": written}))


def deployments(values: Mapping[str, Any], file: Path = PREFECT_YAML) -> list[Deployed]:
    """
    Return the deployments of prefect.yaml, its placeholders filled with `values`.

    Raises:
        SettingsError: The file cannot be read, or names something that is no setting.
    """
    try:
        content = msgspec.yaml.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise SettingsError(file.name, f"cannot be read: {error}") from error
    return [_deployed(filled(each, values), content.get("pull")) for each in content["deployments"]]


def _deployed(entry: dict[str, Any], pull: list[dict[str, Any]] | None) -> Deployed:
    flow = load_flow_from_entrypoint(entry["entrypoint"])
    pool = entry["work_pool"]
    limit = entry.get("concurrency_limit") or {}
    options = {name: limit[name] for name in ("collision_strategy", "grace_period_seconds") if name in limit}
    fields = {
        "version": version("shopsync"),
        "description": entry.get("description", flow.description),
        "tags": entry.get("tags", []),
        "entrypoint": entry["entrypoint"],
        "pull_steps": pull or [],
        "parameters": entry.get("parameters", {}),
        "parameter_openapi_schema": parameter_schema(flow).model_dump(mode="json", exclude_unset=True),
        "enforce_parameter_schema": True,
        "work_pool_name": pool["name"],
        "job_variables": pool.get("job_variables", {}),
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": options or None,
    }
    schedules = {each["slug"]: _written(each) for each in entry.get("schedules", [])}
    return Deployed(flow.name, entry["name"], fields, schedules)


def _written(schedule: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule of the file as Prefect stores it."""
    cron = construct_schedule(cron=schedule["cron"], timezone=schedule.get("timezone", "UTC"))
    return _schedule(cron, schedule.get("parameters", {}))


def _schedule(schedule: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"schedule": schedule.model_dump(mode="json"), "parameters": parameters}


def _read(server: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    try:
        return server.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None
