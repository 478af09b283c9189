"""What a line of an export may be, as Shopify's schema has it."""

from __future__ import annotations

import pytest
from graphql import GraphQLInterfaceType

from shopsync.shopify.nodes import AGREEMENTS, SALES
from tests.simulator.schema import schema_of


@pytest.mark.parametrize(("interface", "known"), [("SalesAgreement", AGREEMENTS), ("Sale", SALES)])
def test_every_kind_is_read_at_one_go(interface: str, known: tuple[str, ...]) -> None:
    """The parser knows all kinds of agreements and sales of the pinned version by name; new ones are read slower."""
    schema = schema_of("2026-10")
    kind = schema.type_map[interface]
    assert isinstance(kind, GraphQLInterfaceType)

    named = {each.name for each in schema.get_possible_types(kind)}

    assert named == set(known)
