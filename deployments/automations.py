"""
What the Prefect server does by itself: end runs that died unseen, and tell an operator's channel what went wrong.

All but the last are about flow runs with the tag `shopsync`, which prefect.yaml gives to every deployment. An operator
may switch an automation off in the UI: applying leaves it off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from deployments.comparison import differences
from deployments.parts import NOT_THERE, NOT_WANTED

OURS = "shopsync: "
"""How the names of our automations begin."""

Labels = dict[str, str | list[str]]

RUNS: Labels = {"prefect.resource.id": "prefect.flow-run.*"}
TAGGED: Labels = {"prefect.resource.id": "prefect.tag.shopsync"}
DAILY: Labels = {"prefect.resource.role": "flow", "prefect.resource.name": "daily-sync"}

NOT_BEGUN = ("Pending", "Submitting", "InfrastructurePending")
WAITING = ("Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot", "Paused", "Suspended")
BEGUN = ("Running", "Retrying", "Cancelling")
OVER = ("Completed", "Failed", "TimedOut", "Crashed", "Cancelled")


@dataclass(frozen=True)
class Timing:
    """When the automations act, in seconds; tests are in more of a hurry than operators."""

    silent_s: int = 90
    """Three heartbeats: a run that is silent for longer has died."""
    stuck_s: int = 900
    """How long a submitted run may take to begin: a cold Fargate task pulls its image first."""
    late_s: int = 900
    """How long after its time a run may wait for a worker before somebody is told."""
    stale_s: int = 30 * 3_600
    """A daily run completes every day; six hours more are its slack."""


@dataclass(frozen=True)
class Automated:
    """An automation: what it listens for, and what it does then."""

    name: str
    description: str
    trigger: EventTrigger
    action: ChangeFlowRunState | Notice

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"automation {OURS}{self.name}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return what differs, but for whether it is switched on."""
        found = _read(server, OURS + self.name)
        if found is None:
            return [NOT_THERE]
        try:
            return differences(_plain(self._automation(server)), _plain(found))
        except ObjectNotFound:
            return ["the block that it notifies is not there"]

    def write(self, server: SyncPrefectClient) -> None:
        """Create or update it; an update drops the windows that are open at the time."""
        wanted, found = self._automation(server), _read(server, OURS + self.name)
        if found is None:
            server.create_automation(wanted)
        else:
            server.update_automation(found.id, wanted.model_copy(update={"enabled": found.enabled}))

    def _automation(self, server: SyncPrefectClient) -> AutomationCore:
        action = self.action.resolved(server) if isinstance(self.action, Notice) else self.action
        return AutomationCore(
            name=OURS + self.name, description=self.description, enabled=True, trigger=self.trigger, actions=[action]
        )


@dataclass(frozen=True)
class Notice:
    """What is told by a notification block, `type/name`; subject and body are Prefect's templates."""

    block: str
    subject: str
    body: str

    def resolved(self, server: SyncPrefectClient) -> ActionTypes:
        """Return the action, with the block's id on this server."""
        kind, _, name = self.block.partition("/")
        document = server.read_block_document_by_name(name, kind, include_secrets=False)
        return SendNotification(block_document_id=document.id, subject=self.subject, body=self.body)


@dataclass(frozen=True)
class Retired:
    """An automation of ours that the files no longer have: alerts whose channel was taken away."""

    name: str

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"automation {self.name}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return that it is still there."""
        return [] if _read(server, self.name) is None else [NOT_WANTED]

    def write(self, server: SyncPrefectClient) -> None:
        """Delete it."""
        found = _read(server, self.name)
        if found is not None:
            server.delete_automation(found.id)


def automations(server: SyncPrefectClient, block: str | None, timing: Timing = Timing()) -> list[Automated | Retired]:
    """
    Return every automation that the server should have, and those of ours that it should not.

    Args:
        block: The notification block that alerts go to, `type/name`; None when nobody is to be told.
    """
    wanted = [*sweeps(timing), *(alerts(block, timing) if block else ())]
    names = {OURS + each.name for each in wanted}
    ours = (each.name for each in server.read_automations() if each.name.startswith(OURS))
    return [*wanted, *(Retired(name) for name in ours if name not in names)]


def sweeps(timing: Timing) -> Iterable[Automated]:
    """Return the automations that end runs of which nothing is heard."""
    yield Automated(
        "dead runs",
        "A run whose heartbeats stopped has died with its process: it is marked as crashed.",
        _missing(within_s=timing.silent_s, after=["heartbeat"], expect=["heartbeat", *WAITING, *BEGUN, *OVER]),
        _crashed(f"The run's process died: no heartbeat for {timing.silent_s} seconds."),
    )
    yield Automated(
        "stuck runs",
        "A run that was handed to a worker and never began would hold its deployment's place: it is marked as crashed.",
        _missing(within_s=timing.stuck_s, after=NOT_BEGUN, expect=["heartbeat", *WAITING, *BEGUN, *OVER]),
        _crashed(f"The run did not begin within {timing.stuck_s} seconds after a worker took it."),
    )


def alerts(block: str, timing: Timing) -> Iterable[Automated]:
    """Return the automations that tell somebody."""
    yield Automated(
        "alert: failed run",
        "Tells when a run failed or crashed.",
        EventTrigger(
            match=RUNS,
            match_related=TAGGED,
            expect=_events(["Failed", "TimedOut", "Crashed"]),
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        Notice(
            block,
            "shopsync: {{ flow.name }} {{ flow_run.state.name|lower }}",
            "{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
        ),
    )
    yield Automated(
        "alert: missed schedule",
        "Tells when a run is late and no worker takes it.",
        _missing(within_s=timing.late_s, after=["Late"], expect=["heartbeat", *NOT_BEGUN, *WAITING, *BEGUN, *OVER]),
        Notice(
            block,
            "shopsync: {{ flow.name }} did not start",
            "{{ flow_run.name }} is late and no worker takes it: does the pool's worker run?\n{{ flow_run|ui_url }}",
        ),
    )
    yield Automated(
        "alert: stale watermark",
        "Tells when no daily run completed for longer than a day and its slack, whatever the reason.",
        EventTrigger(
            match=RUNS,
            match_related=DAILY,
            expect=_events(["Completed"]),
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=timing.stale_s),
        ),
        Notice(
            block,
            "shopsync: the figures are stale",
            f"No daily run completed within {timing.stale_s / 3600:g} hours: the watermark stands still. Look at the "
            "runs of daily-sync, whether its schedule is active, and whether its worker is running.",
        ),
    )


def _missing(*, within_s: int, after: Collection[str], expect: Collection[str]) -> EventTrigger:
    """Return a trigger for runs that were in one state and came to no other in time."""
    return EventTrigger(
        match=RUNS,
        match_related=TAGGED,
        after=_events(after),
        expect=_events(expect),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=within_s),
    )


def _crashed(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message, force=False)


def _events(states: Collection[str]) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _read(server: SyncPrefectClient, name: str) -> Automation | None:
    return next(iter(server.read_automations_by_name(name)), None)


def _plain(automation: AutomationCore) -> dict[str, Any]:
    plain = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    return plain | {"trigger": {name: _in_order(value) for name, value in plain["trigger"].items() if name != "id"}}


def _in_order(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else value
