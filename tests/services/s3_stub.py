"""
A bucket as R2 serves it, in memory, behind a port of the loopback: just what the lake asks of it.

It is strict where R2 is: parts are equal but the last and at least 5 MiB, If-None-Match is honoured, unknown keys and
wrong buckets are refused. It keeps every request, for a test to look at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MIN_PART = 5 * 1024 * 1024


@dataclass
class Bucket:
    """Objects by path, uploads under way, and what was asked; `refuse` answers everything with one error."""

    name: str = "lake"
    access_key_id: str = "known"
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list[tuple[str, str, dict[str, str]]])
    refuse: tuple[int, str] | None = None
    endpoint: str = ""

    def respond(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Answer one request: status, body, headers."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.requests.append((method, url, headers))
        if self.refuse is not None:
            return _error(*self.refuse)
        if f"Credential={self.access_key_id}/" not in headers.get("authorization", ""):
            return _error(401, "Unauthorized")
        if not f"{parts.path}/".startswith(f"/{self.name}/"):
            return _error(404, "NoSuchBucket")
        if "list-type" in query:
            return self._list(query["prefix"])
        if "uploads" in query or "uploadId" in query:
            return self._multipart(method, parts.path, query, body)
        return self._object(method, parts.path, headers, body)

    def _object(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        if method == "PUT":
            if path in self.objects and headers.get("if-none-match") == "*":
                return _error(412, "PreconditionFailed")
            self.objects[path] = body
            return 200, b"", {"ETag": '"1"'}
        if path not in self.objects:
            return _error(404, "NoSuchKey")
        content, about = self.objects[path], {"ETag": '"1"', "Last-Modified": "Mon, 23 Nov 2026 06:00:00 GMT"}
        if "range" not in headers:
            return 200, content, about
        first, last = map(int, headers["range"].removeprefix("bytes=").split("-"))
        about["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return 206, content[first : last + 1], about

    def _multipart(
        self, method: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        match method:
            case "POST" if "uploads" in query:
                self.uploads[path] = {}
                return 200, _xml("InitiateMultipartUploadResult", f"<UploadId>1</UploadId><Key>{path}</Key>"), {}
            case "PUT":
                self.uploads[path][int(query["partNumber"])] = body
                return 200, b"", {"ETag": f'"{query["partNumber"]}"'}
            case "POST":
                return self._complete(path)
            case _:
                del self.uploads[path]
                return 204, b"", {}

    def _complete(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        parts = [part for _, part in sorted(self.uploads.pop(path).items())]
        sizes = {len(part) for part in parts[:-1]}
        if len(sizes) > 1 or any(size < MIN_PART for size in sizes):
            return _error(400, "InvalidPart")
        self.objects[path] = b"".join(parts)
        return 200, _xml("CompleteMultipartUploadResult", "<ETag>1</ETag>"), {}

    def _list(self, prefix: str) -> tuple[int, bytes, dict[str, str]]:
        keys = [path.removeprefix(f"/{self.name}/") for path in sorted(self.objects)]
        about = "<LastModified>2026-11-23T06:00:00.000Z</LastModified><Size>1</Size>"
        found = "".join(f"<Contents><Key>{key}</Key>{about}</Contents>" for key in keys if key.startswith(prefix))
        return 200, _xml("ListBucketResult", found + "<IsTruncated>false</IsTruncated>"), {}


def _xml(name: str, content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{content}</{name}>'.encode()


def _error(status: int, code: str) -> tuple[int, bytes, dict[str, str]]:
    return status, _xml("Error", f"<Code>{code}</Code><Message>no</Message>"), {}


@contextmanager
def serving(bucket: Bucket) -> Iterator[Bucket]:
    """Serve the bucket while the block runs; `bucket.endpoint` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, content, about = bucket.respond(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in about.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        bucket.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
