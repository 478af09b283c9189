"""
Upserts that are killed at any statement, resumed, and compared with one that nobody disturbed.

The process dies by SIGKILL in the hands of the proxy: before the server sees the statement, or after the server has
carried it out and before the process hears of it, commits included.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import URL, Engine, text

from shopsync.database import schema
from shopsync.database.days import dirty_days
from shopsync.database.engine import open_database, reading
from shopsync.database.ledger import ledger_sums
from shopsync.measurements import ledger_figures
from shopsync.shop_days import DayRange
from shopsync.shopify.jsonl import read_orders
from tests.contract.test_export import Export
from tests.database import everything
from tests.services import upserting
from tests.services.mysql_proxy import CutAfter, CutBefore, Forward, Proxy, Verdict, mysql_proxy
from tests.waiting import PATIENCE_S, until

HEADER = re.compile(rb'(?:VALUES |\),)\((\d+),"')


@dataclass(frozen=True)
class Killed:
    """One kill: at which statement, how many orders were in by then and were left, and what was wrong afterwards."""

    statement: str
    committed: int
    resumed: int
    wrong: list[str]


@dataclass
class ChunkKills:
    """Kills over one archive; `new_database` gives an empty database."""

    new_database: Callable[[], URL]
    folder: Path
    _count: int = 0
    _truth: Any = None
    _figures: dict[date, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.archive, self.order_ids = _export(self.folder)
        engine = self._migrated()
        with mysql_proxy(engine.url) as proxy:
            self._process(proxy.url).wait(PATIENCE_S)
        self._count = len(proxy.statements)
        self._truth, self._figures = _rows(engine), _figures(engine)
        assert len(self.order_ids) == len(self._truth["order_header"])
        engine.dispose()

    def kill(self, seed: int) -> Killed:
        """Kill an upsert at a statement of the seed's choosing, resume it, and compare."""
        random = Random(seed)
        number, verdict = random.randrange(self._count), random.choice([CutBefore(), CutAfter()])
        engine = self._migrated()
        with mysql_proxy(engine.url) as proxy:
            process = self._process(proxy.url)
            proxy.judge = _killing(proxy, number, verdict, process)
            process.wait(PATIENCE_S)
            statement = proxy.statements[-1][:80].decode(errors="replace")
            committed = self._committed(engine)
            sent: set[int] = set()

            def note(sent_now: bytes) -> Verdict:
                if sent_now.startswith(b"INSERT INTO order_header"):
                    sent.update(int(found) for found in HEADER.findall(sent_now))
                return Forward()

            proxy.judge = note
            code = self._process(proxy.url).wait(PATIENCE_S)
        wrong = [] if code == 0 else [f"the resumed upsert ended with {code}"]
        again = sent & set(self.order_ids[:committed])
        wrong += [f"sent again though committed: {sorted(again)}"] if again else []
        wrong += [] if _rows(engine) == self._truth else ["the rows differ"]
        wrong += [] if _figures(engine) == self._figures else ["the measurements differ"]
        engine.dispose()
        return Killed(statement, committed, len(sent), wrong)

    def _migrated(self) -> Engine:
        engine = open_database(self.new_database())
        schema.apply(engine)
        return engine

    def _process(self, url: URL) -> subprocess.Popen[bytes]:
        address = url.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "tests.services.upserting", address, str(self.archive)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def _committed(self, engine: Engine) -> int:
        """Return the orders that are in, once the server has noticed that the process is gone."""
        others = text(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        )
        with reading(engine) as connection:
            until(lambda: not connection.scalar(others))
        with reading(engine) as connection:
            return int(connection.scalar(text("SELECT SUM(orders) FROM archive_progress")) or 0)


def _killing(
    proxy: Proxy, number: int, verdict: Verdict, process: subprocess.Popen[bytes]
) -> Callable[[bytes], Verdict]:
    def judge(_statement: bytes) -> Verdict:
        if len(proxy.statements) <= number:
            return Forward()
        process.kill()
        return verdict if len(proxy.statements) == number + 1 else CutBefore()

    return judge


def _rows(engine: Engine) -> Any:
    return {name: rows for name, rows in everything(engine).items() if name != "dirty_day"}


def _figures(engine: Engine) -> dict[date, Any]:
    """Return what each marked day measures: how often it was marked depends on where the chunks were cut."""
    return {
        day: ledger_figures(ledger_sums(engine, *DayRange(day, day).bounds(upserting.ZONE))).to_dict("records")
        for day, _ in dirty_days(engine)
    }


def _export(folder: Path) -> tuple[Path, list[int]]:
    """Write the bulk result of a simulated shop to a file; return it with its orders' ids."""
    export = Export(folder, seed=31, orders=120, days=60)
    archive = folder / "orders.jsonl"
    archive.write_bytes(export.shop.served_bytes(export.operation().id))
    return archive, [order.header.order_id for order in read_orders(archive.read_bytes().splitlines(), str(archive))]
