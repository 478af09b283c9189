"""
What Shopify accepts as a bulk query, with its own messages.

Recorded from real shops on 2026-04. Two interfaces without Node, `SalesAgreement` and `Sale`, do run
in bulk there, so they are accepted here.
Source: shopify.dev/docs/api/usage/bulk-operations/queries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
)

from tests.simulator.fields import is_connection
from tests.simulator.schema import checked

MAX_BYTES = 65_535
MAX_CONNECTIONS = 5
MAX_DEPTH = 2
NO_CONNECTION = "Bulk queries must contain at least one connection."
NODES = (
    "All connection fields in a bulk query must select their contents using 'edges' > 'node', e.g: "
    "'orders {{ edges {{ node {{'. Selecting via 'nodes' is not supported. "
    "Invalid connection fields: {fields}."
)
TOP_LEVEL_NODE = "Bulk queries cannot contain a top level `node` field."
TOO_DEEP = "Bulk queries cannot contain connections with a nesting depth greater than 2."
TOO_MANY = "Bulk queries cannot contain more than 5 connections."
NO_ID = (
    "The parent 'node' field for a nested connection must select the 'id' field without an alias and must be "
    "of 'ID' return type. Connection fields without 'id': {fields}."
)
IN_LIST = "Queries that contain a connection field within a list field are not currently supported."
NOT_A_QUERY = "Invalid operation type. Only `query` operations are supported."
EMPTY = "Invalid bulk query: syntax error, unexpected end of file"
TOO_LARGE = "Query is too large ({size} bytes; maximum is 65535 bytes)"
SCOPES = {"Order": "read_orders", "Product": "read_products", "Customer": "read_customers"}


@dataclass(slots=True)
class Selected:
    """A field as selected, with fragments flattened: its definition, and what it selects in turn."""

    node: FieldNode
    kind: Any
    in_list: bool
    children: list[Selected] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The field's name in the schema."""
        return self.node.name.value

    def child(self, name: str) -> list[Selected]:
        """Return the children of this name."""
        return [each for each in self.children if each.name == name]


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return the document's named fragments."""
    return {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}


def inlined(
    selection: SelectionNode, fragments: dict[str, FragmentDefinitionNode]
) -> FragmentDefinitionNode | InlineFragmentNode:
    """Return the fragment that a selection is, or names."""
    if isinstance(selection, FragmentSpreadNode):
        return fragments[selection.name.value]
    assert isinstance(selection, InlineFragmentNode)
    return selection


def operation_of(document: DocumentNode) -> OperationDefinitionNode:
    """Return the document's first operation."""
    return next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))


def selected(schema: GraphQLSchema, document: DocumentNode) -> list[Selected]:
    """Return the tree of selected fields of the document's operation."""
    fragments = fragments_of(document)

    def walk(parent: Any, selection: SelectionSetNode | None) -> Iterator[Selected]:
        for each in selection.selections if selection else ():
            if isinstance(each, FieldNode):
                definition = getattr(parent, "fields", {}).get(each.name.value)
                if definition is None:
                    continue
                kind = get_named_type(definition.type)
                in_list = is_list_type(get_nullable_type(definition.type))
                yield Selected(each, kind, in_list, list(walk(kind, each.selection_set)))
            else:
                inner = inlined(each, fragments)
                condition = inner.type_condition
                yield from walk(schema.type_map[condition.name.value] if condition else parent, inner.selection_set)

    operation = operation_of(document)
    return list(walk(schema.get_root_type(operation.operation), operation.selection_set))


def needed_scopes(fields: list[Selected]) -> set[str]:
    """Return the access scopes of the types that are read."""
    scopes: set[str] = set()
    for each in fields:
        kind = each.kind.name.removesuffix("Connection")
        if kind in SCOPES:
            scopes.add(SCOPES[kind])
        scopes |= needed_scopes(each.children)
    return scopes


@dataclass(slots=True)
class _Findings:
    connections: int = 0
    by_nodes: list[str] = field(default_factory=list)
    without_id: list[str] = field(default_factory=list)
    too_deep: bool = False
    in_list: bool = False


def _inspect(fields: list[Selected], depth: int, owner: Selected | None, in_list: bool, found: _Findings) -> None:
    for each in fields:
        if not is_connection(each.kind):
            inside = in_list or (each.in_list and owner is not None)
            _inspect(each.children, depth, owner, inside, found)
            continue
        found.connections += 1
        found.too_deep |= depth > MAX_DEPTH
        found.in_list |= in_list
        if each.child("nodes"):
            found.by_nodes.append(each.name)
        nodes = [node for edges in each.child("edges") for node in edges.child("node")]
        inner = [child for node in nodes for child in node.children]
        if _has_connection(inner) and not any(child.name == "id" and child.node.alias is None for child in inner):
            found.without_id.append(each.name)
        _inspect(inner, depth + 1, each, in_list, found)
        for direct in each.child("nodes"):
            _inspect(direct.children, depth + 1, each, in_list, found)


def _has_connection(fields: list[Selected]) -> bool:
    return any(is_connection(each.kind) or _has_connection(each.children) for each in fields)


def bulk_errors(schema: GraphQLSchema, text: str) -> tuple[DocumentNode | None, list[str]]:
    """Return the inner document, or the messages of what makes it unfit for a bulk operation."""
    size = len(text.encode())
    if size > MAX_BYTES:
        return None, [TOO_LARGE.format(size=size)]
    if not text.strip():
        return None, [EMPTY]
    document, errors = checked(schema, text)
    if document is None:
        return None, [f"Invalid bulk query: {error['message']}" for error in errors]
    if operation_of(document).operation is not OperationType.QUERY:
        return None, [NOT_A_QUERY]
    fields = selected(schema, document)
    found = _Findings()
    _inspect(fields, 0, None, False, found)
    messages = []
    if any(each.name == "node" for each in fields):
        messages.append(TOP_LEVEL_NODE)
    if not found.connections:
        messages.append(NO_CONNECTION)
    if found.by_nodes:
        messages.append(NODES.format(fields=", ".join(f"'{name}'" for name in found.by_nodes)))
    if found.in_list:
        messages.append(IN_LIST)
    if found.too_deep:
        messages.append(TOO_DEEP)
    if found.connections > MAX_CONNECTIONS:
        messages.append(TOO_MANY)
    if found.without_id:
        messages.append(NO_ID.format(fields=", ".join(found.without_id)))
    return (None, messages) if messages else (document, [])
