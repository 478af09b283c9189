"""What is mended of Prefect's server on SQLite: transactions at once."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deployments import prefect_server


async def count(configuration: AioSqliteConfiguration, engine: AsyncEngine) -> None:
    """Read the counter, then write it, as the server counts an event for an automation."""
    session = await configuration.session(engine)
    async with session, configuration.begin_transaction(session):
        n = (await session.execute(text("SELECT n FROM counted"))).scalar_one()
        await asyncio.sleep(0.01)
        await session.execute(text("UPDATE counted SET n = :n"), {"n": n + 1})


def test_transactions_at_once(tmp_path: Path):
    """Transactions that read before they write wait for each other; none fails."""
    database = sqlite3.connect(tmp_path / "prefect.db")
    database.executescript("CREATE TABLE counted (n INTEGER); INSERT INTO counted VALUES (0)")
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}")

    async def eight() -> None:
        engine = await configuration.engine()
        await asyncio.gather(*(count(configuration, engine) for _ in range(8)))
        await engine.dispose()

    with prefect_server.mended():
        asyncio.run(eight())
    counted = database.execute("SELECT n FROM counted").fetchall()
    database.close()

    assert [(8,)] == counted
