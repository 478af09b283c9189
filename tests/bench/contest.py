"""
The contest: each contestant in a process of its own, those that are compared in turn, the median of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import URL

from shopsync.database import schema
from shopsync.database.engine import open_database
from shopsync.lake import open_lake
from tests.bench import material
from tests.bench.cases import CHUNK_ROWS, Measured
from tests.services.r2 import R2Place

BEST_ROWS = 20_000
"""The size of a chunk with which LOAD DATA is fastest here; nobody commits so seldom who may be killed."""
SLOW_LINES = 20_000


@dataclass(frozen=True)
class Row:
    """One line of the report: a contestant beside a yardstick; `ratio` is ours to theirs in speed, 1 for as fast."""

    subject: str
    beside: str
    unit: str
    ours: float
    theirs: float
    ours_mb: float
    theirs_mb: float
    wanted: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast the product is."""
        return self.ours / self.theirs

    @property
    def short(self) -> bool:
        """Whether it is slower than it has to be."""
        return self.wanted is not None and self.ratio < self.wanted


@dataclass
class Contest:
    """Runs contestants over one material; `rounds` is how often those that are compared take turns."""

    folder: Path
    new_database: Callable[[], URL]
    new_place: Callable[[], R2Place]
    lines: int
    rounds: int
    say: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    growth: dict[int, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.jsonl = self.folder / "orders.jsonl"
        material.write_jsonl(self.jsonl, self.lines)
        self.lake_url = (self.folder / "lake").as_uri()

    def parse(self) -> None:
        """Beside the bare parsers."""
        given = {"lines": self.lines}
        found = self._in_turns(
            {
                name: lambda name=name: self._run(name, given)
                for name in ("parse_product", "parse_json", "parse_msgspec")
            }
        )
        self._compare(
            "parse into checked records",
            "`json.loads`, nothing done with it",
            "lines",
            found,
            "parse_product",
            "parse_json",
            "parse",
        )
        self._compare(
            "parse into checked records",
            "msgspec into dicts, likewise",
            "lines",
            found,
            "parse_product",
            "parse_msgspec",
            "parse",
        )

    def upsert(self) -> None:
        """Beside LOAD DATA, the driver's executemany and pandas."""
        given = {"lines": min(self.lines, 100_000)}
        contestants = {
            "one connection": ("upsert_product", {"writers": 1}),
            "two connections": ("upsert_product", {"writers": 2}),
            "LOAD DATA": ("upsert_load_data", {"rows": CHUNK_ROWS}),
            "LOAD DATA at its best": ("upsert_load_data", {"rows": BEST_ROWS}),
            "executemany": ("upsert_executemany", {}),
        }
        found = self._in_turns(
            {
                label: lambda name=name, extra=extra: self._run(name, {**given, **extra, **self._database()})
                for label, (name, extra) in contestants.items()
            }
        )
        wanted = {
            ("one connection", "LOAD DATA"): {"insert": 0.9, "unchanged": 0.9, "changed": 0.8},
            ("two connections", "LOAD DATA"): {"insert": 1.2, "unchanged": 1.2, "changed": 1.2},
        }
        for ours in ("one connection", "two connections"):
            for theirs in ("LOAD DATA", "LOAD DATA at its best", "executemany"):
                for phase in ("insert", "unchanged", "changed"):
                    self._compare(
                        f"upsert, {phase}, {ours}",
                        BESIDE[theirs],
                        "rows",
                        found,
                        ours,
                        theirs,
                        phase,
                        wanted.get((ours, theirs), {}).get(phase),
                    )
        found["pandas"] = [self._run("append_pandas", {"lines": SLOW_LINES, **self._database()})]
        self._compare(
            "upsert, insert, two connections",
            "`pandas.to_sql`, append only",
            "rows",
            found,
            "two connections",
            "pandas",
            "insert",
        )

    def load(self) -> None:
        """From the archive to committed tables, beside json + executemany and dlt; and how memory grows."""
        file = self._archive(self.lines)
        found = self._in_turns(
            {
                "product": lambda: self._load("load_product", file),
                "json": lambda: self._load("load_json_executemany", file),
            }
        )
        found["dlt"] = [self._run("load_dlt", {"lines": SLOW_LINES, **self._database()})]
        self._compare("archive to tables", "`json` + `executemany`", "lines", found, "product", "json", "load", 2.5)
        self._compare("archive to tables", "dlt, first load", "lines", found, "product", "dlt", "load", 8)
        again = [next(each for each in run if each.phase == "again") for run in found["dlt"]]
        theirs = _median(again)
        ours = _median([run[0] for run in found["product"]])
        self.rows.append(
            Row(
                "archive to tables",
                "dlt, the same lines again",
                "lines",
                _speed(ours),
                _speed(theirs),
                ours.peak_mb,
                theirs.peak_mb,
            )
        )
        for lines in (10_000, 100_000):
            if lines < self.lines:
                self.growth[lines] = self._load("load_product", self._archive(lines))[0]
        self.growth[self.lines] = max((run[0] for run in found["product"]), key=lambda each: each.peak_mb)

    def upload(self) -> None:
        """To R2, beside boto3."""
        place = self.new_place()
        lake = {"lake": {**_s3(place)}}
        found = self._in_turns(
            {name: lambda name=name: self._run(name, lake) for name in ("upload_product", "upload_boto3")}
        )
        self._compare(
            "archive to R2",
            "`boto3.upload_fileobj` through zstd",
            "bytes",
            found,
            "upload_product",
            "upload_boto3",
            "upload",
        )

    def measure(self) -> None:
        """Every day of a ledger, beside one frame that holds all of it."""
        database = self._database()
        self._run(
            "load_product",
            {"file": self._archive(min(self.lines, 200_000)), "writers": 2, **database, **self._folder()},
        )
        found = self._in_turns(
            {
                name: lambda name=name: self._run(name, {**database, **self._folder()})
                for name in ("measure_product", "measure_pandas")
            }
        )
        self._compare(
            "measure, each day whole",
            "pandas over the whole ledger at once",
            "days",
            found,
            "measure_product",
            "measure_pandas",
            "measure",
        )

    def _load(self, name: str, file: dict[str, Any]) -> list[Measured]:
        return self._run(name, {"file": file, "writers": 2, **self._database(), **self._folder()})

    def _archive(self, lines: int) -> dict[str, Any]:
        return asdict(material.archive(self.jsonl, lines, open_lake(self.lake_url)))

    def _database(self) -> dict[str, str]:
        url = self.new_database()
        engine = open_database(url)
        schema.apply(engine)
        engine.dispose()
        return {"database": url.render_as_string(hide_password=False)}

    def _folder(self) -> dict[str, Any]:
        return {"lake": {"url": self.lake_url}}

    def _run(self, name: str, given: dict[str, Any]) -> list[Measured]:
        command = [sys.executable, "-m", "tests.bench.cases", name, json.dumps({"jsonl": str(self.jsonl), **given})]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED "))
        found = [Measured(**each) for each in json.loads(told.removeprefix("MEASURED "))]
        for each in found:
            self.say(
                f"{name:24} {each.phase:10} {each.units:>12,} in {each.seconds:7.2f} s, {each.peak_mb:6.1f} MB more"
            )
        return found

    def _in_turns(self, contestants: dict[str, Callable[[], list[Measured]]]) -> dict[str, list[list[Measured]]]:
        found: dict[str, list[list[Measured]]] = {label: [] for label in contestants}
        for _ in range(self.rounds):
            for label, run in contestants.items():
                found[label].append(run())
        return found

    def _compare(
        self,
        subject: str,
        beside: str,
        unit: str,
        found: dict[str, list[list[Measured]]],
        ours: str,
        theirs: str,
        phase: str,
        wanted: float | None = None,
    ) -> None:
        mine, other = (
            _median([each for run in found[label] for each in run if each.phase == phase]) for label in (ours, theirs)
        )
        self.rows.append(Row(subject, beside, unit, _speed(mine), _speed(other), mine.peak_mb, other.peak_mb, wanted))


BESIDE = {
    "LOAD DATA": "LOAD DATA + guarded INSERT..SELECT, committed as often",
    "LOAD DATA at its best": f"the same, committed every {BEST_ROWS:,} rows",
    "executemany": "`executemany`",
}


def _s3(place: R2Place) -> dict[str, str]:
    return {
        "url": place.url,
        "endpoint_url": place.endpoint_url,
        "access_key_id": place.access_key_id,
        "secret_access_key": place.secret_access_key,
        "region": place.region,
    }


def _median(runs: Sequence[Measured]) -> Measured:
    first = runs[0]
    return Measured(first.phase, median(each.seconds for each in runs), first.units, max(each.peak_mb for each in runs))


def _speed(measured: Measured) -> float:
    return measured.units / measured.seconds
