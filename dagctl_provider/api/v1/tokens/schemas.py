"""The shape of every request and answer about API tokens."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StrictInt, StrictStr

from dagctl_provider.api.models import Answer, Count, Request, Timestamp, storable
from dagctl_provider.api.v1.team.schemas import RoleWord
from dagctl_provider.domain.tokens import LONGEST_LIFE, LONGEST_OVERLAP, MOST_PROJECTS, OVERLAP, Token
from dagctl_provider.services.results import TokenCreated, TokenRotated

_HOURS = 3600
_Id = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Projects = Annotated[
    list[_Id],
    Field(min_length=1, max_length=MOST_PROJECTS, description="Limits it to these projects; left out: all of the organization"),
]
_Days = Annotated[StrictInt, Field(ge=1, le=LONGEST_LIFE.days, description="Left out: it does not expire")]


class TokenAnswer(Answer):
    """An API token, without its secret."""

    id: str
    organization_id: str
    name: str
    role: RoleWord
    prefix: str = Field(description="How the secret begins")
    project_ids: list[str] | None = Field(None, description="Projects that it is limited to; absent: all of the organization")
    created_by: str
    created_at: Timestamp
    expires_at: Timestamp | None = None
    revoked_at: Timestamp | None = None
    last_used_at: Timestamp | None = None
    replaced_by: str | None = Field(None, description="The token that took its place when it was rotated")


class TokenList(Answer):
    """The API tokens of an organization."""

    tokens: list[TokenAnswer]
    total: Count


class TokenBody(Request):
    """What a new token is for, and what it may do."""

    name: Annotated[StrictStr, Field(min_length=1, max_length=255), AfterValidator(storable)]
    role: RoleWord
    project_ids: _Projects = None  # type: ignore[assignment]
    expires_in_days: _Days = None  # type: ignore[assignment]


class RotateBody(Request):
    """How long the former token is still good."""

    overlap_hours: Annotated[
        StrictInt, Field(ge=0, le=int(LONGEST_OVERLAP.total_seconds()) // _HOURS, description="0: not at all")
    ] = int(OVERLAP.total_seconds()) // _HOURS


class TokenSecret(Answer):
    """A token with its secret, which is shown this once."""

    token: TokenAnswer
    secret: str


class TokenReplaced(TokenSecret):
    """A token that took another one's place."""

    former: TokenAnswer


class TokenMessage(Answer):
    """What was done to a token."""

    token: TokenAnswer
    message: str


def token(record: Token) -> TokenAnswer:
    """A token for the API."""
    own = {name: getattr(record, name) for name in TokenAnswer.model_fields if name != "project_ids"}
    return TokenAnswer(**own, project_ids=list(record.project_ids) if record.project_ids is not None else None)


def created(made: TokenCreated) -> TokenSecret:
    """A fresh token."""
    return TokenSecret(token=token(made.token), secret=made.secret)


def rotated(made: TokenRotated) -> TokenReplaced:
    """A token and the one whose place it took."""
    return TokenReplaced(token=token(made.token), secret=made.secret, former=token(made.former))
