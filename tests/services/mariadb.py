"""
A MariaDB server of the tests' own: on a free port of 127.0.0.1, with its files in a temporary folder.

Installed with apt where it is not there (Debian and Ubuntu, as root or with sudo); nothing else on the machine is
touched, and a server that the package may start by itself is left alone.
"""

from __future__ import annotations

import getpass
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from sqlalchemy import URL

from tests.services import packages
from tests.waiting import PATIENCE_S, until

FLAGS = (
    "--no-defaults",
    "--innodb-log-file-size=4M",
    # Nothing here has to outlive a power failure.
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-log-bin",
    "--performance-schema=0",
)


class MariaDb:
    """A server's files below `folder`, and the port on which it answers while it runs."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._log, self._numbers = folder / "log", itertools.count(1)
        user = f"--user={getpass.getuser()}"
        subprocess.run(
            [
                _binary("mariadb-install-db", "mysql_install_db"),
                "--no-defaults",
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                user,
            ],
            check=True,
            capture_output=True,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        places = [f"--datadir={folder / 'data'}", f"--socket={folder}/s", f"--pid-file={folder}/pid"]
        address = [f"--port={self._port}", "--bind-address=127.0.0.1"]
        self._command = [_server(), *FLAGS, *flags, *places, *address, user]

    @contextmanager
    def running(self) -> Generator[None]:
        """Run the server for the length of the block; what it stored is there the next time."""
        with self._log.open("ab") as log:
            server = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            _wait(server, self._port, self._log)
            yield
        finally:
            server.terminate()
            server.wait(PATIENCE_S)

    def create_database(self) -> URL:
        """Create an empty database."""
        return _create_database(self._port, f"test_{next(self._numbers)}")


@contextmanager
def mariadb(*flags: str) -> Generator[MariaDb]:
    """Make the files of a server with more flags, for the length of the block."""
    _install()
    with tempfile.TemporaryDirectory(prefix="shopsync-mariadb-") as folder:
        yield MariaDb(Path(folder), *flags)


@contextmanager
def mariadb_server(*flags: str) -> Generator[Callable[[], URL]]:
    """Run a server for the length of the block, with more flags, and give a function that creates an empty database."""
    with mariadb(*flags) as server, server.running():
        yield server.create_database


def _create_database(port: int, name: str) -> URL:
    with (
        pymysql.connect(host="127.0.0.1", port=port, user="root", ssl_disabled=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE {name}")
    return URL.create("mysql+pymysql", "root", None, "127.0.0.1", port, name)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def answers() -> bool:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root", ssl_disabled=True).close()
        except pymysql.OperationalError:
            return False
        return True

    until(answers, lambda: None if server.poll() is None else log.read_text(errors="replace"), look_s=0.05)


def _install() -> None:
    if not _server(missing_ok=True):
        packages.install("mariadb-server", "the tests of MySQL's dialect need a real server")


def _server(*, missing_ok: bool = False) -> str:
    return _binary("mariadbd", "mysqld", missing_ok=missing_ok)


def _binary(*names: str, missing_ok: bool = False) -> str:
    # A server's binary is in /usr/sbin, which is not on everybody's path.
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None and not missing_ok:
        raise RuntimeError(f"{' or '.join(names)} is not installed")
    return found or ""
