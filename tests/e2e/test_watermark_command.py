"""`python -m deployments watermark`: read it, and the only way back."""

from datetime import timedelta
from typing import Any

import pytest

from deployments.__main__ import main
from shopsync.window import stamp
from tasks import completeness, watermark
from tests.e2e.history import records
from tests.e2e.world import World, environment, now

pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)


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


def test_set_back_while_a_run_is_at_work(world: World, monkeypatch: pytest.MonkeyPatch):
    """The run that was at work leaves the watermark where the operator wants it, and the next one starts there."""
    world.sync()
    back, look_again = now() - timedelta(days=9), completeness.look_again

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.undo()
        with environment(world.environ):
            main(["watermark", "set", stamp(back)])
        return look_again(*arguments)

    monkeypatch.setattr(completeness, "look_again", meanwhile)
    world.shop.trade(5, seed=1)
    world.sync()

    assert back == world.watermark
    assert records(world)[-1]["watermark_after"] is None
    world.sync()
    assert f"updated_at:>='{stamp(back - timedelta(seconds=300))}'" in world.shop.operations[-1].query


def test_can_be_set_before_the_first_run(world: World):
    """A new installation may start later than 128 days back; Shopify is asked whose watermark it is."""
    start = now() - timedelta(days=30)

    with environment(world.environ):
        assert 0 == main(["watermark", "set", stamp(start)])
    world.sync()

    assert f"updated_at:>='{stamp(start - timedelta(seconds=300))}'" in world.shop.operations[-1].query


@pytest.mark.proves("old watermark")
def test_what_lies_before_the_floor_is_named(world: World, caplog: pytest.LogCaptureFixture):
    """A watermark that is older than any daily window: the run names the backfill that brings the rest."""
    before = now() - timedelta(days=150)
    with environment(world.environ):
        watermark.put(world.block, before)

    world.sync()

    (warning,) = [record.getMessage() for record in caplog.records if "older than 128 days" in record.getMessage()]
    assert f"`python -m flows.backfill --by updated --start {stamp(before)} --end " in warning


def test_future_is_refused(world: World, capsys: pytest.CaptureFixture[str]):
    """A watermark ahead of the clock would hide orders for ever."""
    with environment(world.environ):
        code = main(["watermark", "set", stamp(now() + timedelta(hours=1))])

    assert 1 == code
    assert "lies in the future" in capsys.readouterr().err
    assert world.watermark is None
