"""Real servers, one of each per test run."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from sqlalchemy import URL

from tests.services.mariadb import mariadb_server


@pytest.fixture(scope="session")
def mariadb() -> Generator[Callable[[], URL]]:
    """A function that creates an empty database on a MariaDB server."""
    with mariadb_server() as create_database:
        yield create_database


@pytest.fixture
def url(mariadb: Callable[[], URL]) -> URL:
    """An empty database: what tests/unit/database runs on SQLite runs here on MariaDB."""
    return mariadb()
