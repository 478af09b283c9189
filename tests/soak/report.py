"""What the soak found, for people: `docs/soak.md`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from statistics import median

from tests.services.chunk_kills import Killed
from tests.soak.kills import Round


def in_short(rounds: Sequence[Round]) -> str:
    """Return what the kills have shown, in a line."""
    killed, recoveries = _killed(rounds), [each.recovery_s for each in _killed(rounds)] or [0.0]
    kills, lost = sum(each.kills for each in killed), sum(each.kills for each in killed if each.wrong)
    return (
        f"{kills - lost:,} of {kills:,} survived: {len(killed)} final states compared whole, in all"
        f" {sum(each.rows for each in killed):,} rows; {sum(each.operations for each in killed)} bulk operations, none"
        f" beyond a window's; {sum(each.repeated for each in killed)} of"
        f" {sum(each.committed for each in killed):,} chunks begun again; longest recovery {max(recoveries):.0f} s"
    )


def _killed(rounds: Sequence[Round]) -> list[Round]:
    return [each for each in rounds if each.kills]


def markdown(rounds: Sequence[Round], seed: int, at: datetime) -> str:
    """Return the part about runs that were killed."""
    kills = [(each, struck) for each in rounds for struck in each.struck if struck.killed_in]
    wrong = [each for each in rounds if each.wrong]
    verdict = "nothing was ever wrong" if not wrong else f"**{len(wrong)} rounds left something wrong**"
    killed = _killed(rounds)
    recoveries = [each.recovery_s for each in killed]
    lost = sum(each.kills for each in wrong)
    lines = [
        "# Runs that were killed",
        "",
        f"`make soak` killed {len(kills)} runs with SIGKILL at random moments: {verdict}.",
        "",
        "Before each round the shop traded (orders, refunds, edits, cancellations, removed lines, renamed products; no",
        "product was deleted, since a replay beside a daily run brings a line's variant back then, or does not).",
        "Then one run or two, daily runs, backfills and replays, were started and killed. Each went on under its run",
        "id, or the shop traded on and a new daily run came in the place of a killed one. Then all rows of the four",
        "tables, all of `measurement.sales`, `measurement.performance`, the watermark, the manifests, what is owed and",
        "Shopify's operations were compared with what an independent reference makes of the archives.",
        "",
        f"- on {at:%Y-%m-%d}, seed {seed}, {len(rounds)} rounds, chunks of a few orders",
        f"- kills survived: {len(kills) - lost} of {len(kills)}, their {len(killed)} final states compared whole",
        f"- final states in {_counted(Counter(each.database for each in killed))};"
        f" of runs on Prefect's server {sum(each.prefect for each in killed)}, of the flows without it"
        f" {sum(not each.prefect for each in killed)}",
        f"- rows compared: {sum(each.rows for each in rounds):,}",
        f"- bulk operations asked for: {sum(each.operations for each in rounds):,}, never more than one for a window,"
        " and one more for a daily run in the place of a killed one",
        f"- chunks committed: {sum(each.committed for each in rounds):,}; begun again after a kill:"
        f" {sum(each.repeated for each in rounds):,}, at most {max((each.repeated for each in rounds), default=0)} in a"
        " round",
        f"- recovery: {median(recoveries or [0]):.1f} s in the median, {max(recoveries, default=0):.1f} s at most (in"
        " one round of twenty the leases of the killed had to end by themselves, which takes up to a minute)",
        "",
        "| killed | kills | went on under its run id | in a round with another |",
        "|---|---:|---:|---:|",
    ]
    for kind in ("daily", "backfill", "replay"):
        of_kind = [(each, struck) for each, struck in kills if struck.kind == kind]
        resumed = sum(struck.resumed for _, struck in of_kind)
        beside = sum(len(each.struck) > 1 for each, _ in of_kind)
        lines.append(f"| {kind} | {len(of_kind)} | {resumed} | {beside} |")
    lines += ["", "| killed in | kills |", "|---|---:|"]
    lines += [f"| {step} | {count} |" for step, count in Counter(each.killed_in for _, each in kills).most_common()]
    for each in wrong:
        lines += ["", f"## Round {each.number}: {each.struck}", "", *(f"- {found}" for found in each.wrong)]
    return "\n".join(lines) + "\n"


def _counted(counts: Counter[str]) -> str:
    return " and ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def chunks_in_short(kills: Sequence[Killed]) -> str:
    """Return what the kills of upserts have shown, in a line."""
    lost = sum(1 for each in kills if each.wrong)
    return f"{len(kills) - lost} of {len(kills)} survived, no committed order sent again"


def of_chunks(kills: Sequence[Killed]) -> str:
    """Return the part about upserts that were killed at a statement."""
    wrong = [each for each in kills if each.wrong]
    struck = Counter(" ".join(each.statement.split()[:3]) for each in kills)
    lines = [
        "# Upserts that were killed between chunks and inside them",
        "",
        f"{len(kills)} upserts into MariaDB over two connections died by SIGKILL at a random statement: before the",
        "server saw it, or after it was carried out and before they heard of it. Resumed, each went on behind the last",
        f"commit. {'Nothing was ever wrong' if not wrong else f'**{len(wrong)} left something wrong**'}: no committed",
        "order was sent again, and rows and measurements were those of an upsert that nobody disturbed.",
        "",
        f"- orders committed before the kill: {sum(each.committed for each in kills):,};"
        f" sent by the resumed ones: {sum(each.resumed for each in kills):,}",
        "",
        "| killed at | kills |",
        "|---|---:|",
        *(f"| `{statement}` | {count} |" for statement, count in struck.most_common()),
        *(f"\n- {found}" for each in wrong for found in each.wrong),
    ]
    return "\n".join(lines) + "\n"
