"""`python -m shopsync.database`."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from shopsync.database.__main__ import main
from tests.database import MIGRATIONS


def _run(command: str, url: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    code = main([command], {"SHOPSYNC_DATABASE_URL": url}, out, err)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'shopsync.db'}"


def test_shows_what_is_missing(url: str) -> None:
    """The SQL of what is missing is printed, ready for an operator who applies it elsewhere; the exit code says so."""
    code, out, err = _run("show", url)

    assert (1, "") == (code, err)
    assert out.startswith("-- migration 0001_initial\n")
    assert "CREATE TABLE IF NOT EXISTS order_header" in out


def test_applies_what_is_missing(url: str) -> None:
    """Applying names what it applied."""
    code, out, err = _run("apply", url)

    assert (0, f"{url}: applied {', '.join(MIGRATIONS)}\n", "") == (code, out, err)


@pytest.mark.parametrize("command", ["show", "apply"])
def test_nothing_is_missing(url: str, command: str) -> None:
    """With the release's schema there is nothing to do."""
    _run("apply", url)

    code, out, err = _run(command, url)

    assert (0, f"{url} lacks no migration\n", "") == (code, out, err)


def test_failure_is_one_line() -> None:
    """What fails is one line without the password, and an exit code of its own."""
    code, out, err = _run("apply", "mysql+pymysql://staff:hunter2@127.0.0.1:1/shop")

    assert (2, "") == (code, out)
    assert err.startswith("the database mysql+pymysql://staff:***@127.0.0.1:1/shop fails: Can't connect")
    assert 1 == err.count("\n")


def test_bad_setting_is_one_line() -> None:
    """A setting that makes no sense is told in one line, too."""
    code, _, err = _run("show", "postgres://nowhere")

    assert 2 == code
    assert err.startswith("SHOPSYNC_DATABASE_URL is malformed")
