"""What the families of operations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StrictStr

from dagctl_provider.api.contracts import Outcome
from dagctl_provider.api.models import Answer, Request, storable
from dagctl_provider.domain.doors import MAX_COMMENT

MAX_PAGE = 2**31 - 1
MAX_LIMIT = 500

PROTECTION_ERRORS = ("environment_protected", "override_refused", "outside_window")
"""What the protection of an environment can answer."""

REPOSITORY_ERRORS = (
    "invalid_repository",
    "branch_not_found",
    "repository_empty",
    "repository_unreachable",
    "repository_authentication_failed",
    "certificate_refused",
    "disk_full",
    "folder_not_writable",
    "git_missing",
)
"""What git can answer, and what the machine that asks it."""


class NoBody(Request):
    """Nothing has to be sent; an empty object is accepted."""


class OverrideBody(Request):
    """Nothing has to be sent; an owner may send why the rules of the environment do not hold this time."""

    override_reason: Annotated[
        StrictStr,
        Field(min_length=1, max_length=MAX_COMMENT, description="Why an owner does without the rules of the environment"),
        AfterValidator(storable),
    ] = None  # type: ignore[assignment]


class Message(Answer):
    """What was done."""

    message: str


def ok(model: type[Answer], example: Mapping[str, Any], summary: str, status: int = 200) -> dict[int, tuple[Outcome, ...]]:
    """The one way in which an operation succeeds."""
    return {status: (Outcome(model, example, summary),)}
