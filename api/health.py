"""
`/health`: whether this process lives, and what of its neighbours does.

Each neighbour is asked on its own and for a bounded time, so that one that hangs hides nothing of the others. What
is wrong with it is for the log: anyone may read this answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Literal

import anyio
import msgspec
from anyio.to_thread import run_sync
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy import select

from api.connections import Connections
from api.staff import Role, open_to
from api.starter import Prefect
from shopsync.database.engine import reading
from shopsync.errors import SyncError

log = logging.getLogger(__name__)

PATIENCE_S = 1.5
"""For each neighbour; whoever asks for health has little of it."""
FRESH_S = 2.0
"""How long an answer is given again: anyone may ask, and not at the neighbours' expense."""

NEEDED = frozenset({"database"})
"""Without these no read answers; without the others some do."""


class Alive(msgspec.Struct, frozen=True):
    """This process answers."""

    status: Literal["ok"] = "ok"


class Neighbour(msgspec.Struct, frozen=True):
    """How a neighbour answered."""

    status: Literal["ok", "down"]
    took_ms: int


class Readiness(msgspec.Struct, frozen=True):
    """`ok`: all answer. `degraded`: reads of orders answer, others may not. `down`: none does."""

    status: Literal["ok", "degraded", "down"]
    checks: dict[str, Neighbour]


class Probes:
    """Asks the neighbours."""

    def __init__(self, asked: Mapping[str, Callable[[], object]]) -> None:
        self._asked = asked
        self._last: tuple[Readiness, float] | None = None
        self._asking = anyio.Lock()

    async def health(self) -> Readiness:
        """Return how all of them are, by now or by two seconds ago; whoever asks meanwhile gets the same answer."""
        async with self._asking:
            if self._last is None or time.monotonic() - self._last[1] >= FRESH_S:
                self._last = await self._found(), time.monotonic()
            return self._last[0]

    async def _found(self) -> Readiness:
        found: dict[str, Neighbour] = {}
        async with anyio.create_task_group() as group:
            for name, ask in self._asked.items():
                group.start_soon(self._ask, name, ask, found)
        down = {name for name, neighbour in found.items() if neighbour.status == "down"}
        status = "down" if down & NEEDED else "degraded" if down else "ok"
        return Readiness(status, {name: found[name] for name in self._asked})

    async def _ask(self, name: str, ask: Callable[[], object], found: dict[str, Neighbour]) -> None:
        began = time.monotonic()
        status = "down"
        with anyio.move_on_after(PATIENCE_S) as patience:
            try:
                await run_sync(ask, abandon_on_cancel=True)
                status = "ok"
            except SyncError as error:
                log.warning("%s", error, extra={"neighbour": name})
        if patience.cancelled_caught:
            log.warning("%s did not answer within %s s", name, PATIENCE_S, extra={"neighbour": name})
        found[name] = Neighbour(status, round((time.monotonic() - began) * 1000))


def probes_of(connections: Connections, prefect: Prefect) -> Probes:
    """Return the probes of this process's neighbours."""

    def ask_database() -> None:
        with reading(connections.open_database()) as connection:
            connection.scalar(select(1))

    def ask_lake() -> None:
        connections.open_lake().exists("health")

    return Probes({"database": ask_database, "lake": ask_lake, "prefect": prefect.check_health})


@get(
    "/",
    operation_id="readHealth",
    summary="Tell how the API and its neighbours are",
    responses={503: ResponseSpec(Readiness, description="The database does not answer.", generate_examples=False)},
)
async def read_health(probes: NamedDependency[Probes]) -> Response[Readiness]:
    """Readiness: 503 when no read can be answered; `checks` tells each neighbour on its own."""
    health = await probes.health()
    if health.status != "down":
        return Response(health)
    return Response(health, status_code=503, headers={"Retry-After": str(round(FRESH_S))})


@get("/live", operation_id="readLiveness", summary="Tell whether the API lives", sync_to_thread=False)
def read_liveness() -> Alive:
    """Liveness: this process answers, whatever its neighbours do. Restarting it would mend none of them."""
    return Alive()


router = Router("/health", route_handlers=[read_health, read_liveness], opt=open_to(Role.ANYONE), tags=["service"])
