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
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pymysql
from sqlalchemy import URL

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
START_S = 60


@contextmanager
def mariadb_server() -> Generator[Callable[[], URL]]:
    """Run a server for the length of the block, and give a function that creates an empty database."""
    _install()
    with tempfile.TemporaryDirectory(prefix="shopsync-mariadb-") as folder:
        datadir = Path(folder, "data")
        user = f"--user={getpass.getuser()}"
        subprocess.run(
            [
                _binary("mariadb-install-db", "mysql_install_db"),
                "--no-defaults",
                f"--datadir={datadir}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                user,
            ],
            check=True,
            capture_output=True,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        places = [f"--datadir={datadir}", f"--socket={folder}/s", f"--pid-file={folder}/pid"]
        address = [f"--port={port}", "--bind-address=127.0.0.1"]
        with Path(folder, "log").open("wb") as log:
            server = subprocess.Popen([_server(), *FLAGS, *places, *address, user], stdout=log, stderr=log)
        try:
            _wait(server, port, Path(folder, "log"))
            numbers = itertools.count(1)
            yield lambda: _create_database(port, f"test_{next(numbers)}")
        finally:
            server.terminate()
            server.wait(30)


def _create_database(port: int, name: str) -> URL:
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    return URL.create("mysql+pymysql", "root", None, "127.0.0.1", port, name)


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root").close()
        except pymysql.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB does not start:\n{log.read_text(errors='replace')}") from error
            time.sleep(0.05)
        else:
            return


def _install() -> None:
    if _server(missing_ok=True):
        return
    sys.stderr.write("installing mariadb-server with apt: the tests of MySQL's dialect need a real server\n")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", "mariadb-server"]):
        subprocess.run([*root, "apt-get", "-q", *command], check=True, env=quiet, stdout=sys.stderr)


def _server(*, missing_ok: bool = False) -> str:
    return _binary("mariadbd", "mysqld", missing_ok=missing_ok)


def _binary(*names: str, missing_ok: bool = False) -> str:
    # A server's binary is in /usr/sbin, which is not on everybody's path.
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None and not missing_ok:
        raise RuntimeError(f"{' or '.join(names)} is not installed")
    return found or ""
