"""
The raw archive: a bulk operation's bytes as Shopify sent them, and the manifest that vouches for them.

Every step after the download reads from here. This module knows lines, sums and lengths; what a line means is the
parser's business.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import msgspec
import zstandard

from shopsync.errors import ArchiveMismatch
from shopsync.lake import Lake, draft_key, manifest_key, raw_archive_prefix
from shopsync.lines import BYTE_ORDER_MARK, lines
from shopsync.telemetry import JobType
from shopsync.window import SyncWindow, WindowField

ZSTD_LEVEL = 3
"""A tenth of the bytes at several times the speed of the network; higher levels cost more than they save."""

BLOCK_BYTES = 256 * 1024
"""Decompressed bytes split into lines at once; more is slower, as it leaves the processor's cache."""

_DRAFT = re.compile(r".*/bulk-(\d+)\.draft\.json")


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """
    One archived result: `sha256`, `bytes`, `lines` and `roots` (orders) of the uncompressed JSONL.

    `grouped` tells whether every child stood below its parent, as seen during the download.
    """

    key: str
    sha256: str
    bytes: int
    lines: int
    roots: int
    grouped: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What a run fetched, and proof of it; `files` is empty when Shopify had no result.

    `window_field` is what the window cuts, `parent_run_id` the backfill of which the run is one window.
    """

    run_id: str
    job_type: JobType
    shop: str
    timezone: str
    currency: str
    api_version: str
    requested_at: datetime
    operation_id: str
    window_start: datetime | None
    window_end: datetime | None
    files: tuple[ArchiveFile, ...]
    window_field: WindowField = WindowField.UPDATED
    parent_run_id: str | None = None

    @property
    def window(self) -> SyncWindow:
        """What Shopify was asked for."""
        assert self.window_start is not None
        assert self.window_end is not None
        return SyncWindow(self.window_start, self.window_end, self.window_field)


def write_archive(lake: Lake, key: str, pieces: Iterable[bytes]) -> tuple[str, int]:
    """
    Store JSONL bytes compressed, as they come; when `pieces` raises, nothing is stored.

    Returns:
        The sha256 (hex) and the length of the uncompressed bytes.

    Raises:
        LakeUnavailable: The lake does not take them.
    """
    digest = hashlib.sha256()
    length = 0

    def compressed() -> Iterator[bytes]:
        nonlocal length
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True).compressobj()
        for piece in pieces:
            digest.update(piece)
            length += len(piece)
            yield compressor.compress(piece)
        yield compressor.flush()

    lake.write(key, compressed())
    return digest.hexdigest(), length


def read_archive(lake: Lake, file: ArchiveFile) -> Iterator[bytes]:
    """
    Yield every line of an archive without its line end, blank ones too, so that counting them gives line numbers.

    A byte order mark and carriage returns before line feeds are dropped; the last line may lack its line feed. Memory
    is constant but for the longest line.

    Raises:
        ArchiveMismatch: The bytes are not those of the manifest; raised at the end, when all of them are known.
        LakeUnavailable: The lake cannot be read.
    """
    digest = hashlib.sha256()
    length = 0

    def blocks() -> Iterator[bytes]:
        nonlocal length
        for block in _decompressed(lake, file.key):
            digest.update(block)
            length += len(block)
            yield block

    yield from _bare(lines(_one_ahead(blocks())))
    if length != file.bytes:
        raise ArchiveMismatch(file.key, f"it has {length} bytes instead of {file.bytes}")
    if digest.hexdigest() != file.sha256:
        raise ArchiveMismatch(file.key, f"its sha256 is {digest.hexdigest()} instead of {file.sha256}")


def write_draft(lake: Lake, archive_key: str, manifest: Manifest) -> None:
    """
    Store what an archive's manifest will be: its bytes are complete, but nobody has read what they say.

    Raises:
        RecordDiffers: The archive was drafted before, otherwise.
        LakeUnavailable: The lake does not take it.
    """
    lake.create(draft_key(archive_key), msgspec.json.encode(manifest))


def read_drafts(lake: Lake, requested_at: datetime, run_id: str) -> list[Manifest]:
    """
    Return the drafts of a run's archives, that of its newest operation last.

    Raises:
        ArchiveMismatch: What is there is no manifest.
        LakeUnavailable: The lake cannot be read.
    """
    keys = lake.list(raw_archive_prefix(requested_at, run_id))
    numbered = sorted((int(found[1]), found[0]) for key in keys if (found := _DRAFT.fullmatch(key)))
    return [draft for _, key in numbered if (draft := read_manifest(lake, key))]


def write_manifest(lake: Lake, manifest: Manifest) -> None:
    """
    Store the manifest, once and last: what it names is then complete, and was read to its end.

    Raises:
        RecordDiffers: This run already vouched for something else.
        LakeUnavailable: The lake does not take it.
    """
    lake.create(manifest_key(manifest.requested_at, manifest.run_id), msgspec.json.encode(manifest))


def read_manifest(lake: Lake, key: str) -> Manifest | None:
    """
    Return the manifest, or the draft of one, under a key (`lake.manifest_key`, `lake.draft_key`); None without any.

    Raises:
        ArchiveMismatch: What is there is no manifest.
        LakeUnavailable: The lake cannot be read.
    """
    content = lake.get(key)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveMismatch(key, f"it cannot be read: {error}") from error


class _Source:
    """Pieces as zstandard wants them: at most `size` bytes at a time."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        piece = self._rest or next(self._pieces, b"")
        self._rest = piece[size:]
        return piece[:size]


def _decompressed(lake: Lake, key: str) -> Iterator[bytes]:
    # Its stubs ask for a whole file object, of which it uses `read` alone.
    reader = zstandard.ZstdDecompressor().stream_reader(_Source(lake.read(key)))  # pyright: ignore[reportArgumentType]
    try:
        while block := reader.read(BLOCK_BYTES):
            yield block
    except zstandard.ZstdError as error:
        raise ArchiveMismatch(key, f"it cannot be decompressed: {error}") from error


def _one_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks while a thread fetches, decompresses and sums the next: most of it leaves the interpreter free."""
    with ThreadPoolExecutor(1, "archive") as thread:
        coming = thread.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = thread.submit(next, blocks, None)
            yield block


def _bare(lines: Iterator[bytes]) -> Iterator[bytes]:
    first = next(lines, None)
    if first is not None:
        yield first.removeprefix(BYTE_ORDER_MARK).removesuffix(b"\r")
        for line in lines:
            yield line.removesuffix(b"\r")
