"""Killed between any two chunks or inside one, an upsert goes on behind the last commit, as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import URL

from tests.services.chunk_kills import ChunkKills

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def kills(mariadb: Callable[[], URL], tmp_path_factory: pytest.TempPathFactory) -> ChunkKills:
    """Kills over one archive, which was upserted once undisturbed."""
    return ChunkKills(mariadb, tmp_path_factory.mktemp("kills"))


@pytest.mark.proves("killed upsert")
@pytest.mark.parametrize("seed", range(10))
def test_killed_upsert_resumes(kills: ChunkKills, seed: int) -> None:
    """No committed order is sent again; rows and measurements are those of an undisturbed run."""
    assert [] == kills.kill(seed).wrong


def test_kills_strike_in_the_middle(kills: ChunkKills) -> None:
    """The seeds do strike where it matters: some orders are in by then, and others are not."""
    struck = kills.kill(1_004)

    assert 0 < struck.committed < len(kills.order_ids)
    assert len(kills.order_ids) - struck.committed <= struck.resumed
