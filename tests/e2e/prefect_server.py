"""A real Prefect server of the tests' own, on a free port, with a home of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import trustme
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_HOME,
)

from tests.waiting import until


@contextmanager
def prefect_server(home: Path, auth_string: str | None = None, port: int | None = None) -> Iterator[dict[str, str]]:
    """
    Run a server below `home`, and yield the environment in which a process finds it, and nothing of the user's.

    With an auth string nobody is let in without it; with the port and home of one that ended it is that one again.
    """
    port = port or free_port()
    environ = clean_environment() | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # Tests are in more of a hurry than operators.
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "2",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "4",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "shopsync",
        "DO_NOT_TRACK": "1",
    }
    if auth_string is not None:
        environ |= {"PREFECT_SERVER_API_AUTH_STRING": auth_string, "PREFECT_API_AUTH_STRING": auth_string}
    home.mkdir(parents=True, exist_ok=True)
    # Each of Prefect's clients reads all authorities that it trusts, also to speak plain HTTP: a tenth of a test run.
    trustme.CA().cert_pem.write_to_path(str(authority := home / "authority.pem"))
    environ["PREFECT_API_SSL_CERT_FILE"] = str(authority)
    command = [sys.executable, "-m", "deployments.prefect_server", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("a") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_healthy(environ["PREFECT_API_URL"], process, home / "server.log")
            yield environ
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def server_over_kept(kept: Path, home: Path, auth_string: str) -> Iterator[dict[str, str]]:
    """
    Run a server whose database is a copy of `kept`: migrations take longer than the start.

    Where it is not there, of all processes that ask the first makes it, and the others wait.
    """
    with ExitStack() as running:
        environ = None
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                environ = running.enter_context(prefect_server(home, auth_string))
                part = kept.with_suffix(".part")
                with closing(sqlite3.connect(home / "prefect.db")) as made, closing(sqlite3.connect(part)) as copy:
                    made.backup(copy)
                part.rename(kept)
        if environ is None:
            home.mkdir(parents=True, exist_ok=True)
            shutil.copy(kept, home / "prefect.db")
            environ = running.enter_context(prefect_server(home, auth_string))
        yield environ


def client_settings(environ: Mapping[str, str]) -> dict[Any, Any]:
    """Return the settings by which this process finds a server, as `temporary_settings` takes them."""
    known = {PREFECT_API_URL, PREFECT_API_AUTH_STRING, PREFECT_API_SSL_CERT_FILE, PREFECT_HOME}
    return {setting: environ[setting.name] for setting in known if setting.name in environ}


def drain() -> None:
    """Send what this process still has to tell its server; without one it would try for a minute at the exit."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all()
    EventsWorker.drain_all()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without Prefect's and shopsync's variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SHOPSYNC_"))}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    with httpx.Client(timeout=2) as http:

        def is_healthy() -> bool:
            try:
                return http.get(f"{url}/health").status_code == 200
            except httpx.HTTPError:
                return False

        until(is_healthy, lambda: None if process.poll() is None else log.read_text()[-2000:], look_s=0.25)
