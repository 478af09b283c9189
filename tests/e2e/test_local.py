"""The embedded product, as `make run` starts it: what is wrong is told before anything starts, and nothing stays."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from deployments.embedded import prefect_home
from tests.e2e.prefect_server import clean_environment
from tests.waiting import PATIENCE_S, until

Launch = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start the embedded product with SHOPSYNC variables; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: str) -> subprocess.Popen[bytes]:
        environ = clean_environment() | {"SHOPSYNC_DATA_DIR": str(tmp_path / "new" / "data"), **settings}
        command = [sys.executable, "-m", "deployments.local", "run"]
        # Output goes to files: a pipe would stay open as long as an orphan has it.
        with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
            started.append(subprocess.Popen(command, env=environ, stdout=out, stderr=err))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE_S)


def offspring(process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    """The processes that the launcher's own have started, by the module that each runs."""
    found = psutil.Process(process.pid).children(recursive=True)
    return {each.cmdline()[2]: each for each in found if len(each.cmdline()) > 2}


def test_unusable_data_dir(launch: Launch, tmp_path: Path):
    """A data dir that cannot be made is one line; Prefect is not started."""
    (tmp_path / "file").touch()

    process = launch(SHOPSYNC_DATA_DIR=str(tmp_path / "file" / "data"))

    assert 1 == process.wait(PATIENCE_S)
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith("shopsync: SHOPSYNC_DATA_DIR cannot be used")
    assert "" == (tmp_path / "out").read_text()


def test_missing_token(launch: Launch, tmp_path: Path):
    """A shop of the user's own without a token is one line; Prefect is not started."""
    process = launch(SHOPSYNC_SHOPIFY_URL="http://127.0.0.1:9")

    assert 1 == process.wait(PATIENCE_S)
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith("shopsync: SHOPSYNC_SHOPIFY_TOKEN is not set")
    assert "" == (tmp_path / "out").read_text()


def test_told_to_stop(launch: Launch, tmp_path: Path):
    """A launcher that is told to stop ends its flow, the flow's Prefect and the simulator, without a traceback."""
    process = launch()
    until(
        lambda: "uvicorn" in offspring(process),
        lambda: None if process.poll() is None else (tmp_path / "err").read_text(),
        look_s=0.05,
    )
    started = offspring(process)

    process.send_signal(signal.SIGTERM)

    assert 143 == process.wait(PATIENCE_S)
    assert {"tests.simulator", "flows.daily_sync", "uvicorn"} == set(started)
    assert [] == [name for name, each in started.items() if each.is_running()]
    assert "Traceback" not in (tmp_path / "err").read_text()
    assert "==> Stopping" in (tmp_path / "out").read_text()


@pytest.fixture
def slot(tmp_path: Path) -> Callable[[], int]:
    """How often the one slot of an embedded Prefect is taken; it was, by a run that was killed."""
    (tmp_path / "prefect").mkdir()
    database = tmp_path / "prefect" / "prefect.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE concurrency_limit_v2 (active_slots INTEGER)")
        connection.execute("INSERT INTO concurrency_limit_v2 VALUES (1)")

    def taken() -> int:
        with closing(sqlite3.connect(database)) as connection:
            return connection.execute("SELECT active_slots FROM concurrency_limit_v2").fetchone()[0]

    return taken


def test_slot_of_a_killed_run(slot: Callable[[], int], tmp_path: Path):
    """A run that has the home for itself frees what a killed one had taken."""
    with prefect_home(tmp_path):
        assert 0 == slot()


def test_slot_of_a_living_run(slot: Callable[[], int], tmp_path: Path):
    """While another run uses the home its slots are left to it."""
    with prefect_home(tmp_path):
        with closing(sqlite3.connect(tmp_path / "prefect" / "prefect.db")) as database, database:
            database.execute("UPDATE concurrency_limit_v2 SET active_slots = 1")

        with prefect_home(tmp_path):
            assert 1 == slot()
