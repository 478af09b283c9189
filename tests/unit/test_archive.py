"""The archive gives back what Shopify sent, and notices when it does not."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shopsync.archive import (
    ArchiveFile,
    Manifest,
    read_archive,
    read_drafts,
    read_manifest,
    write_archive,
    write_draft,
    write_manifest,
)
from shopsync.errors import ArchiveMismatch, LakeUnavailable, RecordDiffers
from shopsync.lake import Lake, manifest_key, open_lake, raw_archive_key
from shopsync.lines import BYTE_ORDER_MARK
from shopsync.telemetry import JobType

KEY = "raw/bulk-1.jsonl.zst"

MANIFEST = Manifest(
    run_id="2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11",
    job_type=JobType.DAILY,
    shop="tea.myshopify.com",
    timezone="Europe/Berlin",
    currency="EUR",
    api_version="2026-10",
    requested_at=datetime(2026, 11, 23, 6, tzinfo=UTC),
    operation_id="gid://shopify/BulkOperation/1",
    window_start=datetime(2026, 11, 22, 5, 55, tzinfo=UTC),
    window_end=datetime(2026, 11, 23, 5, 57, tzinfo=UTC),
    files=(ArchiveFile(KEY, "ab" * 32, 120, 3, 2, grouped=True),),
)
MANIFEST_KEY = manifest_key(MANIFEST.requested_at, MANIFEST.run_id)


@pytest.fixture
def lake() -> Lake:
    """An empty lake."""
    return open_lake("memory://")


def archived(lake: Lake, content: bytes) -> ArchiveFile:
    """Store content; its counts of lines and roots matter to nobody here."""
    sha256, length = write_archive(lake, KEY, [content])
    return ArchiveFile(KEY, sha256, length, 0, 0, grouped=True)


def broken_download() -> Iterator[bytes]:
    """Some bytes, and then the connection breaks."""
    yield b'{"id":1}\n'
    raise ConnectionResetError("gone")


def test_keeps_bytes_as_sent(lake: Lake) -> None:
    """The decompressed object is what was sent, byte by byte, under its sha256 and length."""
    sent = [b"\xef\xbb\xbf{}\r\n", b"", b"\n\xff no newline"]

    sha256, length = write_archive(lake, KEY, sent)

    stored = zstandard.ZstdDecompressor().decompressobj().decompress(lake.get(KEY) or b"")
    assert stored == b"".join(sent)
    assert (sha256, length) == (hashlib.sha256(stored).hexdigest(), len(stored))


def test_compresses_repetitive_lines(lake: Lake) -> None:
    """The archive is worth its compression."""
    write_archive(lake, KEY, [b'{"id":"gid://shopify/Order/1","name":"#1"}\n'] * 10_000)

    assert len(lake.get(KEY) or b"") < 10_000


def test_broken_download_leaves_nothing(tmp_path: Path) -> None:
    """A download that breaks archives nothing, and its error passes."""
    lake = open_lake(tmp_path.as_uri())

    with pytest.raises(ConnectionResetError):
        write_archive(lake, KEY, broken_download())

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n\n\nb\n", [b"a", b"", b"", b"b"]),
        (b"a\r\n\r\nb\r\n", [b"a", b"", b"b"]),
        (b"a\r\nb\r", [b"a", b"b"]),
        (b"a\rb\n", [b"a\rb"]),
        (BYTE_ORDER_MARK + b"a\n" + BYTE_ORDER_MARK + b"b\n", [b"a", BYTE_ORDER_MARK + b"b"]),
        (BYTE_ORDER_MARK, [b""]),
        ("ä\u2028ö\n".encode(), ["ä\u2028ö".encode()]),
    ],
)
def test_yields_every_line(lake: Lake, content: bytes, lines: list[bytes]) -> None:
    """Line ends and the mark at the start go, blank lines stay, so that line numbers are true."""
    file = archived(lake, content)

    assert list(read_archive(lake, file)) == lines


@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(1, 400_000))
def test_lines_survive_block_borders(parts: list[bytes], padding: int) -> None:
    """Wherever a block ends within a line, or between its two end bytes, the lines are the same."""
    lake = open_lake("memory://")
    expected = [b"x" * padding, *(part.replace(b"\n", b"").rstrip(b"\r") for part in parts), b"end"]
    file = archived(lake, b"\r\n".join(expected))

    assert list(read_archive(lake, file)) == expected


def test_reads_one_huge_line(lake: Lake) -> None:
    """A line of 50 MB is one line, in time that grows with its length alone."""
    file = archived(lake, b"x" * 50_000_000 + b"\nlast")

    assert [len(line) for line in read_archive(lake, file)] == [50_000_000, 4]


def test_names_a_wrong_length(lake: Lake) -> None:
    """An archive with other bytes than vouched for fails once all its lines are read."""
    file = archived(lake, b"a\nb\n")

    with pytest.raises(ArchiveMismatch, match=f"{KEY} .* 4 bytes instead of 5"):
        list(read_archive(lake, replace(file, bytes=5)))


def test_names_a_wrong_digest(lake: Lake) -> None:
    """An archive with other content of the same length fails."""
    file = archived(lake, b"a\nb\n")

    with pytest.raises(ArchiveMismatch, match="sha256"):
        list(read_archive(lake, replace(file, sha256="0" * 64)))


def test_truncated_archive_fails(lake: Lake) -> None:
    """An object that was cut short is noticed."""
    file = archived(lake, bytes(range(256)) * 100)
    lake.put(KEY, (lake.get(KEY) or b"")[:-20])

    with pytest.raises(ArchiveMismatch, match="bytes instead of 25600"):
        list(read_archive(lake, file))


def test_damaged_archive_fails(lake: Lake) -> None:
    """An object that zstd cannot read is no archive."""
    file = archived(lake, b"a\n" * 1000)
    lake.put(KEY, b"nonsense" * 10)

    with pytest.raises(ArchiveMismatch, match="cannot be decompressed"):
        list(read_archive(lake, file))


def test_missing_archive_fails(lake: Lake) -> None:
    """An archive that is not there is the lake's failure."""
    with pytest.raises(LakeUnavailable, match="is not there"):
        list(read_archive(lake, MANIFEST.files[0]))


def test_manifest_comes_back(lake: Lake) -> None:
    """A manifest is read as it was written."""
    write_manifest(lake, MANIFEST)

    assert read_manifest(lake, MANIFEST_KEY) == MANIFEST


def test_manifest_is_the_contract(lake: Lake) -> None:
    """Other programs read the manifest by these names."""
    write_manifest(lake, MANIFEST)

    assert (lake.get(MANIFEST_KEY) or b"").decode() == (
        '{"run_id":"2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11","job_type":"DAILY_SYNC_EXECUTE","shop":"tea.myshopify.com",'
        '"timezone":"Europe/Berlin","currency":"EUR","api_version":"2026-10","requested_at":"2026-11-23T06:00:00Z",'
        '"operation_id":"gid://shopify/BulkOperation/1","window_start":"2026-11-22T05:55:00Z",'
        '"window_end":"2026-11-23T05:57:00Z","files":[{"key":"raw/bulk-1.jsonl.zst",'
        f'"sha256":"{"ab" * 32}","bytes":120,"lines":3,"roots":2,"grouped":true}}],'
        '"window_field":"updated_at","parent_run_id":null}'
    )


def test_manifest_is_written_once(lake: Lake) -> None:
    """What a run vouched for is not taken back."""
    write_manifest(lake, MANIFEST)

    with pytest.raises(RecordDiffers):
        write_manifest(lake, replace(MANIFEST, files=()))


def test_drafts_are_in_the_order_of_operations(lake: Lake) -> None:
    """Each archive of a run has a draft of its own, which is not taken back; a manifest is none, nor is an archive."""
    drafts = [replace(MANIFEST, operation_id=f"gid://shopify/BulkOperation/{number}") for number in (9, 10)]
    for draft, number in ((drafts[1], 10), (drafts[0], 9)):
        key = raw_archive_key(MANIFEST.requested_at, MANIFEST.run_id, number)
        lake.put(key, b"")
        write_draft(lake, key, draft)
    write_manifest(lake, MANIFEST)

    assert drafts == read_drafts(lake, MANIFEST.requested_at, MANIFEST.run_id)
    assert [] == read_drafts(lake, MANIFEST.requested_at, "another")
    with pytest.raises(RecordDiffers):
        write_draft(lake, raw_archive_key(MANIFEST.requested_at, MANIFEST.run_id, 9), MANIFEST)


def test_missing_manifest_is_none(lake: Lake) -> None:
    """Without a manifest the archive is not complete."""
    assert read_manifest(lake, MANIFEST_KEY) is None


def test_damaged_manifest_fails(lake: Lake) -> None:
    """What is no manifest proves nothing."""
    lake.put(MANIFEST_KEY, b'{"run_id":1}')

    with pytest.raises(ArchiveMismatch, match="is not what its manifest says: it cannot be read"):
        read_manifest(lake, MANIFEST_KEY)
