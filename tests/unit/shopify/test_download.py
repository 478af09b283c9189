"""The download: every byte once and in order, and nothing believed that can be counted."""

import gzip
import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopsync.errors import DownloadIncomplete, RetryBudgetSpent
from shopsync.shopify.bulk import BulkOperation, BulkStatus
from shopsync.shopify.download import download
from tests.unit.shopify.fakes import NOW, Clock, Storage

CONTENT = bytes(range(256)) * 4
SIGNED = "https://storage/bulk?Signature=s3cret"


def completed(size: int | None = len(CONTENT), objects: int = 7) -> BulkOperation:
    """Return a completed operation with a result of that size."""
    return BulkOperation("gid://shopify/BulkOperation/1", BulkStatus.COMPLETED, None, NOW, NOW, objects, objects, size)


class Download:
    """One download from a storage, with the links that Shopify gives."""

    def __init__(self, storage: Storage, operation: BulkOperation | None = None) -> None:
        self.storage = storage
        self.operation = operation or completed(len(storage.content))
        self.links: list[str | None] = [SIGNED]
        self.clock = Clock()

    def fresh_url(self) -> str | None:
        return self.links.pop(0) if len(self.links) > 1 else self.links[0]

    def run(self, budget_s: float = 3600) -> bytes:
        http = httpx.Client(transport=httpx.MockTransport(self.storage))
        pieces = download(http, self.operation, self.fresh_url, self.clock.patience(budget_s))
        assert pieces is not None
        return b"".join(pieces)

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers.get("range") for request in self.storage.requests]


def test_brings_every_byte() -> None:
    """A whole file comes at once, uncompressed, without the shop's token."""
    run = Download(Storage(CONTENT))

    assert run.run() == CONTENT
    assert run.storage.requests[0].headers["accept-encoding"] == "identity"
    assert "x-shopify-access-token" not in run.storage.requests[0].headers


def test_no_link_and_no_lines() -> None:
    """A completed operation without lines has no file, and that is right."""
    http = httpx.Client(transport=httpx.MockTransport(Storage(b"")))

    assert download(http, completed(None, objects=0), lambda: None, Clock().patience()) is None


def test_no_link_but_lines() -> None:
    """An empty result that Shopify's own count contradicts is never believed."""
    http = httpx.Client(transport=httpx.MockTransport(Storage(b"")))

    with pytest.raises(DownloadIncomplete, match="counted 7 lines"):
        download(http, completed(), lambda: None, Clock().patience())


def test_empty_file_is_whole() -> None:
    """A link to nothing is a whole result without lines."""
    assert Download(Storage(b""), completed(0, objects=0)).run() == b""


def test_resumes_by_range() -> None:
    """After a broken connection the next one goes on where it broke, after a wait."""
    run = Download(Storage(CONTENT))
    run.storage.breaks = [100, 300]

    assert run.run() == CONTENT
    assert run.ranges == [None, "bytes=100-", "bytes=300-"]
    assert run.clock.naps == [2, 2]


def test_each_connection_has_fresh_link() -> None:
    """A resumed download asks Shopify for the link again."""
    run = Download(Storage(CONTENT))
    run.links = [SIGNED, "https://storage/fresh?Signature=2"]
    run.storage.breaks = [100]

    run.run()

    assert [request.url.path for request in run.storage.requests] == ["/bulk", "/fresh"]


def test_skips_without_ranges() -> None:
    """A storage that ignores ranges sends all again, and what is there already is skipped."""
    run = Download(Storage(CONTENT))
    run.storage.takes_ranges = False
    run.storage.breaks = [100, 300]

    assert run.run() == CONTENT


def test_resumes_after_early_end() -> None:
    """A connection that ends early without an error is resumed like a broken one."""
    run = Download(Storage(CONTENT))
    run.storage.ends = [500]

    assert run.run() == CONTENT
    assert run.ranges == [None, "bytes=500-"]


@pytest.mark.parametrize("status", [400, 403, 404, 408, 429, 500, 302])
def test_asks_again_when_refused(status: int) -> None:
    """An expired link and a storage in trouble are met with a fresh link after a wait."""
    run = Download(Storage(CONTENT))
    run.storage.refusals = [status]

    assert run.run() == CONTENT
    assert len(run.storage.requests) == 2


def test_link_expires_in_the_middle() -> None:
    """A link that expires between two connections costs no byte."""
    run = Download(Storage(CONTENT))
    run.storage.breaks = [100]
    respond = run.storage.__call__
    run.storage.refusals = []

    def expire_after_first(request: httpx.Request) -> httpx.Response:
        response = respond(request)
        run.storage.refusals = [403] if len(run.storage.requests) == 1 else []
        return response

    http = httpx.Client(transport=httpx.MockTransport(expire_after_first))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience())

    assert pieces is not None
    assert b"".join(pieces) == CONTENT


def test_dead_links_end_it() -> None:
    """Fresh links that are all refused mean that the file is gone."""
    run = Download(Storage(CONTENT))
    run.storage.refusals = [403] * 9

    with pytest.raises(DownloadIncomplete, match="links were refused in a row, at last with status 403"):
        run.run()


def test_link_may_vanish() -> None:
    """An operation that has lost its file has no link to resume with."""
    run = Download(Storage(CONTENT))
    run.links = [SIGNED, None]
    run.storage.breaks = [100]

    with pytest.raises(DownloadIncomplete, match="no link to it any more"):
        run.run()


def test_storage_stays_away() -> None:
    """A storage that does not answer is asked until the deadline."""
    run = Download(Storage(CONTENT))
    run.storage.refusals = [503] * 99

    with pytest.raises(RetryBudgetSpent):
        run.run(budget_s=60)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"content-range": "bytes 99-1023/1024"}, "does not go on at byte 100"),
        ({"content-range": "nonsense"}, "does not go on at byte 100"),
        ({"content-range": "bytes 100-999/1000"}, "holds 1000 bytes, where Shopify counted 1024"),
        ({"etag": '"two"'}, "changed during its download"),
    ],
)
def test_wrong_continuation_is_refused(headers: dict[str, str], text: str) -> None:
    """A continuation of something else is not glued to what is there."""
    run = Download(Storage(CONTENT))
    run.storage.headers = {"etag": '"one"'}
    run.storage.breaks = [100]
    respond = run.storage.__call__

    def change_after_first(request: httpx.Request) -> httpx.Response:
        response = respond(request)
        if len(run.storage.requests) == 2:
            response.headers.update(headers)
        return response

    http = httpx.Client(transport=httpx.MockTransport(change_after_first))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience())

    assert pieces is not None
    with pytest.raises(DownloadIncomplete, match=text):
        b"".join(pieces)


def test_range_total_may_be_unknown() -> None:
    """A storage that does not tell the file's size in a range is believed by its bytes."""
    run = Download(Storage(CONTENT))
    run.storage.breaks = [100]
    respond = run.storage.__call__

    def hide_total(request: httpx.Request) -> httpx.Response:
        response = respond(request)
        if response.status_code == 206:
            response.headers["content-range"] = "bytes 100-1023/*"
        return response

    http = httpx.Client(transport=httpx.MockTransport(hide_total))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience())

    assert pieces is not None
    assert b"".join(pieces) == CONTENT


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1025, "no more than 1024 bytes"),
        (1023, "more than the 1023 bytes"),
    ],
)
def test_wrong_size_is_refused(size: int, text: str) -> None:
    """A file of another size than Shopify's count is not whole, however well it ended."""
    with pytest.raises(DownloadIncomplete, match=text):
        Download(Storage(CONTENT), completed(size)).run()


def test_announced_size_is_compared() -> None:
    """A wrong size that the storage announces is refused before a byte is taken."""
    run = Download(Storage(CONTENT), completed(2048))
    run.storage.headers = {"content-length": "1024"}

    with pytest.raises(DownloadIncomplete, match="holds 1024 bytes, where Shopify counted 2048"):
        run.run()


def test_no_progress_ends_it() -> None:
    """A file that ends at the same place again has no more to give."""
    run = Download(Storage(CONTENT), completed(2048))
    run.storage.takes_ranges = False

    with pytest.raises(DownloadIncomplete, match="ended after 1024 of 2048 bytes"):
        run.run()


def test_shrunken_file_is_refused() -> None:
    """A file that is shorter than what was already read is another file."""
    run = Download(Storage(CONTENT))
    run.storage.takes_ranges = False
    run.storage.breaks = [300]
    run.storage.ends = [1024, 100]

    with pytest.raises(DownloadIncomplete, match="ended after 300 of 1024"):
        run.run()


def test_unknown_size_is_taken() -> None:
    """Without a count of bytes the end of the file is believed; lines are counted later."""
    assert Download(Storage(CONTENT), completed(None)).run() == CONTENT


def test_decodes_gzip() -> None:
    """A storage that compresses nevertheless is decoded; resuming skips decoded bytes."""
    storage = Storage(gzip.compress(CONTENT * 99))
    storage.headers = {"content-encoding": "gzip"}
    storage.breaks = [len(storage.content) // 2]
    run = Download(storage, completed(len(CONTENT) * 99))

    assert run.run() == CONTENT * 99
    assert run.ranges == [None, None]


def test_compressed_part_is_refused() -> None:
    """A part of a compressed file is of no use, the whole is asked for again."""
    run = Download(Storage(CONTENT))
    run.storage.breaks = [100]
    respond = run.storage.__call__

    def compress_second(request: httpx.Request) -> httpx.Response:
        response = respond(request)
        if len(run.storage.requests) == 2:
            response.headers["content-encoding"] = "gzip"
        return response

    http = httpx.Client(transport=httpx.MockTransport(compress_second))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience())

    assert pieces is not None
    assert b"".join(pieces) == CONTENT
    assert run.ranges == [None, "bytes=100-", None]


def test_broken_gzip_is_ours() -> None:
    """Bytes that cannot be decoded are a broken connection, not an exception of httpx."""
    run = Download(Storage(CONTENT))
    run.storage.headers = {"content-encoding": "gzip"}

    with pytest.raises(RetryBudgetSpent, match="DecodingError"):
        run.run(budget_s=10)


def test_address_is_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """The signed address is in no log line and in no message, whatever happens."""
    caplog.set_level(logging.DEBUG)
    run = Download(Storage(CONTENT))
    run.storage.breaks = [100] * 99
    logging.getLogger("httpx").info("%(what)s", {"what": "no address"})

    with pytest.raises(RetryBudgetSpent) as caught:
        run.run(budget_s=60)

    assert "https://storage/bulk" in caplog.text
    assert "s3cret" not in f"{caplog.text} {caught.value} {caught.value!r} {caught.value.__cause__}"


@pytest.mark.parametrize("url", ["https://storage:port/?Signature=s3cret", "ftp://storage/?Signature=s3cret"])
def test_bad_address_is_not_quoted(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """An address that httpx refuses is not quoted either."""
    run = Download(Storage(CONTENT))
    run.links = [url]

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.UnsupportedProtocol(f"cannot {request.url}")

    http = httpx.Client(transport=httpx.MockTransport(refuse))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience(1))

    assert pieces is not None
    with pytest.raises(RetryBudgetSpent) as caught:
        b"".join(pieces)
    assert "s3cret" not in f"{caplog.text} {caught.value}"


def test_closing_closes_the_connection() -> None:
    """A download that is given up leaves no connection open."""
    run = Download(Storage(CONTENT))
    http = httpx.Client(transport=httpx.MockTransport(run.storage))
    pieces = download(http, run.operation, run.fresh_url, run.clock.patience())
    assert pieces is not None
    next(pieces)

    pieces.close()  # type: ignore[attr-defined]

    assert list(pieces) == []


@given(
    content=st.binary(min_size=1, max_size=200),
    breaks=st.lists(st.integers(0, 200), max_size=6),
    takes_ranges=st.booleans(),
)
def test_any_breaks_any_bytes(content: bytes, breaks: list[int], takes_ranges: bool) -> None:
    """Wherever connections break, the bytes are those of the file."""
    run = Download(Storage(content))
    run.storage.takes_ranges = takes_ranges
    run.storage.breaks = list(breaks)

    assert run.run() == content
