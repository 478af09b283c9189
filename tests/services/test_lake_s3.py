"""The lake on a real R2: what it keeps, what goes over the wire, and what each refusal is called."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import trustme

from shopsync import lake as lake_module
from shopsync.errors import LakeUnavailable, RecordDiffers
from shopsync.lake import PART_BYTES, RANGE_BYTES, Lake, open_lake
from tests.services.r2 import R2Place
from tests.services.s3_proxy import LoseAnswer, Proxy, Refuse, Request, Verdict, s3_proxy

pytestmark = pytest.mark.services


@pytest.fixture
def place(r2: Callable[[], R2Place]) -> R2Place:
    """An empty place."""
    return r2()


@pytest.fixture
def proxy(place: R2Place) -> Generator[Proxy]:
    """A proxy before an empty place."""
    with s3_proxy(place) as proxy:
        yield proxy


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and time-outs of a second instead of minutes."""
    quick = {"init_backoff": timedelta(milliseconds=20), "max_backoff": timedelta(milliseconds=50), "base": 2}
    monkeypatch.setattr(
        lake_module, "RETRY", {"backoff": quick, "max_retries": 3, "retry_timeout": timedelta(seconds=2)}
    )
    monkeypatch.setattr(lake_module, "CLIENT", {"connect_timeout": "1s", "timeout": "1s"})


def lake_at(place: R2Place, url: str | None = None) -> Lake:
    """The product's lake at a place."""
    return open_lake(
        url or place.url,
        endpoint_url=place.endpoint_url,
        access_key_id=place.access_key_id,
        secret_access_key=place.secret_access_key,
    )


def pieces(content: bytes, size: int = 1_000_000) -> Iterator[bytes]:
    """Cut content into pieces that have nothing to do with parts."""
    return (content[start : start + size] for start in range(0, len(content), size))


def broken_after(piece: bytes) -> Iterator[bytes]:
    """Some bytes, and then the connection breaks."""
    yield piece
    raise ConnectionResetError("gone")


def first(verdict: Verdict, times: int = 1) -> Callable[[Request], Verdict]:
    """Give a verdict on the first PUTs, and let the others through."""
    left = iter([verdict] * times)
    return lambda request: next(left, None) if request.method == "PUT" else None


def test_put_is_one_request(proxy: Proxy) -> None:
    """Even a large object is one PUT, so that no reader meets half of it."""
    lake_at(proxy.place).put("a/b", b"x" * (PART_BYTES + 1))

    assert [("PUT", PART_BYTES + 1)] == [(request.method, request.size) for request in proxy.requests]
    assert PART_BYTES + 1 == len(proxy.place.get("a/b"))


def test_put_replaces(place: R2Place) -> None:
    """A partition under a fixed key is overwritten, as often as need be."""
    lake = lake_at(place)

    _ = [lake.put("date=2026-11-20/part-0.parquet", str(number).encode()) for number in range(5)]

    assert b"4" == place.get("date=2026-11-20/part-0.parquet")


def test_create_is_conditional(place: R2Place) -> None:
    """The store itself refuses to overwrite; the same bytes are success."""
    lake = lake_at(place)
    lake.create("a/b", b"first")
    lake.create("a/b", b"first")

    with pytest.raises(RecordDiffers):
        lake.create("a/b", b"second")

    assert b"first" == place.get("a/b")


def test_one_of_many_creates_wins(place: R2Place) -> None:
    """Of writers that create one object at once exactly one succeeds, and its bytes stay."""

    def create(number: int) -> bytes | None:
        try:
            lake_at(place).create("a/b", str(number).encode())
        except RecordDiffers:
            return None
        return str(number).encode()

    with ThreadPoolExecutor(8) as pool:
        won = list(filter(None, pool.map(create, range(16))))

    assert [place.get("a/b")] == won


@pytest.mark.proves("lake busy")
def test_create_survives_a_lost_answer(proxy: Proxy) -> None:
    """A record whose answer was lost is created, though the second try finds it there."""
    proxy.judge = first(LoseAnswer())

    lake_at(proxy.place).create("a/b", b"once")

    assert b"once" == proxy.place.get("a/b")
    assert 2 == len(proxy.sizes("PUT"))


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7])
def test_written_bytes_come_back(place: R2Place, size: int) -> None:
    """What is written in pieces is read back identical, at every side of a part's size."""
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    lake = lake_at(place)

    lake.write("a/b", pieces(content))

    assert content == place.get("a/b")
    assert content == b"".join(lake.read("a/b"))


def test_write_sends_equal_parts(proxy: Proxy) -> None:
    """Parts are equal but the last, whatever the pieces: R2 refuses others."""
    lake_at(proxy.place).write("a/b", pieces(b"abc" * PART_BYTES + b"rest"))

    assert [4, PART_BYTES, PART_BYTES, PART_BYTES] == sorted(proxy.sizes("PUT"))


def test_broken_write_is_aborted(proxy: Proxy) -> None:
    """An upload whose source breaks leaves nothing behind, not even hidden parts that cost money."""
    with pytest.raises(ConnectionResetError, match="gone"):
        lake_at(proxy.place).write("a/b", broken_after(b"x" * (2 * PART_BYTES + 1)))

    last = proxy.requests[-1]
    assert ("DELETE", True) == (last.method, "uploadId=" in last.url)
    assert {} == proxy.place.objects()


def test_pieces_may_use_the_lake(place: R2Place) -> None:
    """What makes the pieces writes a record meanwhile, from a thread of its own: a download that waits does."""
    lake = lake_at(place)

    def waiting() -> Iterator[bytes]:
        yield b"before "
        with ThreadPoolExecutor(1) as apart:
            apart.submit(lake.create, "record", b"it waits").result()
        yield b"after"

    lake.write("a/b", waiting())

    assert (b"before after", b"it waits") == (place.get("a/b"), place.get("record"))


def test_reads_in_ranges(proxy: Proxy) -> None:
    """A large object is fetched part by part, so that a slow reader keeps no connection waiting."""
    lake = lake_at(proxy.place)
    lake.put("big", b"xyz" * RANGE_BYTES)

    content = b"".join(lake.read("big"))

    assert content == b"xyz" * RANGE_BYTES
    assert [f"bytes={start}-{start + RANGE_BYTES - 1}" for start in (0, RANGE_BYTES, 2 * RANGE_BYTES)] == [
        request.headers["range"] for request in proxy.requests if "range" in request.headers
    ]


def test_lists_beyond_a_page(place: R2Place) -> None:
    """A listing has as many keys as there are, below the prefix of the lake and without it."""
    lake = lake_at(place)
    lake.put("b/other", b"")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: lake.put(f"a/{number:04}", b""), range(1_003)))

    assert [f"a/{number:04}" for number in range(1_003)] == lake.list("a")


def test_ignores_foreign_session_token(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session token of the environment belongs to other keys than ours."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")

    lake_at(proxy.place).put("a", b"")

    assert "x-amz-security-token" not in proxy.requests[0].headers


@pytest.mark.proves("lake busy")
@pytest.mark.parametrize("refusal", [Refuse(429, "TooManyRequests"), Refuse(503, "SlowDown"), LoseAnswer()])
def test_trouble_passes(proxy: Proxy, refusal: Verdict) -> None:
    """R2 takes one write a second per key: what comes too soon, or to a server in trouble, is sent again."""
    proxy.judge = first(refusal, times=2)

    lake_at(proxy.place).put("a", b"content")

    assert b"content" == proxy.place.get("a")
    assert 3 == len(proxy.sizes("PUT"))


ASKED: dict[str, Callable[[Lake], object]] = {
    "put": lambda lake: lake.put("a", b""),
    "create": lambda lake: lake.create("a", b""),
    "get": lambda lake: lake.get("a"),
    "list": lambda lake: lake.list("a"),
    "write": lambda lake: lake.write("a", [b"x" * (PART_BYTES + 1)]),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"access_key_id": "unknown-key"}, "the access key is not known there"),
        ({"secret_access_key": "wrong-hush"}, "the secret key is wrong"),
        ({"url": "s3://typo/some"}, "the bucket does not exist"),
    ],
    ids=["key", "secret", "bucket"],
)
def test_names_what_is_wrong(place: R2Place, ask: Callable[[Lake], object], wrong: dict[str, str], words: str) -> None:
    """Whatever is asked, a wrong key, secret or bucket is told by what to mend, and neither key is repeated."""
    url = wrong.get("url", place.url)
    lake = lake_at(replace(place, **{name: value for name, value in wrong.items() if name != "url"}), url)

    with pytest.raises(LakeUnavailable, match=f"the lake {url} at http.* fails: .*{words}") as told:
        ask(lake)

    assert not any(secret in str(told.value) for secret in ("unknown-key", "wrong-hush", place.secret_access_key))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refuse(403, "RequestTimeTooSkewed"), "this machine's clock is wrong"),
        (Refuse(403, "AccessDenied"), "access is denied"),
        (Refuse(429, "TooManyRequests"), "it asks for fewer requests"),
        (Refuse(503, "ServiceUnavailable"), "it is out of service"),
    ],
    ids=["skew", "denied", "429", "503"],
)
def test_names_the_refusal(proxy: Proxy, ask: Callable[[Lake], object], refusal: Refuse, words: str) -> None:
    """What R2 keeps refusing is told in words."""
    lake_at(proxy.place).put("a", b"x" * (RANGE_BYTES + 1))
    proxy.judge = lambda request: refusal

    with pytest.raises(LakeUnavailable, match=words):
        ask(lake_at(proxy.place))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("endpoint_url", "words"),
    [
        ("http://127.0.0.1:9", "the endpoint cannot be reached"),
        ("https://no-such-host.invalid", "the endpoint's name cannot be resolved"),
    ],
)
def test_names_the_endpoint(place: R2Place, endpoint_url: str, words: str) -> None:
    """A wrong endpoint is told with the setting that holds it."""
    with pytest.raises(LakeUnavailable, match=rf"{words}.*SHOPSYNC_LAKE_ENDPOINT_URL"):
        lake_at(replace(place, endpoint_url=endpoint_url)).put("a", b"")


@pytest.mark.usefixtures("impatient")
def test_silent_endpoint_is_given_up(place: R2Place) -> None:
    """An endpoint that takes requests and never answers is given up, and named."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lake = lake_at(replace(place, endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}"))

        with pytest.raises(LakeUnavailable, match="the endpoint does not answer in time"):
            lake.put("a", b"")


@pytest.mark.usefixtures("impatient")
def test_untrusted_certificate_is_refused(place: R2Place) -> None:
    """An endpoint whose certificate nobody vouches for gets nothing."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
        lake = lake_at(replace(place, endpoint_url=f"https://127.0.0.1:{listener.getsockname()[1]}"))

        with pytest.raises(LakeUnavailable, match="the endpoint's certificate is not trusted"):
            lake.put("a", b"")


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            with context.wrap_socket(listener.accept()[0], server_side=True):
                pass
        except ssl.SSLError:
            continue
        except OSError:
            return
