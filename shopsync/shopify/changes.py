"""One plain question about orders, where a bulk operation would be too much: when was the first one changed?"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from shopsync.shopify.admin import AdminClient, converted, document
from shopsync.window import SyncWindow


class _Order(msgspec.Struct, rename="camel"):
    updated_at: datetime


class _Orders(msgspec.Struct):
    nodes: list[_Order]


def first_change(client: AdminClient, window: SyncWindow) -> datetime | None:
    """Return the oldest `updated_at` among the orders of a window; None when it is empty."""
    answer = client.execute(document("first_change"), {"search": window.search()})
    found = converted(answer.get("orders"), _Orders).nodes
    return found[0].updated_at.astimezone(UTC) if found else None
