"""
Every failure as RFC 9457 problem details: `application/problem+json`, one shape, no trace and no secret.

The map from shopsync's errors to answers is here and nowhere else. What nobody foresaw is a 500 that names the
request, under whose id the log has the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.enums import ParamType
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)

from shopsync.errors import (
    DatabaseError,
    FlowRunRefused,
    LakeError,
    NotInPrefect,
    PrefectRefused,
    PrefectUnavailable,
    SyncError,
)

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 15
"""When to ask again what a stopped neighbour could not answer."""


class FieldProblem(msgspec.Struct, frozen=True, rename={"where": "in"}):
    """What is wrong with one parameter or one field of the body."""

    field: str
    """Its name; a field within a field as `counts.orders`, the body itself as an empty text."""
    where: str
    """`query`, `path`, `header` or `body`."""
    problem: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details."""

    type: str
    """`urn:shopsync:problem:` and a word that stays: what programs may tell apart."""
    title: str
    status: int
    detail: str
    """One sentence for people: what happened, to what, what to do."""
    instance: str = ""
    """The path that was asked for."""
    request_id: str = ""
    """The answer's `X-Request-Id`; the log names it too."""
    errors: list[FieldProblem] = []


class Refused(HTTPException):
    """A request that is answered with a problem; `kind` is the last word of its type."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        errors: list[FieldProblem] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail=detail, status_code=status, headers=dict(headers or {}))
        self.kind = kind
        self.errors = errors or []


def invalid(field: str, where: str, problem: str) -> Refused:
    """Return the 400 of one parameter or field."""
    return Refused(
        400,
        f"{field}: {problem}" if field else problem,
        kind="invalid-request",
        errors=[FieldProblem(field, where, problem)],
    )


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Turn whatever was raised into its problem."""
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    refused = _as_refusal(error, request, request_id)
    status = HTTPStatus(refused.status_code)
    problem = Problem(
        type=f"urn:shopsync:problem:{refused.kind or _kind(status)}",
        title=status.phrase,
        status=status.value,
        detail=refused.detail,
        instance=request.scope["path"],
        request_id=request_id,
        errors=refused.errors,
    )
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=refused.headers)


def problem_bytes(status: int, detail: str, request_id: str) -> bytes:
    """Return a problem for where no framework is around: the application's edge."""
    told = HTTPStatus(status)
    kind = f"urn:shopsync:problem:{_kind(told)}"
    return msgspec.json.encode(Problem(kind, told.phrase, status, detail, request_id=request_id))


def _as_refusal(error: Exception, request: Request[Any, Any, Any], request_id: str) -> Refused:
    match error:
        case Refused():
            return error
        case ClientException():
            return _of_the_sender(error, request)
        case SyncError():
            return _of_ours(error, request_id)
        case RecursionError():  # nothing but a body is as deep as that
            return invalid("", "body", "JSON is nested too deeply")
        case UnicodeDecodeError():
            return invalid("", "body", "it is not UTF-8")
    log.error("the request failed for a reason that nobody foresaw", exc_info=error, extra={"request_id": request_id})
    return Refused(500, "something failed that nobody foresaw; the log of the API has it under this request_id")


def _of_the_sender(error: ClientException, request: Request[Any, Any, Any]) -> Refused:
    match error:
        case ValidationException():
            return _invalid(error)
        case NotFoundException() if not error.detail or error.detail == "Not Found":
            return Refused(404, f"there is nothing at {request.scope['path']}")
        case MethodNotAllowedException():
            methods = set(dict(error.headers or {}).get("allow", "").split(", "))
            # The edge answers HEAD as GET, which the framework does not know.
            allowed = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            detail = f"there is no {request.method} here: there is {allowed}"
            return Refused(405, detail, headers={"Allow": allowed})
        case _ if type(error) is ClientException:
            return invalid("", "body", error.detail)
    return Refused(error.status_code, error.detail or "the request is refused", headers=error.headers)


def _of_ours(error: SyncError, request_id: str) -> Refused:
    match error:
        case FlowRunRefused():
            return Refused(400, str(error), kind="invalid-request")
        case PrefectUnavailable():
            kind, words = "prefect-unavailable", "Prefect does not answer, so no run can be started"
        case PrefectRefused() | NotInPrefect():
            kind, words = "prefect-not-ready", "Prefect is not set up for this API, as its log tells the operator"
        case LakeError():
            kind, words = "lake-unavailable", "the lake does not answer"
        case DatabaseError():
            kind, words = "database-unavailable", "the database does not answer"
        case _:
            kind, words = "not-ready", "something that this needs does not work, as the API's log tells the operator"
    # Its text names hosts and folders: it is the operator's, in the log.
    log.warning("%s", error, extra={"problem": kind, "request_id": request_id})
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Refused(503, f"{words}: ask again in {RETRY_AFTER_S} s", kind=kind, headers=headers)


_NO_BODY = FieldProblem("", "body", "the body is missing: send JSON")


def _invalid(error: ValidationException) -> Refused:
    errors = [_field_problem(found) for found in _listed(error.extra)] or [_NO_BODY]
    detail = "; ".join(f"{found.field}: {found.problem}" if found.field else found.problem for found in errors)
    return Refused(400, detail or error.detail, kind="invalid-request", errors=errors)


def _listed(extra: Any) -> list[dict[str, Any]]:
    found = [each for each in extra if isinstance(each, dict)] if isinstance(extra, list) else []
    # Of a body that was not sent the framework tells its own KeyError, beside any other mistake.
    return [each for each in found if each.get("message") != "'data'"]


def _field_problem(found: dict[str, Any]) -> FieldProblem:
    message = str(found.get("message", "it is not valid"))
    field, source = str(found.get("key", "")), found.get("source", "body")
    where = source.value if isinstance(source, ParamType) else str(source)
    if where == ParamType.HEADER.value:
        field = field.replace("_", "-").title()
    if "unknown field" in message or "missing required field" in message:
        name = message.split("`")[1]
        parent = field if where == "body" and field not in {"", "data"} else ""
        field = f"{parent}.{name}" if parent else name
        message = "there is no such field" if "unknown" in message else "it is required"
    return FieldProblem("" if field == "data" else field, where, message)


def _kind(status: HTTPStatus) -> str:
    return status.phrase.lower().replace(" ", "-").replace("'", "")
