"""What the soak found, for people: `docs/soak.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from tests.soak.rounds import STEPS, Round


def markdown(rounds: Sequence[Round], seed: int, orders: int, at: datetime, took_s: float) -> str:
    """Return the report."""
    kills = [each for each in rounds if each.killed_in]
    resumed = [each for each in kills if each.resumed]
    recoveries = [each.recovery_s for each in kills]
    asked_once = [each for each in resumed if each.operations <= 1]
    wrong = [each for each in rounds if each.wrong]
    verdict = "nothing was ever wrong" if not wrong else f"**{len(wrong)} of them left something wrong**"
    lines = [
        "# Runs that were killed",
        "",
        f"`make soak` killed {len(kills)} daily runs with SIGKILL at random moments: {verdict}.",
        "",
        "Before each kill the shop traded (orders, refunds, edits, cancellations, removed lines, deleted products).",
        "After it either the same run id went on, or the shop traded on and a new run came. Then all rows of the",
        "four tables, all of `measurement.sales`, `measurement.performance` as of the run's day, the watermark, the",
        "manifest and the days still owed were compared with what an independent reference makes of the shop.",
        "",
        f"- on {at:%Y-%m-%d}, seed {seed}, a shop that ended with {orders:,} orders, {took_s / 60:.0f} minutes",
        f"- kills survived: {len(kills) - sum(1 for each in kills if each.wrong)} of {len(kills)}"
        f" ({len(resumed)} resumed under their run id, {len(kills) - len(resumed)} followed by a new run)",
        f"- runs that ended before their kill: {len(rounds) - len(kills)}",
        f"- rows compared: {sum(each.rows for each in rounds):,}",
        f"- bulk operations asked for: {sum(each.operations for each in rounds):,}, at most"
        f" {max((each.operations for each in rounds), default=0)} in a round;"
        f" resumed runs that needed no second one: {len(asked_once)} of {len(resumed)}",
        f"- recovery: {median(recoveries or [0]):.1f} s in the median, {max(recoveries, default=0):.1f} s at most"
        " (a lease of the killed run has to end first: 30 s to measure, 60 s to move the watermark)",
        "",
        "| killed in | kills | resumed | new run | longest recovery | wrong |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    counted = Counter(each.killed_in for each in kills)
    steps = [step for step in ["before the first record", *STEPS] if counted[step]]
    lines += [_row(step, [each for each in kills if each.killed_in == step]) for step in steps]
    for each in wrong:
        lines += [
            "",
            f"## Round {each.number}, killed in {each.killed_in}",
            "",
            *(f"- {found}" for found in each.wrong),
        ]
    return "\n".join(lines) + "\n"


def _row(step: str, kills: Sequence[Round]) -> str:
    resumed = sum(1 for each in kills if each.resumed)
    longest = max(each.recovery_s for each in kills)
    wrong = sum(1 for each in kills if each.wrong)
    return f"| {step} | {len(kills)} | {resumed} | {len(kills) - resumed} | {longest:.1f} s | {wrong} |"
