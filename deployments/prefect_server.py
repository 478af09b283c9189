"""
`prefect server start`, mended for SQLite: `python -m deployments.prefect_server --host 127.0.0.1 --port 4200`.

Prefect 3.8 begins most of its transactions with `BEGIN DEFERRED`. One that reads first (counting an event for an
automation, creating a run) fails at once with `database is locked` when another commits in between, and what is left of
it can hold the whole server up for a minute (docs/why.md). Here every transaction takes the lock when it begins, where
waiting helps. Another database than SQLite is not touched.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import _AsyncGeneratorContextManager, contextmanager

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

_begin = AioSqliteConfiguration.begin_transaction


def main() -> None:
    """Start the server with the arguments of `prefect server start`."""
    sys.argv[1:1] = ["server", "start"]
    with mended():
        app()


@contextmanager
def mended() -> Iterator[None]:
    """Mend how Prefect begins transactions on SQLite in this process, while the block runs."""
    AioSqliteConfiguration.begin_transaction = _begin_with_the_lock
    try:
        yield
    finally:
        AioSqliteConfiguration.begin_transaction = _begin


def _begin_with_the_lock(
    self: AioSqliteConfiguration,
    session: AsyncSession,
    with_for_update: bool = False,  # noqa: ARG001 - as if it always were
) -> _AsyncGeneratorContextManager[AsyncSessionTransaction]:
    return _begin(self, session, with_for_update=True)


if __name__ == "__main__":
    main()
