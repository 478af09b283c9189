"""
Everything that can go wrong, as named switches; all are off.

A number that says "the next n" counts down as it is used. The faults of the file apply to every export
while they are set, unless `bad_files` says how many. None of them applies to foreign operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.simulator.shop import Shop


@dataclass
class Faults:
    """The switches of one shop."""

    # --- the next n Admin requests (POST graphql.json) ---
    let_pass: int = 0
    """Let the next n Admin requests pass before the faults of this group begin."""
    throttled: int = 0
    """200 with code THROTTLED and the cost."""
    internal_server_error: int = 0
    """200 with code INTERNAL_SERVER_ERROR and a request id."""
    unauthorized: int = 0
    """401 whose `errors` is a string."""
    payment_required: int = 0
    """402: the shop is frozen."""
    forbidden: int = 0
    """403."""
    not_found: int = 0
    """404."""
    security_rejection: int = 0
    """430: Shopify's edge took the request for an attack."""
    locked: int = 0
    """423: the shop is unavailable."""
    too_many_requests: int = 0
    """429 with `Retry-After: retry_after_s`."""
    retry_after_s: float = 2.0
    """What a 429 asks to wait."""
    server_error: int = 0
    """`server_error_status`, 500 to 504."""
    server_error_status: int = 503
    """Which 5xx `server_error` sends."""
    not_json: int = 0
    """200 with an HTML page instead of JSON."""
    connect_error: int = 0
    """The connection cannot be made; nothing arrives."""
    connection_reset: int = 0
    """The connection breaks while the answer is read; the request was not carried out."""
    redirect: int = 0
    """301 to `redirect_to`."""
    redirect_to: str = "https://renamed-shop.myshopify.com"
    """Where a redirect points."""
    slow_answer: int = 0
    """The answer takes `slow_answer_s`: a read timeout when the client waits less (it is carried out)."""
    slow_answer_s: float = 60.0
    """How slow."""
    shop_inactive: int = 0
    """200 with code SHOP_INACTIVE."""
    too_dear: int = 0
    """200 with code MAX_COST_EXCEEDED."""
    partial_data: int = 0
    """200 with the data and an ACCESS_DENIED error beside it."""
    served_version: str | None = None
    """While set: `X-Shopify-API-Version` says this."""
    token_error: int = 0
    """The next n requests for a token are answered with 503."""
    expire_tokens: bool = False
    """Every token of the client-credentials grant is refused from now on; switches itself off."""

    # --- bulk operations ---
    lost_answer: int = 0
    """The next n run mutations create their operation, then the connection breaks."""
    lost_answer_status: int | None = None
    """A lost answer is this status (e.g. 502) instead of a broken connection."""
    limit_reached: int = 0
    """The next n run mutations are refused with LIMIT_REACHED."""
    null_node: int = 0
    """The next n reads of one operation (node, bulkOperation) answer null."""
    stuck_in_created: int = 0
    """The next n operations never leave CREATED."""
    runs_long: int = 0
    """The next n operations take `runs_long_seconds`."""
    runs_long_seconds: float = 1e9
    """How long operations take that run long."""
    runs_long_over: timedelta | None = None
    """While set: every operation whose window is longer than this runs long (no count)."""
    object_count_zero_while_running: bool = False
    """While set: RUNNING shows counts of "0" all the time."""
    canceled_by_shopify: int = 0
    """The next n operations end CANCELED, though nobody asked."""
    failed: int = 0
    """The next n operations end FAILED with `failed_error_code`, see `failed_partial`."""
    failed_error_code: str | None = "INTERNAL_SERVER_ERROR"
    """INTERNAL_SERVER_ERROR, TIMEOUT, ACCESS_DENIED, or None ("failed with null")."""
    failed_partial: Literal["none", "url", "late"] = "none"
    """Partial data of a failed operation: none, at once, or only `late_s` after it failed."""
    late_s: float = 30.0
    """How late a late partial url is."""
    failed_share: float = 0.5
    """Which share of the file a partial url has."""
    completed_without_url: int = 0
    """The next n operations complete with `url` null although they have objects."""
    expired: int = 0
    """The next n operations read EXPIRED as soon as they have completed."""
    unknown_status: int = 0
    """The next n operations stay in the status `unknown_status_name`."""
    unknown_status_name: str = "PAUSED"
    """A status that no schema has."""
    order_updated_during_run: Callable[[Shop], None] | None = None
    """Called once, after the operation chose its orders and before it reads them."""
    search_lag_s: float = 0.0
    """Orders and products are invisible to search for so long after a change."""

    # --- the file of an export ---
    bad_files: int | None = None
    """The faults of this group hit only the next n exports; None: all while they are set."""
    no_final_newline: bool = False
    """The last line ends without a newline."""
    broken_line: int | None = None
    """Line n (from 1) is cut in its middle."""
    orphan_child: int = 0
    """The first n children name a parent that never comes."""
    child_before_parent: int = 0
    """The first n children stand before their parents."""
    duplicate_order: int = 0
    """The first n roots come a second time, at the end."""
    duplicate_line: int = 0
    """The first n children come a second time, at the end."""
    interleaved: bool = False
    """Children stand far from their parents, even with groupObjects true."""
    shuffled: bool = False
    """All lines in random order, children before their parents too."""
    bom: bool = False
    """The file begins with a byte order mark."""
    crlf: bool = False
    """Lines end with CRLF."""
    blank_lines: int = 0
    """n empty lines between the first ones."""
    invalid_utf8: int | None = None
    """Line n (from 1) contains a byte that is not UTF-8."""
    new_enum_value: str | None = None
    """Every `new_enum_field` has this value."""
    new_enum_field: str = "displayFulfillmentStatus"
    """Which field gets the new enum value."""
    children_cut_at: int | None = None
    """At most so many children per parent and connection, silently."""
    wrong_object_count: int = 0
    """`objectCount` is off by this."""
    wrong_root_object_count: int = 0
    """`rootObjectCount` is off by this."""
    wrong_file_size: int = 0
    """`fileSize` is off by this."""

    # --- downloads ---
    truncated: int = 0
    """The next n downloads are cut at `cut_at`, with a matching Content-Length."""
    reset_mid_file: int = 0
    """The next n downloads break at `cut_at`, before the announced end."""
    stalled: int = 0
    """The next n downloads send nothing more from `cut_at` on, until the client has had enough."""
    cut_at: int | None = None
    """The byte (of the answer's body) where a download ends; None: the middle."""
    expired_link: int = 0
    """The next n downloads are refused with `expired_link_status`."""
    expired_link_status: int = 403
    """403 or 404."""
    download_error: int = 0
    """The next n downloads are answered with `download_error_status`."""
    download_error_status: int = 503
    """Which 5xx the storage sends."""
    gzip: bool = False
    """While set: the storage sends `Content-Encoding: gzip` to clients that accept it."""
    range_ignored: bool = False
    """While set: the storage answers 200 with the whole file to a Range request."""
    etag_changes: bool = False
    """While set: every download has another ETag (If-Range never matches)."""

    def clear(self) -> None:
        """Switch everything off."""
        vars(self).update(vars(Faults()))

    def take(self, name: str) -> bool:
        """Use up one of a counted fault; whether there was one."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0
