"""
Where a run keeps what it brings: embedded in this machine's files, or served by MariaDB and R2.

A test looks at both in the same way, past the product: rows by SQL, the lake as a folder. It can also break both in
the same way.
"""

from __future__ import annotations

import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL

from tests import truth
from tests.services.r2 import Mirror, R2Place
from tests.services.s3_proxy import Refuse, Request, Verdict, s3_proxy


class Storage(ABC):
    """A database and a lake of one world; `database` is a SQLite file or a URL, `settings` lead a run to both."""

    database: str
    settings: Mapping[str, str]

    @property
    @abstractmethod
    def lake(self) -> Path:
        """A folder with what is in the lake now."""

    @abstractmethod
    def write(self, statement: str) -> None:
        """Change the database behind the product's back."""

    @abstractmethod
    def refuse(self, change: str, table: str, column: str | None = None) -> None:
        """Let the database refuse a kind of change of a table, or of one column of it."""

    @abstractmethod
    def block(self, folder: str) -> None:
        """Let the lake take nothing below a folder any more."""

    @abstractmethod
    def unblock(self) -> None:
        """Let the lake take everything again."""

    @abstractmethod
    def copy_into(self, other: Any) -> None:
        """Give an empty storage of the same kind all that this one has."""

    def select(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask the database; times come as text."""
        return truth.select(self.database, statement)

    def allow(self) -> None:
        """Let the database take every change again."""
        self.write("DROP TRIGGER trouble")


OpenStorage = Callable[[Path], AbstractContextManager[Storage]]


class Embedded(Storage):
    """A SQLite file and a folder, where a run puts them by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blocked: Path | None = None
        self.database = str(folder / "shopsync.db")
        self.settings = {}

    @property
    def lake(self) -> Path:
        """The folder itself."""
        return self._folder / "lake"

    def write(self, statement: str) -> None:
        """Write to the file."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(statement)

    def refuse(self, change: str, table: str, column: str | None = None) -> None:
        """Refuse by a trigger."""
        changed = f"{change} OF {column}" if column else change
        raised = "SELECT RAISE(ABORT, 'out of order')"
        self.write(f"CREATE TRIGGER trouble BEFORE {changed} ON {table} BEGIN {raised}; END")

    def block(self, folder: str) -> None:
        """Give a file the folder's name: root would write past mere permissions."""
        path = self.lake / folder
        path.mkdir(parents=True, exist_ok=True)
        path.rename(path.with_name(f"{path.name}.aside"))
        path.touch()
        self._blocked = path

    def unblock(self) -> None:
        """Give the folder its name back."""
        assert self._blocked is not None
        self._blocked.unlink()
        self._blocked.with_name(f"{self._blocked.name}.aside").rename(self._blocked)

    def copy_into(self, other: Embedded) -> None:
        """Copy the files."""
        shutil.copytree(self._folder, other._folder, dirs_exist_ok=True)


class Served(Storage):
    """A migrated database of a MariaDB server, and a place on an R2 server behind a proxy."""

    def __init__(self, url: URL, direct: R2Place, through: R2Place, folder: Path, judge: Callable[[Any], None]) -> None:
        self._url, self._place, self._judge = url, direct, judge
        self._mirror = Mirror(direct, folder / "mirror")
        self.database = url.render_as_string(hide_password=False)
        self.settings = {"SHOPSYNC_DATABASE_URL": self.database, **through.settings}

    @property
    def lake(self) -> Path:
        """A folder that is brought up to the place each time."""
        return self._mirror.refreshed()

    def write(self, statement: str) -> None:
        """Write to the server."""
        write_to(self._url, statement)

    def refuse(self, change: str, table: str, column: str | None = None) -> None:
        """Refuse by a trigger, with the error of a value that a column cannot hold."""
        signal = "SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1048, MESSAGE_TEXT = 'out of order'"
        when = f"NOT (NEW.{column} <=> OLD.{column})" if column else "TRUE"
        self.write(f"CREATE TRIGGER trouble BEFORE {change} ON {table} FOR EACH ROW IF {when} THEN {signal}; END IF")

    def block(self, folder: str) -> None:
        """Refuse access at the proxy."""

        def judge(request: Request) -> Verdict:
            takes = request.method in {"PUT", "POST"} and f"/{folder}/" in request.url
            return Refuse(403, "AccessDenied") if takes else None

        self._judge(judge)

    def unblock(self) -> None:
        """Refuse nothing."""
        self._judge(lambda request: None)

    def copy_into(self, other: Served) -> None:
        """Copy rows and objects, server to server."""
        for (table,) in self.select("SHOW TABLES"):
            if table != "schema_version":
                other.write(f"INSERT INTO {table} SELECT * FROM {self._url.database}.{table}")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: other._place.put(key, self._place.get(key)), self._place.objects()))


def write_to(url: URL, statement: str) -> None:
    """Write to a database of a MariaDB server."""
    address = url.translate_connect_args(username="user")
    with (
        closing(pymysql.connect(**address, autocommit=True, ssl_disabled=True)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


@contextmanager
def embedded(folder: Path) -> Iterator[Storage]:
    """Open a storage in a folder."""
    yield Embedded(folder)


def served(new_database: Callable[[], URL], new_place: Callable[[], R2Place]) -> OpenStorage:
    """Return what opens a storage on two servers."""

    @contextmanager
    def open_one(folder: Path) -> Iterator[Storage]:
        place = new_place()
        with s3_proxy(place) as proxy:

            def judge_by(judge: Callable[[Request], Verdict]) -> None:
                proxy.judge = judge

            yield Served(new_database(), place, proxy.place, folder, judge_by)

    return open_one
