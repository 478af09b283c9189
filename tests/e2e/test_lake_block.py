"""Blocks of prefect-aws: the lake's keys may stay with Prefect, and finished steps are kept in the lake's bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket
from pydantic import SecretStr
from urllib3 import HTTPResponse

from deployments.blocks import results_block
from deployments.pools import FOR_ANY_BLOCK
from shopsync.errors import SettingsError
from shopsync.settings import Settings
from tasks import connections
from tests.e2e.world import environment
from tests.services.r2 import R2Place

BLOCK = "SHOPSYNC_LAKE_CREDENTIALS_BLOCK"


def test_keys_come_from_the_block(prefect: Mapping[str, str], r2: Callable[[], R2Place]):
    """SHOPSYNC_LAKE_CREDENTIALS_BLOCK: a bucket is written with the keys of an AwsCredentials block."""
    place = r2()
    keys = AwsCredentials(
        aws_access_key_id=place.access_key_id, aws_secret_access_key=SecretStr(place.secret_access_key)
    )
    keys.save("lake-keys", overwrite=True)
    where = {"SHOPSYNC_LAKE_URL": place.url, "SHOPSYNC_LAKE_ENDPOINT_URL": place.endpoint_url}

    with environment({**prefect, **where, BLOCK: "lake-keys"}):
        connections.lake().put("probe.txt", b"here")

    assert b"here" == place.get("probe.txt")


def saved_and_loaded(settings: Mapping[str, str]) -> S3Bucket:
    """Save the block of results under another name than that of applied servers, and load it as a run does."""
    results_block(Settings.from_environment(settings)).block.save("results-of-a-test", overwrite=True)
    loaded = S3Bucket.load("results-of-a-test")
    assert isinstance(loaded, S3Bucket)
    return loaded


def headers_sent(bucket: S3Bucket) -> dict[str, Any]:
    """Write an object to a store that is not there, and return what would be sent."""
    sent: list[AWSPreparedRequest] = []

    def take(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {}, HTTPResponse(BytesIO(), preload_content=False))

    bucket.credentials.get_s3_client().meta.events.register("before-send.s3.PutObject", take)
    bucket.write_path("probe.json", b"here")
    return {name.lower(): value for name, value in sent[0].headers.items()}


AWAY = {
    "SHOPSYNC_LAKE_URL": "s3://lake",
    "SHOPSYNC_LAKE_ENDPOINT_URL": "https://r2.invalid",
    "SHOPSYNC_LAKE_ACCESS_KEY_ID": "key",
    "SHOPSYNC_LAKE_SECRET_ACCESS_KEY": "secret",
}
"""Over https, where botocore sends checksums after the body."""


@pytest.mark.usefixtures("prefect")
def test_results_are_sent_as_r2_takes_them():
    """No checksum follows the body: R2 would refuse every result."""
    headers = headers_sent(saved_and_loaded(AWAY))

    assert "4" == headers["content-length"]
    assert "content-encoding" not in headers
    assert [] == [name for name in headers if "trailer" in name or "checksum" in name]


@pytest.mark.usefixtures("prefect")
def test_results_with_an_operators_keys_are_sent_so_too(monkeypatch: pytest.MonkeyPatch):
    """A block of keys that knows nothing of it gets it from the environment of runs."""
    keys = AwsCredentials(
        aws_access_key_id="key",
        aws_secret_access_key=SecretStr("secret"),
        region_name="auto",
        aws_client_parameters=AwsClientParameters(endpoint_url="https://operator.invalid"),
    )
    keys.save("operators-keys", overwrite=True)
    for name, value in FOR_ANY_BLOCK.items():
        monkeypatch.setenv(name, value)

    headers = headers_sent(saved_and_loaded(AWAY | {BLOCK: "operators-keys"}))

    assert "4" == headers["content-length"]
    assert [] == [name for name in headers if "trailer" in name or "checksum" in name]


@pytest.mark.usefixtures("prefect")
def test_results_come_back_from_r2(r2: Callable[[], R2Place]):
    """What a step leaves in the bucket the next container reads."""
    place = r2()
    bucket = saved_and_loaded(place.settings)

    bucket.write_path("probe.json", b"here")

    assert b"here" == bucket.read_path("probe.json")
    assert b"here" == place.get("prefect-results/probe.json")


def test_unknown_block_is_named(prefect: Mapping[str, str], tmp_path: Path):
    """A block that the Prefect server does not have is one line that names variable and block."""
    settings = {"SHOPSYNC_DATA_DIR": str(tmp_path), BLOCK: "nowhere"}

    with environment({**prefect, **settings}), pytest.raises(SettingsError, match=f"{BLOCK} names .* 'nowhere'"):
        connections.lake()
