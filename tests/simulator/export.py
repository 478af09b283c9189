"""
Writes the JSONL of a bulk operation to a file: one line per node, children with `__parentId`.

As recorded from real shops: UTF-8, slashes escaped, a newline after every line including the last.
Grouped, children stand directly below their parent; otherwise blocks of roots come first and their
children later, level by level.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from tests.simulator.compile import Plan
from tests.simulator.faults import Faults
from tests.simulator.nodes import Node

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Line = tuple[bool, str]
Task = tuple[Plan, Node, str | None]


@dataclass(frozen=True, slots=True)
class Written:
    """What an export put into its file."""

    objects: int
    roots: int
    size: int


def line_of(plan: Plan, node: Node, parent: str | None) -> Line:
    """Return a node's line, and whether it is a root."""
    record = plan.record(node)
    if parent is not None:
        record["__parentId"] = parent
    return parent is None, encode(record).replace("/", "\\/")


def children_of(plan: Plan, node: Node, cut_at: int | None) -> Iterator[Task]:
    """Yield a node's children, connection by connection."""
    for read, choose in plan.connections:
        for child in read(node)[:cut_at]:
            yield choose(child), child, node["id"]


def grouped(tasks: Iterable[Task], cut_at: int | None) -> Iterator[Line]:
    """Yield every node directly followed by what is below it."""
    for plan, node, parent in tasks:
        yield line_of(plan, node, parent)
        if plan.connections:
            yield from grouped(children_of(plan, node, cut_at), cut_at)


def interleaved(tasks: Iterable[Task], cut_at: int | None, rng: Random) -> Iterator[Line]:
    """Yield blocks of roots, then all their children mixed, then the children's children."""
    source = iter(tasks)
    while level := list(islice(source, rng.randint(2, 120))):
        while level:
            below: list[Task] = []
            for plan, node, parent in level:
                yield line_of(plan, node, parent)
                below += children_of(plan, node, cut_at)
            rng.shuffle(below)
            level = below


def write(
    path: Path,
    roots: Iterable[tuple[Plan, Node]],
    *,
    group: bool,
    seed: int,
    faults: Faults,
    share: float = 1.0,
) -> Written:
    """Write the nodes and return the counts; `share` below 1 stops there, as partial data does."""
    tasks = ((plan, node, None) for plan, node in roots)
    cut_at = faults.children_cut_at
    is_far = faults.interleaved or not group
    lines = interleaved(tasks, cut_at, Random(seed)) if is_far else grouped(tasks, cut_at)
    if share < 1:
        whole = list(lines)
        lines = iter(whole[: int(len(whole) * share)])
    objects = root_count = 0
    ending = b"\r\n" if faults.crlf else b"\n"
    with path.open("wb", buffering=1 << 20) as file:
        if faults.bom:
            file.write(b"\xef\xbb\xbf")
        first = True
        for number, (is_root, text) in enumerate(disturbed(lines, faults, seed), start=1):
            objects += 1
            root_count += is_root
            raw = text.encode()
            if number == faults.broken_line:
                raw = raw[: len(raw) // 2]
            if number == faults.invalid_utf8:
                raw = raw[:-1] + b',"x":"\xff"}'
            file.write(raw if first else ending + raw)
            first = False
            if number <= faults.blank_lines:
                file.write(ending)
        if objects and not faults.no_final_newline:
            file.write(ending)
        size = file.tell()
    return Written(objects, root_count, size)


def disturbed(lines: Iterator[Line], faults: Faults, seed: int) -> Iterator[Line]:
    """Yield the lines with the faults that concern their content and order."""
    if faults.new_enum_value:
        lines = _with_new_value(lines, faults.new_enum_field, faults.new_enum_value)
    if faults.orphan_child:
        lines = _with_orphans(lines, faults.orphan_child)
    if faults.duplicate_order or faults.duplicate_line:
        lines = _with_duplicates(lines, faults.duplicate_order, faults.duplicate_line)
    if faults.child_before_parent:
        lines = _children_first(lines, faults.child_before_parent)
    if faults.shuffled:
        everything = list(lines)
        Random(seed).shuffle(everything)
        lines = iter(everything)
    return lines


def _with_new_value(lines: Iterator[Line], field: str, value: str) -> Iterator[Line]:
    for is_root, text in lines:
        record: dict[str, Any] = json.loads(text)
        if field in record:
            record[field] = value
        yield is_root, encode(record).replace("/", "\\/")


def _with_orphans(lines: Iterator[Line], count: int) -> Iterator[Line]:
    for is_root, text in lines:
        if not is_root and count:
            count -= 1
            record = json.loads(text)
            record["__parentId"] = record["__parentId"].rsplit("/", 1)[0] + "/1"
            yield False, encode(record).replace("/", "\\/")
        else:
            yield is_root, text


def _with_duplicates(lines: Iterator[Line], roots: int, children: int) -> Iterator[Line]:
    again: list[Line] = []
    for line in lines:
        yield line
        if line[0] and roots:
            roots -= 1
            again.append(line)
        elif not line[0] and children:
            children -= 1
            again.append(line)
    yield from again


def _children_first(lines: Iterator[Line], count: int) -> Iterator[Line]:
    everything = list(lines)
    early = [index for index, line in enumerate(everything) if not line[0]][:count]
    chosen = set(early)
    yield from (everything[index] for index in early)
    yield from (line for index, line in enumerate(everything) if index not in chosen)


def without_file_faults(faults: Faults) -> Faults:
    """Return a copy whose file comes out well."""
    clean = Faults()
    names = [
        "no_final_newline",
        "broken_line",
        "orphan_child",
        "child_before_parent",
        "duplicate_order",
        "duplicate_line",
        "interleaved",
        "shuffled",
        "bom",
        "crlf",
        "blank_lines",
        "invalid_utf8",
        "new_enum_value",
        "children_cut_at",
        "wrong_object_count",
        "wrong_root_object_count",
        "wrong_file_size",
    ]
    return replace(faults, **{name: getattr(clean, name) for name in names})
