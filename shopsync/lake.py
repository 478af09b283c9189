"""
The lake: one object store for R2, any S3, a local folder and memory, and the keys of everything in it.

An object is written whole under a fixed key (`put`), or once and never again (`create`); readers never meet half of
one. Nothing else of shopsync knows obstore, and no obstore exception leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, MemoryStore, S3Store

from shopsync.errors import LakeUnavailable, RecordDiffers, SettingsError
from shopsync.settings import LOOPBACK

if TYPE_CHECKING:  # obstore keeps these names in its stubs alone
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

PART_BYTES = 5 * 1024 * 1024
"""Size of every part of an upload but the last: R2 wants equal ones of at least this, and ten thousand at most."""

PARTS_AT_ONCE = 1
"""Parts in flight while the next one fills: compressed archives are slower to come than to go."""

RANGE_BYTES = 2 * 1024 * 1024
"""Size of the ranges in which a large object is fetched."""

PIECE_BYTES = 128 * 1024
"""Most that `Lake.read` yields at once: about what zstd likes to be fed."""

CLIENT: ClientConfig = {"connect_timeout": "10s", "timeout": "120s"}
"""The time-out is for one request; the largest carries one part, so it allows a line of 50 kB/s."""

RETRY: RetryConfig = {
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=120),
}
"""The store retries 429, 5xx and lost connections itself, for about half a minute; nothing above it waits again."""

BRIEF_CLIENT: ClientConfig = {"connect_timeout": "1s", "timeout": "3s"}
BRIEF_RETRY: RetryConfig = {
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(milliseconds=200), "base": 2},
    "max_retries": 1,
    "retry_timeout": timedelta(seconds=2),
}
"""For small reads while somebody waits."""

Content = bytes | Iterator[bytes]
Mode = Literal["create", "overwrite"]
Credentials = Callable[[], "S3Credential"]


class Lake:
    """Objects by key; `str(lake)` is where it is, without secrets."""

    def __init__(self, store: ObjectStore, place: str) -> None:
        self._store = store
        self._place = place

    def __str__(self) -> str:
        return self._place

    def put(self, key: str, content: bytes) -> None:
        """
        Write one object whole, with one PUT, in place of what was there; on a folder by moving a finished file.

        Raises:
            LakeUnavailable: The lake does not take it.
        """
        with self._in_words(key):
            self._send(key, content, use_multipart=False)

    def create(self, key: str, content: bytes) -> None:
        """
        Write an object that must not exist yet; the same bytes already there are success (an answer was lost).

        Raises:
            RecordDiffers: Other bytes are there.
            LakeUnavailable: The lake does not take it.
        """
        with self._in_words(key):
            try:
                self._send(key, content, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if self.get(key) != content:
                    raise RecordDiffers(key) from error

    def get(self, key: str) -> bytes | None:
        """Return an object, None when there is none, or raise LakeUnavailable."""
        with self._in_words(key):
            try:
                return obstore.get(self._store, key).bytes().to_bytes()
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    def exists(self, key: str) -> bool:
        """Tell whether an object is there, or raise LakeUnavailable."""
        with self._in_words(key):
            try:
                obstore.head(self._store, key)
            except FileNotFoundError:
                return False
            return True

    def list(self, prefix: str) -> list[str]:
        """Return the keys below `prefix` (whole path segments), sorted; or raise LakeUnavailable."""
        with self._in_words(prefix):
            pages = obstore.list(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]: its arrow overload
            return sorted(found["path"] for page in pages for found in page)

    def folders(self, prefix: str) -> list[str]:
        """Return the folders right below `prefix`, sorted, as prefixes to go on with; or raise LakeUnavailable."""
        with self._in_words(prefix):
            found = obstore.list_with_delimiter(self._store, prefix)  # pyright: ignore[reportUnknownMemberType]: see list
            return sorted(found["common_prefixes"])

    def read(self, key: str) -> Iterator[bytes]:
        """
        Yield an object in pieces of at most PIECE_BYTES, in constant memory.

        It is fetched in ranges, so that a slow consumer does not hold a connection open; meant for objects that are
        never overwritten.

        Raises:
            LakeUnavailable: The lake cannot be read, or has no such object.
        """
        with self._in_words(key):
            for part in self._parts(key):
                for start in range(0, len(part), PIECE_BYTES):
                    yield part[start : start + PIECE_BYTES]

    def _parts(self, key: str) -> Iterator[bytes]:
        size = obstore.head(self._store, key)["size"]
        if size <= RANGE_BYTES:  # whole: some servers do not take the range of all bytes for a range
            yield obstore.get(self._store, key).bytes().to_bytes()
            return
        for start in range(0, size, RANGE_BYTES):
            end = min(start + RANGE_BYTES, size)
            yield obstore.get_range(self._store, key, start=start, end=end).to_bytes()

    def write(self, key: str, pieces: Iterable[bytes]) -> None:
        """
        Write an object from pieces, in bounded memory; it appears when the last one is in.

        When `pieces` raises, the upload is aborted, what was there before stays, and the error passes unchanged.

        Raises:
            LakeUnavailable: The lake does not take it.
        """
        with self._in_words(key):
            self._send(key, iter(pieces), use_multipart=True)

    def _send(self, key: str, content: Content, *, use_multipart: bool, mode: Mode = "overwrite") -> None:
        obstore.put(
            self._store,
            key,
            content,
            mode=mode,
            use_multipart=use_multipart,
            chunk_size=PART_BYTES,
            max_concurrency=PARTS_AT_ONCE,
        )

    @contextmanager
    def _in_words(self, key: str) -> Generator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError) as error:
            raise LakeUnavailable(self._place, problem_of(error, key)) from error


class FolderLake(Lake):
    """
    A lake in a local folder.

    Objects are written apart from where they belong and moved there at once, because a reader of a whole partition
    would otherwise take what a killed process left half written beside the object for a part of it.
    """

    def _send(self, key: str, content: Content, *, use_multipart: bool, mode: Mode = "overwrite") -> None:
        apart = f".writing/{uuid4().hex}"
        super()._send(apart, content, use_multipart=use_multipart)
        try:
            obstore.rename(self._store, apart, key, overwrite=mode == "overwrite")
        except BaseError:
            obstore.delete(self._store, apart)
            raise


def open_lake(
    url: str,
    *,
    endpoint_url: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    credentials: Credentials | None = None,
    region: str = "auto",
    somebody_waits: bool = False,
) -> Lake:
    """
    Return the lake at `s3://bucket[/prefix]`, `file:///folder` (made if missing) or `memory://` (empty, for tests).

    Nothing is sent yet. `credentials` gives keys that somebody else keeps; without any, S3 is asked with what the
    environment offers (an AWS role). With `somebody_waits` it gives up within seconds what a run would try again for
    half a minute.

    Raises:
        SettingsError: The URL, the endpoint or the pair of keys makes no sense.
        LakeUnavailable: The folder cannot be made.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "memory":
            return Lake(MemoryStore(), "memory://")
        case "file":
            return FolderLake(_folder(unquote(parts.path), url), url)
        case "s3" if parts.netloc and "@" not in parts.netloc:
            endpoint = _endpoint(endpoint_url)
            credentials = credentials or _credentials(access_key_id, secret_access_key)
            place = f"s3://{parts.netloc}{parts.path}"
            store = _bucket(parts, endpoint, credentials, region, somebody_waits=somebody_waits)
            return Lake(store, f"{place} at {endpoint or 'AWS'}")
        case _:
            raise SettingsError(
                "SHOPSYNC_LAKE_URL", "is malformed: it expects s3://bucket[/prefix] or file:///abs/path"
            )


def _folder(path: str, url: str) -> LocalStore:
    try:
        return LocalStore(path, mkdir=True)
    except OSError as error:
        raise LakeUnavailable(url, f"the folder cannot be made: {error}") from error


def _bucket(
    url: SplitResult,
    endpoint: str | None,
    credentials: Credentials | None,
    region: str,
    *,
    somebody_waits: bool,
) -> S3Store:
    client, retry = (BRIEF_CLIENT, BRIEF_RETRY) if somebody_waits else (CLIENT, RETRY)
    options: ClientConfig = {**client, "allow_http": endpoint is not None and endpoint.startswith("http:")}
    return S3Store(
        url.netloc,
        prefix=url.path.strip("/") or None,
        config={"region": region} if endpoint is None else {"region": region, "endpoint": endpoint},
        credential_provider=credentials,
        client_options=options,
        retry_config=retry,
    )


def _endpoint(url: str | None) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not secure or not parts.hostname or "@" in parts.netloc:
        raise SettingsError(
            "SHOPSYNC_LAKE_ENDPOINT_URL",
            "is malformed: it expects https://host (plain http is allowed for a loopback host only)",
        )
    return url.rstrip("/")


def _credentials(access_key_id: str | None, secret_access_key: str | None) -> Credentials | None:
    if access_key_id is None and secret_access_key is None:
        return None
    if access_key_id is None:
        raise SettingsError("SHOPSYNC_LAKE_ACCESS_KEY_ID", "is not set, but SHOPSYNC_LAKE_SECRET_ACCESS_KEY is")
    if secret_access_key is None:
        raise SettingsError("SHOPSYNC_LAKE_SECRET_ACCESS_KEY", "is not set, but SHOPSYNC_LAKE_ACCESS_KEY_ID is")
    # Given as a provider: given as arguments they would be joined by an AWS_SESSION_TOKEN of the environment.
    return lambda: {"access_key_id": access_key_id, "secret_access_key": secret_access_key, "expires_at": None}


def problem_of(error: Exception, key: str) -> str:
    """Return in words what an obstore exception means; its type alone does not tell, a listing's is always generic."""
    text = str(error)
    for sign, words in _SIGNS.items():
        if sign in text:
            return words
    if isinstance(error, UnauthenticatedError):
        return "the access key is not known there"
    if isinstance(error, PermissionDeniedError):
        return "access is denied"
    if isinstance(error, FileNotFoundError):
        return f"{key} is not there"
    return text.partition("\n")[0].rpartition(" - ")[2]


_SIGNS = {
    "NoSuchBucket": "the bucket does not exist",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "InvalidAccessKeyId": "the access key is not known there",
    "RequestTimeTooSkewed": "this machine's clock is wrong by more than it accepts: correct the clock",
    "169.254.169.254": "there are no keys: set SHOPSYNC_LAKE_ACCESS_KEY_ID and SHOPSYNC_LAKE_SECRET_ACCESS_KEY",
    "401 Unauthorized": "the access key is not known there",
    "403 Forbidden": "access is denied: the key needs read and write access to this bucket, and the right secret",
    "429 Too Many Requests": "it asks for fewer requests (429), and went on asking until the retries were spent",
    "503 Service Unavailable": "it is out of service (503), and stayed so until the retries were spent",
    "InvalidCertificate": "the endpoint's certificate is not trusted (SHOPSYNC_LAKE_ENDPOINT_URL)",
    "dns error": "the endpoint's name cannot be resolved (SHOPSYNC_LAKE_ENDPOINT_URL)",
    "kind: Timeout": "the endpoint does not answer in time (SHOPSYNC_LAKE_ENDPOINT_URL)",
    "error sending request": "the endpoint cannot be reached (SHOPSYNC_LAKE_ENDPOINT_URL)",
    "os error 13": "the folder is not writable",
    "os error 28": "the disk is full",
}


RAW_ORDERS = "raw/shopify/orders"
TELEMETRY = "sync.telemetry"


def raw_archive_prefix(requested_at: datetime, run_id: str) -> str:
    """Return the folder of a run's archives."""
    return f"{RAW_ORDERS}/{_run_folder(requested_at, run_id)}"


def raw_archive_key(requested_at: datetime, run_id: str, operation_number: int) -> str:
    """Return where the bytes of a bulk operation's result are kept."""
    return f"{raw_archive_prefix(requested_at, run_id)}/bulk-{operation_number}.jsonl.zst"


def draft_key(archive_key: str) -> str:
    """Return where an archive's manifest is kept until its run has read all of it, and stays if it cannot be read."""
    return f"{archive_key.removesuffix('.jsonl.zst')}.draft.json"


def manifest_key(requested_at: datetime, run_id: str) -> str:
    """Return where a run's manifest is kept."""
    return f"{raw_archive_prefix(requested_at, run_id)}/manifest.json"


def manifest_key_beside(archive_key: str) -> str:
    """Return the manifest that vouches for an archive."""
    return f"{archive_key.rpartition('/')[0]}/manifest.json"


def telemetry_prefix(requested_at: datetime, run_id: str) -> str:
    """Return the folder of a run's records."""
    return f"{TELEMETRY}/{_run_folder(requested_at, run_id)}"


def telemetry_key(requested_at: datetime, run_id: str, number: int, step: str) -> str:
    """Return where one run record is kept."""
    return f"{telemetry_prefix(requested_at, run_id)}/{number:04d}-{step}.jsonl"


def events_key(requested_at: datetime, run_id: str, number: int) -> str:
    """Return where one batch of order events is kept; batches count from 0."""
    return f"commerce.telemetry/{_run_folder(requested_at, run_id)}/batch-{number:06d}.jsonl"


def sales_key(day: date) -> str:
    """Return the partition of one shop-local day."""
    return f"measurement.sales/date={day.isoformat()}/part-0.parquet"


def performance_key(as_of: date) -> str:
    """Return the partition of one as-of day."""
    return f"measurement.performance/as_of={as_of.isoformat()}/part-0.parquet"


def _run_folder(requested_at: datetime, run_id: str) -> str:
    return f"date={requested_at.astimezone(UTC).date().isoformat()}/run_id={run_id}"
