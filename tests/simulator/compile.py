"""
Turns a bulk query's selection into closures, once, so that an export is plain Python per node.

Nested objects and lists become part of their node's record; connections become children of it.
Keys follow the selection's order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    SelectionSetNode,
    get_argument_values,
    get_directive_values,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_object_type,
)
from graphql.type import GraphQLIncludeDirective, GraphQLSkipDirective

from tests.simulator.fields import Read, is_connection, reader
from tests.simulator.nodes import Node, decimal_text
from tests.simulator.rules import fragments_of, inlined, operation_of

Convert = Callable[[Any], Any]
Kinds = dict[str, list[FieldNode]]


@dataclass(slots=True)
class Plan:
    """How one type's node becomes a record, and where its children are."""

    steps: list[tuple[str, Read, Convert | None]] = field(default_factory=list)
    connections: list[tuple[Read, Chooser]] = field(default_factory=list)

    def record(self, node: Node) -> dict[str, Any]:
        """Return the node's own record, without its children."""
        made = {}
        for key, read, convert in self.steps:
            value = read(node)
            made[key] = value if convert is None or value is None else convert(value)
        return made


Chooser = Callable[[Node], Plan]


@dataclass(slots=True)
class Root:
    """One top-level connection: its field, its arguments, and the plan of its nodes."""

    name: str
    arguments: dict[str, Any]
    plan: Plan


class Compiler:
    """Compiles the selections of one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        self.fragments: dict[str, FragmentDefinitionNode] = fragments_of(document)
        self.operation = operation_of(document)

    def roots(self) -> list[Root]:
        """Return the document's top-level connections."""
        query = self.schema.query_type
        assert query is not None
        found = []
        for nodes in self._collect(query, [self.operation.selection_set]).values():
            definition = query.fields[nodes[0].name.value]
            kind = get_named_type(definition.type)
            if is_connection(kind):
                arguments = get_argument_values(definition, nodes[0])
                plan = self._node_plan(kind, nodes)
                # Only objects have top-level connections, so the node does not matter here.
                found.append(Root(nodes[0].name.value, arguments, plan({"__typename": None})))
        return found

    def _collect(self, kind: GraphQLObjectType, sets: Iterable[SelectionSetNode | None]) -> Kinds:
        """Return the selected fields by response key, fragments of other types left out."""
        found: Kinds = {}
        for selection in sets:
            self._collect_into(kind, selection, found)
        return found

    def _collect_into(self, kind: GraphQLObjectType, selection: SelectionSetNode | None, found: Kinds) -> None:
        for each in selection.selections if selection else ():
            skip = get_directive_values(GraphQLSkipDirective, each)
            include = get_directive_values(GraphQLIncludeDirective, each)
            if (skip and skip["if"]) or (include and not include["if"]):
                continue
            if isinstance(each, FieldNode):
                found.setdefault(each.alias.value if each.alias else each.name.value, []).append(each)
                continue
            inner = inlined(each, self.fragments)
            if self._applies(kind, inner.type_condition.name.value if inner.type_condition else kind.name):
                self._collect_into(kind, inner.selection_set, found)

    def _applies(self, kind: GraphQLObjectType, condition: str) -> bool:
        other = self.schema.type_map[condition]
        return other is kind or (isinstance(other, GraphQLInterfaceType) and self.schema.is_sub_type(other, kind))

    def _node_plan(self, connection: Any, nodes: list[FieldNode]) -> Chooser:
        """Return the plan of the nodes inside `edges { node { ... } }`."""
        edges = self._collect(connection, [node.selection_set for node in nodes]).get("edges", [])
        edge_kind = get_named_type(connection.fields["edges"].type)
        assert isinstance(edge_kind, GraphQLObjectType)
        inner = self._collect(edge_kind, [edge.selection_set for edge in edges]).get("node", [])
        kind = get_named_type(edge_kind.fields["node"].type)
        return self._choose(kind, [node.selection_set for node in inner])

    def _choose(self, kind: Any, sets: list[SelectionSetNode | None]) -> Chooser:
        """Return what picks the plan of a node, by its `__typename` where the type is abstract."""
        if is_object_type(kind):
            plan = self._plan(kind, sets)
            return lambda node: plan
        plans = {each.name: self._plan(each, sets) for each in self.schema.get_possible_types(kind)}
        return lambda node: plans[node["__typename"]]

    def _plan(self, kind: GraphQLObjectType, sets: list[SelectionSetNode | None]) -> Plan:
        plan = Plan()
        for key, nodes in self._collect(kind, sets).items():
            name = nodes[0].name.value
            if name == "__typename":
                plan.steps.append((key, _constant(kind.name), None))
                continue
            definition = kind.fields[name]
            read = reader(kind, name, definition)
            inner = get_named_type(definition.type)
            if is_connection(inner):
                plan.connections.append((read, self._node_plan(inner, nodes)))
                continue
            convert = self._converter(inner, nodes)
            if is_list_type(get_nullable_type(definition.type)):
                first = get_argument_values(definition, nodes[0]).get("first")
                convert = _each(convert, first)
            plan.steps.append((key, read, convert))
        return plan

    def _converter(self, kind: Any, nodes: list[FieldNode]) -> Convert | None:
        if is_leaf_type(kind):
            return decimal_text if kind.name == "Decimal" else str if kind.name == "UnsignedInt64" else None
        choose = self._choose(kind, [node.selection_set for node in nodes])
        if is_object_type(kind):
            plan = choose({})
            return plan.record
        return lambda value: choose(value).record(value)


def _constant(value: str) -> Read:
    return lambda node: value


def _each(convert: Convert | None, first: int | None) -> Convert:
    if convert is None:
        return lambda values: values[:first]
    return lambda values: [convert(value) for value in values[:first]]
