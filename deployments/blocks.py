"""
The blocks that the flows need on a Prefect server: the watermark's type, where results are kept, where alerts go.

What a block holds may be secret: a difference names the field and shows no value.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.filesystems import LocalFileSystem
from prefect.types import SecretDict

from deployments.comparison import differences
from deployments.parts import NOT_THERE
from shopsync.settings import Settings
from tasks import connections

RESULTS = "shopsync-results"
ALERTS = "shopsync-alerts"

AS_REQUIRED = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}
"""boto3 sends checksums of its own accord, after the body, and R2 refuses a body that is sent so."""


@dataclass(frozen=True)
class BlockType:
    """A block's type and schema, as this release knows them."""

    kind: type[Block]

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"block type {self.kind.get_block_type_slug()}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return what the server lacks of it."""
        try:
            server.read_block_type_by_slug(self.kind.get_block_type_slug())
        except ObjectNotFound:
            return [NOT_THERE]
        try:
            server.read_block_schema_by_checksum(
                self.kind._calculate_schema_checksum(), version=self.kind.get_block_schema_version()
            )
        except ObjectNotFound:
            return ["its fields are those of another release"]
        return []

    def write(self, _server: SyncPrefectClient) -> None:
        """Register it."""
        self.kind.register_type_and_schema()


@dataclass(frozen=True)
class SavedBlock:
    """A block under a name."""

    name: str
    block: Block

    @property
    def slug(self) -> str:
        """How settings refer to it: type/name."""
        return f"{self.block.get_block_type_slug()}/{self.name}"

    @property
    def title(self) -> str:
        """What it is called in messages."""
        return f"block {self.slug}"

    def differences(self, server: SyncPrefectClient) -> list[str]:
        """Return the fields that differ, without their values."""
        try:
            stored = server.read_block_document_by_name(self.name, self.block.get_block_type_slug())
            assert stored.data is not None
            found = type(self.block).model_validate(stored.data)
        except ObjectNotFound:
            return [NOT_THERE]
        except ValueError:
            return ["its fields cannot be read"]
        return [f"{line.split(' ')[0]} differs" for line in differences(_plain(self.block), _plain(found))]

    def write(self, _server: SyncPrefectClient) -> None:
        """Save it over what is there."""
        self.block.save(self.name, overwrite=True)


def results_block(settings: Settings) -> SavedBlock:
    """Return where finished steps are kept: in the lake's bucket, or in the data folder beside a local lake."""
    lake = urlsplit(settings.lake_url)
    if lake.scheme == "file":
        return SavedBlock(RESULTS, LocalFileSystem(basepath=str(settings.data_dir / "results")))
    from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket  # noqa: PLC0415 - it costs seconds

    secret = settings.lake_secret_access_key
    credentials = connections.lake_keys(settings) or AwsCredentials(
        aws_access_key_id=settings.lake_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,  # pyright: ignore[reportArgumentType] - pydantic makes it secret
        region_name=settings.lake_region,
        aws_client_parameters=AwsClientParameters(endpoint_url=settings.lake_endpoint_url, config=AS_REQUIRED),
    )
    folder = "/".join(part for part in (lake.path.strip("/"), "prefect-results") if part)
    return SavedBlock(RESULTS, S3Bucket(bucket_name=lake.netloc, bucket_folder=folder, credentials=credentials))


def alerts_block(url: str) -> SavedBlock:
    """Return the block that posts alerts as JSON, `subject` and `text`; a chat's incoming webhook shows the text."""
    block = CustomWebhookNotificationBlock(
        name="shopsync",
        headers=None,
        cookies=None,
        # By way of a secret: the field itself is shown in the UI.
        url="{{url}}",
        secrets=SecretDict({"url": url}),
        json_data={"subject": "{{subject}}", "text": "{{subject}}\n{{body}}"},
    )
    return SavedBlock(ALERTS, block)


def _plain(block: Block) -> dict[str, object]:
    return block.model_dump(
        mode="json", context={"include_secrets": True}, exclude={"block_type_slug"}, exclude_none=True
    )
