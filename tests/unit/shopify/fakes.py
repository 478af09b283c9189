"""Small things that behave like the world around the client: a clock, a shop with bulk operations, a storage."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shopsync.patience import Patience
from shopsync.shopify.admin import AdminClient, ShopAccess
from shopsync.window import SyncWindow, stamp

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
WINDOW = SyncWindow(NOW - timedelta(days=1), NOW)
URL = "https://shop.myshopify.com"
VERSION = "2026-10"
RUN_ID = "5f0c7a50-6df4-4a4e-9a4e-2f4b6d4f3a11"


class Clock:
    """A clock that moves only when somebody sleeps, and remembers the naps."""

    def __init__(self) -> None:
        self.at = NOW
        self.naps: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += timedelta(seconds=seconds)

    def patience(self, budget_s: float = 3600, **given: Any) -> Patience:
        world = {"base_s": 2, "busy_s": 60, "jitter": lambda: 0.0, "sleep": self.sleep, "now": self.now}
        return Patience(**{**world, **given}, deadline=NOW + timedelta(seconds=budget_s), budget_s=budget_s)


def client(
    respond: Callable[[httpx.Request], httpx.Response], clock: Clock | None = None, **access: Any
) -> AdminClient:
    """Return a client of the shop that `respond` plays."""
    clock = clock or Clock()
    http = httpx.Client(transport=httpx.MockTransport(respond))
    return AdminClient(ShopAccess(URL, VERSION, **(access or {"token": "shpat_1"})), http, clock.patience())


def graphql(body: Any, version: str = VERSION) -> httpx.Response:
    """Return a GraphQL answer of that body."""
    return httpx.Response(200, json=body, headers={"X-Shopify-API-Version": version, "X-Request-Id": "req-7"})


class Script:
    """Plays answers one after the other; an exception in the script is what the connection does."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class BulkShop:
    """A shop with bulk operations: `slots` at once, answers of the run mutation lost `lost` times."""

    def __init__(self, slots: int = 5) -> None:
        self.slots = slots
        self.operations: list[dict[str, Any]] = []
        self.lost = 0
        self.user_errors: list[dict[str, Any]] = []
        self.hidden = False
        self.page_size = 25
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        name = re.search(r"(?:query|mutation) (\w+)", body["query"])
        assert name
        self.asked.append(name[1])
        return graphql({"data": getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", name[1]).lower())(body["variables"])})

    def add(self, query: str, status: str = "RUNNING", created_at: datetime = NOW, **more: Any) -> dict[str, Any]:
        """Let an operation exist, whoever started it."""
        operation = {
            "id": f"gid://shopify/BulkOperation/{len(self.operations) + 1}",
            "status": status,
            "errorCode": None,
            "createdAt": stamp(created_at),
            "completedAt": None,
            "objectCount": "0",
            "rootObjectCount": "0",
            "fileSize": None,
            "url": None,
            "query": query,
            **more,
        }
        self.operations.insert(0, operation)
        return operation

    def run_operation(self, variables: dict[str, Any]) -> dict[str, Any]:
        running = [operation["id"] for operation in self.operations if operation["status"] in {"RUNNING", "CANCELING"}]
        if self.user_errors:
            return {"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [self.user_errors.pop(0)]}}
        if len(running) >= self.slots:
            message = f"A bulk query operation for this app and shop is already in progress: {', '.join(running)}."
            error = {"field": None, "message": message, "code": "OPERATION_IN_PROGRESS"}
            self.hidden = False
            return {"bulkOperationRunQuery": {"bulkOperation": None, "userErrors": [error]}}
        operation = self.add(variables["query"], "CREATED")
        if self.lost:
            self.lost -= 1
            raise httpx.ReadTimeout("lost")
        return {"bulkOperationRunQuery": {"bulkOperation": operation, "userErrors": []}}

    def recent_operations(self, variables: dict[str, Any]) -> dict[str, Any]:
        first = int(variables["after"] or 0)
        listed = [] if self.hidden else self.operations[first : first + self.page_size]
        end = first + self.page_size
        page = {"hasNextPage": end < len(self.operations) and not self.hidden, "endCursor": str(end)}
        return {"bulkOperations": {"edges": [{"node": operation} for operation in listed], "pageInfo": page}}

    def operation(self, variables: dict[str, Any]) -> dict[str, Any]:
        found = [operation for operation in self.operations if operation["id"] == variables["id"]]
        return {"node": found[0] if found else None}

    result_url = operation

    def cancel_operation(self, variables: dict[str, Any]) -> dict[str, Any]:
        operation = self.operation(variables)["node"]
        errors = []
        if self.user_errors:
            errors = [self.user_errors.pop(0)]
        else:
            operation["status"] = "CANCELING"
        return {"bulkOperationCancel": {"bulkOperation": operation, "userErrors": errors}}


class Storage:
    """One file behind expiring links; `breaks` are the positions at which a connection breaks, in order."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.breaks: list[int] = []
        self.ends: list[int] = []
        self.refusals: list[int] = []
        self.takes_ranges = True
        self.headers: dict[str, str] = {}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.refusals:
            return httpx.Response(self.refusals.pop(0))
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        start = int(asked[1]) if asked and self.takes_ranges else 0
        if start >= len(self.content) and asked:
            return httpx.Response(416)
        headers = dict(self.headers)
        if asked and self.takes_ranges:
            headers["content-range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        return httpx.Response(206 if "content-range" in headers else 200, headers=headers, content=self._body(start))

    def _body(self, start: int) -> Iterator[bytes]:
        stop = self.ends.pop(0) if self.ends else len(self.content)
        broken = self.breaks.pop(0) if self.breaks else None
        yield self.content[start : stop if broken is None else broken]
        if broken is not None:
            raise httpx.ReadError("https://storage/secret?Signature=s3cret")
