"""`python -m deployments watermark`: read it, and the only way back."""

from datetime import timedelta

import pytest

from deployments.__main__ import main
from shopsync.window import stamp
from tests.e2e.world import World, environment, now


def test_shows_that_there_is_none(world: World, capsys: pytest.CaptureFixture[str]):
    """Before the first run there is no block, which is no error in itself but no watermark either."""
    with environment(world.environ):
        code = main(["watermark", "show"])

    assert 1 == code
    assert f"The block '{world.block}' does not exist yet" in capsys.readouterr().out


def test_next_run_starts_where_it_was_set(world: World, capsys: pytest.CaptureFixture[str]):
    """Set back by an operator, the watermark makes the next run ask again from there."""
    world.sync()
    back = now() - timedelta(days=9)

    with environment(world.environ):
        assert 0 == main(["watermark", "set", stamp(back)])
        assert 0 == main(["watermark", "show"])
    world.sync()

    assert f"{stamp(back)}  {world.shop.domain}  (block '{world.block}')" in capsys.readouterr().out
    assert f"updated_at:>='{stamp(back - timedelta(seconds=300))}'" in world.shop.operations[-1].query
    assert world.watermark is not None
    assert world.watermark > back


def test_can_be_set_before_the_first_run(world: World):
    """A new installation may start later than 128 days back; Shopify is asked whose watermark it is."""
    start = now() - timedelta(days=30)

    with environment(world.environ):
        assert 0 == main(["watermark", "set", stamp(start)])
    world.sync()

    assert f"updated_at:>='{stamp(start - timedelta(seconds=300))}'" in world.shop.operations[-1].query


def test_future_is_refused(world: World, capsys: pytest.CaptureFixture[str]):
    """A watermark ahead of the clock would hide orders for ever."""
    with environment(world.environ):
        code = main(["watermark", "set", stamp(now() + timedelta(hours=1))])

    assert 1 == code
    assert "lies in the future" in capsys.readouterr().err
    assert world.watermark is None
