"""
Leases: who may do what only one may do at a time, and until when.

A lease outlives the process that took it, and ends by itself. The clock is the caller's; owners are run ids.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, or_, select, update

from shopsync.database.engine import insert_if_absent, reading, writing
from shopsync.database.tables import lease
from shopsync.errors import LeaseHeld, LeaseLost

_TAKE_IF_FREE = insert_if_absent(lease)


def acquire(engine: Engine, name: str, owner: str, now: datetime, ttl: timedelta) -> None:
    """
    Take a lease until `now + ttl`: a free one, an expired one, or the owner's own.

    Raises:
        LeaseHeld: Another owner has it.
    """
    until = now + ttl
    free = or_(lease.c.owner == owner, lease.c.expires_at <= now)
    take_over = update(lease).where(lease.c.name == name, free).values(owner=owner, expires_at=until)
    with writing(engine) as connection:
        # The update goes first: were the insert refused first, its shared lock could deadlock two takers.
        if connection.execute(take_over).rowcount:
            return
        if connection.execute(_TAKE_IF_FREE, {"name": name, "owner": owner, "expires_at": until}).rowcount:
            return
        holder = connection.execute(select(lease.c.owner, lease.c.expires_at).where(lease.c.name == name)).one()
    raise LeaseHeld(name, holder.owner, holder.expires_at)


def renew(engine: Engine, name: str, owner: str, now: datetime, ttl: timedelta) -> None:
    """
    Prolong a lease until `now + ttl`; one that expired is still the owner's as long as nobody took it.

    Raises:
        LeaseLost: Another owner took it, or it was released.
    """
    ours = update(lease).where(lease.c.name == name, lease.c.owner == owner)
    with writing(engine) as connection:
        if not connection.execute(ours.values(expires_at=now + ttl)).rowcount:
            raise LeaseLost(name, owner)


def holder(engine: Engine, name: str, now: datetime) -> str | None:
    """Return who holds a lease now; None when nobody does."""
    held = select(lease.c.owner).where(lease.c.name == name, lease.c.expires_at > now)
    with reading(engine) as connection:
        return connection.scalar(held)


def release(engine: Engine, name: str, owner: str) -> None:
    """Give a lease back; nothing happens when it is another's by now."""
    with writing(engine) as connection:
        connection.execute(delete(lease).where(lease.c.name == name, lease.c.owner == owner))


def release_all(engine: Engine, owner: str) -> None:
    """Give back whatever leases an owner has: it is known to be dead."""
    with writing(engine) as connection:
        connection.execute(delete(lease).where(lease.c.owner == owner))
