"""Errors as RFC 9457 problem documents.

Clients get a stable ``code``; what the cause was inside goes to the log only, under an id that the answer names.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from flask import Response, request
from pydantic import ConfigDict, Field, ValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge

from dagctl_provider.api.contracts import Refusals
from dagctl_provider.api.models import Answer
from dagctl_provider.domain.errors import ERRORS, DagctlError
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.repository import InvalidRepository

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_RESERVED = frozenset(("type", "title", "status", "detail", "instance", "code", "message", "hint"))
_COMMITS = frozenset(("expected_commit", "current_commit"))
_MOST_ERRORS = 50
_LONGEST_NAME = 64
_DATABASE_SECONDS = 5


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Answer):
    """An error (RFC 9457). Some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:dagctl:problem:not_found"])
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable; switch on this")
    message: str = Field(description="Same as detail")
    hint: str
    errors: list[FieldError] | None = None


def problem(error: DagctlError, instance: str) -> dict[str, Any]:
    """The problem document of an error.

    :param instance: Path of the request that met it.
    """
    extra = {
        name: short_sha(value) if name in _COMMITS and isinstance(value, str) else value
        for name, value in error.extra.items()
        if value is not None and name not in _RESERVED
    }
    return {
        "type": f"urn:dagctl:problem:{error.code}",
        "title": error.kind.title,
        "status": error.kind.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "message": error.detail,
        "hint": error.kind.hint,
        **extra,
    }


def respond(error: DagctlError, headers: Mapping[str, str] | None = None) -> Response:
    """The HTTP answer for an error."""
    document = problem(error, quote(request.script_root + request.path))
    response = Response(json.dumps(document, default=str), status=error.kind.status, content_type=MEDIA_TYPE)
    if error.kind.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dagctl"'
    response.headers.update(headers or {})
    return response


def headers_of(error: DagctlError) -> dict[str, str]:
    """Headers that belong to an error: when to try again, where that is known."""
    return {"Retry-After": str(error.extra["retry_after"])} if "retry_after" in error.extra else {}


def invalid_fields(messages: Mapping[str, str]) -> DagctlError:
    """``invalid_request`` that names each field and what is wrong with it.

    A body may invent any number of fields and names of any length; the answer stays small.
    """
    listed = [{"field": name[:_LONGEST_NAME], "message": message} for name, message in messages.items()]
    named = ", ".join(error["field"] or "the body" for error in listed[:10])
    more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
    return DagctlError("invalid_request", f"Not accepted: {named}{more}.", errors=listed[:_MOST_ERRORS])


def from_validation(error: ValidationError, place: str = "") -> DagctlError:
    """``invalid_request`` from what pydantic found.

    :param place: Put before each field name, for query parameters.
    """
    messages: dict[str, str] = {}
    for finding in error.errors(include_url=False, include_context=False, include_input=False):
        # What follows the field's name are pydantic's own words: no field holds another one.
        name = place + str(next(iter(finding["loc"]), ""))
        message = "unknown field" if finding["type"] == "extra_forbidden" else finding["msg"].removeprefix("Value error, ")
        messages.setdefault(name, message)
    return invalid_fields(messages)


def from_exception(error: Exception) -> tuple[DagctlError, dict[str, str]]:
    """The product's error for anything raised while a request was served, and headers that belong to it."""
    if isinstance(error, DagctlError):
        return error, headers_of(error)
    if isinstance(error, InvalidRepository):
        errors = [{"field": error.field, "message": str(error)}]
        return DagctlError("invalid_repository", str(error), reason=error.code, errors=errors), {}
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{request.method[:16]} is not possible here; possible: {allowed}."
        return DagctlError("method_not_allowed", detail), {"Allow": allowed}
    if isinstance(error, RequestEntityTooLarge):
        return DagctlError("payload_too_large", "The request body is larger than 1 MiB."), {}
    if isinstance(error, HTTPException):
        return _from_http(error), {}
    if isinstance(error, OperationalError | InterfaceError):
        log.warning("Request %s %s: Airflow's database does not answer", request.method, request.path, exc_info=error)
        lost = DagctlError("database_unavailable", "Airflow's database does not answer now.", retry_after=_DATABASE_SECONDS)
        return lost, headers_of(lost)
    return _unforeseen(error), {}


def _from_http(error: HTTPException) -> DagctlError:
    """Routing found nothing, or the request could not be read."""
    if error.code is not None and 400 <= error.code < 500 and error.code != 404:
        return DagctlError("invalid_json", "The request could not be read.")
    return DagctlError("not_found", f"{request.path[:200]!r} is no path of this API.")


def _unforeseen(error: Exception) -> DagctlError:
    error_id = secrets.token_hex(8)
    log.error("Request %s %s failed, error id %s", request.method, request.path, error_id, exc_info=error)
    return DagctlError("internal_error", f"The request failed; the server's log has it as {error_id}.", error_id=error_id)


def codes_by_status(codes: Iterable[str]) -> dict[int, list[str]]:
    """Error codes grouped by their HTTP status, in ascending order."""
    grouped: dict[int, list[str]] = {}
    for code in codes:
        grouped.setdefault(ERRORS[code].status, []).append(code)
    return dict(sorted(grouped.items()))


def _with_codes(codes: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "properties": {"code": {"enum": list(codes)}}}


PROBLEMS = Refusals(respond, problem, Problem, MEDIA_TYPE, _with_codes)
"""How contracts that follow RFC 9457 tell of errors."""
