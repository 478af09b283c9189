"""Asking an HTTP server: again and again for the time of one answer, and by many at once for how many it gives."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median, quantiles


@dataclass(frozen=True)
class Load:
    """What came of many readers at once: answers a second, milliseconds, and how many answers were none."""

    readers: int
    seconds: float
    answers: int
    errors: int
    p50_ms: float
    p99_ms: float

    @property
    def per_s(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def answer_ms(port: int, path: str, headers: Mapping[str, str], times: int) -> float:
    """Return the median time of one answer over a connection that stays, the first two left out."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took = [_once(connection, path, headers) for _ in range(times + 2)][2:]
    connection.close()
    return 1_000 * median(took)


def times_as_long(port: int, path: str, beside: str, headers: Mapping[str, str], times: int) -> float:
    """Return how many times as long as `beside` a path takes, asked in turn, the median of the pairs."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    pairs = [(_once(connection, path, headers), _once(connection, beside, headers)) for _ in range(times + 2)][2:]
    connection.close()
    return median(mine / theirs for mine, theirs in pairs)


def _once(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    begun = time.perf_counter()
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - begun
    assert answer.status == 200, f"{path}: {answer.status} {body[:300]!r}"
    return took


def load(port: int, paths: Sequence[str], headers: Mapping[str, str], readers: int, seconds: float) -> Load:
    """Let so many readers ask for these paths in turn, each over a connection of its own, without a pause."""
    return asyncio.run(_load(port, [_request(path, headers) for path in paths], readers, seconds))


def _request(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _load(port: int, requests: Sequence[bytes], readers: int, seconds: float) -> Load:
    begun = time.perf_counter()
    asked = [
        _read(port, islice(cycle(requests), number % len(requests), None), begun + seconds) for number in range(readers)
    ]
    found = await asyncio.gather(*asked)
    took = sorted(each for times, _ in found for each in times)
    errors = sum(failed for _, failed in found)
    cuts = quantiles(took, n=100)
    return Load(readers, time.perf_counter() - begun, len(took), errors, 1_000 * cuts[49], 1_000 * cuts[98])


async def _read(port: int, requests: islice[bytes], until: float) -> tuple[list[float], int]:
    """Ask until the time is up, over a new connection after one that was lost; return the times, and the failures."""
    took, errors = list[float](), 0
    while time.perf_counter() < until:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async for seconds, status in _answers(reader, writer, requests, until):
                took.append(seconds)
                errors += status != 200
        except (OSError, asyncio.IncompleteReadError):
            errors += 1
        finally:
            writer.close()
    return took, errors


async def _answers(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: islice[bytes], until: float
) -> AsyncIterator[tuple[float, int]]:
    while (begun := time.perf_counter()) < until:
        writer.write(next(requests))
        status, length = _head(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(length)
        yield time.perf_counter() - begun, status


def _head(head: bytes) -> tuple[int, int]:
    """Return the status of an answer, and the length of its body."""
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return int(head[9:12]), int(length)
