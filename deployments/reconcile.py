"""`python -m deployments reconcile`: once, or again and again beside the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from deployments.parts import Say
from shopsync.errors import SettingsError, SyncError
from shopsync.reconcile import Reconciled, reconcile
from tasks.reconciliation import world


def look() -> Reconciled:
    """Reconcile once, in this process's environment."""
    with world() as opened:
        return reconcile(opened)


def once(say: Say) -> None:
    """Reconcile once, and say what was done and what is left to an operator."""
    said = look()
    for line in [*said.done, *said.left]:
        say(line)
    if said == Reconciled():
        say("Every run that Prefect knows to be over has said so.")


def forever(
    every_s: float, say: Say, look: Callable[[], Reconciled] = look, sleep: Callable[[float], None] = time.sleep
) -> None:
    """
    Reconcile every so many seconds until told to stop; what does not answer now is asked again.

    What is left to an operator is said once for as long as it stands.
    """
    told: list[str] = []
    while True:
        try:
            said = look()
            for line in [*said.done, *(line for line in said.left if line not in told)]:
                say(line)
            told = said.left
        except SettingsError:
            raise
        except SyncError as failure:
            if str(failure) not in told:
                sys.stderr.write(f"shopsync: {failure}\n")
            told = [str(failure)]
        sleep(every_s)
