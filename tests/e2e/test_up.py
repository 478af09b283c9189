"""`make up`: everything answers before it says so, and nothing of it is left afterwards."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.prefect_server import clean_environment, free_port
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def ports() -> dict[str, int]:
    """A free port for each."""
    return {"prefect": free_port(), "api": free_port(), "shop": free_port()}


def launch(folder: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    """Start the stack with a data folder of its own."""
    command = [sys.executable, "-m", "deployments.local", "up"]
    command += [text for name, port in ports.items() for text in (f"--{name}-port", str(port))]
    environ = clean_environment() | {"SHOPSYNC_DATA_DIR": str(folder / "data")}
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(command, env=environ, stdout=out, stderr=err)


@pytest.fixture
def stack(
    tmp_path: Path, ports: dict[str, int], new_database: Path, request: pytest.FixtureRequest
) -> Iterator[subprocess.Popen[bytes]]:
    """The stack, once it says that it is up; its Prefect was started before, and nothing was deployed."""
    if not new_database.exists():
        request.getfixturevalue("prefect")
    home = tmp_path / "data" / "prefect"
    home.mkdir(parents=True)
    shutil.copy(new_database, home / "prefect.db")
    process = launch(tmp_path, ports)
    try:
        until(
            lambda: "Everything is up" in (tmp_path / "out").read_text(),
            lambda: None if process.poll() is None else (tmp_path / "err").read_text(),
            look_s=0.25,
        )
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_up_and_down(stack: subprocess.Popen[bytes], ports: dict[str, int], tmp_path: Path):
    """Prefect, its worker, the shop and the API are there when it says so; told to stop, it leaves no process."""
    family = psutil.Process(stack.pid).children(recursive=True)
    deployed = httpx.get(f"http://127.0.0.1:{ports['prefect']}/api/deployments/name/daily-sync/daily").json()
    health = httpx.get(f"http://127.0.0.1:{ports['api']}/health")
    page = httpx.get(f"http://127.0.0.1:{ports['prefect']}/", follow_redirects=True)

    stack.send_signal(signal.SIGTERM)

    assert 0 == stack.wait(PATIENCE_S)
    assert ("shopsync", "READY") == (deployed["work_pool_name"], deployed["status"])
    assert (200, 200) == (health.status_code, page.status_code)
    assert len(family) >= 4
    assert [] == [each for each in family if each.is_running()]
    assert "" == (tmp_path / "err").read_text()


def test_port_in_use(ports: dict[str, int], tmp_path: Path):
    """Somebody else's port is told in one line, with the way to choose another, before anything starts."""
    with socket.create_server(("127.0.0.1", ports["prefect"])):
        process = launch(tmp_path, ports)

        assert 1 == process.wait(PATIENCE_S)

    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith(f"shopsync: port {ports['prefect']}, where the Prefect server should listen, is in use")
    assert "PREFECT_PORT=" in line
    assert "" == (tmp_path / "out").read_text()
