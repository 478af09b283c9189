"""The deployed product, each part of which can be stopped and started again under a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.settings import temporary_settings
from sqlalchemy import URL

from deployments.children import child
from tests.e2e.conftest import migrated
from tests.e2e.deployed import Deployed
from tests.e2e.history import History
from tests.e2e.prefect_server import client_settings, drain, free_port, prefect_server
from tests.e2e.storage import Embedded, OpenStorage, Storage, write_to
from tests.e2e.worker import worker
from tests.e2e.world import World, now
from tests.services.mariadb import mariadb
from tests.simulator import Clock, Shop, serve

RECONCILE_EVERY_S = 5

WAITS = {
    # As by default, but for the waits for Shopify's slots: seconds for minutes.
    "SHOPSYNC_RETRY_BASE_S": "2",
    "SHOPSYNC_POLL_INTERVAL_S": "1",
    "SHOPSYNC_BUSY_WAIT_S": "6",
    "SHOPSYNC_IN_PROCESS_WAIT_S": "15",
}


class Database(Embedded):
    """A database of a MariaDB server, and a folder for the lake."""

    def __init__(self, folder: Path, url: URL) -> None:
        super().__init__(folder)
        self._url = url
        self.database = url.render_as_string(hide_password=False)
        self.settings = {"SHOPSYNC_DATABASE_URL": self.database}

    def write(self, statement: str) -> None:
        """Write to the server."""
        write_to(self._url, statement)


def on_mariadb(new_database: Callable[[], URL]) -> OpenStorage:
    """Return what opens storages with a new database each."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Storage]:
        folder.mkdir(parents=True)
        yield Database(folder, migrated(new_database()))

    return opened


@dataclass
class Part:
    """Something that runs from `start` to `stop`."""

    opened: Callable[[], AbstractContextManager[Any]]
    value: Any = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.value = self._stack.enter_context(self.opened())

    def stop(self) -> None:
        """Stop it."""
        self._stack.close()


@dataclass(frozen=True)
class Stage:
    """The truth of the world so far, and the parts, in the order in which they start."""

    history: History
    parts: Mapping[str, Part]

    @property
    def product(self) -> Deployed:
        """The world and the worker of the moment."""
        return Deployed(self.history, self.parts["worker"].value)

    def set(self, **settings: str) -> None:
        """Deploy with these settings beside the usual ones."""
        self.history.world.settings.clear()
        self.history.world.settings.update(WAITS | settings)
        self.parts["worker"].stop()
        self.parts["worker"].start()

    def stop(self, name: str) -> None:
        """Stop a part: a worker as a machine does that loses its power, the others as they are told to."""
        if name == "worker":
            self.product.worker.kill_all()
        self.parts[name].stop()


@contextmanager
def stage(folder: Path, seed: int) -> Iterator[Stage]:
    """Start everything, in a folder of its own, and let a first run complete."""
    shop = Shop(seed, orders=200, now=now() - timedelta(minutes=5), days=100, operation_seconds=1.0)
    shop.clock = Clock.ticking()
    shop_port, prefect_port, home = free_port(), free_port(), folder / "prefect"
    (folder / "data").mkdir(parents=True)
    with mariadb() as server, ExitStack() as ending:
        parts: dict[str, Part] = {
            "database": Part(server.running),
            "simulator": Part(lambda: serve(shop, shop_port)),
            "Prefect server": Part(lambda: prefect_server(home, port=prefect_port)),
        }
        for each in parts.values():
            ending.callback(each.stop)
            each.start()
        environ, storage = parts["Prefect server"].value, Database(folder / "data", migrated(server.create_database()))
        world = World(shop, folder / "data", storage, environ, parts["simulator"].value, dict(WAITS))
        ending.enter_context(temporary_settings(client_settings(environ)))
        ending.callback(drain)
        parts["worker"] = Part(lambda: worker(world, folder / "worker.log", "soak"))
        ending.callback(parts["worker"].stop)
        parts["worker"].start()
        reconcile = ["deployments", "reconcile", "--every", str(RECONCILE_EVERY_S)]
        ending.enter_context(child("the reconciler", reconcile, world.environ, folder / "reconciler.log"))
        history = History(world)
        history.sync()
        yield Stage(history, parts)
