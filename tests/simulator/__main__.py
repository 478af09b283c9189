"""
`python -m tests.simulator`: a shop on 127.0.0.1 until it is stopped.

With `--state` the shop survives restarts: it is made again from its seed and first start, every later
start so far is replayed, and this start changes about 25 orders, which a second sync then finds.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from tests.simulator.clock import Clock
from tests.simulator.nodes import moment, stamp
from tests.simulator.server import serve
from tests.simulator.shop import Shop

CHANGES_PER_VISIT = 25


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description="Serve a simulated Shopify shop.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--days", type=float, default=200, help="over how many days the orders spread")
    parser.add_argument("--timezone", default="America/New_York")
    parser.add_argument("--currency", default="USD")
    parser.add_argument("--token", default="shpat_simulated")
    parser.add_argument("--operation-seconds", type=float, default=1.5)
    parser.add_argument("--state", type=Path, help="JSON file that lets the shop survive restarts")
    return parser.parse_args()


def visit(state: Path | None, seed: int) -> tuple[int, list[datetime]]:
    """Return the seed and every start so far, this one included, and remember it."""
    now = datetime.now(UTC).replace(microsecond=0)
    if state is None:
        return seed, [now]
    known = (
        json.loads(state.read_text("utf-8")) if state.exists() else {"seed": seed, "epoch": stamp(now), "visits": []}
    )
    known["visits"].append(stamp(now))
    state.parent.mkdir(parents=True, exist_ok=True)
    fresh = state.with_suffix(".new")
    fresh.write_text(json.dumps(known), "utf-8")
    fresh.replace(state)
    return known["seed"], [moment(known["epoch"]), *(moment(each) for each in known["visits"][1:])]


def build(options: argparse.Namespace) -> Shop:
    """Return the shop as it is at this start."""
    seed, visits = visit(options.state, options.seed)
    shop = Shop(
        seed,
        options.orders,
        now=visits[0],
        timezone=options.timezone,
        currency=options.currency,
        token=options.token,
        days=options.days,
        operation_seconds=options.operation_seconds,
    )
    for number, at in enumerate(visits[1:], start=1):
        shop.trade(CHANGES_PER_VISIT, seed=seed * 1000 + number, at=at)
    shop.clock = Clock.ticking()
    return shop


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = arguments()
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    shop = build(options)
    with serve(shop, options.port) as url:
        print(f"simulator ready at {url} ({len(shop.orders)} orders, seed {shop.seed})", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
