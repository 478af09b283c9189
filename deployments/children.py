"""
Child processes of a supervisor: each a group of its own, none of which outlives it.

A terminal's Ctrl-C reaches the supervisor alone, which ends them in order: what is told to stop still finds what it
needs to stop cleanly.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from shopsync.errors import ChildFailed, PortTaken, SettingsError

SIMULATOR_TOKEN = "shpat_simulated"  # noqa: S105 - opens nothing but the simulator

GRACE_S = 30
"""How long a run that is told to stop may take to cancel its operation and to write its failed record."""

IDLE_S = 5
"""How long a worker without runs may take."""

LOOK_S = 0.25


@dataclass(frozen=True)
class Child:
    """A process that was started here; what it prints goes to `log`."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_alive(self) -> None:
        """
        Check that it runs.

        Raises:
            ChildFailed: It ended by itself.
        """
        code = self.process.poll()
        if code is not None:
            raise ChildFailed(self.name, code, _last_line(self.log), str(self.log))

    def wait_until(self, is_ready: Callable[[], bool], within_s: float) -> None:
        """
        Return once it is ready.

        Raises:
            ChildFailed: It ended, or is not ready in time.
        """
        deadline = time.monotonic() + within_s
        while not is_ready():
            self.require_alive()
            if time.monotonic() > deadline:
                raise ChildFailed(self.name, None, f"it is not ready after {within_s:.0f} seconds", str(self.log))
            time.sleep(LOOK_S)

    def wait_for_success(self, within_s: float) -> None:
        """
        Return once it ended well.

        Raises:
            ChildFailed: It ended otherwise, or not in time.
        """
        try:
            code = self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise ChildFailed(self.name, code, _last_line(self.log), str(self.log))


@contextmanager
def child(
    name: str, arguments: Sequence[str], environ: Mapping[str, str], log: Path, *, with_descendants: bool = False
) -> Iterator[Child]:
    """
    Run `python -m ...` while the block runs; nothing of it is left afterwards.

    Args:
        with_descendants: Whether the processes that it starts are told to stop too: a worker waits for its runs.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield Child(name, process, log)
    finally:
        end(process, with_descendants=with_descendants)


def end(process: subprocess.Popen[bytes], *, with_descendants: bool = False) -> None:
    """Tell a process to stop, wait, and kill what is left of it, its group and its descendants."""
    # A run is started in a session of its own: it is no member of its worker's group.
    family = _descendants(process.pid)
    process.terminate()
    if with_descendants:
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.terminate()
        psutil.wait_procs(family, GRACE_S)
    with suppress(subprocess.TimeoutExpired):
        # A worker without runs may take for ever.
        process.wait(IDLE_S if with_descendants else GRACE_S)
    for each in (*family, *_descendants(process.pid)):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def simulator(data_dir: Path, port: int = 0) -> Iterator[str]:
    """
    Serve the local shop on 127.0.0.1 while the block runs, and yield its URL; port 0 is any free one.

    The shop keeps its history in `data_dir`: each start finds it with a few more orders and changes.
    """
    say("==> Opening the local shop (a Shopify simulator)")
    command = [sys.executable, "-m", "tests.simulator", "--state", str(data_dir / "simulator.json")]
    command += ["--token", SIMULATOR_TOKEN, "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().decode().strip()
        if " at http://" not in ready:
            raise SettingsError("SHOPSYNC_DATA_DIR", f"holds a shop that does not open ({ready or 'no answer'})")
        say(f"    {ready}")
        yield ready.split(" at ")[1].split()[0]
    finally:
        end(process)


def answers(url: str) -> bool:
    """Whether something says 200 at a URL."""
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def require_free(port: int, name: str, variable: str) -> None:
    """
    Check that nobody listens on a port of 127.0.0.1.

    Raises:
        PortTaken: Somebody does; it says how to choose another.
    """
    with socket.socket() as probe:
        # What the last one to listen left behind does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(port, name, variable) from error


def worker_is_online(prefect_api_url: str, pool: str, name: str) -> bool:
    """Whether a worker of this name has reported to its pool."""
    try:
        answer = httpx.post(f"{prefect_api_url}/work_pools/{pool}/workers/filter", json={}, timeout=5)
    except httpx.HTTPError:
        return False
    found = answer.json() if answer.status_code == 200 else []
    return any(each["name"] == name and each["status"] == "ONLINE" for each in found)


def say(line: str) -> None:
    """Tell the person at the terminal what happens now."""
    print(line, flush=True)  # noqa: T201 - the terminal is who this is for


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
