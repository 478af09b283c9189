"""
The whole product on one machine, in the foreground: `make up`.

    Prefect server and UI -> local shop -> deployments applied -> worker -> reconciler -> API

Each is started when what it needs answers, and ended in the opposite order. With a shop of the user's own no simulator
is started. What the children print is in `logs/` of the data folder.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deployments.children import (
    SIMULATOR_TOKEN,
    Child,
    answers,
    child,
    require_free,
    say,
    simulator,
    worker_is_online,
)
from deployments.embedded import LOCAL_BUDGETS, embedded_prefect, prefect_home
from shopsync.settings import Settings

SERVER_S, WORKER_S, APPLY_S, API_S = 240, 120, 180, 60
"""How long each may take to be ready: a new Prefect database takes half a minute on a quiet machine."""

RECONCILE_EVERY_S = 30
WATCH_S = 0.5


@dataclass(frozen=True)
class Ports:
    """Where each listens on 127.0.0.1; the variables of make that choose them are named beside."""

    prefect: int = 4200
    api: int = 8000
    shop: int = 8100

    def require_free(self, *, with_shop: bool) -> None:
        """Check that nobody else listens there."""
        require_free(self.prefect, "the Prefect server", "PREFECT_PORT")
        require_free(self.api, "the API", "API_PORT")
        if with_shop:
            require_free(self.shop, "the local shop", "SHOP_PORT")


def up(environ: Mapping[str, str], ports: Ports) -> None:
    """
    Run everything until this process is told to stop (which ends it by Stopped), or a child dies.

    Raises:
        PortTaken: Somebody else listens on one of the ports.
        ChildFailed: A child died, or does not become ready.
    """
    settings = Settings.from_environment(environ)
    own_shop = settings.shopify_url is None
    if not own_shop:
        settings.require_shop()
    ports.require_free(with_shop=own_shop)
    with ExitStack() as stack:
        stack.enter_context(prefect_home(settings.data_dir))
        # A worker on this machine, whatever else the settings describe.
        around = {**_of_this_machine(environ), "SHOPSYNC_WORK_POOL_TYPE": "process"}
        inside = standing_prefect(around, settings.data_dir, ports)
        logs = settings.data_dir / "logs"
        server = stack.enter_context(_prefect_server(inside, logs, ports))
        if own_shop:
            url = stack.enter_context(simulator(settings.data_dir, ports.shop))
            inside = LOCAL_BUDGETS | inside
            inside |= {"SHOPSYNC_SHOPIFY_URL": url, "SHOPSYNC_SHOPIFY_TOKEN": SIMULATOR_TOKEN}
        children = [server, *(stack.enter_context(each) for each in _served(inside, logs, ports, settings))]
        say("\nEverything is up; Ctrl-C ends it.")
        say(f"    Prefect UI    http://127.0.0.1:{ports.prefect}/deployments")
        say(f"    API           http://127.0.0.1:{ports.api}/schema")
        say(f"    a token       {settings.data_dir / 'api-token'}")
        say(f"    start a run   make sync PREFECT_PORT={ports.prefect}")
        say(f"    logs          {logs}")
        try:
            watch(children)
        finally:
            say("\n==> Stopping: runs record their end, then everything else is ended")


def watch(children: list[Child]) -> None:
    """Return never: a child that ends by itself is ChildFailed, being told to stop is Stopped."""
    while True:
        for each in children:
            each.require_alive()
        time.sleep(WATCH_S)


def standing_prefect(environ: Mapping[str, str], data_dir: Path, ports: Ports) -> dict[str, str]:
    """Return the environment of the embedded Prefect with a server of its own, and of what speaks to it."""
    url = f"http://127.0.0.1:{ports.prefect}/api"
    return embedded_prefect(environ, data_dir) | {
        "PREFECT_API_URL": url,
        "PREFECT_UI_URL": f"http://127.0.0.1:{ports.prefect}",
        # In memory, which is the default, a restart of the server would leave the slots of its runs taken for ever.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "SHOPSYNC_DATA_DIR": str(data_dir),
        "SHOPSYNC_PREFECT_API_URL": url,
    }


@contextmanager
def _prefect_server(environ: Mapping[str, str], logs: Path, ports: Ports) -> Iterator[Child]:
    say("==> Starting Prefect (its first start makes a database: half a minute or more)")
    command = ["deployments.prefect_server", "--host", "127.0.0.1", "--port", str(ports.prefect)]
    with child("the Prefect server", command, environ, logs / "prefect-server.log") as server:
        server.wait_until(lambda: answers(f"{environ['PREFECT_API_URL']}/health"), SERVER_S)
        say(f"    Prefect ready at http://127.0.0.1:{ports.prefect}")
        yield server


@contextmanager
def _worker(environ: Mapping[str, str], logs: Path, pool: str) -> Iterator[Child]:
    say("==> Preparing the server, and starting its worker")
    with child("the preparation", ["deployments", "apply"], environ, logs / "apply.log") as preparation:
        preparation.wait_for_success(APPLY_S)
    command = ["prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", f"local-{os.getpid()}"]
    with child("the worker", command, environ, logs / "worker.log", with_descendants=True) as worker:
        url, name = environ["PREFECT_API_URL"], command[-1]
        worker.wait_until(lambda: worker_is_online(url, pool, name), WORKER_S)
        say(f"    worker ready for the work pool {pool}")
        yield worker


@contextmanager
def _reconciler(environ: Mapping[str, str], logs: Path) -> Iterator[Child]:
    command = ["deployments", "reconcile", "--every", str(RECONCILE_EVERY_S)]
    with child("the reconciler", command, environ, logs / "reconciler.log") as reconciler:
        say(f"    reconciler ready, every {RECONCILE_EVERY_S} seconds")
        yield reconciler


@contextmanager
def _api(environ: Mapping[str, str], logs: Path, ports: Ports) -> Iterator[Child]:
    command = ["api", "--host", "127.0.0.1", "--port", str(ports.api)]
    with child("the API", command, environ, logs / "api.log") as api:
        api.wait_until(lambda: answers(f"http://127.0.0.1:{ports.api}/health"), API_S)
        say(f"    API ready at http://127.0.0.1:{ports.api}")
        yield api


def _served(
    environ: Mapping[str, str], logs: Path, ports: Ports, settings: Settings
) -> Iterator[AbstractContextManager[Child]]:
    """Yield what is to run beside the server, in the order in which it starts."""
    yield _worker(environ, logs, settings.work_pool)
    yield _reconciler(environ, logs)
    yield _api({**environ, **local_token(settings)}, logs, ports)


def local_token(settings: Settings) -> dict[str, str]:
    """Return the API's tokens: those of the settings, or one operator's, kept in the data folder for its user alone."""
    if settings.api_tokens.get_secret_value() != "[]":
        return {}
    kept = settings.data_dir / "api-token"
    if not kept.exists():
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(32), "utf-8")
    entry = {"name": "local", "role": "operator", "sha256": sha256(kept.read_bytes()).hexdigest()}
    return {"SHOPSYNC_API_TOKENS": json.dumps([entry])}


def _of_this_machine(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what describes other places to deploy to."""
    return {name: value for name, value in environ.items() if not name.startswith(("SHOPSYNC_ECS_", "SHOPSYNC_IMAGE"))}
