"""
Prepares the Prefect server of the environment: everything that the flows need there, from the files and the settings.

    block types -> blocks -> concurrency limits -> work pool -> automations -> deployments
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from deployments import parts
from deployments.automations import Timing, automations
from deployments.blocks import BlockType, SavedBlock, alerts_block, results_block
from deployments.deployed import deployments
from deployments.limits import Limit
from deployments.parts import Part, Say
from deployments.pools import Pool, require_ecs, setting_values
from shopsync.settings import Settings
from tasks.server import prefect_server
from tasks.watermark import SyncWatermark


def wanted(
    environ: Mapping[str, str],
    server: SyncPrefectClient,
    timing: Timing = Timing(),  # noqa: B008 - frozen
) -> list[Part]:
    """
    Return every part that the server should have, each after those that it refers to.

    Raises:
        SettingsError: A setting is missing or malformed for what is to be deployed.
    """
    settings = Settings.from_environment(environ)
    require_ecs(settings)
    results, alerts = results_block(settings), _alerts(settings)
    values: dict[str, Any] = {**environ, **setting_values(settings)}
    return [
        BlockType(SyncWatermark),
        results,
        *([alerts] if isinstance(alerts, SavedBlock) else ()),
        Limit(f"watermark-{settings.watermark_block}", 1),
        Pool(settings, environ, results.slug),
        *automations(server, alerts.slug if isinstance(alerts, SavedBlock) else alerts, timing),
        *deployments(values),
    ]


def apply(environ: Mapping[str, str], say: Say) -> None:
    """Bring the server up to the files and the settings; done twice it changes nothing."""
    with prefect_server() as server:
        changed = parts.apply(wanted(environ, server), server, say)
    say(f"{changed} changed." if changed else "Nothing to change.")


def check(environ: Mapping[str, str], say: Say) -> int:
    """Name each difference between the server and the files; return how many there are."""
    with prefect_server() as server:
        found = parts.check(wanted(environ, server), server, say)
    if not found:
        say("The server is as the files say.")
    return found


def _alerts(settings: Settings) -> SavedBlock | str | None:
    """Return where alerts go: a block that we save, the name of the operator's own, or nowhere."""
    url = settings.alert_webhook_url
    return alerts_block(url.get_secret_value()) if url else settings.alert_block
