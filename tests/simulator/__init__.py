"""
A Shopify shop that behaves as real shops were recorded to behave, for tests and for trying things out.

It is a second implementation of Shopify's rules and shares no code with the product.
"""

from tests.simulator.books import Item
from tests.simulator.clock import Clock
from tests.simulator.faults import Faults
from tests.simulator.operations import Operation
from tests.simulator.server import serve
from tests.simulator.shop import Asked, Shop

__all__ = ["Asked", "Clock", "Faults", "Item", "Operation", "Shop", "serve"]
