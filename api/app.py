"""
The application: routes, their guards and what they read from, inside the edge.

`create_app` is given everything and reads no environment; `api/__main__.py` is the process that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from litestar import Litestar, Router
from litestar.config.compression import CompressionConfig
from litestar.di import Provide
from litestar.types import Receive, Scope, Send
from sqlalchemy import Engine

from api import analytics, cloudflare, docs, health, metrics, orders, runs, sync
from api.connections import READS, THREADS, Connections
from api.edge import Edge
from api.health import Probes, probes_of
from api.limits import Allowance
from api.live import LiveRuns
from api.problems import Refused, answer
from api.requests import KnownParameters, refuse_foreign_writes
from api.specification import Document, document, known_parameters
from api.staff import Admission, Staff, TokenDoorkeeper, read_tokens
from api.starter import Prefect, Starter
from api.words import Now
from shopsync.lake import Lake
from shopsync.settings import Settings

T = TypeVar("T")

BODY_BYTES = 64 * 1024
"""The largest body that any route has use for, with much room."""

ROUTES: tuple[Router, ...] = (
    health.router,
    docs.router,
    orders.router,
    sync.router,
    runs.router,
    analytics.router,
    metrics.router,
)
"""One router per module; a new module is added here."""


@dataclass(frozen=True, slots=True)
class Injected:
    """What routes may ask for, by the names of their arguments: each is what provides it."""

    database: Callable[[], Awaitable[Engine]]
    lake: Callable[[], Awaitable[Lake]]
    live: Callable[[], Awaitable[LiveRuns]]
    starter: Callable[[], Awaitable[Starter]]
    now: Callable[[], Awaitable[Now]]
    described: Callable[[], Awaitable[Document]]
    metrics: Callable[[], Awaitable[metrics.Metrics]]
    probes: Callable[[], Awaitable[Probes]]

    def dependencies(self) -> dict[str, Provide]:
        """Return them as the framework takes them."""
        return {field.name: Provide(getattr(self, field.name)) for field in fields(self)}


def utc_now() -> datetime:
    """Return this machine's time, aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Api:
    """The application as a server runs it, and its parts for those who look inside."""

    litestar: Litestar
    edge: Edge
    described: Document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        await self.edge(scope, receive, send)


def create_app(settings: Settings, *, prefect: Prefect | None = None, now: Now = utc_now) -> Api:
    """
    Build the application.

    Args:
        settings: Where database, lake and Prefect are, and who may ask.
        prefect: Prefect's API; by default the one of the settings.
        now: The clock.

    Raises:
        SettingsError: SHOPSYNC_API_TOKENS is malformed, or Cloudflare Access is half configured.
    """
    connections = Connections(settings)
    asked = prefect or connections.prefect(READS)
    prefect = prefect or connections.prefect()
    counts, described = metrics.Metrics(), specification()
    injected = Injected(
        database=connections.database,
        lake=connections.lake,
        live=_constant(LiveRuns(asked)),
        starter=_constant(Starter(prefect, now)),
        now=_constant(now),
        described=_constant(described),
        metrics=_constant(counts),
        probes=_constant(probes_of(connections, asked)),
    )
    by_address, by_staff = Allowance(settings.api_address_limit), Allowance(settings.api_staff_limit)

    def spend(staff: Staff) -> None:
        wait_s = by_staff.spend(staff.name)
        if wait_s is not None:
            detail = f"too many requests by {staff.name}: ask again in {wait_s} s"
            raise Refused(429, detail, headers={"Retry-After": str(wait_s)})

    tokens = TokenDoorkeeper(read_tokens(settings.api_tokens.get_secret_value()), now)
    admission = Admission([tokens, *cloudflare.doorkeepers(settings)], spend)
    litestar = Litestar(
        route_handlers=list(ROUTES),
        dependencies=injected.dependencies(),
        guards=[admission, refuse_foreign_writes, KnownParameters(known_parameters(described))],
        exception_handlers={Exception: answer},
        compression_config=CompressionConfig(backend="gzip", minimum_size=1_000),
        request_max_body_size=BODY_BYTES,
        openapi_config=None,
        on_startup=[_widen],
        on_shutdown=[connections.close],
        logging_config=None,
    )
    return Api(litestar, Edge(litestar, by_address, counts.observe), described)


@cache
def specification() -> Document:
    """Return the OpenAPI document of this release."""
    nothing: dict[str, Any] = {field.name: _constant(None) for field in fields(Injected)}
    return document(ROUTES, Injected(**nothing).dependencies())


async def _widen() -> None:
    """Give routes threads enough: the loop closes them when it ends."""
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="route")
    asyncio.get_running_loop().set_default_executor(threads)


def _constant(value: T) -> Callable[[], Awaitable[T]]:
    async def constant() -> T:
        return value

    return constant
