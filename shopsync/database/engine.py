"""
Opening a database, and the two kinds of transaction.

Everything above this module works with an Engine and does not know whether SQLite or a MySQL-protocol server (MySQL,
MariaDB, PlanetScale) is behind it.
"""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Insert, Table, create_engine, event, insert, select
from sqlalchemy.pool import ConnectionPoolEntry

from shopsync.database.driver import PatientConnection
from shopsync.database.faults import translated
from shopsync.errors import DatabaseUnavailable, SettingsError
from shopsync.settings import LOOPBACK

BUSY_TIMEOUT_S = 30
"""How long a SQLite writer waits for another; a chunk's transaction takes well under a second."""
STATEMENT_TIMEOUT_S = 60
"""PlanetScale ends a DML statement after 30 s itself; beyond this nobody answers any more."""
CONNECTION_LIFE_S = 1_800
"""PlanetScale closes connections after 24 h, proxies and idle time-outs sooner."""
_CHARSET = "utf8mb4"
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # A power failure may undo the last commits, never tear one: rows, progress, marks and the recorded watermark
    # advance go back together, and the next run starts at the older watermark.
    "PRAGMA synchronous=NORMAL",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000}",
    "PRAGMA cache_size=-4000",
)
_MYSQL_SESSION = (
    "SET SESSION time_zone='+00:00', sql_mode='STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
_WRITES = "shopsync_writes"


@dataclass(frozen=True, slots=True)
class Pool:
    """
    How many connections to a server are kept, and how many more there may be at a time.

    `wait_s` is the patience for a free one, `connect_s` for a new one (for each step of its opening), `ping_s` for a
    sign of life of one that was kept, `statement_s` for an answer.
    """

    size: int
    overflow: int
    wait_s: float
    connect_s: float
    ping_s: float
    statement_s: float


RUN_POOL = Pool(size=2, overflow=3, wait_s=30, connect_s=10, ping_s=10, statement_s=STATEMENT_TIMEOUT_S)
"""A run's: it writes on two connections, and has time."""


def open_database(url: URL, pool: Pool = RUN_POOL) -> Engine:
    """
    Return an engine for `sqlite:////abs/path` or `mysql+pymysql://...`; it connects at its first use.

    The folder of a SQLite file is created. To a MySQL host that is not this machine TLS is verified, against the
    system's authorities or those of `?ssl_ca=file`; `?ssl_disabled=true` turns it off for a private network.

    Raises:
        DatabaseUnavailable: The folder or the file of authorities cannot be used.
        SettingsError: The URL asks for something that is not offered here.
    """
    try:
        return _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_mysql(url, pool)
    except OSError as error:
        raise DatabaseUnavailable(url.render_as_string(hide_password=True), str(error)) from error


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Open a transaction that only reads; it never waits for a writer."""
    with translated(engine.url), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Generator[Connection]:
    """Open a transaction that only reads and sees one moment, however many statements it takes."""
    # Elsewhere each statement sees what was committed before it; SQLite's transactions are snapshots anyway.
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with translated(engine.url), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Open a transaction that writes: all of it or nothing. SQLite has one writer at a time, from BEGIN on."""
    with translated(engine.url), transaction(engine) as connection:
        yield connection


def insert_if_absent(table: Table) -> Insert:
    """Return an insert that leaves the row of the same key alone when there is one."""
    return insert(table).prefix_with("OR IGNORE", dialect="sqlite").prefix_with("IGNORE", dialect="mysql")


def ask(engine: Engine) -> None:
    """Return when the server answers, or raise DatabaseUnavailable."""
    with reading(engine) as connection:
        connection.execute(select(1))


@contextmanager
def transaction(engine: Engine) -> Generator[Connection]:
    """Open a transaction that writes, for a caller who knows what to do about the drivers' own exceptions."""
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


def _open_sqlite(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by itself, and late. Source: SQLAlchemy 2.0, "Serializable isolation".
    connection.isolation_level = None
    for pragma in _SQLITE_PRAGMAS:
        connection.execute(pragma).close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_mysql(url: URL, pool: Pool) -> Engine:
    url, arguments = mysql_arguments(url, pool)
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=pool.size,
        max_overflow=pool.overflow,
        pool_timeout=pool.wait_s,
        pool_recycle=CONNECTION_LIFE_S,
        pool_pre_ping=True,
        connect_args=arguments,
    )

    def connect(_dialect: Any, _record: Any, _given: Any, named: dict[str, Any]) -> PatientConnection:
        return PatientConnection(ping_s=pool.ping_s, **named)

    event.listen(engine, "do_connect", connect)
    return engine


def mysql_arguments(url: URL, pool: Pool = RUN_POOL) -> tuple[URL, dict[str, Any]]:
    """
    Return the URL without its query, and what the driver is told beside it.

    Raises:
        SettingsError: The query has a key that means nothing here, or another character set than ours.
    """
    if unknown := sorted(set(url.query) - {"ssl_ca", "ssl_disabled", "charset"}):
        raise SettingsError(
            "SHOPSYNC_DATABASE_URL", f"has an unknown parameter, {unknown[0]}: it may have ssl_ca and ssl_disabled"
        )
    if url.query.get("charset", _CHARSET) != _CHARSET:
        raise SettingsError("SHOPSYNC_DATABASE_URL", f"asks for a charset that is not {_CHARSET}: leave it out")
    authorities = url.query.get("ssl_ca")
    disabled = str(url.query.get("ssl_disabled", "")).lower() in {"1", "true"}
    arguments: dict[str, Any] = {
        "charset": _CHARSET,
        "connect_timeout": pool.connect_s,
        "read_timeout": pool.statement_s,
        "write_timeout": pool.statement_s,
        "init_command": _MYSQL_SESSION,
    }
    if not disabled and (authorities is not None or url.host not in LOOPBACK):
        # A context, not a dict: without `ca` in it, PyMySQL would verify nothing.
        arguments["ssl"] = _trusting(None if authorities is None else str(authorities))
    else:
        # Left alone, PyMySQL would offer TLS all the same, and read the system's authorities for each connection.
        arguments["ssl_disabled"] = True
    return url.set(query={}), arguments


@cache
def _trusting(authorities: str | None) -> ssl.SSLContext:
    """Return what verifies servers; reading the system's authorities takes longer than to connect."""
    return ssl.create_default_context(cafile=authorities)
