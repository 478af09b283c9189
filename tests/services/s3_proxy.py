"""
A proxy before the test's R2 that keeps every request, and can refuse it or lose its answer.

Requests go on as they came, the signed Host included, so the server checks the product's own signatures.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.services.r2 import R2Place


@dataclass(frozen=True)
class Request:
    """What was asked; `size` is that of its body."""

    method: str
    url: str
    headers: dict[str, str]
    size: int


@dataclass(frozen=True)
class Refuse:
    """Answer with S3's error in the server's place."""

    status: int
    code: str


@dataclass(frozen=True)
class LoseAnswer:
    """Let the server do it, and drop the connection instead of telling so."""


Verdict = Refuse | LoseAnswer | None


@dataclass
class Proxy:
    """The proxy while it runs: `place` is the server's, reached through it; `judge` is asked about each request."""

    place: R2Place
    judge: Callable[[Request], Verdict] = lambda request: None
    requests: list[Request] = field(default_factory=list)

    def sizes(self, method: str) -> list[int]:
        """Return the sizes of the bodies that came with a method, those without one left out."""
        return [request.size for request in self.requests if request.method == method and request.size]


@contextmanager
def s3_proxy(place: R2Place) -> Generator[Proxy]:
    """Run a proxy before a place for the length of the block."""
    server_address = urlsplit(place.endpoint_url).netloc
    proxy = Proxy(place)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, len(body))
            proxy.requests.append(request)
            verdict = proxy.judge(request)
            if isinstance(verdict, Refuse):
                self.tell(verdict.status, f"<Error><Code>{verdict.code}</Code></Error>".encode(), [])
                return
            server = HTTPConnection(server_address, timeout=60)
            server.request(self.command, self.path, body, headers)
            told = server.getresponse()
            content = told.read()
            server.close()
            if isinstance(verdict, LoseAnswer):
                self.close_connection = True
                return
            self.tell(told.status, content, told.getheaders())

        def tell(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
            self.send_response(status)
            length = len(content)
            for name, value in headers:
                if name.lower() == "content-length":
                    length = int(value)  # of HEAD, whose answer has no content
                elif name.lower() not in {"connection", "transfer-encoding", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        path = urlsplit(place.endpoint_url).path
        proxy.place = replace(place, endpoint_url=f"http://127.0.0.1:{server.server_port}{path}")
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
