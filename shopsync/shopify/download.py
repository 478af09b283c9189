"""
The download of a result: every byte once and in order, over as many connections as it takes.

It knows ranges, expired links and the storage's answers. The address is a bearer secret: it is in no message and in
no log, and no token goes with the request. It refuses to trust an end that Shopify's count of bytes does not confirm.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

import httpx

from shopsync.errors import DownloadIncomplete, ShopifyUnavailable, Throttled
from shopsync.patience import Patience
from shopsync.shopify.answers import EDGE_WAIT_S
from shopsync.shopify.bulk import BulkOperation

STORAGE = "the result's storage"

TIMEOUT = httpx.Timeout(60, connect=10)

REFUSED_LINKS = 5
"""How many fresh links in a row are refused before the file counts as gone: a link lives for seven days."""

_PASSING = (ShopifyUnavailable, Throttled)


def download(
    http: httpx.Client, operation: BulkOperation, fresh_url: Callable[[], str | None], patience: Patience
) -> Iterator[bytes] | None:
    """
    Return the result of a completed operation in pieces, decoded; None when there is no result to download.

    Args:
        fresh_url: Asks Shopify for the signed address; called for each connection.
        patience: Waits before the next connection, which goes on where the last one broke.

    Raises:
        DownloadIncomplete: Shopify counted lines but has no link. From the iterator: the file is shorter or longer
            than Shopify counted, changed in between, or its links are refused.
        RetryBudgetSpent: From the iterator: the storage did not answer until the deadline.
    """
    _keep_addresses_out_of_logs()
    url = fresh_url()
    if url is None and operation.object_count:
        raise DownloadIncomplete(operation.id, f"no link to it, where Shopify counted {operation.object_count} lines")
    if url is None:
        return None
    return _pieces(_Source(http, operation, fresh_url, url), patience)


def _pieces(source: _Source, patience: Patience) -> Iterator[bytes]:
    try:
        while piece := patience.call(source.read, _PASSING):
            yield piece
    finally:
        source.close()


class _Source:
    """The result as one stream: after a failure `read` connects again and goes on."""

    def __init__(
        self, http: httpx.Client, operation: BulkOperation, fresh_url: Callable[[], str | None], url: str
    ) -> None:
        self._http = http
        self._operation = operation
        self._fresh_url = fresh_url
        self._first_url: str | None = url
        self._response: httpx.Response | None = None
        self._body: Iterator[bytes] = iter(())
        self._position = 0
        self._connected_at = 0
        self._bytes_to_skip = 0
        self._takes_ranges = True
        self._etag: str | None = None
        self._refused_links = 0

    def read(self) -> bytes:
        """Return the next piece, empty at the proven end, or raise what waiting may mend."""
        if self._response is None:
            self._connect()
        piece = self._next_piece()
        while piece and self._bytes_to_skip:
            skipped = min(self._bytes_to_skip, len(piece))
            self._bytes_to_skip -= skipped
            piece = piece[skipped:] or self._next_piece()
        self._position += len(piece)
        size = self._operation.file_size
        if not piece and (self._bytes_to_skip or size not in {None, self._position}):
            self._end_early()
        if size is not None and self._position > size:
            raise self._incomplete(f"more than the {size} bytes that Shopify counted")
        return piece

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _next_piece(self) -> bytes:
        try:
            return next((piece for piece in self._body if piece), b"")
        except httpx.HTTPError as error:
            self.close()
            if self._position == self._operation.file_size:
                # Every byte is here: nothing is left to ask for.
                return b""
            problem = f"the connection broke after {self._position} bytes ({type(error).__name__})"
            raise ShopifyUnavailable(STORAGE, problem) from error

    def _end_early(self) -> NoReturn:
        """Go on from here with the next connection, unless this one already brought nothing."""
        self.close()
        problem = f"it ended after {self._position} of {self._operation.file_size} bytes"
        if self._position == self._connected_at:
            raise self._incomplete(problem)
        raise ShopifyUnavailable(STORAGE, problem)

    def _connect(self) -> None:
        url, self._first_url = self._first_url or self._fresh_url(), None
        if url is None:
            raise self._incomplete("Shopify has no link to it any more")
        headers = {"Accept-Encoding": "identity"}
        if self._position and self._takes_ranges:
            headers["Range"] = f"bytes={self._position}-"
        try:
            request = self._http.build_request("GET", url, headers=headers, timeout=TIMEOUT)
            response = self._http.send(request, stream=True, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Only the kind of failure: httpx may quote the address.
            raise ShopifyUnavailable(STORAGE, f"no connection ({type(error).__name__})") from None
        with ExitStack() as unless_accepted:
            unless_accepted.callback(response.close)
            self._accept(response)
            unless_accepted.pop_all()
        self._response, self._body = response, response.iter_bytes()
        self._connected_at = self._position

    def _accept(self, response: httpx.Response) -> None:
        if response.status_code not in {200, 206}:
            self._refuse(response)
        self._refused_links = 0
        etag = response.headers.get("etag")
        if self._etag and etag and etag != self._etag:
            raise self._incomplete("the file changed during its download")
        self._etag = etag or self._etag
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        self._takes_ranges = self._takes_ranges and not encoded
        if response.status_code == 200:
            self._bytes_to_skip = self._position
            total = None if encoded else response.headers.get("content-length")
        else:
            self._bytes_to_skip = 0
            total = self._range_total(response, encoded)
        size = self._operation.file_size
        if total is not None and size is not None and int(total) != size:
            raise self._incomplete(f"the storage holds {total} bytes, where Shopify counted {size}")

    def _range_total(self, response: httpx.Response, encoded: bool) -> str | None:
        """Return the file's size as a partial answer tells it, having checked that it starts where the last ended."""
        if encoded:
            raise ShopifyUnavailable(STORAGE, "a part of a compressed file, which is of no use: asking for the whole")
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", ""))
        if told is None or int(told[1]) != self._position:
            raise self._incomplete(f"the storage does not go on at byte {self._position}")
        return None if told[2] == "*" else told[2]

    def _refuse(self, response: httpx.Response) -> NoReturn:
        status = response.status_code
        if status == 429:
            raise Throttled(EDGE_WAIT_S)
        if status == 416:
            raise self._incomplete(f"the storage holds no more than {self._position} bytes")
        if status == 408 or status >= 500:
            raise ShopifyUnavailable(STORAGE, f"status {status}")
        self._refused_links += 1
        if self._refused_links >= REFUSED_LINKS:
            raise self._incomplete(f"{REFUSED_LINKS} fresh links were refused in a row, at last with status {status}")
        raise ShopifyUnavailable(STORAGE, f"the link was refused with status {status}")

    def _incomplete(self, problem: str) -> DownloadIncomplete:
        return DownloadIncomplete(self._operation.id, problem)


def _keep_addresses_out_of_logs() -> None:
    """Cut the query, which holds the signature, off every address that httpx logs in this process; safe to repeat."""
    logging.getLogger("httpx").addFilter(_cut_queries)


def _cut_queries(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            argument.copy_with(query=None) if isinstance(argument, httpx.URL) else argument for argument in record.args
        )
    return True
