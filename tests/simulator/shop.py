"""The simulated shop: its books, its bulk operations, and one function that answers every request."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.simulator.admin import Admin, root_fields
from tests.simulator.faults import Faults
from tests.simulator.generate import populate
from tests.simulator.nodes import Node, stamp
from tests.simulator.operations import Operation, Operations
from tests.simulator.pages import sort_key
from tests.simulator.roots import SORT_FIELDS
from tests.simulator.schema import VERSIONS
from tests.simulator.search import ORDERS, PRODUCTS, Search, parse_search
from tests.simulator.storage import BUCKET, Storage
from tests.simulator.tokens import Tokens
from tests.simulator.trade import Trade

SCOPES = ("read_orders", "read_all_orders", "read_products", "read_customers")
# Without read_all_orders, orders created earlier than this are silently missing.
RECENT = timedelta(days=60)
GRAPHQL = re.compile(r"/admin/api/(?P<version>[^/]+)/graphql\.json")
SEARCHES = {"orders": ORDERS, "products": PRODUCTS}


@dataclass(slots=True)
class Asked:
    """One request as it arrived; `field` names the first root field of a GraphQL document."""

    at: datetime
    method: str
    url: str
    path: str
    headers: dict[str, str]
    field: str | None
    body: Any

    @property
    def to_storage(self) -> bool:
        """Whether it went to the storage, where the token must never go."""
        return self.path.startswith(BUCKET)


class Shop(Trade):
    """A Shopify shop in memory; hand `respond` to `httpx.MockTransport`, or `serve` the shop."""

    def __init__(
        self,
        seed: int = 1,
        orders: int = 0,
        *,
        now: datetime,
        timezone: str = "America/New_York",
        currency: str = "USD",
        taxes_included: bool = False,
        domain: str = "sim-shop.myshopify.com",
        token: str = "shpat_simulated",
        client_id: str | None = None,
        client_secret: str | None = None,
        scopes: Sequence[str] = SCOPES,
        api_versions: Sequence[str] = VERSIONS,
        operation_seconds: float = 1.0,
        days: float = 200,
        base_url: str | None = None,
    ) -> None:
        super().__init__(seed=seed, now=now, timezone=timezone, currency=currency, taxes_included=taxes_included)
        self.domain, self.token = domain, token
        self.client_id, self.client_secret = client_id, client_secret
        self.scopes, self.api_versions = tuple(scopes), tuple(api_versions)
        self.operation_seconds = operation_seconds
        self.base_url = base_url
        self.faults = Faults()
        self.requests: list[Asked] = []
        self.served: dict[str, Path] = {}
        self.bulk = Operations(self)
        self.storage = Storage(self)
        self.tokens = Tokens(self)
        self.admin = Admin(self)
        self._folder: Path | None = None
        populate(self, orders, days)

    # --- what it answers ---

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer any request; a broken connection is raised as the httpx error a client would see."""
        request.read()
        asked = self._log(request)
        path = request.url.path
        if asked.to_storage:
            return self.storage.respond(request)
        if path == "/admin/oauth/access_token" and request.method == "POST":
            return self.tokens.grant(request)
        found = GRAPHQL.fullmatch(path)
        if found and request.method == "POST":
            slow = self.faults.take("slow_answer")
            answer = self.admin.respond(request, found["version"])
            return self._slowly(request, answer) if slow else answer
        return httpx.Response(404, json={"errors": "Not Found"})

    def _log(self, request: httpx.Request) -> Asked:
        text = request.content.decode("utf-8", "replace")
        body: Any = text
        field = None
        if GRAPHQL.fullmatch(request.url.path):
            try:
                body = httpx.Response(200, content=request.content).json()
                field = next(iter(root_fields(body["query"])), None)
            except (ValueError, KeyError, TypeError):
                body = text
        asked = Asked(
            at=self.clock.now(),
            method=request.method,
            url=str(request.url),
            path=request.url.path,
            headers={key.lower(): value for key, value in request.headers.items()},
            field=field,
            body=body,
        )
        self.requests.append(asked)
        return asked

    def _slowly(self, request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        """Let time pass; the client has gone when it waits less. Over HTTP the server does the waiting."""
        patience = (request.extensions.get("timeout") or {}).get("read")
        if self.clock.is_frozen:
            self.clock.advance(min(self.faults.slow_answer_s, patience or self.faults.slow_answer_s))
        if patience is not None and patience < self.faults.slow_answer_s:
            raise httpx.ReadTimeout("The read operation timed out", request=request)
        answer.extensions["delay_s"] = self.faults.slow_answer_s
        return answer

    # --- what search finds ---

    def may_see(self, order: Node) -> bool:
        """Whether the token's scopes show this order."""
        return "read_all_orders" in self.scopes or order["createdAt"] >= stamp(self.clock.now() - RECENT)

    def search_of(self, name: str, text: str | None) -> Search:
        """Return the parsed `query` argument of a root connection."""
        return parse_search(text, SEARCHES[name], self.clock.now(), self.timezone)

    def find(self, name: str, arguments: dict[str, Any]) -> list[Node]:
        """Return the nodes of a root connection that its arguments choose, in their order."""
        if name not in SEARCHES:
            return []
        matches = self.search_of(name, arguments.get("query")).matches
        indexed = self.clock.now() - timedelta(seconds=self.faults.search_lag_s)
        late = {each for each, at in self.changed_at.items() if at > indexed} if self.faults.search_lag_s else ()
        source = self.orders if name == "orders" else self.products
        nodes = [node for node in source.values() if matches(node) and node["id"] not in late]
        if name == "orders" and "read_all_orders" not in self.scopes:
            nodes = [node for node in nodes if self.may_see(node)]
        nodes.sort(
            key=sort_key(SORT_FIELDS.get(arguments.get("sortKey", "ID"), "id")),
            reverse=bool(arguments.get("reverse")),
        )
        return nodes

    # --- bulk operations, as tests see them ---

    @property
    def operations(self) -> list[Operation]:
        """Every bulk operation, oldest first."""
        return self.bulk.all

    def foreign_operation(self, seconds: float = 3600.0, *, lingering_cancel: bool = False) -> Operation:
        """Start an operation of the same app that is not the client's; it holds a slot."""
        return self.bulk.add_foreign(seconds, lingering_cancel=lingering_cancel)

    def served_bytes(self, operation: Operation | str | int) -> bytes:
        """Return the exact JSONL of an operation, given itself, its gid or its number."""
        operation_id = operation.id if isinstance(operation, Operation) else operation
        if isinstance(operation_id, int):
            operation_id = f"gid://shopify/BulkOperation/{operation_id}"
        return self.served[operation_id].read_bytes()

    def before_change(self) -> None:
        """Let operations that are due by now read the shop as it still is."""
        if getattr(self, "bulk", None) and self.bulk.all:
            self.bulk.settle()

    def folder(self) -> Path:
        """Return the folder of the exported files; it goes away with the shop."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="shop-simulator-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder


def midnight_utc(year: int, month: int, day: int) -> datetime:
    """Return the start of a UTC day; convenient for `now`."""
    return datetime(year, month, day, tzinfo=UTC)
