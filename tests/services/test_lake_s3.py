"""The lake over S3: what goes over the wire, and what each refusal is called."""

from collections.abc import Iterator

import pytest

from shopsync.errors import LakeUnavailable, RecordDiffers
from shopsync.lake import PART_BYTES, RANGE_BYTES, Lake, open_lake
from tests.services.s3_stub import Bucket, serving


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket behind a port."""
    with serving(Bucket()) as bucket:
        yield bucket


def lake_in(bucket: Bucket, *, name: str = "lake", access_key_id: str = "known") -> Lake:
    """A lake under a prefix of the bucket."""
    return open_lake(
        f"s3://{name}/some/prefix",
        endpoint_url=bucket.endpoint,
        access_key_id=access_key_id,
        secret_access_key="hush",
    )


def broken_after(piece: bytes) -> Iterator[bytes]:
    """Some bytes, and then the connection breaks."""
    yield piece
    raise ConnectionResetError("gone")


def test_put_is_one_request(bucket: Bucket) -> None:
    """Even a large object is one PUT, so that no reader meets half of it."""
    lake_in(bucket).put("a/b", b"x" * (PART_BYTES + 1))

    assert [(method, url) for method, url, _ in bucket.requests] == [("PUT", "/lake/some/prefix/a/b")]


def test_create_is_conditional(bucket: Bucket) -> None:
    """The store itself refuses to overwrite; the same bytes are success."""
    lake = lake_in(bucket)
    lake.create("a/b", b"first")
    lake.create("a/b", b"first")

    with pytest.raises(RecordDiffers):
        lake.create("a/b", b"second")

    assert bucket.objects == {"/lake/some/prefix/a/b": b"first"}


def test_write_sends_equal_parts(bucket: Bucket) -> None:
    """Parts are equal but the last, whatever the pieces."""
    content = b"abc" * PART_BYTES

    lake_in(bucket).write("a/b", (content[start : start + 1_000_000] for start in range(0, len(content), 1_000_000)))

    assert bucket.objects == {"/lake/some/prefix/a/b": content}
    sizes = [int(headers["content-length"]) for method, _, headers in bucket.requests if method == "PUT"]
    assert sizes == [PART_BYTES] * 3


def test_broken_write_is_aborted(bucket: Bucket) -> None:
    """An upload whose source breaks leaves nothing behind, not even hidden parts that cost money."""
    with pytest.raises(ConnectionResetError, match="gone"):
        lake_in(bucket).write("a/b", broken_after(b"x" * (2 * PART_BYTES + 1)))

    assert (bucket.objects, bucket.uploads) == ({}, {})
    assert bucket.requests[-1][0] == "DELETE"


def test_reads_in_ranges(bucket: Bucket) -> None:
    """A large object is fetched part by part, so that a slow reader keeps no connection waiting."""
    lake = lake_in(bucket)
    lake.put("big", b"xyz" * RANGE_BYTES)

    content = b"".join(lake.read("big"))

    assert content == b"xyz" * RANGE_BYTES
    assert [headers["range"] for _, _, headers in bucket.requests if "range" in headers] == [
        f"bytes={start}-{start + RANGE_BYTES - 1}" for start in (0, RANGE_BYTES, 2 * RANGE_BYTES)
    ]


def test_lists_below_the_prefix(bucket: Bucket) -> None:
    """Keys do not show where in the bucket the lake lies."""
    lake = lake_in(bucket)
    lake.put("a/1", b"")
    lake.put("b/2", b"")

    assert lake.list("a") == ["a/1"]


def test_ignores_foreign_session_token(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session token of the environment belongs to other keys than ours."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")

    lake_in(bucket).put("a", b"")

    assert "x-amz-security-token" not in bucket.requests[0][2]


def test_names_the_missing_bucket(bucket: Bucket) -> None:
    """A bucket that is not there is no empty lake."""
    lake = lake_in(bucket, name="typo")

    with pytest.raises(LakeUnavailable, match=r"s3://typo/some/prefix at http.* the bucket does not exist"):
        lake.put("a", b"")
    with pytest.raises(LakeUnavailable, match="the bucket does not exist"):
        lake.get("a")


def test_names_the_wrong_key(bucket: Bucket) -> None:
    """An unknown access key is told, and neither key is repeated."""
    with pytest.raises(LakeUnavailable, match="the access key is not known there") as raised:
        lake_in(bucket, access_key_id="unknown").put("a", b"")

    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [(403, "SignatureDoesNotMatch", "the secret key is wrong"), (403, "AccessDenied", "access is denied")],
)
def test_names_the_refusal(bucket: Bucket, status: int, code: str, words: str) -> None:
    """A refusal is told by what to mend, also when it meets a listing."""
    bucket.refuse = (status, code)

    with pytest.raises(LakeUnavailable, match=words):
        lake_in(bucket).list("a")
