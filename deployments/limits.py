"""Global concurrency limits: slots that several runs share, whatever started them."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from prefect.exceptions import ObjectNotFound

from deployments.parts import NOT_THERE


@dataclass(frozen=True)
class Limit:
    """A named number of slots."""

    name: str
    slots: int

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"concurrency limit {self.name}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return what differs in the number of slots, and whether it counts."""
        try:
            found = server.read_global_concurrency_limit_by_name(self.name)
        except ObjectNotFound:
            return [NOT_THERE]
        slots = [] if found.limit == self.slots else [f"limit is {found.limit}, it should be {self.slots}"]
        return slots if found.active else [*slots, "it is switched off"]

    def write(self, server: SyncPrefectClient) -> None:
        """Create it, or set its number of slots; who holds a slot keeps it."""
        try:
            server.read_global_concurrency_limit_by_name(self.name)
        except ObjectNotFound:
            server.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=self.name, limit=self.slots))
        else:
            update = GlobalConcurrencyLimitUpdate(limit=self.slots, active=True)
            server.update_global_concurrency_limit(name=self.name, concurrency_limit=update)
