"""
The matrix: every fault that is known of, and the outcome that is right for it.

One list for the tests, which name the rows that they prove (`@pytest.mark.proves("throttled")`), and for the page
docs/reliability.md, which is made of what became of those tests.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What may come of a fault; a run of any other end is a defect."""

    EXACT = "completes, exact"
    FAILS = "fails: watermark stays, error recorded; the next run is exact"
    REFUSED = "refused before anything is written"
    RESUMES = "goes on, or the next run does; then exact"
    REPAIRED = "completes; the difference is told, and repaired by the next run"
    LEFT = "completes; what it leaves out is told, with the backfill that brings it"


class Row(NamedTuple):
    """A fault in words, and its outcome."""

    fault: str
    outcome: Outcome


EXACT, FAILS, REFUSED, RESUMES, REPAIRED, LEFT = Outcome

MATRIX: dict[str, dict[str, Row]] = {
    "Shopify's answers": {
        "throttled": Row("throttled", EXACT),
        "internal error": Row("200 with an internal error", EXACT),
        "400s that pass": Row("423 locked, 429 with Retry-After", EXACT),
        "400s that stay": Row("401, 402, 403, 404, 430, a redirect", FAILS),
        "inactive shop": Row("SHOP_INACTIVE", FAILS),
        "too dear": Row("MAX_COST_EXCEEDED", FAILS),
        "500s": Row("500, 502, 503, 504", EXACT),
        "no JSON": Row("200 with a page that is no JSON", EXACT),
        "no connection": Row("no connection, or one that is reset", EXACT),
        "slow answer": Row("an answer that is slower than our patience", EXACT),
        "lost answer": Row("the answer to the request is lost, the operation runs", EXACT),
        "partial data": Row("partial data beside an error", FAILS),
        "other version": Row("another API version is served, from the start or in mid-run", FAILS),
        "expired token": Row("the token expires in mid-run (client credentials)", EXACT),
        "no token": Row("the token endpoint answers 503 (client credentials)", EXACT),
        "refused token": Row("the token is refused in mid-run", FAILS),
        "missing scope": Row("a scope is missing, so that old orders are invisible", FAILS),
        "slots taken": Row("other operations hold all slots, one of them canceling", EXACT),
        "limit reached": Row("LIMIT_REACHED", EXACT),
        "always down": Row("throttled, 5xx or reset until the budget is spent", FAILS),
    },
    "Bulk operations": {
        "stuck": Row("stuck in CREATED", EXACT),
        "outlasts the polls": Row("longer than the poll budget: half the window, then follow-ups", EXACT),
        "never ends": Row("longer than the poll budget, however short the window", FAILS),
        "canceled": Row("CANCELED by Shopify", EXACT),
        "failed": Row("FAILED: INTERNAL_SERVER_ERROR, TIMEOUT or without a code; partial data or none", EXACT),
        "fails always": Row("FAILED again and again, until the budget is spent", FAILS),
        "always useless": Row("LIMIT_REACHED, EXPIRED, CANCELED or no link until the budget is spent", FAILS),
        "access denied": Row("FAILED: ACCESS_DENIED", FAILS),
        "expired": Row("EXPIRED", EXACT),
        "no link": Row("COMPLETED without a link, though it has orders", EXACT),
        "null node": Row("the operation reads null", FAILS),
        "unknown status": Row("a status that no schema has", FAILS),
        "no progress": Row("counts of 0 while it runs", EXACT),
    },
    "The file": {
        "truncated": Row("truncated, once", EXACT),
        "always truncated": Row("truncated each time, until the budget is spent", FAILS),
        "never whole": Row("refused, broken or of other counts each time, until the budget is spent", FAILS),
        "reset": Row("reset in the middle, and resumed or begun again", EXACT),
        "stalled": Row("a download that stalls", EXACT),
        "another file": Row("another file at the second try", EXACT),
        "dead link": Row("a dead link: 403, 404", EXACT),
        "storage away": Row("the storage answers 503", EXACT),
        "wrong counts": Row("lines, orders or bytes other than Shopify counted", EXACT),
        "gzip": Row("sent as gzip", EXACT),
        "byte order mark": Row("a byte order mark, CRLF, blank lines, no final newline", EXACT),
        "broken line": Row("a line that is no JSON", FAILS),
        "no UTF-8": Row("a line that is no UTF-8", FAILS),
        "duplicate line": Row("a line of an order twice", EXACT),
        "duplicate order": Row("an order twice, the second time without its lines", EXACT),
        "children first": Row("children before their parents", EXACT),
        "interleaved": Row("interleaved, or shuffled", EXACT),
        "orphan": Row("a child whose parent never comes", FAILS),
        "large order": Row("an order of 400 lines", EXACT),
        "large line": Row("a line of 50 MB", EXACT),
        "lines left out": Row("lines of an order left out, and not counted", REPAIRED),
        "order left out": Row("an order left out, and not counted", REPAIRED),
        "new value": Row("an enum value that no schema has", EXACT),
        "empty": Row("no orders at all", EXACT),
    },
    "The database": {
        "cut connection": Row("a connection that breaks at any statement, a commit unheard included", EXACT),
        "deadlock": Row("a deadlock, a lock held by another", EXACT),
        "busy server": Row("no connection left in the server's pool", EXACT),
        "small packets": Row("a statement beyond what the server takes", EXACT),
        "row limit": Row("PlanetScale's row limit, its 20 s, its killer of transactions", EXACT),
        "rows refused": Row("a row that the database refuses", FAILS),
        "writes refused": Row("marks, products or the advance cannot be written", FAILS),
        "read only": Row("the server is read-only", FAILS),
        "no table": Row("a table is missing, the schema is older", FAILS),
        "no database": Row("the database cannot be reached, wrong user or password", FAILS),
        "other shop": Row("the watermark, or the database, of another shop", FAILS),
    },
    "The lake": {
        "lake busy": Row("429, 503, an answer that is lost", EXACT),
        "lake refuses": Row("archive, events or measurements cannot be written", FAILS),
        "no telemetry": Row("not even the failed record can be written", RESUMES),
        "no lake": Row("no such bucket or endpoint, wrong keys, a folder that cannot be made", REFUSED),
        "unsound archive": Row("an archive or its manifest is changed, cut or gone when it is replayed", REFUSED),
    },
    "The process": {
        "killed daily": Row("a daily run is killed, at any step", RESUMES),
        "killed backfill": Row("a backfill is killed", RESUMES),
        "killed replay": Row("a replay is killed", RESUMES),
        "killed side by side": Row("of two runs at once one is killed, or both", RESUMES),
        "killed upsert": Row("an upsert is killed at any statement", RESUMES),
        "told to stop": Row("SIGINT, SIGTERM", RESUMES),
        "overtaken": Row("killed, overtaken by another run, and resumed", RESUMES),
        "any history": Row("runs of every kind that die at any touch of the world, in any order", RESUMES),
        "disk full": Row("the disk is full: archive, regrouping, database", FAILS),
        "little memory": Row("a file three times as long, in the same memory, below 512 MB", EXACT),
    },
    "Prefect": {
        "no Prefect": Row("the server refuses the credentials, or does not answer", REFUSED),
        "long wait": Row("a wait without a container, while Shopify is busy", EXACT),
        "killed with worker": Row("the process of a deployed run is killed", RESUMES),
        "cancelled": Row("a run is cancelled in the UI", RESUMES),
        "two at once": Row("two daily runs at once", EXACT),
        "dead window": Row("the flow run of a backfill's window dies", RESUMES),
        "backfill beside": Row("a backfill beside the daily run, for one slot or five", EXACT),
    },
    "The clock": {
        "clock ahead": Row("this machine's clock is some minutes ahead of Shopify's", EXACT),
        "clock far ahead": Row("this machine's clock is ahead by more than the poll budget", FAILS),
        "clock behind": Row("this machine's clock is behind Shopify's, less than the lag", EXACT),
        "clock jumps": Row("this machine's clock jumps in the middle of a run, forward or back", EXACT),
        "watermark ahead": Row("this machine's clock is behind the watermark", FAILS),
        "asked ahead": Row("a run is asked for in the future", FAILS),
        "search lags": Row("Shopify's search lags three minutes behind", EXACT),
        "changed meanwhile": Row("an order changes while it is exported", EXACT),
        "zone changes": Row("the shop moves to another time zone", EXACT),
        "old watermark": Row("the watermark is older than 128 days", LEFT),
    },
}

ROWS = {name: row for rows in MATRIX.values() for name, row in rows.items()}
