"""The shape of requests and answers on the record of changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dagctl_provider.api.models import WHOLE, Answer, Request, Timestamp, instant, storable
from dagctl_provider.api.v1.common import MAX_LIMIT
from dagctl_provider.domain.audit import DOORS, AuditEntry

MAX_EXPORT = 10_000
_LARGEST = 2**31 - 1

Text = Annotated[str, Field(min_length=1, max_length=255), BeforeValidator(storable)]
Moment = Annotated[datetime, BeforeValidator(instant)]


class AuditParameters(Request):
    """Filters and paging of the record."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Entries per page"), WHOLE] = 50
    before: Annotated[int, Field(ge=1, le=_LARGEST), WHOLE] | None = Field(
        None, description="Only entries with a smaller number; `next_before` of the page before"
    )
    actor_id: Text | None = Field(None, description="Only what this user or token did")
    object_kind: Text | None = Field(None, description="Only what was done to things of this kind, such as `token`")
    object_id: Text | None = Field(None, description="Only what was done to this thing")
    project_id: Text | None = Field(None, description="Only what belongs to this project")
    verb: Text | None = Field(None, description="Only what was done in this way, such as `approved`")
    door: Literal[DOORS] | None = Field(None, description="Only what came by this door")  # type: ignore[valid-type]
    since: Moment | None = Field(None, description="Only entries from this moment on, RFC 3339")
    until: Moment | None = Field(None, description="Only entries before this moment, RFC 3339")


class ExportParameters(Request):
    """Which part of the record is exported."""

    after: Annotated[int, Field(ge=0, le=_LARGEST, description="Only entries with a larger number"), WHOLE] = 0
    limit: Annotated[int, Field(ge=1, le=MAX_EXPORT, description="Most entries"), WHOLE] = MAX_EXPORT


class AuditEntryAnswer(Answer):
    """One entry of the record."""

    number: int = Field(description="From 1, without gaps in an organization")
    at: Timestamp
    actor_kind: Literal["user", "token", "system"]
    actor_id: str
    actor_name: str
    door: str
    source: str | None = Field(None, description="The address that the request came from")
    verb: str
    object_kind: str
    object_id: str
    object_name: str
    project_id: str | None = None
    before: Any = Field(None, description="What it was; of a change, the fields that changed. Never a secret")
    after: Any = Field(None, description="What it is since")
    reason: str | None = None
    hash: str = Field(description="Of this entry and the hash of the one before it")


class AuditList(Answer):
    """A page of the record."""

    entries: list[AuditEntryAnswer]
    next_before: int | None = Field(None, description="`before` of the next page; absent on the last one")


def entry(record: AuditEntry) -> AuditEntryAnswer:
    """An entry in the words of the API."""
    return AuditEntryAnswer(**record.shown())
