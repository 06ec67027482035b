"""What a REST contract is: a table of operations, and how it says answers and errors.

Routing, authorisation, validation and the OpenAPI document are made from it, so a further contract is a folder beside ``v1``
and a row in :mod:`dagctl_provider.api.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flask import Response

from dagctl_provider.api.models import Answer, NoParameters, Request
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor

COMMON_ERRORS = (
    *("unauthenticated", "organization_required", "forbidden", "not_found", "invalid_request"),
    *("too_many_requests", "server_busy", "database_not_migrated", "database_unavailable", "internal_error"),
)
WRITE_ERRORS = ("cross_site_request",)
BODY_ERRORS = ("invalid_json", "request_timeout", "payload_too_large", "unsupported_media_type")

JSON = "application/json"
LINES = "application/x-ndjson"
"""One JSON value a line."""

Result = tuple[int, Answer]


@dataclass(frozen=True)
class Call:
    """One validated request.

    :param ids: Path parameters.
    :param query: Query parameters.
    :param body: The request body; only the fields that were sent.
    """

    actor: Actor
    ids: Mapping[str, str]
    query: Any
    body: Any

    @property
    def sent(self) -> dict[str, Any]:
        """The body's fields that were sent, by name."""
        return self.body.model_dump(exclude_unset=True)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Outcome:
    """One way an operation can succeed.

    :param model: Shape of the answer.
    :param example: From the API documents, where they have one.
    :param summary: When this is the answer.
    """

    model: type[Answer]
    example: Mapping[str, Any]
    summary: str


@dataclass(frozen=True)
class Operation:
    """One row of a contract's table.

    :param path: Below the contract's prefix, with ``{parameters}``.
    :param id: Operation id of OpenAPI, name of the method on the view class.
    :param permission: Key of :data:`~dagctl_provider.domain.permissions.PERMISSIONS`; ``None`` where no membership is needed:
        the caller is then in no organization.
    :param answers: How it succeeds, by HTTP status.
    :param errors: Codes it can answer with besides :data:`COMMON_ERRORS`.
    :param query: Shape of the query parameters.
    :param body: Shape of the request body; none for methods that have no body.
    :param body_examples: From the API documents.
    :param body_limit: Most bytes of the request body.
    :param media_type: Of the answer. Of :data:`LINES` the handler returns a :class:`~dagctl_provider.api.models.Lines`.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    id: str
    tag: str
    summary: str
    permission: str | None
    handler: Callable[[Call], Result]
    answers: Mapping[int, tuple[Outcome, ...]]
    errors: tuple[str, ...] = ()
    query: type[Request] = NoParameters
    body: type[Request] | None = None
    body_examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    description: str = ""
    body_limit: int = 1024 * 1024
    media_type: str = JSON

    @property
    def changes_something(self) -> bool:
        """Whether this is a write."""
        return self.method != "GET"

    @property
    def all_errors(self) -> tuple[str, ...]:
        """Every error code this operation can answer with."""
        common = COMMON_ERRORS + (WRITE_ERRORS if self.changes_something else ()) + (BODY_ERRORS if self.body else ())
        return tuple(dict.fromkeys(common + self.errors))


@dataclass(frozen=True)
class PathParameter:
    """An id in a path.

    :param noun: What is not found when it names nothing.
    :param pattern: What such an id looks like.
    """

    noun: str
    description: str
    pattern: str = r"^[A-Za-z0-9_-]{1,64}$"


@dataclass(frozen=True)
class Refusals:
    """How a contract tells of errors.

    :param respond: The HTTP answer for an error, with headers that belong to it.
    :param document: The body of such an answer, given the path of the request; also for what is refused before Flask has it.
    :param model: Shape of the body.
    :param with_codes: JSON schema that says which codes such a body has, from the codes.
    """

    respond: Callable[[DagctlError, Mapping[str, str]], Response]
    document: Callable[[DagctlError, str], Mapping[str, Any]]
    model: type[Answer]
    media_type: str
    with_codes: Callable[[Sequence[str]], Mapping[str, Any]]


# Compared by identity: there is one of each, and tables cannot be hashed.
@dataclass(frozen=True, eq=False)
class Contract:
    """A REST API: where it stands, what can be asked, and in which words it answers.

    :param prefix: Path of all its operations, from Airflow's root on.
    :param tags: Descriptions of its groups of operations, by name.
    :param path_parameters: The ids in its paths, by name.
    :param to_json: An answer as plain JSON values.
    :param more_schemas: Schemas that its models refer to and pydantic does not know, by name; from the address of a schema, with
        ``{model}`` for its name.
    """

    name: str
    prefix: str
    title: str
    summary: str
    description: str
    operations: tuple[Operation, ...]
    tags: Mapping[str, str]
    path_parameters: Mapping[str, PathParameter]
    to_json: Callable[[Answer], dict[str, Any]]
    refusals: Refusals
    more_schemas: Callable[[str], dict[str, Any]] = lambda reference: {}

    @property
    def document_path(self) -> str:
        """Where its OpenAPI document is served."""
        return f"{self.prefix}/openapi.json"
