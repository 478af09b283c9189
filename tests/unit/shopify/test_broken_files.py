"""Files that are broken in any way: they are read, or refused by line, and nothing else comes out."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shopsync.errors import InexactMoney, JsonlError, SyncError
from shopsync.shopify.jsonl import read_orders
from shopsync.shopify.regroup import regrouped
from shopsync.shopify.scan import ResultScan
from tests.unit.shopify.nodes import family, jsonl, order

WHOLE = b"\n".join(line for number in range(1, 4) for line in jsonl(family(number)))
LENGTH, LINES = len(WHOLE), WHOLE.count(b"\n") + 1
BRIEFLY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Change = Callable[[bytes], bytes]


def cut(at: int) -> Change:
    """The file ends early."""
    return lambda file: file[:at]


def flip(at: int, mask: int) -> Change:
    """Some bits of a byte are others."""
    return lambda file: file[:at] + bytes([byte ^ mask for byte in file[at : at + 1]]) + file[at + 1 :]


def insert(at: int, content: bytes) -> Change:
    """Bytes that do not belong there."""
    return lambda file: file[:at] + content + file[at:]


def move(source: int, target: int) -> Change:
    """A line stands elsewhere."""

    def moved(file: bytes) -> bytes:
        lines = file.split(b"\n")
        line = lines.pop(source % len(lines))
        return b"\n".join([*lines[: target % LINES], line, *lines[target % LINES :]])

    return moved


def repeat_line(source: int, target: int) -> Change:
    """A line comes again, elsewhere."""

    def repeated(file: bytes) -> bytes:
        lines = file.split(b"\n")
        return b"\n".join([*lines[: target % LINES], lines[source % len(lines)], *lines[target % LINES :]])

    return repeated


places = st.integers(0, LENGTH)
numbers = st.integers(0, LINES)
changes = st.lists(
    st.builds(cut, places)
    | st.builds(flip, places, st.integers(1, 255))
    | st.builds(insert, places, st.binary(min_size=1, max_size=12))
    | st.builds(move, numbers, numbers)
    | st.builds(repeat_line, numbers, numbers),
    min_size=1,
    max_size=4,
)


def outcome(file: bytes, folder: Path) -> SyncError | None:
    """Look at a file and read it, as it is or regrouped, as a run does; return the error that names its line."""
    scan = ResultScan()
    assert file == b"".join(scan.over([file]))
    lines = file.split(b"\n")
    try:
        for _ in read_orders(lines if scan.grouped else regrouped(lines, "key", folder), "key"):
            pass
    except (JsonlError, InexactMoney) as error:
        return error
    return None


@given(changed=changes)
@BRIEFLY
def test_changed_file_is_read_or_refused(tmp_path: Path, changed: list[Change]) -> None:
    """An export that is cut, flipped, doubled or shuffled gives orders, or one error in words."""
    file = WHOLE
    for change in changed:
        file = change(file)

    error = outcome(file, tmp_path)

    assert error is None or ("key" in str(error) and len(str(error)) < 600 and "\n" not in str(error))


@given(file=st.binary(max_size=400))
@example(file=b"[" * 100_000)
@example(file=b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
@BRIEFLY
def test_any_bytes_are_refused(tmp_path: Path, file: bytes) -> None:
    """What never was an export is refused, unless it is blank."""
    error = outcome(file, tmp_path)

    assert error is not None or not file.removeprefix(b"\xef\xbb\xbf").strip()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (json.dumps(order())[:-1] + ', "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        (json.dumps(order(updatedAt="0001-01-01T00:00:00+14:00")), "no year from 1 to 9999"),
        (json.dumps(order(createdAt="9999-12-31T23:59:59-14:00")), "no year from 1 to 9999"),
    ],
)
def test_line_beyond_all_bounds_is_named(tmp_path: Path, line: str, words: str) -> None:
    """What is JSON, and cannot be held, is refused like what is no JSON; regrouped or not."""
    for lines in ([line.encode()], regrouped([line.encode()], "key", tmp_path)):
        with pytest.raises(JsonlError, match=f"key, line 1: .*{words}"):
            list(read_orders(lines, "key"))


def test_deep_line_is_broken_for_the_scan() -> None:
    """The look at a download never fails: it tells which line cannot be read."""
    scan = ResultScan()

    scan.see(b'{"id": "1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")

    assert scan.broken is not None
    assert "it is nested too deep" == scan.broken.problem


def peak(lines: Iterable[bytes]) -> int:
    """Return how much memory it takes to look at lines and to read them, at most."""
    scan = ResultScan()

    def seen() -> Iterable[bytes]:
        for line in lines:
            scan.see(line)
            yield line

    tracemalloc.start()
    try:
        for _ in read_orders(seen(), "key"):
            pass
    except JsonlError:
        pass
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("junk", [b"", b" \t", jsonl([order()])[0]], ids=["empty", "blank", "the same order"])
def test_junk_takes_no_memory(junk: Any) -> None:
    """Thousands of lines that bring nothing are forgotten as they come."""
    few, many = (peak(chain(jsonl(family(1)), repeat(junk, count))) for count in (100, 5_000))

    assert many < few + 50_000
