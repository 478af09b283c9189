"""
`/schema`: the OpenAPI document, whole and by tag, and a page that shows it.

The page is made here, of plain HTML: it needs no script and nothing from elsewhere, so it works offline and under a
policy that forbids both.
"""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.problems import invalid
from api.specification import Document, only
from api.staff import Role, open_to

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Styles within the page and nothing else; there is no script to allow."""

_LONG = {"Cache-Control": "public, max-age=300"}


@get("/openapi.json", operation_id="readSpecification", summary="The OpenAPI document", sync_to_thread=False)
def read_specification(
    described: NamedDependency[Document],
    tag: Annotated[
        str | None, QueryParameter(max_length=32, description="Only the routes of this tag, and what they need.")
    ] = None,
) -> Response[dict[str, Any]]:
    """OpenAPI 3.1, of all routes or of one tag's."""
    if tag is not None and tag not in {known["name"] for known in described["tags"]}:
        names = ", ".join(known["name"] for known in described["tags"])
        raise invalid("tag", "query", f"there is no such tag: there are {names}")
    return Response(described if tag is None else only(described, tag), headers=_LONG)


@get("/", include_in_schema=False, media_type="text/html", sync_to_thread=False)
def show_page(described: NamedDependency[Document]) -> Response[str]:
    """Show the document to people."""
    headers = {**_LONG, "Content-Security-Policy": POLICY}
    return Response(_page(msgspec.json.encode(described)), headers=headers, media_type="text/html")


router = Router("/schema", route_handlers=[read_specification, show_page], opt=open_to(Role.ANYONE), tags=["service"])


@cache
def _page(encoded: bytes) -> str:
    described = msgspec.json.decode(encoded)
    operations = [
        _operation(method, path, operation)
        for path, item in described["paths"].items()
        for method, operation in item.items()
    ]
    schemas = [_schema(name, schema) for name, schema in described["components"]["schemas"].items()]
    info = described["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])} API</title>"
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style><main>"
        f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{_prose(info['description'])}</p>"
        "<p><a href=/schema/openapi.json>openapi.json</a></p>"
        f"<h2>Routes</h2>{''.join(operations)}<h2>Shapes</h2>{''.join(schemas)}</main></html>"
    )


def _operation(method: str, path: str, operation: Document) -> str:
    parameters = [
        (parameter["name"], f"{parameter['in']}; {_kind(parameter['schema'])}", parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        parameters.append(("(body)", _kind(body), ""))
    answers = [
        (status, ", ".join(_kind(content["schema"]) for content in answer.get("content", {}).values()), text)
        for status, answer in sorted(operation["responses"].items())
        for text in [answer.get("description", "")]
    ]
    return (
        f"<section id={escape(operation['operationId'])}><h3><code>{method.upper()} {escape(path)}</code> "
        f"<small>{escape(operation['x-role'])}</small></h3><p><b>{escape(operation.get('summary', ''))}.</b> "
        f"{_prose(operation.get('description', ''))}</p>{_table(parameters)}{_table(answers)}</section>"
    )


def _schema(name: str, schema: Document) -> str:
    needed = set(schema.get("required", []))
    rows = [
        (field + ("" if field in needed else " (optional)"), _kind(kind), kind.get("description", ""))
        for field, kind in schema.get("properties", {}).items()
    ]
    words = ", ".join(map(str, schema.get("enum", [])))
    text = _prose(schema.get("description", "")) + (f" One of {escape(words)}." if words else "")
    return f"<section id={escape(name)}><h3>{escape(name)}</h3><p>{text}</p>{_table(rows)}</section>"


def _prose(text: str) -> str:
    """Return a text as HTML, with what is between backticks as code."""
    return "".join(f"<code>{part}</code>" if at % 2 else part for at, part in enumerate(escape(text).split("`")))


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(a)}<td>{b}<td>{_prose(c)}" for a, b, c in rows)
    return f"<table>{cells}</table>" if rows else ""


def _kind(schema: Document) -> str:
    """Return what a schema is, as HTML."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    if kinds := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_kind(kind) for kind in kinds)
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return escape(" ".join(str(schema[key]) for key in ("type", "format", "pattern") if key in schema) or "anything")


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; color: #1a1a1a; background: #fff }
main { max-width: 60rem; margin: auto; padding: 1rem }
section { margin: 2rem 0 }
table { display: block; overflow-x: auto; border-collapse: collapse; margin: .5rem 0; width: 100% }
td, th { border: 1px solid #ccc; padding: .2rem .5rem; text-align: left; vertical-align: top; font-weight: 400 }
th { font-family: monospace; white-space: nowrap }
small { background: #eee; padding: 0 .5rem; border-radius: 1rem; font-weight: 400 }
"""
