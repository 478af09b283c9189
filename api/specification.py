"""
The OpenAPI document: made from the routes, then mended where the framework does not say all that is so.

It is the reference of `openapi.json` in the repository, of the documentation page, and of which query parameters a
route knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme, Tag
from litestar.routes import HTTPRoute

from api.examples import EXAMPLES
from api.problems import MEDIA_TYPE, Problem
from api.staff import Role, role_of

Document = dict[str, Any]
S = TypeVar("S")

VERSION = "1.0"
"""Of the HTTP API: fields and routes are added freely, a change of what is there makes a new one."""

BEARER = "staffToken"
ACCESS = "cloudflareAccess"

_PROBLEMS = {
    400: "A parameter or a field is unknown or malformed; `errors` names each.",
    401: "There is no token, or it is not valid (any more).",
    403: "The token's role may not do this.",
    404: "There is no such thing.",
    409: "The same request is in flight, another run waits in its place, or `run_id` is another kind of run's.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The `Idempotency-Key` belongs to another request.",
    429: "Too many requests; `Retry-After` says when to ask again.",
    431: "The headers are too long.",
    500: "Something failed that nobody foresaw.",
    503: "A neighbour (database, lake, Prefect, Access) does not answer; `Retry-After` says when to ask again.",
}
_EVERYWHERE = (400, 401, 403, 429, 431, 500, 503)


def problem_responses(*statuses: int) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route that answers with these problems, beside those that every route has."""
    return {
        status: ResponseSpec(Problem, description=_PROBLEMS[status], media_type=MEDIA_TYPE, generate_examples=False)
        for status in (400, *statuses)
    }


def document(routes: Sequence[Router], dependencies: Mapping[str, Provide]) -> Document:
    """Return the OpenAPI document of these routes."""
    app = Litestar(list(routes), dependencies=dict(dependencies), openapi_config=_config(), logging_config=None)
    described = app.openapi_schema.to_schema()
    roles = {(path, method.lower()): role for method, path, role in operations(app, hidden=False)}
    described = _tidied(described)
    for path, item in described["paths"].items():
        for method, operation in item.items():
            _mend_operation(operation, roles[path, method])
    for name, schema in described["components"]["schemas"].items():
        if name in _STRICT:
            schema.clear()
            schema.update(msgspec.json.schema(_STRICT[name])["$defs"][name])
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    return described


_STRICT: dict[str, type[Any]] = {}


def strict(struct: type[S]) -> type[S]:
    """Describe a struct as msgspec does: the framework leaves out that unknown fields are refused, and formats."""
    _STRICT[struct.__name__] = struct
    return struct


def only(described: Document, tag: str) -> Document:
    """Return the part of a document that one tag's routes need, to be used on its own."""
    paths = {
        path: {method: operation for method, operation in item.items() if tag in operation["tags"]}
        for path, item in described["paths"].items()
    }
    paths = {path: item for path, item in paths.items() if item}
    schemas, named = described["components"]["schemas"], set[str]()
    wanted = _references(paths)
    while wanted:
        named |= wanted
        wanted = _references([schemas[name] for name in wanted]) - named
    components = {**described["components"], "schemas": {name: schemas[name] for name in sorted(named)}}
    tags = [known for known in described["tags"] if known["name"] == tag]
    return {**described, "paths": paths, "components": components, "tags": tags}


def _references(part: object) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def known_parameters(described: Document) -> dict[tuple[str, str], dict[str, bool]]:
    """Return the query parameters of each (method, path), and whether each takes any text."""
    return {
        (method.upper(), path): {
            parameter["name"]: parameter["schema"].get("type") == "string" and "format" not in parameter["schema"]
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query"
        }
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }


def _config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="shopsync",
        version=VERSION,
        summary="Start runs, read orders and figures.",
        description=_DESCRIPTION,
        license=License(name="Proprietary", identifier="LicenseRef-Proprietary"),
        tags=[
            Tag("analytics", "Runs, pipelines and figures."),
            Tag("order", "Orders with their lines and sales."),
            Tag("service", "The API itself."),
        ],
        components=Components(
            security_schemes={
                BEARER: SecurityScheme(
                    type="http", scheme="bearer", description="A staff token (`python -m api.tokens new`)."
                ),
                ACCESS: SecurityScheme(
                    type="apiKey",
                    name="Cf-Access-Jwt-Assertion",
                    security_scheme_in="header",
                    description="Cloudflare Access's token, which its edge adds, where the API is behind it.",
                ),
            }
        ),
        use_handler_docstrings=True,
        path="/unused",  # the framework's own routes for it: this application is made for the document alone
        render_plugins=[JsonRenderPlugin()],
    )


_DESCRIPTION = """
Ids and money are strings, times RFC 3339 in UTC. Listings have `data`, `has_more` and `next_cursor`; the same address
is in `Link: rel="next"`. Failures are `application/problem+json` (RFC 9457). Parameters and fields that a route does
not know are refused; a method that it does not have is 405, with `Allow`. Each answer has an `X-Request-Id`, under
which the log has it too.
""".strip()


def operations(app: Litestar, *, hidden: bool = True) -> list[tuple[str, str, Role]]:
    """Return (method, path, role) of each route; unless told otherwise with those that the document does not show."""
    return sorted(
        (method, route.path_format, role_of(handler))
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods
        if method != "OPTIONS" and (hidden or handler.resolve_include_in_schema())
    )


def _tidied(described: Document) -> Document:
    """Give generic structs short names, and write whole numbers as such."""
    text = _GENERIC.sub(r"\1Page", json.dumps(described))
    return json.loads(
        text, parse_float=lambda digits: int(float(digits)) if float(digits).is_integer() else float(digits)
    )


_GENERIC = re.compile(r"Page_(?:\w+\.)*([A-Za-z]+)_(?=\")")


def _mend_operation(operation: Document, role: Role) -> None:
    for parameter in operation.get("parameters", []):
        _mend_parameter(parameter)
    operation["security"] = [] if role is Role.ANYONE else [{BEARER: []}, {ACCESS: []}]
    operation["x-role"] = role.name.lower()
    body = operation.get("requestBody")
    if body is not None and {"type": "null"} in body["content"]["application/json"]["schema"].get("oneOf", []):
        body["required"] = False
    asked = (400, 429, 431, 500) if role is Role.ANYONE else _EVERYWHERE
    asked = asked if body is None else (*asked, 408)
    problems = {str(status): _problem_response(status) for status in asked}
    operation["responses"] = dict(sorted((operation["responses"] | problems).items()))
    for status, answer in operation["responses"].items():
        answer["description"] = _PLAINLY.get(answer["description"], answer["description"])
        if names := _headers(status, operation):
            answer.setdefault("headers", {}).update({name: _HEADERS[name] for name in names})


_PLAINLY = {
    "Request fulfilled, document follows": "What was asked for.",
    "Request accepted, processing continues off-line": "It is started; `Location` is where it is followed.",
}
"""The framework's words, and ours."""
_HEADERS: dict[str, Document] = {
    name: {"description": description, "schema": {"type": kind}}
    for name, kind, description in (
        ("ETag", "string", "Names this answer: sent as `If-None-Match` it is answered with 304 while nothing changed."),
        ("Idempotency-Replayed", "string", "`true` when this is the answer to an earlier request of the same key."),
        ("Link", "string", 'The next page, as `rel="next"`; none on the last one.'),
        ("Location", "string", "The run's path."),
        ("Retry-After", "integer", "Seconds until it is worth asking again."),
        ("WWW-Authenticate", "string", "How to ask: `Bearer`, and what is wrong with the token."),
    )
}


def _headers(status: str, operation: Document) -> list[str]:
    """Return the headers of an answer, by what else the route has: cursors, tags, runs that it starts."""
    parameters = {parameter["name"] for parameter in operation.get("parameters", [])}
    answers = operation["responses"]
    found = {
        "ETag": "304" in answers and status in {"200", "304"},
        "Idempotency-Replayed": "202" in answers and status in {"200", "202"},
        "Link": "cursor" in parameters and status in {"200", "304"},
        "Location": "202" in answers and status in {"200", "202"},
        "Retry-After": status in {"409", "429", "503"},
        "WWW-Authenticate": status == "401",
    }
    return [name for name, is_there in found.items() if is_there]


def _problem_response(status: int) -> Document:
    shape = {"$ref": "#/components/schemas/Problem"}
    return {"description": _PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": shape}}}


def _mend_parameter(parameter: Document) -> None:
    """A parameter that is not given is absent: none of them is ever null."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("oneOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["oneOf"]
        schema.update(kinds[0])
    for empty in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(empty, None)
