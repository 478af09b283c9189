"""A run id stands for one run: one window, one time, one end."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import delete

from shopsync.database.engine import writing
from shopsync.database.tables import sync_run
from shopsync.errors import JsonlError, WindowError
from shopsync.watermark import Move
from tasks import connections
from tasks.watermark import advance
from tests.e2e.world import World, environment, now
from tests.lake_reader import read_manifest, read_telemetry


def test_completed_run_is_not_run_again(world: World):
    """The same run id a second time asks Shopify for nothing, and shows the same run."""
    run_id = uuid4()
    world.sync(run_id=run_id)
    asked = len(world.shop.operations)

    again = world.sync(run_id=run_id)

    assert asked == len(world.shop.operations)
    assert str(run_id) == again.run_id
    assert "completed" == read_telemetry(world.lake, str(run_id))[-1]["status"]


@pytest.mark.parametrize("fault", ["broken_line", "orphan_child"])
def test_refused_file_is_asked_for_anew(world: World, fault: str):
    """A run whose file could not be read asks for another one when it is started again, and vouches for that."""
    run_id = uuid4()
    setattr(world.shop.faults, fault, 1)
    with pytest.raises(JsonlError):
        world.sync(run_id=run_id)
    world.shop.faults.clear()

    world.sync(run_id=run_id)

    assert "completed" == read_telemetry(world.lake, str(run_id))[-1]["status"]
    assert [world.shop.operations[-1].id] == [read_manifest(world.lake, str(run_id))["operation_id"]]
    assert 2 == len(world.shop.operations)
    assert len(world.shop.orders) == len(world.rows["order_header"])


def test_run_id_keeps_its_time(world: World):
    """Another requested_at would be another window: it is refused, and what the run left stays as it was."""
    run_id = uuid4()
    world.sync(run_id=run_id, requested_at=now() - timedelta(hours=1))

    with pytest.raises(WindowError, match="leave requested_at out"):
        world.sync(run_id=run_id, requested_at=now() - timedelta(days=2))

    records = read_telemetry(world.lake, str(run_id))
    assert "completed" == records[-1]["status"]
    assert 1 == len({record["window_end"] for record in records})


@pytest.mark.parametrize("storage", ["embedded"], indirect=True)
@pytest.mark.parametrize("known", [True, False], ids=["known to the database", "in the lake alone"])
def test_run_id_keeps_its_kind(world: World, known: bool):
    """A daily run under a backfill's run id is refused: it would move the watermark over orders nobody asked for."""
    run_id, asked_at = uuid4(), now() - timedelta(hours=1)
    world.backfill(now() - timedelta(days=60), now(), run_id=run_id, requested_at=asked_at)
    asked, before = len(world.shop.operations), read_telemetry(world.lake, str(run_id))
    _forget(world, [str(run_id)] if not known else [])

    with pytest.raises(WindowError, match=r"is not a daily run \(FULL_BACKFILL_EXECUTE\): leave run_id out"):
        world.sync(run_id=run_id, requested_at=asked_at)

    assert world.watermark is None
    assert (asked, before) == (len(world.shop.operations), read_telemetry(world.lake, str(run_id)))


def _forget(world: World, run_ids: list[str]) -> None:
    with environment(world.environ), connections.database() as database, writing(database) as connection:
        connection.execute(delete(sync_run).where(sync_run.c.run_id.in_(run_ids)))


def test_older_run_moves_no_watermark(world: World):
    """A run that ends after a newer one finds the block further, leaves it, and does not claim to have moved it."""
    world.sync()
    reached = world.watermark
    assert reached is not None

    with environment(world.environ):
        moved = advance(world.block, world.shop.domain, reached - timedelta(hours=1))

    assert Move.BEYOND is moved
    assert reached == world.watermark
