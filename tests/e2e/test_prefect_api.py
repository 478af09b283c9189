"""What the reconciler believes of Prefect, from a real server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from uuid import uuid4

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import AwaitingRetry, Crashed, Pending

from shopsync.errors import NotInPrefect
from shopsync.prefect_api import PrefectAccess, PrefectApi, StateType
from shopsync.settings import Settings


@flow
def waiting() -> None:
    """Do nothing; nobody starts it."""


@pytest.fixture
def api(prefect: Mapping[str, str]) -> Iterator[PrefectApi]:
    """A client of the server."""
    with httpx.Client() as http:
        yield PrefectApi(PrefectAccess.of(Settings.from_environment(prefect)), http)


def test_server_remembers_each_crash(api: PrefectApi):
    """A flow run that died before it ran was never counted as a run, but each crash is there."""
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(flow_id=client.create_flow(waiting), name=f"crashing-{uuid4()}")
        run_id = client.create_flow_run_from_deployment(deployment).id
        for state in (Pending(), Crashed(), AwaitingRetry(), Pending(), Crashed()):
            client.set_flow_run_state(run_id, state)
        found = client.read_flow_run(run_id)

    states = api.states(str(run_id))

    assert 0 == found.run_count
    assert [StateType.SCHEDULED, StateType.PENDING, StateType.CRASHED] * 2 == [each.type for each in states]
    assert found.end_time == states[-1].timestamp


def test_server_says_what_it_does_not_have(api: PrefectApi):
    """Its own words tell a flow run that is gone from a server that is."""
    nobody = str(uuid4())

    assert api.flow_run(nobody) is None
    assert [] == api.states(nobody)
    with pytest.raises(NotInPrefect):
        api.set_state(nobody, StateType.CANCELLING)
    with pytest.raises(NotInPrefect):
        api.deployment("nobodys/deployment")
    with pytest.raises(NotInPrefect):
        api.create_flow_run(nobody, {}, idempotency_key=nobody)
