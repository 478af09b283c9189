"""The database of the unit tests: SQLite in a temporary folder."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from shutil import copyfile

import pytest
from sqlalchemy import URL, Engine

from shopsync.database import schema
from shopsync.database.engine import open_database


@pytest.fixture
def url(tmp_path: Path) -> URL:
    """An empty database; tests/services gives the same tests one of MariaDB's."""
    return URL.create("sqlite", database=str(tmp_path / "shopsync.db"))


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the release's schema, to copy: migrating costs more than most tests."""
    path = tmp_path_factory.mktemp("migrated") / "shopsync.db"
    engine = open_database(URL.create("sqlite", database=str(path)))
    schema.apply(engine)
    engine.dispose()
    return path


@pytest.fixture
def database(url: URL, migrated: Path) -> Generator[Engine]:
    """A database with the release's schema."""
    if url.get_backend_name() == "sqlite":
        copyfile(migrated, url.database or "")
    engine = open_database(url)
    schema.apply(engine)
    yield engine
    engine.dispose()
