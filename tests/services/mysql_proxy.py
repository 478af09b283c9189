"""
A proxy before the test's MariaDB that sees every statement, and can be told to cut, to refuse or to kill.

It knows just enough of MySQL's protocol: a packet is three bytes of length, a sequence number and its content; the
content of a statement begins with 0x03. Source: MySQL 8.4 internals, "Protocol Basics".
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy import URL

QUERY = 0x03
LARGEST = 0xFFFFFF


@dataclass(frozen=True)
class Forward:
    """Let the statement through."""


@dataclass(frozen=True)
class CutBefore:
    """Drop the connection; the server never sees the statement."""


@dataclass(frozen=True)
class CutAfter:
    """Let the server answer, and drop the connection instead of passing that on."""


@dataclass(frozen=True)
class Refuse:
    """Answer with a server's error in its place."""

    code: int
    text: str
    state: str = "HY000"

    def packet(self, sequence: int) -> bytes:
        """Return the error as the server would send it."""
        content = b"\xff" + struct.pack("<H", self.code) + b"#" + self.state.encode() + self.text.encode()
        return len(content).to_bytes(3, "little") + bytes([sequence + 1]) + content


Verdict = Forward | CutBefore | CutAfter | Refuse
Judge = Callable[[bytes], Verdict]


@dataclass
class Proxy:
    """
    The proxy while it runs.

    `judge` is asked about each statement, one at a time over all connections; `statements` holds the beginnings of
    those that came.
    """

    url: URL
    judge: Judge = lambda statement: Forward()
    statements: list[bytes] = field(default_factory=list)
    is_silent: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, statement: bytes) -> Verdict:
        """Note a statement and return what is to become of it."""
        with self._one_at_a_time:
            self.statements.append(statement[:200])
            return self.judge(statement)


@contextmanager
def mysql_proxy(server: URL) -> Generator[Proxy]:
    """Run a proxy before a server for the length of the block; its `url` is the server's with another port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(server.set(host="127.0.0.1", port=listener.getsockname()[1]))
        address = (server.host or "127.0.0.1", server.port or 3306)
        threading.Thread(target=_accept, args=(listener, address, proxy), daemon=True).start()
        yield proxy


def _accept(listener: socket.socket, address: tuple[str, int], proxy: Proxy) -> None:
    with suppress(OSError):  # the listener was closed: the block ended
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, address, proxy), daemon=True).start()


def _serve(client: socket.socket, address: tuple[str, int], proxy: Proxy) -> None:
    with suppress(OSError, EOFError), client, socket.create_connection(address) as server:
        answers = threading.Thread(target=_copy, args=(server, client, proxy), daemon=True)
        answers.start()
        try:
            _judge(client, server, proxy, answers)
        finally:
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _copy(server: socket.socket, client: socket.socket, proxy: Proxy) -> None:
    with suppress(OSError):
        while answer := server.recv(65_536):
            if not proxy.is_silent:
                client.sendall(answer)
        client.shutdown(socket.SHUT_RDWR)


def _judge(client: socket.socket, server: socket.socket, proxy: Proxy, answers: threading.Thread) -> None:
    while True:
        packet = _packet(client)
        if packet[4] != QUERY or packet[3] != 0:
            server.sendall(packet)
            continue
        match proxy.ask(packet[5:]):
            case Forward():
                server.sendall(packet)
            case CutBefore():
                return
            case CutAfter():
                client.shutdown(socket.SHUT_RDWR)
                server.sendall(packet)
                answers.join(10)  # it ends at the answer, which it cannot pass on
                return
            case Refuse() as refusal:
                client.sendall(refusal.packet(packet[3]))


def _packet(connection: socket.socket) -> bytes:
    """Read one packet with its head; a statement beyond 16 MB would come in several, which no test sends."""
    head = _exactly(connection, 4)
    length = int.from_bytes(head[:3], "little")
    assert length < LARGEST, "statements of many packets are not for this proxy"
    return head + _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
