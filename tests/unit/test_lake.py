"""The lake's promises, on a folder and in memory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

from shopsync import lake as keys
from shopsync.errors import LakeUnavailable, RecordDiffers, SettingsError
from shopsync.lake import PART_BYTES, PIECE_BYTES, RANGE_BYTES, Lake, open_lake, problem_of

REQUESTED_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
RUN = "2f0c8c1e-6a36-4b0e-8a51-0d9d3f1f6a11"


@pytest.fixture(params=["file", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    """An empty lake of either kind."""
    return open_lake((tmp_path / "a lake").as_uri() if request.param == "file" else "memory://")


def files_below(folder: Path) -> list[str]:
    """Every file of a folder, also what the lake would not list."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def broken_after(piece: bytes) -> Iterator[bytes]:
    """Some bytes, and then the connection breaks."""
    yield piece
    raise ConnectionResetError("gone")


def test_gets_what_was_put(lake: Lake) -> None:
    """An object comes back as it was written."""
    lake.put("a/b.bin", b"\x00\xff")

    assert lake.get("a/b.bin") == b"\x00\xff"


def test_put_replaces_the_object(lake: Lake) -> None:
    """A second put leaves nothing of the first."""
    lake.put("a/b", b"a long one")
    lake.put("a/b", b"short")

    assert lake.get("a/b") == b"short"


def test_missing_object_is_none(lake: Lake) -> None:
    """What is not there is None, and does not exist."""
    assert lake.get("a/b") is None
    assert not lake.exists("a/b")


def test_written_object_exists(lake: Lake) -> None:
    """What was written exists."""
    lake.put("a/b", b"")

    assert lake.exists("a/b")


def test_folders_are_those_right_below(lake: Lake) -> None:
    """Each once and in order, whatever is in them; objects beside them are none."""
    _ = [
        lake.put(key, b"") for key in ("a/day=2/run=1/x", "a/day=1/run=2/x", "a/day=1/run=1/x", "a/file", "ab/day=3/x")
    ]

    assert ["a/day=1", "a/day=2"] == lake.folders("a")
    assert ["a/day=1/run=1", "a/day=1/run=2"] == lake.folders("a/day=1")
    assert [] == lake.folders("nowhere")


def test_create_writes_once(lake: Lake) -> None:
    """The first bytes under a key stay."""
    lake.create("a/b", b"first")

    with pytest.raises(RecordDiffers, match="a/b is already in the lake"):
        lake.create("a/b", b"second")

    assert lake.get("a/b") == b"first"


def test_same_create_is_success(lake: Lake) -> None:
    """Creating the same bytes again is the repetition of a request whose answer was lost."""
    lake.create("a/b", b"same")

    lake.create("a/b", b"same")

    assert lake.get("a/b") == b"same"


def test_lists_whole_segments_sorted(lake: Lake) -> None:
    """A prefix is a folder: its neighbours with a longer name are not in it."""
    lake.put("a/run=1/z", b"")
    lake.put("a/run=1/b/c", b"")
    lake.put("a/run=10/x", b"")

    assert lake.list("a/run=1") == ["a/run=1/b/c", "a/run=1/z"]


def test_lists_nothing_under_unknown(lake: Lake) -> None:
    """A folder that is not there is empty."""
    assert lake.list("nothing/here") == []


def test_reads_in_small_pieces(lake: Lake) -> None:
    """A large object comes in order and never in one piece."""
    content = bytes(range(256)) * ((RANGE_BYTES + 3 * PIECE_BYTES) // 256) + b"end"
    lake.put("big", content)

    pieces = list(lake.read("big"))

    assert b"".join(pieces) == content
    assert max(len(piece) for piece in pieces) == PIECE_BYTES


def test_reads_an_empty_object(lake: Lake) -> None:
    """An empty object has no pieces."""
    lake.put("empty", b"")

    assert list(lake.read("empty")) == []


def test_reading_a_missing_object_fails(lake: Lake) -> None:
    """Whoever streams an object relies on it."""
    with pytest.raises(LakeUnavailable, match="raw/x is not there"):
        list(lake.read("raw/x"))


def test_writes_pieces_of_any_size(lake: Lake) -> None:
    """Pieces are joined; their sizes do not matter."""
    lake.write("a/b", [b"", b"one", b"x" * (PART_BYTES + 1), b"two"])

    assert lake.get("a/b") == b"one" + b"x" * (PART_BYTES + 1) + b"two"


def test_writes_no_pieces_as_empty(lake: Lake) -> None:
    """An iterator without pieces makes an empty object."""
    lake.write("a/b", [])

    assert lake.get("a/b") == b""


def test_broken_write_leaves_nothing(tmp_path: Path) -> None:
    """When the source breaks, its error passes, and no part of the object stays, not even a hidden file."""
    lake = open_lake(tmp_path.as_uri())

    with pytest.raises(ConnectionResetError, match="gone"):
        lake.write("a/b", broken_after(b"x" * (PART_BYTES + 1)))

    assert files_below(tmp_path) == []


def test_refused_create_leaves_nothing(tmp_path: Path) -> None:
    """A record that may not be written leaves no second file behind."""
    lake = open_lake(tmp_path.as_uri())
    lake.create("a/b", b"first")

    with pytest.raises(RecordDiffers):
        lake.create("a/b", b"second")

    assert files_below(tmp_path) == ["b"]


def test_unfinished_files_lie_apart(tmp_path: Path) -> None:
    """While an object is written, its folder holds nothing that a reader could take for a part of it."""
    lake = open_lake(tmp_path.as_uri())
    lake.put("a/one", b"")
    seen: list[list[str]] = []

    def pieces() -> Iterator[bytes]:
        yield b"x" * (PART_BYTES + 1)
        seen.append(files_below(tmp_path / "a"))

    lake.write("a/two", pieces())

    assert (seen, files_below(tmp_path)) == ([["one"]], ["one", "two"])


def test_broken_write_keeps_the_old(lake: Lake) -> None:
    """When the source breaks, what was there before stays."""
    lake.put("a/b", b"old")

    with pytest.raises(ConnectionResetError):
        lake.write("a/b", broken_after(b"x" * (PART_BYTES + 1)))

    assert lake.get("a/b") == b"old"


def test_folder_in_the_way(tmp_path: Path) -> None:
    """A folder where an object belongs is told in words."""
    lake = open_lake(tmp_path.as_uri())
    (tmp_path / "a").mkdir()

    with pytest.raises(LakeUnavailable, match=r"file://.* fails: .*directory"):
        lake.put("a", b"")


def test_folder_that_cannot_be(tmp_path: Path) -> None:
    """A file in the way of the folder is named at once."""
    (tmp_path / "file").touch()

    with pytest.raises(LakeUnavailable, match="the folder cannot be made"):
        open_lake((tmp_path / "file").as_uri())


def test_bucket_is_described_without_secrets() -> None:
    """Where an S3 lake is can be shown to anyone."""
    lake = open_lake(
        "s3://bucket/some/prefix",
        endpoint_url="https://account.r2.example/",
        access_key_id="AKIA",
        secret_access_key="hush",
    )

    assert str(lake) == "s3://bucket/some/prefix at https://account.r2.example"


def test_bucket_without_keys_or_endpoint() -> None:
    """Without endpoint and keys it is AWS with the role of the machine."""
    assert str(open_lake("s3://bucket", region="eu-central-1")) == "s3://bucket at AWS"


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ({"url": "ftp://host/x"}, "SHOPSYNC_LAKE_URL"),
        ({"url": "s3:///prefix"}, "SHOPSYNC_LAKE_URL"),
        ({"url": "s3://key:hush@bucket"}, "SHOPSYNC_LAKE_URL"),
        ({"url": "s3://b", "endpoint_url": "https://:hush@host"}, "SHOPSYNC_LAKE_ENDPOINT_URL"),
        ({"url": "s3://b", "endpoint_url": "nonsense"}, "SHOPSYNC_LAKE_ENDPOINT_URL"),
        ({"url": "s3://b", "endpoint_url": "http://elsewhere.example"}, "SHOPSYNC_LAKE_ENDPOINT_URL"),
        ({"url": "s3://b", "endpoint_url": "https://user:pw@host"}, "SHOPSYNC_LAKE_ENDPOINT_URL"),
        ({"url": "s3://b", "access_key_id": "a"}, "SHOPSYNC_LAKE_SECRET_ACCESS_KEY"),
        ({"url": "s3://b", "secret_access_key": "hush"}, "SHOPSYNC_LAKE_ACCESS_KEY_ID"),
    ],
)
def test_names_the_malformed_setting(arguments: dict[str, Any], variable: str) -> None:
    """What cannot be a lake names the variable to mend, and repeats no secret."""
    with pytest.raises(SettingsError) as raised:
        open_lake(**arguments)

    assert raised.value.variable == variable
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnauthenticatedError("401"), "the access key is not known there"),
        (PermissionDeniedError("lacked privileges"), "access is denied"),
        (PermissionDeniedError("... <Code>SignatureDoesNotMatch</Code>"), "the secret key is wrong"),
        (FileNotFoundError("... <Code>NoSuchBucket</Code>"), "the bucket does not exist"),
        (FileNotFoundError("Object at location k not found"), "k is not there"),
        (GenericError("HTTP error: error sending request"), "the endpoint cannot be reached"),
        (GenericError("Unable to create file: Permission denied (os error 13)"), "the folder is not writable"),
        (GenericError("Generic S3 error: Error performing PUT - 503 Slow\n\nDebug"), "503 Slow"),
    ],
)
def test_says_the_cause_in_words(error: Exception, words: str) -> None:
    """A failure of the store is told by what to mend."""
    assert problem_of(error, "k").startswith(words)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (
            lambda: keys.raw_archive_key(REQUESTED_AT, RUN, 42),
            f"raw/shopify/orders/date=2026-11-23/run_id={RUN}/bulk-42.jsonl.zst",
        ),
        (
            lambda: keys.manifest_key(REQUESTED_AT, RUN),
            f"raw/shopify/orders/date=2026-11-23/run_id={RUN}/manifest.json",
        ),
        (
            lambda: keys.draft_key(keys.raw_archive_key(REQUESTED_AT, RUN, 42)),
            f"raw/shopify/orders/date=2026-11-23/run_id={RUN}/bulk-42.draft.json",
        ),
        (
            lambda: keys.manifest_key_beside(keys.raw_archive_key(REQUESTED_AT, RUN, 42)),
            f"raw/shopify/orders/date=2026-11-23/run_id={RUN}/manifest.json",
        ),
        (
            lambda: keys.telemetry_key(REQUESTED_AT, RUN, 3, "poll"),
            f"sync.telemetry/date=2026-11-23/run_id={RUN}/0003-poll.jsonl",
        ),
        (
            lambda: keys.events_key(REQUESTED_AT, RUN, 0),
            f"commerce.telemetry/date=2026-11-23/run_id={RUN}/batch-000000.jsonl",
        ),
        (lambda: keys.sales_key(date(2026, 1, 2)), "measurement.sales/date=2026-01-02/part-0.parquet"),
        (lambda: keys.performance_key(date(2026, 1, 2)), "measurement.performance/as_of=2026-01-02/part-0.parquet"),
    ],
)
def test_keys_are_the_contract(key: Callable[[], str], expected: str) -> None:
    """Other programs rely on where objects are."""
    assert key() == expected


def test_lake_loads_no_pandas() -> None:
    """Whoever only stores, archives, records or tells events does not pay for frames."""
    modules = "shopsync.records, shopsync.lake, shopsync.archive, shopsync.journal, shopsync.events"
    program = f"import sys, {modules}; sys.exit(bool({{'pandas', 'pyarrow', 'prefect'}} & sys.modules.keys()))"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_run_folder_follows_utc() -> None:
    """The date of a run's folder is the UTC date, however its time was given."""
    in_tokyo = datetime(2026, 11, 24, 3, tzinfo=timezone(timedelta(hours=9)))

    assert "date=2026-11-23" in keys.telemetry_prefix(in_tokyo, RUN)
