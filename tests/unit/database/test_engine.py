"""Opening databases, and their transactions."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, insert, make_url
from sqlalchemy.exc import OperationalError

from shopsync.database import schema
from shopsync.database.engine import mysql_arguments, open_database, reading, writing
from shopsync.database.tables import lease
from shopsync.errors import DatabaseUnavailable, SettingsError
from tests.database import rows
from tests.factories import NOON

ROW = {"name": "measure", "owner": "run-1", "expires_at": NOON}


def _pragma(database: Engine, name: str) -> Any:
    with reading(database) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_sqlite_makes_its_folder(tmp_path: Path) -> None:
    """The first run on a new machine needs no folder."""
    path = tmp_path / "new" / "folder" / "shopsync.db"
    engine = open_database(URL.create("sqlite", database=str(path)))

    schema.prepare(engine)
    engine.dispose()

    assert path.exists()


@pytest.mark.parametrize(("name", "value"), [("journal_mode", "wal"), ("synchronous", 1), ("busy_timeout", 30_000)])
def test_sqlite_is_set_up(database: Engine, name: str, value: object) -> None:
    """Readers never wait for the writer, and a writer waits for another."""
    assert value == _pragma(database, name)


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    """A path through a file is told in one line."""
    (tmp_path / "file").write_text("")

    with pytest.raises(DatabaseUnavailable, match="Check SHOPSYNC_DATABASE_URL"):
        open_database(URL.create("sqlite", database=str(tmp_path / "file" / "shopsync.db")))


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of another kind is told in one line, too."""
    path = tmp_path / "shopsync.db"
    path.write_text("not a database, whatever its name says" * 10)
    engine = open_database(URL.create("sqlite", database=str(path)))

    with pytest.raises(DatabaseUnavailable, match="file is not a database"):
        schema.prepare(engine)

    engine.dispose()


def test_failed_transaction_leaves_nothing(database: Engine) -> None:
    """All of a transaction is in, or nothing."""
    with pytest.raises(ConnectionError), writing(database) as connection:
        connection.execute(insert(lease), ROW)
        raise ConnectionError

    assert [] == rows(database, lease)


def test_reader_does_not_wait(database: Engine) -> None:
    """While one writes, another reads what was there before."""
    with writing(database) as connection:
        connection.execute(insert(lease), ROW)

        assert [] == rows(database, lease)


def test_writer_holds_the_lock(database: Engine) -> None:
    """A write transaction has SQLite's one lock from its beginning: what it reads stays true until it writes."""
    with reading(database) as other, writing(database):
        other.exec_driver_sql("PRAGMA busy_timeout=0")

        with pytest.raises(OperationalError, match="locked"):
            other.execute(insert(lease), ROW)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_own_machine_needs_no_tls(host: str) -> None:
    """What does not leave the machine is not encrypted."""
    _, arguments = mysql_arguments(make_url(f"mysql+pymysql://u@{host}/db"))

    assert {"ssl_disabled": True} == {name: arguments[name] for name in arguments if name.startswith("ssl")}


def test_tls_is_verified() -> None:
    """To another machine certificate and name are checked without being asked for."""
    _, arguments = mysql_arguments(make_url("mysql+pymysql://u@aws.connect.psdb.cloud/db"))

    context = arguments["ssl"]
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)


def test_own_authority_is_taken(tmp_path: Path) -> None:
    """A file of authorities that cannot be read is told in one line, without the password."""
    url = make_url(f"mysql+pymysql://u:hunter2@db.example/db?ssl_ca={tmp_path / 'ca.pem'}")

    with pytest.raises(DatabaseUnavailable, match=r"u:\*\*\*@db.example.*No such file") as caught:
        open_database(url)

    assert "hunter2" not in str(caught.value)


def test_tls_is_turned_off_on_demand() -> None:
    """A private network may do without, if its URL says so; the driver does not see the words."""
    url, arguments = mysql_arguments(make_url("mysql+pymysql://u@db.internal/db?ssl_disabled=true&charset=utf8mb4"))

    assert {"ssl_disabled": True} == {name: arguments[name] for name in arguments if name.startswith("ssl")}
    assert {} == dict(url.query)


@pytest.mark.parametrize(
    ("query", "problem"),
    [("foo=bar", "has an unknown parameter, foo"), ("charset=latin1", "charset that is not utf8mb4")],
)
def test_unknown_parameter_is_refused(query: str, problem: str) -> None:
    """What the URL asks for in vain is told when it is opened, not by the driver later."""
    with pytest.raises(SettingsError, match=f"SHOPSYNC_DATABASE_URL .*{problem}") as refused:
        open_database(make_url(f"mysql+pymysql://u:hunter2@db.internal/db?{query}"))

    assert "hunter2" not in str(refused.value)


def test_mysql_opens_lazily() -> None:
    """Opening asks nothing of a server."""
    engine = open_database(make_url("mysql+pymysql://u@127.0.0.1:1/db"))

    assert "mysql" == engine.dialect.name
