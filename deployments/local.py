"""
The embedded product on one machine: `make run`.

It starts the local Shopify, gives the flow a Prefect home of its own, and runs one daily sync in a process of its
own. Nothing of the user's Prefect (server, profile, home) is read or written; `SHOPSYNC_*` variables that the user
set are honoured, and with a shop of the user's own no simulator is started.

The flow and the simulator are process groups of their own: a terminal's Ctrl-C reaches this process alone, which ends
them in order, so that a stopped run still finds its shop and its Prefect to cancel the operation and to record it.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from shopsync.errors import SettingsError, SyncError
from shopsync.settings import Settings

SIMULATOR_TOKEN = "shpat_simulated"  # noqa: S105 - opens nothing but the simulator

LOCAL_BUDGETS = {
    # The simulator's search index does not lag and its operations take a second or two.
    "SHOPSYNC_LAG_S": "0",
    "SHOPSYNC_POLL_INTERVAL_S": "0.5",
}


GRACE_S = 30
"""So long a run that is told to stop may take to cancel its operation and to write its failed record."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(BaseException):
    """This process was told to stop by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(environ: Mapping[str, str]) -> int:
    """Run one daily sync on embedded defaults; return the flow's exit code."""
    settings = Settings.from_environment(environ)
    if settings.shopify_url is not None:
        settings.require_shop()
    flow_environ = embedded_prefect(environ, settings.data_dir)
    with prefect_home(settings.data_dir) as in_use:
        if settings.shopify_url is not None:
            return sync(flow_environ, in_use)
        with simulator(settings.data_dir) as url:
            shop = {"SHOPSYNC_SHOPIFY_URL": url, "SHOPSYNC_SHOPIFY_TOKEN": SIMULATOR_TOKEN}
            return sync(LOCAL_BUDGETS | flow_environ | shop, in_use)


def sync(environ: Mapping[str, str], in_use: int) -> int:
    """Run the flow in a process group of its own, of which nothing is left afterwards; return its exit code."""
    command = [sys.executable, "-m", "flows.daily_sync", "--initiator", "user"]
    process = subprocess.Popen(command, env=environ, process_group=0, pass_fds=[in_use])
    try:
        code = process.wait()
    except Told:
        # SIGTERM for Ctrl-C too: it ends a process that is still importing without a traceback.
        process.terminate()
        say(f"==> Stopping: the run cancels its operation and records its end ({GRACE_S} seconds at most)")
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        raise
    finally:
        # A killed flow leaves its in-process Prefect server behind.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code if code >= 0 else 128 - code


@contextmanager
def prefect_home(data_dir: Path) -> Iterator[int]:
    """
    Make the home of the embedded Prefect, and yield the descriptor that marks it as in use while anyone has it open.

    Who comes while nobody uses the home frees the concurrency slots of runs that were killed.
    """
    home = data_dir / "prefect"
    try:
        home.mkdir(parents=True, exist_ok=True)
        mark = (home / "in-use").open("a")
    except OSError as error:
        raise SettingsError("SHOPSYNC_DATA_DIR", f"cannot be used: {error}") from error
    with mark:
        with suppress(BlockingIOError):
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free_slots(home / "prefect.db")
        fcntl.flock(mark, fcntl.LOCK_SH)
        yield mark.fileno()


def free_slots(prefect_database: Path) -> None:
    """
    Free every concurrency slot of an embedded Prefect that nobody uses.

    Its in-process server counts slots in its database and takes no expired lease back (that service runs in standing
    servers only, wherever the leases are kept): the slot of a killed run would stay taken for ever.
    """
    if prefect_database.exists():
        # No such table: a first start that was cut off.
        with closing(sqlite3.connect(prefect_database)) as database, suppress(sqlite3.OperationalError), database:
            database.execute("UPDATE concurrency_limit_v2 SET active_slots = 0")


def embedded_prefect(environ: Mapping[str, str], data_dir: Path) -> dict[str, str]:
    """Return the environment without the user's Prefect and with one of its own below `data_dir`."""
    own = {name: value for name, value in environ.items() if not name.startswith("PREFECT_")}
    return own | {
        "PREFECT_HOME": str(data_dir / "prefect"),
        "PREFECT_PROFILES_PATH": str(data_dir / "prefect" / "profiles.toml"),
        # The in-process server migrates its database at the first start, slowly on a small machine.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "shopsync",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def simulator(data_dir: Path) -> Iterator[str]:
    """
    Serve the local shop on a free port of 127.0.0.1 while the block runs, and yield its URL.

    The shop keeps its history in `data_dir`: each start finds it with a few more orders and changes.
    """
    command = [sys.executable, "-m", "tests.simulator", "--state", str(data_dir / "simulator.json")]
    say("==> Opening the local shop (a Shopify simulator)")
    command += ["--token", SIMULATOR_TOKEN]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline().strip()
        if " at http://" not in ready:
            raise SettingsError("SHOPSYNC_DATA_DIR", f"holds a shop that does not open ({ready or 'no answer'})")
        say(f"    {ready}")
        yield ready.split(" at ")[1].split()[0]
    finally:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def hear() -> None:
    """Turn the first signal that tells this process to stop into Told; a supervisor often sends it twice."""

    def told(number: int, _frame: FrameType | None) -> NoReturn:
        for each in STOPS:
            signal.signal(each, signal.SIG_IGN)
        raise Told(number)

    for each in STOPS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # nohup, and a shell's background jobs
            signal.signal(each, told)


def say(line: str) -> None:
    """Tell the person at the terminal what happens now."""
    print(line, flush=True)  # noqa: T201 - the terminal is who this is for


def main() -> int:
    """Parse the command line and run; a failure of ours is one line."""
    parser = argparse.ArgumentParser(prog="python -m deployments.local", description=__doc__)
    parser.add_argument("job", choices=["run"], help="run: one daily sync, then exit")
    parser.parse_args()
    hear()
    try:
        return run(os.environ)
    except SyncError as error:
        sys.stderr.write(f"shopsync: {error}\n")
        return 1
    except Told as told:
        return 128 + told.number


if __name__ == "__main__":
    sys.exit(main())
