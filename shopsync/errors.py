"""
Every deliberate failure of shopsync, named by what the caller does next.

    SyncError                      recovery
    ├─ SettingsError               set the variable that it names
    ├─ WindowError                 give a window that makes sense
    ├─ ShopifyError
    │  ├─ Throttled                wait retry_after_s, ask again
    │  ├─ ShopifyUnavailable       ask again with backoff
    │  ├─ BulkAlreadyRunning       wait, ask again (longer for a backfill)
    │  │  └─ AnotherRunHolds       wait evenly: the slot is free soon
    │  ├─ BulkOperationFailed      new operation, with backoff
    │  │  └─ BulkTimedOut          take half the window
    │  ├─ ResultTooLarge           take half the window
    │  ├─ BulkAccessDenied         grant the app the access that it lacks
    │  ├─ TokenRefused             renew the token once, then give a valid one
    │  ├─ ShopRefused              read what Shopify says; retrying does not help
    │  ├─ MissingScopes            grant the scopes that it names
    │  ├─ ApiVersionMismatch       pin a version that Shopify still serves
    │  ├─ QueryRefused             mend the document; retrying does not help
    │  ├─ UnexpectedAnswer         update shopsync: Shopify says something that this release does not know
    │  └─ DownloadIncomplete       download again, then ask for a new operation
    ├─ RetryBudgetSpent            fail the run; the next run asks again
    ├─ MustWait                    end the container; the same run goes on at its time
    ├─ PollBudgetExhausted         cancel the operation, take half the window
    ├─ JsonlError                  fail the run; names archive key and line number
    ├─ InexactMoney                fail the run; an amount would lose digits
    ├─ ArchiveMismatch             fail the run; the archive is not what its manifest says
    ├─ DatabaseError
    │  ├─ DatabaseUnavailable      fail the step; the same step resumes at the next chunk
    │  ├─ ForeignDatabase          name another database, or point at the right shop
    │  ├─ SchemaOutdated           run `python -m shopsync.database apply`
    │  └─ RowRefused               fail the run; names the order that the database refuses
    ├─ LakeError
    │  ├─ LakeUnavailable          make the lake reachable and writable
    │  ├─ RecordDamaged            restore the object that it names, or move it away
    │  └─ RecordDiffers            fail; a record that is written once holds other bytes
    ├─ ForeignWatermark            name another block, or point at the right shop
    ├─ WatermarkUnreadable         set the block anew
    ├─ WatermarkTaken              wait for whoever saves it, or free its slot
    ├─ BackfillIncomplete          start the backfill again with the same run id
    ├─ WindowRunDied               start the window's flow run again
    ├─ ArchiveUnknown              give a key or a run that the lake has
    ├─ PrefectUnavailable          start the Prefect server that it names, or point elsewhere
    ├─ PrefectRefused              give the credentials that the server expects
    ├─ NotInPrefect                run `python -m deployments apply`
    ├─ FlowRunRefused              correct the parameter that it names
    ├─ PortTaken                   end who listens there, or choose another port
    ├─ ChildFailed                 read the log that it names
    ├─ LeaseHeld                   wait for the run that it names
    └─ LeaseLost                   stop before the watermark is saved

Arguments are positional and stored in `args`, the text is made in `__str__`: Prefect stores exceptions by
pickling, and a keyword-only `__init__` cannot be unpickled. No message ever holds a secret.
"""

from __future__ import annotations

from datetime import datetime, timedelta


class SyncError(Exception):
    """A failure that shopsync knows: its text says what happened, to what, and what to do."""


class SettingsError(SyncError):
    """A setting is missing or malformed."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(variable, problem)
        self.variable = variable
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.variable} {self.problem}"


class WindowError(SyncError):
    """The window or the time that was asked for makes no sense."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


class ShopifyError(SyncError):
    """Shopify, or the way to it, answered otherwise than hoped."""


class Throttled(ShopifyError):
    """The app's cost bucket is empty, or Shopify's edge asked for patience."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"Shopify throttles this app: asking again in {self.retry_after_s:.1f} s"


class ShopifyUnavailable(ShopifyError):
    """A network failure, a 5xx or an internal error: nothing is known to be wrong with the request."""

    def __init__(self, shop: str, problem: str) -> None:
        super().__init__(shop, problem)
        self.shop = shop
        self.problem = problem

    def __str__(self) -> str:
        return f"Shopify does not answer at {self.shop}: {self.problem}"


class BulkAlreadyRunning(ShopifyError):
    """All bulk slots of this app and shop are taken; `operation_ids` hold them, none of them this run's."""

    def __init__(self, operation_ids: tuple[str, ...], message: str) -> None:
        super().__init__(operation_ids, message)
        self.operation_ids = operation_ids
        self.message = message

    def __str__(self) -> str:
        return f"Shopify's bulk slots are taken: {self.message}"


class AnotherRunHolds(BulkAlreadyRunning):
    """One of the slots is held by another run of ours, which gives it back within its poll budget."""


class BulkOperationFailed(ShopifyError):
    """The operation ended without a complete result; a new one may succeed."""

    def __init__(self, operation_id: str, reason: str) -> None:
        super().__init__(operation_id, reason)
        self.operation_id = operation_id
        self.reason = reason

    def __str__(self) -> str:
        return f"bulk operation {self.operation_id} ended without a result: {self.reason}"


class BulkTimedOut(BulkOperationFailed):
    """Shopify itself could not finish in its time: the same window would take it as long again."""


class ResultTooLarge(ShopifyError):
    """The result has more lines than one window of a backfill should bring."""

    def __init__(self, operation_id: str, lines: int, most: int) -> None:
        super().__init__(operation_id, lines, most)
        self.operation_id = operation_id
        self.lines = lines
        self.most = most

    def __str__(self) -> str:
        return (
            f"the result of bulk operation {self.operation_id} has {self.lines:,} lines, more than the {self.most:,} "
            "of one window (SHOPSYNC_BACKFILL_LINES)"
        )


class BulkAccessDenied(ShopifyError):
    """The operation failed with ACCESS_DENIED: a new one would fail likewise."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(operation_id)
        self.operation_id = operation_id

    def __str__(self) -> str:
        return (
            f"Shopify denied bulk operation {self.operation_id} access to a field of the query: "
            "check the app's scopes and its protected customer data approval"
        )


class TokenRefused(ShopifyError):
    """401: the access token, or the client credentials, are not valid for this shop."""

    def __init__(self, shop: str, message: str) -> None:
        super().__init__(shop, message)
        self.shop = shop
        self.message = message

    def __str__(self) -> str:
        return (
            f"{self.shop} refuses the access token ({self.message}): check SHOPSYNC_SHOPIFY_TOKEN, or "
            "SHOPSYNC_SHOPIFY_CLIENT_ID and SHOPSYNC_SHOPIFY_CLIENT_SECRET"
        )


class ShopRefused(ShopifyError):
    """Shopify answers, and says no for a reason that waiting does not mend (402, 403, 404, a redirect)."""

    def __init__(self, shop: str, status: int, message: str) -> None:
        super().__init__(shop, status, message)
        self.shop = shop
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return (
            f"{self.shop} answered {self.status}: {self.message}. "
            "Check SHOPSYNC_SHOPIFY_URL and the shop's state in its Shopify admin"
        )


class MissingScopes(ShopifyError):
    """The app lacks access scopes without which orders would be missing silently."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return (
            f"the Shopify app lacks the access scope {', '.join(self.missing)}: grant it in the app's "
            "configuration and install the app again (read_all_orders is granted by Shopify on request)"
        )


class ApiVersionMismatch(ShopifyError):
    """Shopify served another API version than the pinned one: it does so silently once a version is retired."""

    def __init__(self, pinned: str, served: str) -> None:
        super().__init__(pinned, served)
        self.pinned = pinned
        self.served = served

    def __str__(self) -> str:
        return (
            f"Shopify served API version {self.served or 'unknown'} instead of the pinned {self.pinned}: "
            "set SHOPSYNC_SHOPIFY_API_VERSION to a version that Shopify supports and this release knows"
        )


class QueryRefused(ShopifyError):
    """Shopify refused the GraphQL document itself."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"Shopify refused the query: {self.message}"


class UnexpectedAnswer(ShopifyError):
    """Shopify answered something that this release does not know; asking again gives the same."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"Shopify answered something that this release of shopsync does not know: {self.problem}"


class DownloadIncomplete(ShopifyError):
    """What was downloaded is not what Shopify counted."""

    def __init__(self, operation_id: str, problem: str) -> None:
        super().__init__(operation_id, problem)
        self.operation_id = operation_id
        self.problem = problem

    def __str__(self) -> str:
        return f"the result of bulk operation {self.operation_id} is not complete: {self.problem}"


class RetryBudgetSpent(SyncError):
    """Shopify was asked again and again until the budget of the run was spent."""

    def __init__(self, budget_s: float, tries: int, last: str) -> None:
        super().__init__(budget_s, tries, last)
        self.budget_s = budget_s
        self.tries = tries
        self.last = last

    def __str__(self) -> str:
        return (
            f"gave up after {self.tries} {'try' if self.tries == 1 else 'tries'} and a retry budget of"
            f" {self.budget_s:g} s; "
            f"the last answer was: {self.last}"
        )


class MustWait(SyncError):
    """The next try is so far off that no process should wait for it; nothing failed."""

    def __init__(self, until: datetime, why: str) -> None:
        super().__init__(until, why)
        self.until = until
        self.why = why

    def __str__(self) -> str:
        return f"waits until {self.until:%Y-%m-%d %H:%M:%S} UTC: {self.why}"


class PollBudgetExhausted(SyncError):
    """The operation was still running after the last look; `age_s` if it was as old as that at the first."""

    def __init__(self, operation_id: str, attempts: int, age_s: float | None = None) -> None:
        super().__init__(operation_id, attempts, age_s)
        self.operation_id = operation_id
        self.attempts = attempts
        self.age_s = age_s

    def __str__(self) -> str:
        if self.age_s is not None:
            return (
                f"bulk operation {self.operation_id} was still running {timedelta(seconds=round(self.age_s))} after "
                f"Shopify created it, by this machine's clock, which is longer than {self.attempts} looks take "
                "(SHOPSYNC_POLL_ATTEMPTS): if it is younger than that, the clock is ahead of Shopify's: correct it"
            )
        return (
            f"bulk operation {self.operation_id} was still running after {self.attempts} looks (SHOPSYNC_POLL_ATTEMPTS)"
        )


class JsonlError(SyncError):
    """A line of an archive is not what the query asked for; `line` counts from 1, None for the file as such."""

    def __init__(self, archive_key: str, line: int | None, problem: str) -> None:
        super().__init__(archive_key, line, problem)
        self.archive_key = archive_key
        self.line = line
        self.problem = problem

    def __str__(self) -> str:
        where = self.archive_key if self.line is None else f"{self.archive_key}, line {self.line}"
        return f"{where}: {self.problem}"


class InexactMoney(SyncError):
    """An amount has more than four decimals, or more than fifteen digits before the point; `where` may locate it."""

    def __init__(self, amount: str, where: str = "") -> None:
        super().__init__(amount, where)
        self.amount = amount
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}the amount {self.amount} does not fit DECIMAL(19,4): it is not rounded, the run fails instead"


class ArchiveMismatch(SyncError):
    """The archive's bytes are not those that its manifest vouches for."""

    def __init__(self, archive_key: str, problem: str) -> None:
        super().__init__(archive_key, problem)
        self.archive_key = archive_key
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.archive_key} is not what its manifest says: {self.problem}"


class DatabaseError(SyncError):
    """The database refused something."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, opened or written; `database` is its URL without the password."""

    def __init__(self, database: str, problem: str) -> None:
        super().__init__(database, problem)
        self.database = database
        self.problem = problem

    def __str__(self) -> str:
        return f"the database {self.database} fails: {self.problem}. Check SHOPSYNC_DATABASE_URL"


class ForeignDatabase(DatabaseError):
    """The database holds another shop's orders; rows of two shops are never mixed."""

    def __init__(self, database: str, its_shop: str, shop: str) -> None:
        super().__init__(database, its_shop, shop)
        self.database = database
        self.its_shop = its_shop
        self.shop = shop

    def __str__(self) -> str:
        return (
            f"the database {self.database} holds the orders of {self.its_shop}, but this run reads {self.shop}: "
            "set SHOPSYNC_DATABASE_URL to a database of this shop, or SHOPSYNC_SHOPIFY_URL to the right shop"
        )


class SchemaOutdated(DatabaseError):
    """The database lacks migrations that this release needs."""

    def __init__(self, database: str, missing: tuple[str, ...]) -> None:
        super().__init__(database, missing)
        self.database = database
        self.missing = missing

    def __str__(self) -> str:
        return f"the schema of {self.database} lacks {', '.join(self.missing)}: run `python -m shopsync.database apply`"


class RowRefused(DatabaseError):
    """The database refuses one order for what it holds."""

    def __init__(self, order_id: int, problem: str) -> None:
        super().__init__(order_id, problem)
        self.order_id = order_id
        self.problem = problem

    def __str__(self) -> str:
        return f"the database refuses order {self.order_id}: {self.problem}"


class LakeError(SyncError):
    """The lake refused something."""


class LakeUnavailable(LakeError):
    """The lake cannot be read or written."""

    def __init__(self, lake: str, problem: str) -> None:
        super().__init__(lake, problem)
        self.lake = lake
        self.problem = problem

    def __str__(self) -> str:
        return f"the lake {self.lake} fails: {self.problem}. Check SHOPSYNC_LAKE_URL and its credentials"


class RecordDamaged(LakeError):
    """An object among the records of a run is none."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key, problem)
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.key} is not a run record ({self.problem}): restore it, or move it out of sync.telemetry"


class RecordDiffers(LakeError):
    """An object that is written once already exists with other bytes."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"{self.key} is already in the lake with other content, and is never overwritten"


class ForeignWatermark(SyncError):
    """The watermark block belongs to another shop."""

    def __init__(self, block: str, block_shop: str, shop: str) -> None:
        super().__init__(block, block_shop, shop)
        self.block = block
        self.block_shop = block_shop
        self.shop = shop

    def __str__(self) -> str:
        return (
            f"the watermark block '{self.block}' belongs to {self.block_shop}, but this run reads {self.shop}: "
            "set SHOPSYNC_WATERMARK_BLOCK to a block of this shop, or SHOPSYNC_SHOPIFY_URL to the right shop"
        )


class WatermarkUnreadable(SyncError):
    """The watermark block holds something that is no watermark: somebody edited it by hand."""

    def __init__(self, block: str) -> None:
        super().__init__(block)
        self.block = block

    def __str__(self) -> str:
        return (
            f"the watermark block '{self.block}' cannot be read: delete it in Prefect, then set it with "
            "`python -m deployments watermark set`"
        )


class WatermarkTaken(SyncError):
    """The concurrency slot under which the watermark is saved stayed taken."""

    def __init__(self, slot: str) -> None:
        super().__init__(slot)
        self.slot = slot

    def __str__(self) -> str:
        return (
            f"the Prefect concurrency slot '{self.slot}' stays taken: when no other run is saving the watermark, free "
            f"it with `prefect gcl update {self.slot} --active-slots 0`"
        )


class BackfillIncomplete(SyncError):
    """Some windows of a backfill could not be brought in; the others are."""

    def __init__(self, run_id: str, windows: tuple[str, ...], reason: str) -> None:
        super().__init__(run_id, windows, reason)
        self.run_id = run_id
        self.windows = windows
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"backfill {self.run_id} is incomplete, without {' and '.join(self.windows)} ({self.reason}); "
            f"what else it asks for is in: start it again with the same run id ({self.run_id}) to try what is missing"
        )


class WindowRunDied(SyncError):
    """The flow run of a window ended without bringing it in."""

    def __init__(self, flow_run_id: str, state: str) -> None:
        super().__init__(flow_run_id, state)
        self.flow_run_id = flow_run_id
        self.state = state

    def __str__(self) -> str:
        return f"its flow run {self.flow_run_id} ended: {self.state}"


class ArchiveUnknown(SyncError):
    """Nothing in the lake is what a replay was asked for."""

    def __init__(self, lake: str, asked: str) -> None:
        super().__init__(lake, asked)
        self.lake = lake
        self.asked = asked

    def __str__(self) -> str:
        return (
            f"the lake {self.lake} has no archive for {self.asked}: give a key such as "
            "raw/shopify/orders/date=2026-11-23/run_id=.../bulk-1.jsonl.zst, which `sync_run` and the manifests name"
        )


class PrefectUnavailable(SyncError):
    """The Prefect server of this environment does not answer."""

    def __init__(self, server: str, problem: str) -> None:
        super().__init__(server, problem)
        self.server = server
        self.problem = problem

    def __str__(self) -> str:
        return f"Prefect does not answer at {self.server} ({self.problem}): start it, or correct PREFECT_API_URL"


class PrefectRefused(SyncError):
    """The Prefect server does not let this process in."""

    def __init__(self, server: str, status_code: int) -> None:
        super().__init__(server, status_code)
        self.server = server
        self.status_code = status_code

    def __str__(self) -> str:
        return (
            f"Prefect at {self.server} refuses this process ({self.status_code}): set PREFECT_API_AUTH_STRING "
            "(or PREFECT_API_KEY) to what the server expects"
        )


class NotInPrefect(SyncError):
    """The Prefect server does not have what is asked for: it was not prepared, or somebody deleted it."""

    def __init__(self, server: str, what: str) -> None:
        super().__init__(server, what)
        self.server = server
        self.what = what

    def __str__(self) -> str:
        return f"Prefect at {self.server} has no {self.what}: run `python -m deployments apply`"


class FlowRunRefused(SyncError):
    """The Prefect server does not take a request as it is, such as a parameter of the wrong type."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return f"Prefect refuses the flow run: {self.detail}"


class PortTaken(SyncError):
    """Somebody else listens on a port of this machine."""

    def __init__(self, port: int, name: str, variable: str) -> None:
        super().__init__(port, name, variable)
        self.port = port
        self.name = name
        self.variable = variable

    def __str__(self) -> str:
        return f"port {self.port}, where {self.name} should listen, is in use: choose another with {self.variable}=..."


class ChildFailed(SyncError):
    """A process of the local stack ended by itself, or did not become ready."""

    def __init__(self, name: str, exit_code: int | None, last_line: str, log: str) -> None:
        super().__init__(name, exit_code, last_line, log)
        self.name = name
        self.exit_code = exit_code
        self.last_line = last_line
        self.log = log

    def __str__(self) -> str:
        how = "is not ready" if self.exit_code is None else f"ended by itself (exit code {self.exit_code})"
        return f"{self.name} {how}: {self.last_line}; its log is {self.log}"


class LeaseHeld(SyncError):
    """Somebody else holds the lease."""

    def __init__(self, name: str, owner: str, until: datetime) -> None:
        super().__init__(name, owner, until)
        self.name = name
        self.owner = owner
        self.until = until

    def __str__(self) -> str:
        return f"the lease '{self.name}' is held by {self.owner} until {self.until:%Y-%m-%d %H:%M:%S} UTC"


class LeaseLost(SyncError):
    """This run's lease expired and was taken by another."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(name, owner)
        self.name = name
        self.owner = owner

    def __str__(self) -> str:
        return f"{self.owner} lost the lease '{self.name}' to another run"
