"""
Shopify's search syntax, with the behaviour that was observed on real shops.

Timestamps count to the second only when quoted, `>` acts like `>=`, offsets are read as if absent,
an unknown filter name is ignored (everything matches), an empty bound makes the server fail.
Source: shopify.dev/docs/api/usage/search-syntax; observations cited in the project's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from tests.simulator.nodes import Node, stamp

Kind = Literal["time", "id", "bool", "text", "enum", "list", "status", "customer"]
Test = Callable[[Node], bool]

ORDERS: Mapping[str, tuple[Kind, str]] = {
    "updated_at": ("time", "updatedAt"),
    "created_at": ("time", "createdAt"),
    "processed_at": ("time", "processedAt"),
    "id": ("id", "id"),
    "name": ("text", "name"),
    "test": ("bool", "test"),
    "tag": ("list", "tags"),
    "source_name": ("text", "sourceName"),
    "financial_status": ("enum", "displayFinancialStatus"),
    "fulfillment_status": ("enum", "displayFulfillmentStatus"),
    "return_status": ("enum", "returnStatus"),
    "status": ("status", "status"),
    "customer_id": ("customer", "customer"),
}
PRODUCTS: Mapping[str, tuple[Kind, str]] = {
    "updated_at": ("time", "updatedAt"),
    "created_at": ("time", "createdAt"),
    "id": ("id", "id"),
    "title": ("text", "title"),
    "handle": ("text", "handle"),
    "vendor": ("text", "vendor"),
    "product_type": ("text", "productType"),
    "status": ("enum", "status"),
    "tag": ("list", "tags"),
}
OPERATIONS: Mapping[str, tuple[Kind, str]] = {
    "status": ("enum", "status"),
    "operation_type": ("enum", "type"),
    "created_at": ("time", "createdAt"),
    "id": ("id", "id"),
}
# EXPIRED is a status, but not one that can be searched for.
OPERATION_VALUES = {
    "status": frozenset({"canceled", "canceling", "completed", "created", "failed", "running"}),
    "operation_type": frozenset({"query", "mutation"}),
}

TOKEN = re.compile(
    r"""\s*(?:(?P<paren>[()])
    |(?P<minus>-)?(?P<name>[A-Za-z_]\w*):(?P<op>>=|<=|>|<|)(?P<value>'[^']*'|"[^"]*"|[^\s()'"]*)
    |(?P<word>'[^']*'|"[^"]*"|[^\s()]+))""",
    re.VERBOSE,
)


class EmptyBoundError(Exception):
    """A comparison with nothing behind it, which makes Shopify answer with an internal error."""


@dataclass(slots=True)
class Search:
    """A parsed filter: what matches, what was odd about it, and the time bounds it gives."""

    matches: Test
    warnings: list[dict[str, str]] = field(default_factory=list)
    lower: str | None = None
    upper: str | None = None

    @property
    def span_s(self) -> float:
        """The seconds between the bounds, infinite when one is missing."""
        if self.lower is None or self.upper is None:
            return float("inf")
        return (datetime.fromisoformat(self.upper) - datetime.fromisoformat(self.lower)).total_seconds()


class _Parser:
    def __init__(
        self,
        text: str,
        fields: Mapping[str, tuple[Kind, str]],
        now: datetime,
        zone: ZoneInfo,
        values: Mapping[str, frozenset[str]],
    ) -> None:
        self.tokens = [found for found in TOKEN.finditer(text) if found.group().strip()]
        self.fields, self.now, self.zone, self.values = fields, now, zone, values
        self.at = 0
        self.search = Search(lambda node: True)

    def _word(self) -> str | None:
        if self.at >= len(self.tokens):
            return None
        token = self.tokens[self.at]
        return token["paren"] or token["word"] or ""

    def either(self) -> Test | None:
        tests = [self.all()]
        while self._word() == "OR":
            self.at += 1
            tests.append(self.all())
        kept = [test for test in tests if test]
        return kept[0] if len(kept) == 1 else (lambda node: any(test(node) for test in kept)) if kept else None

    def all(self) -> Test | None:
        kept: list[Test] = []
        while self.at < len(self.tokens) and self._word() not in ("OR", ")"):
            if self._word() == "AND":
                self.at += 1
                continue
            if test := self.one():
                kept.append(test)
        if len(kept) == 2:
            first, second = kept
            return lambda node: first(node) and second(node)
        return kept[0] if len(kept) == 1 else (lambda node: all(test(node) for test in kept)) if kept else None

    def one(self) -> Test | None:
        token = self.tokens[self.at]
        self.at += 1
        if token["paren"] == "(":
            inner = self.either()
            self.at += 1
            return inner
        if token["word"] == "NOT" and self.at < len(self.tokens):
            negated = self.one()
            return (lambda node: not negated(node)) if negated else None
        if token["word"] is not None:
            wanted = token["word"].strip("'\"").lower()
            return lambda node: wanted in str(node.get("name") or node.get("title") or "").lower()
        test = self.term(token["name"], token["op"], token["value"])
        return (lambda node: not test(node)) if test and token["minus"] else test

    def term(self, name: str, op: str, value: str) -> Test | None:
        known = self.fields.get(name)
        if known is None:
            self._warn(name, "Invalid search field for this query.", "invalid_field")
            return None
        if not value:
            raise EmptyBoundError(f"{name}:{op}")
        kind, key = known
        plain = value.strip("'\"")
        accepted = self.values.get(name)
        if accepted is not None and plain.lower() not in accepted:
            self._warn(name, f"Input `{plain}` is not an accepted value.", "invalid_value")
            return lambda node: False
        if kind == "time":
            return self.time(name, key, op, plain, quoted=value[0] in "'\"")
        return self.plain(kind, key, op, plain)

    def time(self, name: str, key: str, op: str, value: str, *, quoted: bool) -> Test:
        first, last = self.bounds(value, quoted=quoted)
        if first is None:
            self._warn(name, f"Input `{value}` is not an accepted value.", "invalid_value")
            return lambda node: False
        low = None if op.startswith("<") else first
        high = None if op.startswith(">") else last
        self.search.lower = low or self.search.lower
        self.search.upper = high or self.search.upper
        if high is None:
            return lambda node: (node[key] or "") >= first
        if low is None:
            return lambda node: bool(node[key]) and node[key] <= last
        return lambda node: first <= (node[key] or "") <= last

    def bounds(self, value: str, *, quoted: bool) -> tuple[str | None, str]:
        """Return the first and last second a value stands for."""
        if value == "now":
            return stamp(self.now), stamp(self.now)
        found = re.match(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?", value)
        if not found:
            return None, ""
        year, month, day, hour, minute, second = found.groups()
        if quoted and hour:
            exact = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}Z"
            return exact, exact
        try:
            date = datetime(int(year), int(month or 1), int(day or 1)).date()  # noqa: DTZ001
        except ValueError:
            return None, ""
        start = datetime.combine(date, time(0), self.zone)
        end = datetime.combine(date + timedelta(days=1), time(0), self.zone) - timedelta(seconds=1)
        return stamp(start), stamp(end)

    def plain(self, kind: Kind, key: str, op: str, value: str) -> Test:
        low = value.lower()
        if kind == "id":
            wanted = int(value.rsplit("/", 1)[-1]) if value.rsplit("/", 1)[-1].isdigit() else -1
            compare: dict[str, Callable[[int], bool]] = {
                ">": wanted.__lt__,
                ">=": wanted.__le__,
                "<": wanted.__gt__,
                "<=": wanted.__ge__,
                "": wanted.__eq__,
            }
            return lambda node: compare[op](int(node[key].rsplit("/", 1)[1]))
        if kind == "bool":
            return lambda node: node[key] is (low == "true")
        if kind == "list":
            return lambda node: any(low == str(each).lower() for each in node[key])
        if kind == "customer":
            return lambda node: bool(node[key]) and node[key]["id"].rsplit("/", 1)[1] == value
        if kind == "status":
            return lambda node: low in _statuses(node)
        if value.endswith("*"):
            return lambda node: str(node[key] or "").lower().startswith(low[:-1])
        return lambda node: str(node[key] or "").lower() == low

    def _warn(self, name: str, message: str, code: str) -> None:
        self.search.warnings.append({"field": name, "message": message, "code": code})


def _statuses(order: Node) -> set[str]:
    status = "cancelled" if order["cancelledAt"] else "closed" if order["closedAt"] else "open"
    return {status, "any"} if order["closedAt"] else {status, "any", "not_closed"}


def parse_search(
    text: str | None,
    fields: Mapping[str, tuple[Kind, str]],
    now: datetime,
    zone: ZoneInfo,
    values: Mapping[str, frozenset[str]] | None = None,
) -> Search:
    """Return the parsed filter; without text everything matches."""
    parser = _Parser(text or "", fields, now, zone, values or {})
    test = parser.either()
    if test:
        parser.search.matches = test
    return parser.search


def report(path: list[Any], text: str, search: Search) -> dict[str, Any]:
    """Return the entry of `extensions.search` that shows a filter's warnings."""
    return {"path": path, "query": text, "warnings": search.warnings}
