"""Neighbours that are gone, or take connections and never say a word: what still answers, and how soon."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from litestar.testing import TestClient
from sqlalchemy import Engine

from api.app import create_app
from shopsync.settings import Settings
from tests.api.conftest import NOW, Settled
from tests.api.prefect import LONG_S, FakePrefect
from tests.api.silence import silent_server
from tests.api.staff import OPERATOR, VIEWER
from tests.waiting import until

LAKE = {"LAKE_URL": "s3://bucket", "LAKE_ACCESS_KEY_ID": "a", "LAKE_SECRET_ACCESS_KEY": "hunter2"}
OWN = min(32, (os.cpu_count() or 1) + 4)
"""A loop's own threads: once so many wait, none of them is left."""
WAITING = 36
"""More than that, on any machine."""
RUN = "/api/ingest/runs/run-4"


@pytest.fixture(params=["gone", "silent"])
def port(request: pytest.FixtureRequest) -> Generator[int]:
    """A port behind which nobody is, and one behind which nobody answers."""
    with silent_server() as silent:
        yield {"gone": 1, "silent": silent}[request.param]


def ask(settings: Settings, paths: Sequence[str], prefect: FakePrefect | None = None) -> tuple[list[Any], float]:
    """
    Return the answers to a viewer who asks for all of it at once, and the seconds that it took.

    It is the fastest of three times: what else the machine does only adds to them, and waiting for a neighbour is in
    each.
    """
    took_s: list[float] = []
    answers: list[Any] = []
    for _ in range(3):
        app = create_app(settings, prefect=prefect, now=lambda: NOW)
        with TestClient(app) as client, ThreadPoolExecutor(len(paths)) as pool:
            client.headers.update(VIEWER)
            began = time.monotonic()
            answers = list(pool.map(client.get, paths))
            took_s.append(time.monotonic() - began)
    return answers, min(took_s)


def test_without_the_database(settings: Settled, prefect: FakePrefect, port: int) -> None:
    """Reads are 503 in two seconds, with when to ask again and nothing of where it is; the API lives."""
    dead = settings(DATABASE_URL=f"mysql+pymysql://u:hunter2@127.0.0.1:{port}/d")

    answers, took_s = ask(dead, ["/orders", RUN, "/analytics/pipelines", "/health", "/health/live"], prefect)

    assert [503, 503, 503, 503, 200] == [answer.status_code for answer in answers]
    assert took_s < 2
    assert {("urn:shopsync:problem:database-unavailable", "15")} == {
        (answer.json()["type"], answer.headers["retry-after"]) for answer in answers[:3]
    }
    assert [] == [answer.text for answer in answers if "127.0.0.1" in answer.text or "hunter2" in answer.text]


def test_without_prefect(settings: Settled, journals: Engine, port: int) -> None:
    """Everything is read; only what Prefect would say is not known."""
    alone = settings(PREFECT_API_URL=f"http://127.0.0.1:{port}/api")

    answers, took_s = ask(alone, ["/orders", "/api/ingest/runs", RUN, "/analytics/pipelines", "/health"])

    assert [200] * 5 == [answer.status_code for answer in answers]
    assert took_s < 3
    orders, runs, run, pipelines, health = (answer.json() for answer in answers)
    assert 7 == len(orders["data"])
    assert ["unknown", "unknown"] == [runs["data"][0]["live"]["state"], run["live"]["state"]]
    assert {"known": False, "at": None} == pipelines["pipelines"][0]["next_run"]
    assert "degraded" == health["status"]


def test_without_the_lake(settings: Settled, journals: Engine, prefect: FakePrefect, port: int) -> None:
    """Only the records of a run are in it: 503 says so, all else is read."""
    dry = settings(**LAKE, LAKE_ENDPOINT_URL=f"http://127.0.0.1:{port}")

    answers, took_s = ask(dry, ["/orders", "/api/ingest/runs", RUN, "/analytics/pipelines", "/health"], prefect)

    assert [200, 200, 503, 200, 200] == [answer.status_code for answer in answers]
    assert took_s < 4.5
    assert ("urn:shopsync:problem:lake-unavailable", "degraded") == (
        answers[2].json()["type"],
        answers[4].json()["status"],
    )
    assert "127.0.0.1" not in answers[2].text


def test_slow_prefect_holds_up_nobody_else(settings: Settled, seeded: Engine, prefect: FakePrefect) -> None:
    """Forty routes may wait for it; liveness needs no thread, and what needs Prefect the less answers meanwhile."""
    prefect.answers.clear()
    app = create_app(settings(API_STAFF_LIMIT="0", API_ADDRESS_LIMIT="0"), prefect=prefect, now=lambda: NOW)
    with TestClient(app) as client, ThreadPoolExecutor(WAITING) as pool:
        waiting = [pool.submit(client.post, "/api/performance-metrics/sync", headers=OPERATOR) for _ in range(WAITING)]
        until(lambda: prefect.asked >= OWN)
        began = time.monotonic()

        answers = [client.get(path, headers=VIEWER) for path in ("/health/live", "/orders?limit=1")]

        took_s = time.monotonic() - began
        prefect.answers.set()
        _ = [each.result() for each in waiting]
    assert [200, 200] == [answer.status_code for answer in answers]
    assert took_s < LONG_S / 2
