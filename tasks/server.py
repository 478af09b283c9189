"""Opens the Prefect server of this environment, and says in one line why it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from shopsync.errors import PrefectRefused, PrefectUnavailable


@contextmanager
def prefect_server() -> Iterator[SyncPrefectClient]:
    """
    Yield a client of the server, once it has answered and let us in.

    Raises:
        PrefectUnavailable: It does not answer, now or during the block.
        PrefectRefused: It does not take this environment's credentials.
    """
    name = _name()
    try:
        with get_client(sync_client=True) as client:
            # Its health can be seen by anyone.
            if (failure := client.api_healthcheck()) is not None:
                raise PrefectUnavailable(name, str(failure) or type(failure).__name__) from failure
            client.read_flows(limit=1)
            yield client
    except PrefectHTTPStatusError as error:
        if error.response.status_code in {401, 403}:
            raise PrefectRefused(name, error.response.status_code) from error
        raise
    except (httpx.TransportError, RuntimeError) as error:  # the in-process server did not start
        raise unavailable(error) from error


def unavailable(failure: Exception) -> PrefectUnavailable:
    """Return what Prefect's client failed with as a failure of ours."""
    return PrefectUnavailable(_name(), str(failure) or type(failure).__name__)


def _name() -> str:
    return get_current_settings().api.url or "an in-process server"
