"""A server that takes connections and never says a word."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def silent_server() -> Generator[int]:
    """Yield the port of 127.0.0.1 on which nobody answers; the kernel takes what connects."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield listener.getsockname()[1]
