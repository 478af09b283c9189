"""
The storage behind `url` and `partialDataUrl`: signed links of seven days, ranges, and broken downloads.

It is not Shopify: it wants no token. A token sent to it stays visible in the shop's request log.
"""

from __future__ import annotations

import gzip
import hmac
import re
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from tests.simulator.operations import LINK_LIFE, Operation

if TYPE_CHECKING:
    from tests.simulator.shop import Shop

BUCKET = "/shopify-tiers-assets-prod-us-east1/bulk-operation-outputs/"
HOST = "https://storage.googleapis.com"
ACCOUNT = "assets-us-prod@shopify-tiers.iam.gserviceaccount.com"
CHUNK = 64 * 1024
REFUSALS = {
    "ExpiredToken": "The provided token has expired.",
    "SignatureDoesNotMatch": "Access denied.",
    "AccessDenied": "Access denied.",
    "NoSuchKey": "The specified key does not exist.",
}


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A part of a file, read in chunks; `breaks` is what ends it before its end."""

    def __init__(self, path: Path, start: int, end: int, breaks: httpx.TransportError | None = None) -> None:
        self.path, self.start, self.end, self.breaks = path, start, end, breaks

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.end - self.start
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
        if self.breaks:
            raise self.breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


class Storage:
    """Serves the files of the shop's operations."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._downloads = 0

    def _key(self, operation: Operation) -> str:
        return sha256(f"{self.shop.seed}/{operation.number}".encode()).hexdigest()[:40]

    def _sign(self, path: str, expires: str) -> str:
        secret = f"storage-{self.shop.seed}".encode()
        return hmac.new(secret, f"GET\n{expires}\n{path}".encode(), "sha256").hexdigest()

    def link(self, operation: Operation) -> str:
        """Return the operation's signed link, valid for seven days from its end."""
        assert operation.ended_at is not None
        path = BUCKET + self._key(operation)
        expires = str(int((operation.ended_at + LINK_LIFE).timestamp()))
        name = f"bulk-{operation.number}.jsonl"
        disposition = quote(f"attachment; filename=\"{name}\"; filename*=UTF-8''{name}", safe="").replace("%20", "+")
        return (
            f"{self.shop.base_url or HOST}{path}?GoogleAccessId={quote(ACCOUNT, safe='')}&Expires={expires}"
            f"&Signature={self._sign(path, expires)}&response-content-disposition={disposition}"
            "&response-content-type=application%2Fjsonl"
        )

    def respond(self, request: httpx.Request) -> httpx.Response:
        """Answer a download."""
        faults, path = self.shop.faults, request.url.path
        if faults.take("download_error"):
            return httpx.Response(faults.download_error_status, text="Service Unavailable")
        if faults.take("expired_link"):
            return _refusal(
                faults.expired_link_status,
                "ExpiredToken" if faults.expired_link_status == 403 else "NoSuchKey",
            )
        expires, signature = request.url.params.get("Expires", ""), request.url.params.get("Signature", "")
        if not hmac.compare_digest(signature.encode(), self._sign(path, expires).encode()):
            return _refusal(403, "SignatureDoesNotMatch")
        if int(expires) <= self.shop.clock.now().timestamp():
            return _refusal(403, "ExpiredToken")
        operation = next((each for each in self.shop.operations if BUCKET + self._key(each) == path), None)
        if operation is None or operation.file is None:
            return _refusal(404, "NoSuchKey")
        return self._send(request, operation.number, operation.file)

    def _send(self, request: httpx.Request, number: int, file: Path) -> httpx.Response:
        faults = self.shop.faults
        self._downloads += 1
        headers = {
            "Content-Type": "application/jsonl",
            "Content-Disposition": f'attachment; filename="bulk-{number}.jsonl"',
            "Accept-Ranges": "bytes",
            "ETag": f'"{number}-{self._downloads if faults.etag_changes else 1}"',
        }
        zipped = faults.gzip and "gzip" in request.headers.get("accept-encoding", "")
        if zipped:
            file = _zipped(file)
            headers["Content-Encoding"] = "gzip"
        size = file.stat().st_size
        start, end, status = 0, size, 200
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
        if wanted and same and not zipped and not faults.range_ignored:
            start = int(wanted[1])
            end = min(int(wanted[2]) + 1, size) if wanted[2] else size
            status = 206
            if start >= size:
                return httpx.Response(416, headers={"Content-Range": f"bytes */{size}"})
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        cut = start + (faults.cut_at if faults.cut_at is not None else (end - start) // 2)
        breaks = self._breaks()
        if breaks is None and faults.take("truncated"):
            end = min(cut, end)
        headers["Content-Length"] = str(end - start)
        return httpx.Response(
            status, headers=headers, stream=Body(file, start, min(cut, end) if breaks else end, breaks)
        )

    def _breaks(self) -> httpx.TransportError | None:
        if self.shop.faults.take("reset_mid_file"):
            return httpx.ReadError("[Errno 104] Connection reset by peer")
        if self.shop.faults.take("stalled"):
            return httpx.ReadTimeout("The read operation timed out")
        return None


def _zipped(file: Path) -> Path:
    packed = file.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(file.read_bytes(), 1, mtime=0))
    return packed


def _refusal(status: int, code: str) -> httpx.Response:
    text = (
        f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{REFUSALS[code]}</Message></Error>"
    )
    return httpx.Response(status, text=text, headers={"Content-Type": "application/xml; charset=UTF-8"})
