"""Connections of plain (not bulk) queries: first xor last, cursors, pageInfo."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from tests.simulator.nodes import Node, number_of

Key = Callable[[Node], tuple[str, int]]
MAX_PAGE = 250


def bad_request(message: str) -> GraphQLError:
    """Return Shopify's error for arguments that do not go together."""
    return GraphQLError(message, extensions={"code": "BAD_REQUEST"})


def cursor_of(key: tuple[str, int]) -> str:
    """Return the cursor of a place in a sorted list."""
    value = key[0].replace("T", " ").replace("Z", ".000000")
    return base64.b64encode(
        json.dumps({"last_id": key[1], "last_value": value}, separators=(",", ":")).encode()
    ).decode()


def place_of(cursor: str) -> tuple[str, int]:
    """Return the place that a cursor names."""
    try:
        found = json.loads(base64.b64decode(cursor, validate=True))
        return str(found["last_value"]), int(found["last_id"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request(f"'{cursor}' is not a valid cursor") from None


def sort_key(field: str) -> Key:
    """Return the key that sorts nodes by a field, then by id."""
    if field == "id":
        return lambda node: ("", number_of(node["id"]))
    return lambda node: (str(node.get(field) or ""), number_of(node["id"]))


def page(nodes: list[Node], arguments: dict[str, Any], key: Key) -> Node:
    """Return the connection that shows a page of the nodes, which are in their final order."""
    first, last = arguments.get("first"), arguments.get("last")
    if first is None and last is None:
        raise bad_request("you must provide one of first or last")
    if first is not None and last is not None:
        raise bad_request("providing both first and last is not supported")
    cursors = [cursor_of(key(node)) for node in nodes]
    start, end = 0, len(nodes)
    if after := arguments.get("after"):
        start = _index(cursors, after, nodes, key) + 1
    if before := arguments.get("before"):
        end = _index(cursors, before, nodes, key)
    if first is not None:
        low, high = start, min(end, start + min(first, MAX_PAGE))
    else:
        low, high = max(start, end - min(last or 0, MAX_PAGE)), end
    shown, marks = nodes[low:high], cursors[low:high]
    return {
        "edges": [{"cursor": mark, "node": node} for mark, node in zip(marks, shown, strict=True)],
        "nodes": shown,
        "pageInfo": {
            "hasNextPage": high < len(nodes),
            "hasPreviousPage": low > 0,
            "startCursor": marks[0] if marks else None,
            "endCursor": marks[-1] if marks else None,
        },
    }


def _index(cursors: list[str], cursor: str, nodes: list[Node], key: Key) -> int:
    """Return where a cursor is; of a node that has moved, where it would have been."""
    place = place_of(cursor)
    if cursor in cursors:
        return cursors.index(cursor)
    keys = [place_of(each) for each in cursors]
    is_falling = len(keys) > 1 and keys[0] > keys[-1]
    return sum(1 for each in keys if (each > place if is_falling else each < place)) - 1
