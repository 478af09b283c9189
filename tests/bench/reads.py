"""
The reads of the API over a million orders: each over HTTP, beside its own statements sent by the bare driver.

The API is `python -m api` in a process of its own, as operators run it, with tokens, limits, tags and logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pymysql
from litestar.testing import TestClient
from sqlalchemy import URL, Engine, event, text

from api.app import create_app
from api.cursors import write_cursor
from shopsync.database import schema
from shopsync.database.engine import open_database
from shopsync.database.orders_read import OrderFilters, OrderPosition
from shopsync.settings import Settings
from tests.api.prefect import FakePrefect
from tests.api.staff import TOKENS, VIEWER
from tests.bench.asking import Load, answer_ms, load, times_as_long
from tests.bench.served import served
from tests.bench.years import Years

TIMES = 40
READERS = 50
DEPTH = 1.5
"""Page 10,000 may cost so many times what page 1 does."""
QUICK_MS = 100
DEEP_PAGE, PAGE = 10_000, 50
ALL = OrderFilters()

Sent = list[tuple[str, Any]]


@dataclass(frozen=True)
class Read:
    """One read: over HTTP and by the bare driver, in milliseconds; `wanted_ms` is what it may take."""

    name: str
    path: str
    statements: int
    http_ms: float
    sql_ms: float
    wanted_ms: float | None = None

    @property
    def short(self) -> bool:
        """Whether it is slower than it has to be."""
        return self.wanted_ms is not None and self.http_ms > self.wanted_ms


@dataclass
class Reads:
    """Measures the reads over so many orders, then lets fifty readers at them for so many seconds."""

    url: URL
    folder: Path
    orders: int
    seconds: float
    say: Callable[[str], None]
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    reads: list[Read] = field(default_factory=list)
    loads: dict[str, Load] = field(default_factory=dict)
    depth: float = 0.0
    """How many times what page 1 costs does page 10,000."""

    def run(self) -> None:
        """Fill the database, and measure."""
        self.fill()
        asked, url = self._asked(), self.url.render_as_string(hide_password=False)
        with served("api", lambda port: ["--port", str(port)], self._environ) as port:
            for name, path, wanted_ms in asked:
                self._measure(port, name, path, wanted_ms)
            self.depth = times_as_long(port, self.reads[1].path, self.reads[0].path, VIEWER, TIMES)
            self._load("all of the reads above, in turn", port, [path for _, path, _ in asked])
            self._load("`GET /orders`", port, ["/orders"])
        with served("tests.bench.fastapi_orders", lambda port: [str(port), url], {}) as port:
            self._load("`GET /orders` of a FastAPI route", port, ["/orders"])

    def fill(self) -> None:
        """Write the shop's years."""
        engine = open_database(self.url)
        schema.apply(engine)
        Years(self.orders, self.now).write(engine)
        engine.dispose()

    def shortfalls(self) -> list[str]:
        """Return what is slower than it has to be, or failed."""
        slow = [f"{read.name} takes {read.http_ms:.0f} ms, not {read.wanted_ms:g}" for read in self.reads if read.short]
        deep = [f"page {DEEP_PAGE:,} costs {self.depth:.2f} times page 1"] if self.depth > DEPTH else []
        failed = [f"{each.errors} errors under load: {name}" for name, each in self.loads.items() if each.errors]
        return [*slow, *deep, *failed]

    def _asked(self) -> list[tuple[str, str, float | None]]:
        deep = write_cursor(self._position(), ALL)
        today, stamp = self.now.date(), "%Y-%m-%dT%H:%M:%SZ"
        first, last = (self.now - timedelta(days=ago) for ago in (430, 400))
        month = f"created_at_min={first:{stamp}}&created_at_max={last:{stamp}}"
        days = f"start={today - timedelta(days=128)}&end={today - timedelta(days=1)}"
        return [
            ("orders, page 1", "/orders", None),
            (f"orders, page {DEEP_PAGE:,}", f"/orders?cursor={deep}", None),
            ("orders created in a month", f"/orders?{month}", None),
            ("orders by financial status", "/orders?financial_status=PAID", None),
            ("orders by a rare financial status", "/orders?financial_status=VOIDED", None),
            ("orders by fulfilment status", "/orders?fulfillment_status=UNFULFILLED", None),
            ("orders by both, few of them", "/orders?financial_status=VOIDED&fulfillment_status=ON_HOLD", None),
            ("orders by name", "/orders?name=%23777", None),
            ("one order with lines and sales", f"/orders/{self.orders - 7}", None),
            ("runs, page 1", "/api/ingest/runs", None),
            ("runs by kind and status", "/api/ingest/runs?status=failed&job_type=DAILY_SYNC_EXECUTE", None),
            ("overview of 128 days", f"/analytics/commerce/overview?{days}", QUICK_MS),
            ("pipelines, three years of runs", "/analytics/pipelines", QUICK_MS),
        ]

    def _position(self) -> OrderPosition:
        """Where page 9,999 ends, or half of a smaller shop."""
        engine = open_database(self.url)
        with engine.connect() as connection:
            before = min(PAGE * (DEEP_PAGE - 1), self.orders // 2)
            query = (
                "SELECT created_at, order_id FROM order_header ORDER BY created_at DESC, order_id DESC LIMIT 1 OFFSET"
            )
            created_at, order_id = connection.execute(text(f"{query} {before - 1}")).one()
        engine.dispose()
        return OrderPosition(created_at.replace(tzinfo=UTC), order_id)

    def _measure(self, port: int, name: str, path: str, wanted_ms: float | None) -> None:
        sent = self._statements(path)
        read = Read(name, path, len(sent), answer_ms(port, path, VIEWER, TIMES), self._bare_ms(sent), wanted_ms)
        self.reads.append(read)
        self.say(f"{name:36} {read.http_ms:8.2f} ms, bare SQL {read.sql_ms:8.2f} ms ({read.statements} statements)")

    def _statements(self, path: str) -> Sent:
        """Return what the API sends to the database for a read."""
        sent = Sent()

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            sent.append((statement, values))

        app = create_app(Settings.from_environment(self._environ), prefect=FakePrefect(), now=lambda: self.now)
        with TestClient(app) as client:
            client.get(path, headers=VIEWER).raise_for_status()  # the first answer checks the schema too
            event.listen(Engine, "before_cursor_execute", note)
            client.get(path, headers=VIEWER).raise_for_status()
            event.remove(Engine, "before_cursor_execute", note)
        return sent

    def _bare_ms(self, sent: Sent) -> float:
        address = self.url.translate_connect_args(username="user")
        with pymysql.connect(**address) as connection, connection.cursor() as cursor:
            return 1_000 * median([_bare_s(cursor, sent) for _ in range(TIMES)])

    def _load(self, name: str, port: int, paths: Sequence[str]) -> None:
        found = load(port, paths, VIEWER, READERS, self.seconds)
        self.loads[name] = found
        self.say(f"{name:36} {found.per_s:8.1f} answers/s, p99 {found.p99_ms:.0f} ms, {found.errors} errors")

    @property
    def _environ(self) -> dict[str, str]:
        return {
            "SHOPSYNC_DATABASE_URL": self.url.render_as_string(hide_password=False),
            "SHOPSYNC_LAKE_URL": (self.folder / "lake").as_uri(),
            "SHOPSYNC_DATA_DIR": str(self.folder),
            "SHOPSYNC_API_TOKENS": TOKENS,
            # One client asks for all.
            "SHOPSYNC_API_ADDRESS_LIMIT": "10000000",
            "SHOPSYNC_API_STAFF_LIMIT": "10000000",
        }


def _bare_s(cursor: Any, sent: Sent) -> float:
    begun = time.perf_counter()
    for statement, values in sent:
        cursor.execute(statement, values or None)
        cursor.fetchall()
    return time.perf_counter() - begun
