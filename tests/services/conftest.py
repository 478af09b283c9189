"""What the tests of tests/unit/database find here in place of SQLite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import URL


@pytest.fixture
def url(mariadb: Callable[[], URL]) -> URL:
    """An empty database: what tests/unit/database runs on SQLite runs here on MariaDB."""
    return mariadb()
