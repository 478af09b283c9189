"""
The work pool: where a run's process or container is started, and with which environment.

The pool carries the settings of the environment in which it is applied to every run. Secrets are carried by reference
alone: a Prefect Secret block called after its setting (`shopsync-shopify-token`), or the keys of one AWS secret. What
neither of them has, the worker's own environment gives (a process pool).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import WorkPool
from prefect.exceptions import ObjectNotFound

from deployments.blocks import AS_REQUIRED
from deployments.comparison import differences
from deployments.parts import NOT_THERE
from deployments.templates import filled
from shopsync.errors import SettingsError
from shopsync.settings import PREFIX, Settings

TEMPLATES = {
    "process": Path(__file__).with_name("process_pool.json"),
    "ecs": Path(__file__).with_name("work_pool.json"),
}

SECRETS = ("shopify_token", "shopify_client_secret", "database_url", "lake_secret_access_key")
"""Settings of a run that may be read by nobody else."""

NOT_OF_RUNS = ("api_tokens", "prefect_api_", "work_pool", "image", "ecs_", "alert_", "data_dir")
"""Settings of the API and of the deployments, by their beginnings; the data folder is given apart."""

FOR_ANY_BLOCK = {f"AWS_{name.upper()}": value for name, value in AS_REQUIRED.items()}
"""What our own result block says itself: an operator's block of keys need not say it."""

PREFECT_SECRETS = ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING")


@dataclass(frozen=True)
class Pool:
    """The work pool of the settings; `environ` is the environment that they were read from."""

    settings: Settings
    environ: Mapping[str, str]
    results_block: str

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"work pool {self.settings.work_pool}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return what differs in its type and job template."""
        found = self._found(server)
        if found is None:
            return [NOT_THERE]
        if found.type != self.settings.work_pool_type:
            raise SettingsError(
                "SHOPSYNC_WORK_POOL",
                f"names a pool of the type {found.type}, which cannot become {self.settings.work_pool_type}: "
                "name another one, or delete it in Prefect",
            )
        return differences(self._template(server), found.base_job_template)

    def write(self, server: SyncPrefectClient) -> None:
        """Create it, or update its job template."""
        template = self._template(server)
        if self._found(server) is None:
            kind = self.settings.work_pool_type
            server.create_work_pool(WorkPoolCreate(name=self.settings.work_pool, type=kind, base_job_template=template))
        else:
            server.update_work_pool(self.settings.work_pool, WorkPoolUpdate(base_job_template=template))

    def _found(self, server: SyncPrefectClient) -> WorkPool | None:
        try:
            return server.read_work_pool(self.settings.work_pool)
        except ObjectNotFound:
            return None

    def _template(self, server: SyncPrefectClient) -> dict[str, Any]:
        known = {str(document.name) for document in server.read_block_documents_by_type("secret")}
        template = msgspec.json.decode(TEMPLATES[self.settings.work_pool_type].read_bytes())
        environment = run_environment(self.settings, self.environ, self.results_block, known)
        return filled(template, self._values(environment))

    def _values(self, environment: dict[str, str]) -> dict[str, Any]:
        given, secret = self.settings, self.settings.ecs_secret_arn
        network = {
            "subnets": list(given.ecs_subnets),
            "securityGroups": list(given.ecs_security_groups),
        }
        by_key = {name: f"{secret}:{name}::" if secret and name in self.environ else None for name in PREFECT_SECRETS}
        return {
            "RUN_ENVIRONMENT": environment,
            "RUN_SECRETS": secret_references(secret, environment) if secret else [],
            "ECS_NETWORK": {name: ids for name, ids in network.items() if ids},
            **{f"{name}_SECRET_ARN": arn for name, arn in by_key.items()},
            **setting_values(given),
        }


def run_environment(
    settings: Settings, environ: Mapping[str, str], results_block: str, secret_blocks: set[str]
) -> dict[str, str]:
    """Return the environment that every run gets: the settings that were given, secrets by reference."""
    given = {name: environ.get(_variable(name), "").strip() for name in Settings.model_fields if _is_of_runs(name)}
    environment = {_variable(name): value for name, value in given.items() if value}
    for name in SECRETS:
        block = f"{PREFIX}{name}".lower().replace("_", "-")
        if block in secret_blocks:
            environment[_variable(name)] = f"{{{{ prefect.blocks.secret.{block} }}}}"
    if settings.work_pool_type == "process":
        # A worker starts the flow in a folder of its own.
        environment["SHOPSYNC_DATA_DIR"] = str(settings.data_dir)
    if settings.lake_url.startswith("s3://"):
        environment |= FOR_ANY_BLOCK
    return environment | {"PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK": results_block}


def secret_references(secret_arn: str, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what ECS reads for a container: each secret setting that is not given otherwise, from one AWS secret."""
    names = [name for name in map(_variable, SECRETS) if name not in environment]
    return [{"name": name, "valueFrom": f"{secret_arn}:{name}::"} for name in names]


def setting_values(settings: Settings) -> dict[str, Any]:
    """Return the settings that the files of the deployments may name, by their variables."""
    names = (name for name in Settings.model_fields if name.startswith(("work_pool", "image", "ecs_")))
    return {_variable(name): cast(Any, getattr(settings, name)) for name in names}


def require_ecs(settings: Settings) -> None:
    """
    Check that a container, which has no disk to keep, finds everything elsewhere.

    Raises:
        SettingsError: A setting that an ECS pool needs is missing, or names something on this machine.
    """
    if settings.work_pool_type != "ecs":
        return
    for name in ("image", "ecs_execution_role_arn"):
        if getattr(settings, name) is None:
            expects = Settings.model_fields[name].description
            raise SettingsError(_variable(name), f"is not set: an ECS pool needs it; it expects {expects}")
    if not settings.lake_url.startswith("s3://"):
        raise SettingsError("SHOPSYNC_LAKE_URL", "is a folder: an ECS pool needs s3://bucket[/prefix]")


def _is_of_runs(name: str) -> bool:
    return name not in SECRETS and not name.startswith(NOT_OF_RUNS)


def _variable(name: str) -> str:
    return f"{PREFIX}{name}".upper()
