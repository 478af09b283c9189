"""What Shopify does on a bad day: the run survives it, and ends with one exact result."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests import lake_reader
from tests.e2e.conftest import OpenWorld
from tests.e2e.history import History, Template, records
from tests.e2e.prefect_server import drain
from tests.e2e.world import World, now

# What Shopify does ends before anything is stored: one storage shows it.
pytestmark = pytest.mark.parametrize("storage", ["embedded"], indirect=True)

DEALS = 12


@pytest.fixture
def busy_day(settled: History) -> History:
    """A small world in whose shop things have happened since its first run."""
    settled.world.shop.trade(DEALS, seed=5)
    return settled


def trouble(world: World, **faults: Any) -> None:
    """Switch faults of the shop on."""
    for name, value in faults.items():
        setattr(world.shop.faults, name, value)


def own(world: World) -> list[str]:
    """How each operation of ours ended, oldest first."""
    return [operation.status for operation in world.shop.operations if not operation.foreign]


def contents(folder: Path) -> dict[str, str]:
    """The readable text in every file below a folder; archives unpacked."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    unpack = zstandard.ZstdDecompressor().decompressobj
    return {
        path: (unpack().decompress(content) if path.endswith(".zst") else content).decode("utf-8", "replace")
        for path, content in files.items()
    }


def prefect_home(world: World) -> Path:
    """Where Prefect's server keeps logs, states and artifacts, and its client the results of tasks."""
    drain()
    return Path(world.prefect["PREFECT_HOME"])


def archive_problems(world: World) -> list[str]:
    """Where the newest run's archive differs from what Shopify served, or from its manifest."""
    run_id = records(world)[-1]["run_id"]
    stored = list(lake_reader.archived_bytes(world.lake, run_id).values())
    served = world.shop.served_bytes(lake_reader.read_manifest(world.lake, run_id)["operation_id"])
    return lake_reader.manifest_problems(world.lake, run_id) + ([] if [served] == stored else ["not as it was served"])


@pytest.mark.proves("500s", "no connection")
@pytest.mark.parametrize(
    "faults",
    [
        {"server_error": 1},
        {"let_pass": 3, "too_many_requests": 1, "retry_after_s": 1.0, "connection_reset": 1, "server_error": 1},
    ],
    ids=["first-contact", "while-polling"],
)
def test_survives_a_troubled_api(busy_day: History, faults: dict[str, Any]):
    """Answers that may pass are asked for again, whichever step meets them, and the operation is asked for once."""
    trouble(busy_day.world, **faults)

    busy_day.sync()

    assert ["COMPLETED"] == own(busy_day.world)
    assert [] == busy_day.wrong()


@pytest.mark.proves("lost answer")
@pytest.mark.parametrize("status", [None, 502], ids=["broken-connection", "status-502"])
def test_adopts_after_a_lost_answer(busy_day: History, status: int | None):
    """When the answer to the request is lost, the operation that runs nevertheless is the run's."""
    trouble(busy_day.world, lost_answer=1, lost_answer_status=status)

    busy_day.sync()

    assert ["COMPLETED"] == own(busy_day.world)
    assert [] == busy_day.wrong()


@pytest.mark.proves("slots taken")
def test_waits_for_a_slot(busy_day: History):
    """While five operations of others hold the slots the run waits, and never touches them."""
    world = busy_day.world
    others = [world.shop.foreign_operation(1.0 + number / 10) for number in range(5)]

    busy_day.sync()

    assert [0] * 5 == [other.cancel_requests for other in others]
    assert ["COMPLETED"] == own(world)
    assert [] == busy_day.wrong()


@pytest.mark.parametrize(
    ("step", "status", "waits", "fault"),
    [
        ("request", "initiated", "BUSY_WAIT_S", "limit_reached"),
        ("archive", "downloading", "RETRY_BASE_S", "download_error"),
    ],
)
def test_tells_of_a_long_wait(busy_day: History, step: str, status: str, waits: str, fault: str):
    """
    A wait of more than five seconds is a record of its own: the same status, and until when.

    It is written to the lake also while the lake takes the archive.
    """
    busy_day.world.settings[f"SHOPSYNC_{waits}"] = "5.1"
    trouble(busy_day.world, **{fault: 1})

    busy_day.sync()

    (waiting,) = [record for record in records(busy_day.world) if record["waiting_until"]]
    wait = datetime.fromisoformat(waiting["waiting_until"]) - datetime.fromisoformat(waiting["at"])
    assert (step, status) == (waiting["step"], waiting["status"])
    assert timedelta(seconds=5) < wait < timedelta(seconds=8)
    assert [] == busy_day.wrong()


@pytest.mark.proves("canceled", "failed", "no link", "expired")
def test_asks_anew_after_useless_operations(busy_day: History):
    """Operations that failed, were canceled or expired, or have no file, are each followed by a new one."""
    trouble(busy_day.world, canceled_by_shopify=1, failed=1, completed_without_url=1, expired=1)

    busy_day.sync()

    assert ["CANCELED", "FAILED", "COMPLETED", "EXPIRED", "COMPLETED"] == own(busy_day.world)
    assert [] == busy_day.wrong() + archive_problems(busy_day.world)


@pytest.mark.proves("reset", "dead link", "storage away")
@pytest.mark.parametrize(
    "faults",
    [
        {"download_error": 1, "expired_link": 1, "reset_mid_file": 1, "truncated": 1},
        {"reset_mid_file": 2, "range_ignored": True, "gzip": True},
    ],
    ids=["resumed", "begun-again"],
)
def test_download_survives_its_breaks(busy_day: History, faults: dict[str, Any]):
    """A download that breaks, ends early or has a dead link goes on, and every byte is there once."""
    trouble(busy_day.world, **faults)

    busy_day.sync()

    assert ["COMPLETED"] == own(busy_day.world)
    assert [] == busy_day.wrong() + archive_problems(busy_day.world)


@pytest.mark.proves("expired token")
def test_token_expires_in_mid_run(template: Template, open_world: OpenWorld):
    """Client credentials: a token that is refused in the middle of a run is replaced, and the run goes on."""
    shop = template.open_shop()
    shop.client_id, shop.client_secret = "client-7", "secret-of-client-7"
    credentials = {"ID": shop.client_id, "SECRET": shop.client_secret}
    settings = {f"SHOPSYNC_SHOPIFY_CLIENT_{name}": value for name, value in credentials.items()}
    history = template.into(open_world(shop, **settings, SHOPSYNC_SHOPIFY_TOKEN=""))
    shop.trade(DEALS, seed=5)
    shop.faults.order_updated_during_run = lambda shop: trouble(history.world, expire_tokens=True)

    history.sync()

    assert not shop.faults.expire_tokens
    assert ["COMPLETED"] == own(history.world)
    assert [] == history.wrong()


@pytest.mark.proves("changed meanwhile")
def test_order_changed_during_the_run(busy_day: History):
    """An export may show an order newer than the window's end: it is stored, the watermark stops at the end."""
    world = busy_day.world
    order = next(order for order in reversed(world.shop.orders.values()) if order["lineItems"])
    world.shop.faults.order_updated_during_run = lambda shop: shop.touch(order, at=now() + timedelta(seconds=1))

    busy_day.sync()

    late = datetime.fromisoformat(order["updatedAt"])
    assert busy_day.standing == datetime.fromisoformat(records(world)[-1]["window_end"])
    assert busy_day.standing < late
    busy_day.truth.take([order])
    time.sleep(max((late - datetime.now(UTC)).total_seconds(), 0))
    busy_day.sync()
    assert [] == busy_day.wrong()


@pytest.mark.proves("outlasts the polls")
def test_half_window_is_caught_up(settled: History):
    """
    An operation that outlasts the poll budget is cancelled and a shorter window taken, follow-up by follow-up.

    The first half of the window holds nothing new: it must not be asked for again and again.
    """
    world = settled.world
    whole = now() - settled.standing
    for part in (0.8, 0.9, 1.0):
        world.shop.trade(5, seed=int(part * 10), at=settled.standing + whole * part)
    settled.take()
    trouble(world, runs_long_over=(whole + timedelta(seconds=300)) * 0.92)

    code, output, errors = world.run(SHOPSYNC_POLL_ATTEMPTS="20", SHOPSYNC_POLL_INTERVAL_S="0.1")

    settled.requested_at = now()
    assert 0 == code, errors
    assert 1 <= output.count("follow-up")
    assert ["CANCELED", "COMPLETED"] == sorted({*own(world)})
    assert "COMPLETED" == own(world)[-1]
    assert [] == settled.wrong()


def test_secrets_stay_where_they_belong(busy_day: History, caplog: pytest.LogCaptureFixture):
    """The token goes to the Admin API alone; neither it nor a signed address is kept or told anywhere."""
    world = busy_day.world
    caplog.set_level("DEBUG")
    trouble(world, reset_mid_file=1, expired_link=1, server_error=1, broken_line=9, bad_files=1)
    with pytest.raises(Exception, match="line 9") as failed:
        busy_day.sync()

    busy_day.sync()

    to_storage = [asked for asked in world.shop.requests if asked.to_storage]
    assert len(to_storage) >= 4
    assert [] == [asked.path for asked in to_storage if world.shop.token in str(asked.headers) + asked.url]
    told = {"log": caplog.text, "failure": repr(failed.value)} | contents(world.folder) | contents(prefect_home(world))
    assert len(told) > 50
    assert [] == [place for place, text in told.items() if world.shop.token in text or "Signature=" in text]
