"""The shop over real HTTP, and its life across restarts."""

import argparse
from pathlib import Path

import httpx
import pytest

from tests.contract.simulator.client import RUN, shop
from tests.simulator import serve
from tests.simulator.__main__ import build

BODY = {"query": RUN, "variables": {"query": "{ orders { edges { node { id } } } }", "group": True}}


def test_operation_over_http() -> None:
    """Run, end, download by a link that leads to the same server."""
    one = shop(30)

    with serve(one) as url, httpx.Client(base_url=url, headers={"X-Shopify-Access-Token": one.token}) as http:
        http.post("/admin/api/2026-10/graphql.json", json=BODY)
        one.clock.advance(5)
        poll = {"query": "{ currentBulkOperation { url } }"}
        link = http.post("/admin/api/2026-10/graphql.json", json=poll).json()["data"]["currentBulkOperation"]["url"]
        raw = httpx.get(link).content

    assert link.startswith(url)
    assert one.served_bytes(one.operations[0]) == raw


def test_broken_connections_really_break() -> None:
    """The client sees a transport error, not an answer."""
    one = shop(30)
    one.faults.lost_answer = 1

    with serve(one) as url, pytest.raises(httpx.TransportError):
        httpx.post(f"{url}/admin/api/2026-10/graphql.json", json=BODY, headers={"X-Shopify-Access-Token": one.token})

    assert len(one.operations) == 1


def options(state: Path) -> argparse.Namespace:
    """Return a command line."""
    return argparse.Namespace(
        state=state,
        seed=7,
        orders=120,
        days=30,
        timezone="America/New_York",
        currency="USD",
        token="t",
        operation_seconds=1.0,
    )


def test_state_survives_restarts(tmp_path: Path) -> None:
    """A later start keeps what was, and changes some orders."""
    first = build(options(tmp_path / "state.json"))
    second = build(options(tmp_path / "state.json"))

    same = [each for each in first.orders if first.orders[each] == second.orders[each]]

    assert 90 < len(same) < 120
    assert len(second.orders) > 120
