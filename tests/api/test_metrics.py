"""`/metrics`: what was answered, by route."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient


def test_answers_are_counted_by_route(viewer: TestClient[Any]) -> None:
    """Not by path: two orders are one series, and so is everything that leads nowhere."""
    _ = [viewer.get(path) for path in ("/orders/1001", "/orders/1002", "/nowhere", "/elsewhere")]

    text = viewer.get("/metrics").text

    assert 'answer_seconds_count{method="GET",route="/orders/{order_id}",status="200"} 2.0' in text
    assert 'answer_seconds_count{method="GET",route="unrouted",status="404"} 2.0' in text
