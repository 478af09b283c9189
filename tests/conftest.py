"""Real servers, one of each per test run, for the tests that ask for them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import hypothesis
import pytest
from sqlalchemy import URL

from tests.proof import reliability

if TYPE_CHECKING:
    from tests.services.r2 import R2Place


SHARED = ("large", "long_history")
"""Fixtures that the tests of several files read."""

LONGEST = (
    *("large", "long_history", "test_deployed_runs", "test_backfill_kills", "test_kills", "test_deploying"),
    *("test_failures", "test_side_by_side", "test_memory", "test_up", "test_shopify_faults", "test_rerun", "tests/e2e"),
    *("tests/proof", "tests/services"),
)
"""Groups that take a minute or more, the longest first; what is not here takes seconds."""

# A slow machine is not a fault of what is tested.
hypothesis.settings.register_profile("shopsync", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shopsync")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to compare, or to write, the page of what was shown."""
    parser.addoption("--reliability", choices=["check", "write"], help="docs/reliability.md: compare it, or write it")


def pytest_configure(config: pytest.Config) -> None:
    """Gather what becomes of the rows of the matrix; of several processes, in the one that hears of all tests."""
    mode = config.getoption("--reliability")
    if mode and not hasattr(config, "workerinput"):
        config.pluginmanager.register(reliability.Reliability(mode))


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Keep together what shares costly fixtures when the suite runs in several processes, and begin with what takes long.

    A group is a file, once for each storage; the tests that read the same large runs, or long history, are one group.
    """
    reliability.mark(items)
    for item in items:
        place = place_of(item)
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        storage = parameters.get("storage")
        item.add_marker(pytest.mark.xdist_group(f"{place}-{storage}" if storage else place))
    if hasattr(config, "workerinput"):
        # The last minutes would be one process's, while the others have nothing left.
        items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if name in place_of(item)), len(LONGEST)))


def place_of(item: pytest.Item) -> str:
    """The shared fixture that a test reads, or its file."""
    fixtures = getattr(item, "fixturenames", ())
    return next((each for each in SHARED if each in fixtures), item.nodeid.partition("::")[0])


# The servers' modules are imported where they are needed: tests/unit does without them, and without their clients.


@pytest.fixture(scope="session")
def mariadb() -> Generator[Callable[[], URL]]:
    """A function that creates an empty database on a MariaDB server."""
    from tests.services.mariadb import mariadb_server

    with mariadb_server() as create_database:
        yield create_database


@pytest.fixture(scope="session")
def r2() -> Generator[Callable[[], R2Place]]:
    """A function that gives an empty place on an R2 server."""
    from tests.services.r2 import r2_server

    with r2_server() as new_place:
        yield new_place
