"""Runs of every kind, killed at random moments; `make soak` kills hundreds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.kills import kill_some

KINDS = (
    *(("daily",), ("daily",), ("backfill",), ("replay",), ("replay",)),
    *(("daily", "replay"), ("daily", "daily"), ("backfill", "replay")),
)


@pytest.mark.proves("killed daily", "killed backfill", "killed replay", "killed side by side")
def test_no_kill_leaves_anything_wrong(tmp_path: Path):
    """Runs die by SIGKILL, alone and side by side; each goes on, or the next comes, and everything is exact."""
    rounds = kill_some(KINDS, 20261127, tmp_path)

    assert [] == [wrong for found in rounds for wrong in found.wrong]
    assert len(KINDS) <= sum(found.kills for found in rounds)
