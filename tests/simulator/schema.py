"""Shopify's schema, per API version, and Shopify's wording of what is wrong with a document."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    parse,
    validate,
)

from tests.simulator.nodes import decimal_text

SCHEMA_FILE = Path(__file__).with_name("schema.graphql")
VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
# Since this version: five operations at once, groupObjects defaults to false, bulkOperation(s) exist.
FIVE_AT_ONCE = "2026-01"


def is_modern(version: str) -> bool:
    """Whether a version has the bulk operations of 2026-01 and later."""
    return version >= FIVE_AT_ONCE


@cache
def schema_of(version: str) -> GraphQLSchema:
    """Return the schema that a version is answered with."""
    text = SCHEMA_FILE.read_text("utf-8")
    if not is_modern(version):
        text = re.sub(r"^  bulkOperations?\(.*\n", "", text, flags=re.MULTILINE)
        text = text.replace("groupObjects: Boolean! = false", "groupObjects: Boolean! = true")
    schema = build_schema(text)
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLEnumType) and not kind.name.startswith("__"):
            vars(kind)["serialize"] = str  # a status that no schema knows must be able to leave the simulator
        elif isinstance(kind, GraphQLScalarType) and kind.name == "Decimal":
            vars(kind)["serialize"] = decimal_text
        elif isinstance(kind, GraphQLScalarType) and kind.name == "UnsignedInt64":
            vars(kind)["serialize"] = str
    return schema


@lru_cache(256)
def checked(schema: GraphQLSchema, text: str) -> tuple[DocumentNode | None, list[dict[str, Any]]]:
    """Return the parsed document, or the errors as Shopify words them."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, [worded(error)]
    errors = validate(schema, document)
    return (None, [worded(error) for error in errors]) if errors else (document, [])


WORDINGS = (
    (
        re.compile(r"Cannot query field '(?P<field>\w+)' on type '(?P<type>\w+)'"),
        "Field '{field}' doesn't exist on type '{type}'",
        "undefinedField",
    ),
    (
        re.compile(r"Field '(?P<field>\w+)' argument '(?P<arg>\w+)' of type '.*' is required"),
        "Field '{field}' is missing required arguments: {arg}",
        "missingRequiredArguments",
    ),
    (
        re.compile(r"Unknown argument '(?P<arg>\w+)' on field '\w+\.(?P<field>\w+)'"),
        "Field '{field}' doesn't accept argument '{arg}'",
        "argumentNotAccepted",
    ),
    (
        re.compile(r"Field '(?P<field>\w+)' of type '(?P<type>.+)' must have a selection of subfields"),
        "Field must have selections (field '{field}' returns {type} but has no selections. "
        "Did you mean '{field} {{ ... }}'?)",
        "selectionMismatch",
    ),
)


def worded(error: GraphQLError) -> dict[str, Any]:
    """Return graphql-core's complaint in the shape and words of Shopify's answer."""
    message, code = error.message, None
    for pattern, wording, known in WORDINGS:
        if found := pattern.search(message):
            message, code = wording.format(**found.groupdict()), known
            break
    if message.startswith("Syntax Error:"):
        what = message.removeprefix("Syntax Error: ").rstrip(".")
        message = "syntax error, unexpected end of file" if "<EOF>" in what else f"syntax error, {what}"
    answer: dict[str, Any] = {"message": message}
    if error.locations:
        answer["locations"] = [{"line": where.line, "column": where.column} for where in error.locations]
    if code:
        answer["extensions"] = {"code": code}
    return answer
