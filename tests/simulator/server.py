"""Serves a shop over real HTTP on 127.0.0.1, with connections that really break."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.simulator.shop import Shop


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, shop: Shop, port: int) -> None:
        self.shop = shop
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may leave whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]
    timeout = 60

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay quiet: the shop keeps its own log."""

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        host = self.headers.get("Host") or "127.0.0.1"
        request = httpx.Request(self.command, f"http://{host}{self.path}", headers=self.headers.items(), content=body)
        try:
            with self.server.lock:
                response = self.server.shop.respond(request)
        except httpx.TransportError:
            self._drop()
            return
        if "delay_s" in response.extensions:
            self.server.stopping.wait(response.extensions["delay_s"])
        self.send_response_only(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if isinstance(response.stream, httpx.SyncByteStream):
                for chunk in response.stream:
                    self.wfile.write(chunk)
        except httpx.TransportError:
            self.wfile.flush()
            time.sleep(0.05)  # let what was sent arrive before the reset overtakes it
            self._drop()

    def _drop(self) -> None:
        """End the connection with a reset instead of a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


@contextlib.contextmanager
def serve(shop: Shop, port: int = 0) -> Iterator[str]:
    """Serve the shop while the context lasts; yields its base URL."""
    server = _Server(shop, port)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    before, shop.base_url = shop.base_url, shop.base_url or url
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()
        shop.base_url = before
