"""
Opening a database, and the two kinds of transaction.

Everything above this module works with an Engine and does not know whether SQLite or a MySQL-protocol server (MySQL,
MariaDB, PlanetScale) is behind it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from shopsync.database.faults import Fault, fault, translated
from shopsync.errors import DatabaseUnavailable, SettingsError
from shopsync.settings import LOOPBACK

BUSY_TIMEOUT_S = 30
"""How long a SQLite writer waits for another; a chunk's transaction takes well under a second."""
STATEMENT_TIMEOUT_S = 60
"""PlanetScale ends a DML statement after 30 s itself; beyond this nobody answers any more."""
CONNECTION_LIFE_S = 1_800
"""PlanetScale closes connections after 24 h, proxies and idle time-outs sooner."""
CONFLICT_TRIES = 6
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

Result = TypeVar("Result")


def open_database(url: URL) -> Engine:
    """
    Return an engine for `sqlite:////abs/path` or `mysql+pymysql://...`; it connects at its first use.

    The folder of a SQLite file is created. To a MySQL host that is not this machine TLS is verified, against the
    system's authorities or those of `?ssl_ca=file`; `?ssl_disabled=true` turns it off for a private network.

    Raises:
        DatabaseUnavailable: The folder or the file of authorities cannot be used.
        SettingsError: The URL asks for something that is not offered here.
    """
    try:
        return _open_sqlite(url) if url.get_backend_name() == "sqlite" else _open_mysql(url)
    except OSError as error:
        raise DatabaseUnavailable(url.render_as_string(hide_password=True), str(error)) from error


@contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """Open a transaction that only reads; it never waits for a writer."""
    with translated(engine.url), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Open a transaction that writes: all of it or nothing. SQLite has one writer at a time, from BEGIN on."""
    with translated(engine.url), _begin(engine) as connection:
        yield connection


def transact(engine: Engine, work: Callable[[Connection], Result], sleep: Callable[[float], None]) -> Result:
    """
    Run `work` in one transaction, and again when it lost a conflict over locks.

    The drivers' exceptions come as they are: the caller knows what to do about them. `work` may run several times.
    """
    tries = Retrying(
        retry=retry_if_exception(lambda error: fault(error) is Fault.CONFLICT),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_attempt(CONFLICT_TRIES),
        sleep=sleep,
        reraise=True,
    )

    def once() -> Result:
        with _begin(engine) as connection:
            return work(connection)

    return tries(once)


@contextmanager
def _begin(engine: Engine) -> Generator[Connection]:
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


def _open_sqlite(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        # The driver would begin transactions by itself, and late. Source: SQLAlchemy 2.0, "Serializable isolation".
        connection.isolation_level = None
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _open_mysql(url: URL) -> Engine:
    url, arguments = mysql_arguments(url)
    return create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_size=2,
        max_overflow=3,
        pool_timeout=30,
        pool_recycle=CONNECTION_LIFE_S,
        pool_pre_ping=True,
        connect_args=arguments,
    )


def mysql_arguments(url: URL) -> tuple[URL, dict[str, Any]]:
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
        "connect_timeout": 10,
        "read_timeout": STATEMENT_TIMEOUT_S,
        "write_timeout": STATEMENT_TIMEOUT_S,
        "init_command": _MYSQL_SESSION,
    }
    if not disabled and (authorities is not None or url.host not in LOOPBACK):
        # A context, not a dict: without `ca` in it, PyMySQL would verify nothing.
        arguments["ssl"] = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
    return url.set(query={}), arguments
