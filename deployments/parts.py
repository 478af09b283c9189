"""
What a Prefect server needs to run shopsync, part by part, and the two things done with it: apply, check.

A part knows what it should be (from the files and the settings) and how it is on the server. `apply` writes only what
differs, so that a second one changes nothing; `check` names each difference and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from prefect.client.orchestration import SyncPrefectClient

NOT_THERE = "is not there"
NOT_WANTED = "is no longer wanted"

Say = Callable[[str], None]


class Part(Protocol):
    """One thing on the server."""

    @property
    def title(self) -> str:
        """What it is called in messages, such as `work pool shopsync`."""
        ...

    def differences(self, server: SyncPrefectClient, /) -> list[str]:
        """Return a line for each difference: `[NOT_THERE]` for what is to be made, `[NOT_WANTED]` to be deleted."""
        ...

    def write(self, server: SyncPrefectClient, /) -> None:
        """Create it, delete it, or bring it up to what it should be."""
        ...


def apply(parts: Iterable[Part], server: SyncPrefectClient, say: Say) -> int:
    """Bring each part up to what it should be, in order; return how many were changed."""
    changed = 0
    for part in parts:
        found = part.differences(server)
        if found:
            part.write(server)
            say(f"{part.title}: {_done(found)}")
            changed += 1
    return changed


def check(parts: Iterable[Part], server: SyncPrefectClient, say: Say) -> int:
    """Name each difference; return how many there are."""
    lines = [f"{part.title}: {line}" for part in parts for line in part.differences(server)]
    for line in lines:
        say(line)
    return len(lines)


def _done(found: list[str]) -> str:
    match found:
        case [only] if only == NOT_THERE:
            return "created"
        case [only] if only == NOT_WANTED:
            return "deleted"
        case _:
            return f"updated ({'; '.join(found)})"
