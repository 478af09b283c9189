"""
`/metrics`: what this process answered, and how quickly, in Prometheus's format.

The route is a label, never the path: an id in it would make a series of each order.
"""

from __future__ import annotations

from litestar import Response, Router, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, ProcessCollector, generate_latest

from api.staff import Role, open_to

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counts of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._answers = Histogram(
            "shopsync_api_answer_seconds",
            "Seconds until an answer was sent.",
            ("method", "route", "status"),
            buckets=BUCKETS_S,
            registry=self._registry,
        )

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one answer."""
        self._answers.labels(method if method in _METHODS else "other", route, str(status)).observe(took_s)

    def text(self) -> bytes:
        """Return all counts."""
        return generate_latest(self._registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others are made up by whoever sends them."""


@get("/", include_in_schema=False, sync_to_thread=False)
def read_metrics(metrics: NamedDependency[Metrics]) -> Response[bytes]:
    """Return all counts."""
    return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST.partition("; charset")[0])


router = Router("/metrics", route_handlers=[read_metrics], opt=open_to(Role.VIEWER))
