"""
How often somebody may ask: by address before anybody knows who it is, by name afterwards.

By address first, because a limit by token would let an attacker try tokens without end. The counts are this
process's; a window slides over a minute.
"""

from __future__ import annotations

import math
import time
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter


class Allowance:
    """How many requests a minute each of those who ask has; `per_minute` of 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def spend(self, who: str) -> int | None:
        """Count one request; return None, or the seconds to wait when it was one too many."""
        if self._item is None or self._limiter.hit(self._item, who):
            return None
        return max(1, math.ceil(self._limiter.get_window_stats(self._item, who).reset_time - time.time()))


def network_of(address: str) -> str:
    """
    Return what is limited of an address: of IPv6 the 64 bits that one customer has, who may use all below them.

    An IPv4 address that is written as one of IPv6 is what it is; what is no address at all is one by itself.
    """
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:  # a proxy that is believed passes on whatever it was sent
        return address
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return str(ip_network((known, 64), strict=False))
    return str(known if isinstance(known, IPv4Address) else known.ipv4_mapped)
