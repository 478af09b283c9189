"""`/health`: this process, and each of its neighbours on its own."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import anyio
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.health import Probes
from tests.api.conftest import NOW, Settled
from tests.api.prefect import FakePrefect
from tests.waiting import PATIENCE_S


def statuses(answer: Any) -> dict[str, str]:
    return {name: check["status"] for name, check in answer.json()["checks"].items()}


def test_all_is_well(anyone: TestClient[Any]) -> None:
    """Each neighbour answers."""
    answer = anyone.get("/health")

    assert (200, "ok") == (answer.status_code, answer.json()["status"])
    assert {"database": "ok", "lake": "ok", "prefect": "ok"} == statuses(answer)


def test_prefect_down_degrades(anyone: TestClient[Any], prefect: FakePrefect) -> None:
    """Reads answer without it, so this is no reason to take the API out of service."""
    prefect.is_down = True

    answer = anyone.get("/health")

    assert (200, "degraded") == (answer.status_code, answer.json()["status"])
    assert {"database": "ok", "lake": "ok", "prefect": "down"} == statuses(answer)


@pytest.mark.parametrize(
    ("changes", "expected", "down"),
    [
        ({"DATABASE_URL": "mysql+pymysql://u:hunter2@127.0.0.1:1/d"}, (503, "down"), "database"),
        (
            {
                "LAKE_URL": "s3://bucket",
                "LAKE_ENDPOINT_URL": "http://127.0.0.1:1",
                "LAKE_ACCESS_KEY_ID": "a",
                "LAKE_SECRET_ACCESS_KEY": "hunter2",
            },
            (200, "degraded"),
            "lake",
        ),
    ],
    ids=["database", "lake"],
)
def test_each_is_asked_on_its_own(
    settings: Settled, prefect: FakePrefect, changes: dict[str, str], expected: tuple[int, str], down: str
) -> None:
    """One that is down hides nothing of the others, and nothing of where it is gets out."""
    with TestClient(create_app(settings(**changes), prefect=prefect, now=lambda: NOW)) as client:
        answer = client.get("/health")

    assert expected == (answer.status_code, answer.json()["status"])
    assert {200: None, 503: "2"}[expected[0]] == answer.headers.get("retry-after")
    assert {"database": "ok", "lake": "ok", "prefect": "ok"} | {down: "down"} == statuses(answer)
    assert "127.0.0.1" not in answer.text


@pytest.mark.anyio
async def test_one_that_hangs_is_down() -> None:
    """It is waited for a moment, and no longer."""
    said = threading.Event()  # ok, once somebody has waited a minute for it

    health = await Probes({"database": lambda: None, "lake": lambda: said.wait(60)}).health()
    said.set()

    assert ("ok", "down") == (health.checks["database"].status, health.checks["lake"].status)


@pytest.mark.anyio
async def test_all_who_ask_at_once_are_one() -> None:
    """A burst of requests asks each neighbour once: it neither takes all threads nor makes one look down."""
    burst, all_ask = 400, threading.Event()
    asked, asking, found = list[int](), list[int](), list[str]()

    def slow() -> None:
        asked.append(1)
        all_ask.wait(PATIENCE_S)

    probes = Probes({"database": slow})

    async def ask() -> None:
        asking.append(1)
        _ = len(asking) == burst and all_ask.set()
        found.append((await probes.health()).status)

    async with anyio.create_task_group() as group:
        _ = [group.start_soon(ask) for _ in range(burst)]

    assert ["ok"] * burst == found
    assert 1 == len(asked)


def test_prefect_is_asked_as_briefly_as_by_reads(settings: Settled) -> None:
    """Nobody waits longer than a read does: a burst of questions would leave ever more threads behind."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        alone = settings(PREFECT_API_URL=f"http://127.0.0.1:{listener.getsockname()[1]}")
        with TestClient(create_app(alone)) as client:
            client.get("/health")

            assert given_up_after_s(listener) < 4


def given_up_after_s(listener: socket.socket) -> float:
    """Return the seconds until a client, to whom nobody says a word, closes its connection."""
    began = time.monotonic()
    connection, _ = listener.accept()
    with connection:
        while connection.recv(65_536):
            pass
    return time.monotonic() - began


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server has."""
    return "asyncio"


def test_liveness_asks_nobody(settings: Settled) -> None:
    """A process whose neighbours are all down lives: restarting it mends none of them."""
    dead = {"DATABASE_URL": "mysql+pymysql://u:p@127.0.0.1:1/d"}

    with TestClient(create_app(settings(**dead))) as client:
        assert (200, {"status": "ok"}) == (client.get("/health/live").status_code, client.get("/health/live").json())
