"""
One daily run of a shop at a time, however it was started: by cron, the API, the UI or a command line.

The lease is the run's, not the process's: it stands while the run waits without a container, and the same run id takes
it up again. A process that dies leaves it to end by itself within a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event, Thread

from prefect import get_run_logger
from sqlalchemy import Engine

from shopsync.database.leases import acquire, release, release_all, renew
from shopsync.errors import LeaseHeld, LeaseLost, MustWait, SyncError
from shopsync.run import Run, ShopProfile
from tasks import connections
from tasks.step import again

LEASE_TTL = timedelta(seconds=60)
"""How long a killed run keeps the next one waiting."""

RENEW_EVERY_S = 15.0
"""Three renewals may fail before the lease ends under a living run."""

WAIT_MARGIN = timedelta(minutes=30)
"""How long the lease outlasts a wait: Prefect may have no place, or no warm worker, when the run's time comes."""


def lease_name(run: Run, shop: ShopProfile) -> str:
    """Return the name of the lease: one for each shop and kind of run."""
    return f"{run.job_type.value} {shop.domain}"


@contextmanager
def only_daily_run(run: Run, shop: ShopProfile) -> Iterator[None]:
    """
    Hold the shop's lease of daily runs during the block, waiting for the run that has it.

    A run that has to wait without a container keeps the lease beyond its time.
    """
    name = lease_name(run, shop)
    with connections.database() as database:
        # No task: a continued run has to take it anew, not to find that it once did.
        connections.patience(run).call(
            lambda: again(acquire)(database, name, run.run_id, connections.now(), LEASE_TTL), (LeaseHeld,)
        )
        try:
            with _renewed(database, name, run.run_id):
                yield
        except MustWait as wait:
            renew(database, name, run.run_id, connections.now(), wait.until - connections.now() + WAIT_MARGIN)
            raise
        except BaseException:
            with suppress(SyncError):  # it ends by itself, and what ended the run has to be told
                release(database, name, run.run_id)
            raise
        with suppress(SyncError):  # the run has completed, and nothing takes that back
            release(database, name, run.run_id)


def require_turn(run: Run, shop: ShopProfile, database: Engine) -> None:
    """
    See that the lease is still the run's, and renew it.

    Raises:
        LeaseLost: Another daily run of the shop took it.
    """
    renew(database, lease_name(run, shop), run.run_id, connections.now(), LEASE_TTL)


def give_back_leases(run: Run) -> None:
    """Give back whatever leases a run has that ends early, so that nobody waits for it."""
    with suppress(SyncError), connections.database() as database:  # they end by themselves
        release_all(database, run.run_id)


@contextmanager
def _renewed(database: Engine, name: str, owner: str) -> Iterator[None]:
    """Renew the lease while the block runs, whatever it does."""
    done, log = Event(), get_run_logger()

    def go_on() -> None:
        while not done.wait(RENEW_EVERY_S):
            try:
                renew(database, name, owner, connections.now(), LEASE_TTL)
            except LeaseLost as lost:
                log.warning("%s: this run ends before it saves the watermark", lost)
                return
            except SyncError as failure:
                log.warning("the lease '%s' is not renewed now: %s", name, failure)

    thread = Thread(target=go_on, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
