"""
The embedded Prefect: a home of its own below the data folder, and the environment that leads processes there.

Nothing of the user's Prefect (server, profile, home) is read or written.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from shopsync.errors import SettingsError

LOCAL_BUDGETS = {
    # The simulator's search index does not lag and its operations take a second or two.
    "SHOPSYNC_LAG_S": "0",
    "SHOPSYNC_POLL_INTERVAL_S": "0.5",
}


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
