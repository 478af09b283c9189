"""
docs/reliability.md, made by the suite: each row of the matrix, what is right, and whether its tests showed it.

`pytest --reliability check` fails when what the page says was shown is shown no more: the row is gone or claims less, a
test of it fails, or fewer prove it. `--reliability write` writes the page, after a run of all that prove anything.
Below MARK stands what `make soak` found, a row for each long proof, which a run of the tests leaves alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.proof.matrix import MATRIX, ROWS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
MARK = "<!-- What `make soak` found -->"
HEAD = """\
# What shopsync survives

Each known fault, the only outcome that is right, and whether the tests showed just that: afterwards rows, figures,
watermark and records are compared with an independent reference, and a run without the fault has to reach exactly the
truth. A limit of the database's or a refusal of the lake's that is met within one step is shown on that step. Made by
`make reliability`.
"""

CLAIM = re.compile(r"^\| (.+ \| .+) \| by ([0-9]+) tests? \|$", re.MULTILINE)

SOAKED = """

## The long proofs

Made by `make soak`, which tells more in [docs/soak.md](soak.md).

| what was done | what was found |
|---|---|
"""

Shown = dict[str, list[bool]]


class Reliability:
    """Gathers which rows of the matrix were shown in this session, and compares or writes the page."""

    def __init__(self, mode: str) -> None:
        self._writes = mode == "write"
        self._shown: Shown = defaultdict(list)
        self._problem: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what became of a test: its call, or whatever kept it from it."""
        if report.when == "call" or not report.passed:
            for name, row in report.user_properties:
                if name == "proves":
                    self._shown[str(row)].append(report.passed)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, or let the session fail when a row has changed for the worse."""
        page = PAGE.read_text("utf-8") if PAGE.exists() else f"{MARK}\n"
        if self._writes and (unshown := [row.fault for name, row in ROWS.items() if not self._shown.get(name)]):
            self._problem = "\n- ".join(["docs/reliability.md is left as it was: no test showed", *unshown])
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif self._writes:
            _, mark, soaked = page.partition(MARK)
            PAGE.write_text(f"{render(self._shown)}\n{mark}{soaked}", "utf-8")
        elif worse := changed_for_the_worse(page, self._shown):
            self._problem = "\n".join(["docs/reliability.md says that these are survived:", *worse])
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell why the session fails."""
        if self._problem:
            terminalreporter.write_line(self._problem, red=True)


def mark(items: list[pytest.Item]) -> None:
    """Let each test tell, in its report, which rows it proves."""
    for item in items:
        for marker in item.iter_markers("proves"):
            unknown = set(marker.args) - set(ROWS)
            assert not unknown, f"{item.nodeid} proves {unknown}, which no row of tests/proof/matrix.py is called"
            item.user_properties += [("proves", row) for row in marker.args]


def changed_for_the_worse(page: str, shown: Shown) -> list[str]:
    """Return the rows that a page says were shown, and that are gone or not shown as well, with what became of them."""
    rows = {f"{row.fault} | {row.outcome}": name for name, row in ROWS.items()}
    worse: list[str] = []
    for claim, tests in CLAIM.findall(page):
        name = rows.get(claim)
        if name is None:
            worse.append(f"- {claim}: no row of the matrix says so any more")
        elif not _holds(shown, name) or len(shown[name]) < int(tests):
            worse.append(f"- {ROWS[name].fault}: {_told(shown, name)}, where the page says {tests}")
    return worse


def render(shown: Shown) -> str:
    """Return the page, down to MARK."""
    proofs = sum(len(results) for results in shown.values())
    held = sum(1 for row in ROWS if _holds(shown, row))
    lines = [HEAD, f"The last run showed {held} of {len(ROWS)} faults, by {proofs} tests."]
    for part, rows in MATRIX.items():
        lines += ["", f"## {part}", "", "| fault | right, and nothing else | shown |", "|---|---|---|"]
        lines += [f"| {row.fault} | {row.outcome} | {_told(shown, name)} |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def tell(page: Path, done: str, found: str) -> None:
    """Put the row of a long proof into a page, in the place of what it found before, or at the end."""
    head, _, soaked = (page.read_text("utf-8") if page.exists() else "").partition(MARK)
    _, _, table = soaked.partition("|---|---|\n")
    rows = [row for row in table.splitlines() if not row.startswith(f"| {done} |")]
    told = "\n".join([*rows, f"| {done} | {found} |"])
    page.write_text(f"{head}{MARK}{SOAKED}{told}\n", "utf-8")


def _holds(shown: Shown, row: str) -> bool:
    return bool(shown.get(row)) and all(shown[row])


def _told(shown: Shown, row: str) -> str:
    results = shown.get(row, [])
    if not results:
        return "no test"
    return f"by {len(results)} test{'s' * (len(results) > 1)}" if all(results) else "**broken**"
