"""Tasks as functions, in this process: with a database and a lake of each test's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment with nothing of ours but a data folder."""
    for name in [name for name in os.environ if name.startswith("SHOPSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHOPSYNC_DATA_DIR", str(tmp_path / "data"))
