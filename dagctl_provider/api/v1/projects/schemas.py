"""Project requests and answers, generated from the table of project fields.

A row added to :data:`~dagctl_provider.domain.projects.FIELDS` is accepted, checked, stored, answered and documented without
a line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import Field, StrictStr, create_model

from dagctl_provider.api.models import Answer, Count, Request, ShortSha, Timestamp
from dagctl_provider.api.v1.field_models import answer_type, request_type
from dagctl_provider.config import setting
from dagctl_provider.domain.projects import FIELDS, Project

_HISTORY_LIMITS = ("successful_runs_history_limit", "failed_runs_history_limit")
"""Settings that the document shows as fields of a project."""

FIXED = frozenset(("project_type",))
"""What a PUT may repeat, as the document has "same fields as create", and may not change."""


def _create_fields() -> Iterator[tuple[str, Any]]:
    for name, field in FIELDS.items():
        if field.on_create:
            yield name, (request_type(field), ... if field.required else Field(default=field.default))


def _update_fields() -> Iterator[tuple[str, Any]]:
    for name, field in FIELDS.items():
        if field.on_update or name in FIXED:
            annotation = request_type(field)
            yield name, (annotation | None if field.nullable else annotation, Field(default=None))


def _answer_fields() -> Iterator[tuple[str, Any]]:
    yield "id", (str, ...)
    yield "organization_id", (str, ...)
    for name, field in FIELDS.items():
        kind = answer_type(field)
        required = name in ("name", "project_type", "repository_url", "branch")
        yield name, (kind, ...) if required else (kind | None, Field(None, description=field.description))


CreateProject = create_model("CreateProject", __base__=Request, **dict(_create_fields()))
CreateProject.__doc__ = "A new project."
UpdateProject = create_model("UpdateProject", __base__=Request, **dict(_update_fields()))
UpdateProject.__doc__ = "What to change; fields left out stay as they are."
_Settings = create_model("_Settings", __base__=Answer, **dict(_answer_fields()))


# Made from the table of fields, so a checker knows nothing of it.
class ProjectAnswer(_Settings):  # type: ignore[misc, valid-type]
    """A project."""

    deployed: bool
    commits_behind: Count | None = None
    current_commit_sha: ShortSha | None = Field(None, description="Deployed commit")
    latest_commit_sha: ShortSha | None = Field(None, description="Newest commit of the branch")
    latest_commit_message: str | None = None
    successful_runs_history_limit: Count
    failed_runs_history_limit: Count
    created_at: Timestamp
    updated_at: Timestamp
    gateways: list[str] | None = Field(None, description="Gateways found in the project's configuration")
    default_gateway: str | None = None
    dag_id: str | None = Field(None, description="Airflow Dag of the plans")
    run_dag_id: str | None = Field(None, description="Airflow Dag of the runs")
    last_synced_at: Timestamp | None = None
    sync_error: str | None = None
    deployed_at: Timestamp | None = None


class ProjectList(Answer):
    """All projects of an organization."""

    projects: list[ProjectAnswer]
    total: Count


class ProjectMessage(Answer):
    """What was done to a project."""

    message: str
    project_id: str
    deployed: bool


class AdoptBody(Request):
    """What is deployed already."""

    commit_sha: Annotated[
        StrictStr,
        Field(pattern="^[0-9a-f]{40}([0-9a-f]{24})?$", description="Full hash of the commit that was applied last"),
    ]
    manifest: Annotated[
        StrictStr,
        Field(description="Of dbt: target/manifest.json of that build as base64 text, plain or compressed with gzip"),
    ] = None  # type: ignore[assignment]


class SyncStatusAnswer(Answer):
    """How a project stands to its branch."""

    project_id: str
    branch: str
    in_sync: bool
    current_commit_sha: ShortSha | None = None
    latest_commit_sha: ShortSha | None = None
    latest_commit_message: str | None = None
    commits_behind: Count | None = None
    last_synced_at: Timestamp | None = None
    error_message: str | None = Field(None, description="Why the last look at the repository failed")


def foreign_fields(names: Iterable[str], project_type: str) -> dict[str, str]:
    """Fields of a create request that only projects of the other type have, with what to say about them."""
    return {
        name: f"only for {FIELDS[name].project_type} projects"
        for name in names
        if FIELDS[name].project_type not in (None, project_type)
    }


def project(record: Project) -> ProjectAnswer:
    """A project for the API."""
    settings = {name: record.settings.get(name, field.default) for name, field in FIELDS.items()}
    own = {name: None for name, field in FIELDS.items() if field.project_type not in (None, record.project_type)}
    same_name = set(ProjectAnswer.model_fields) - set(settings) - set(_HISTORY_LIMITS)
    return ProjectAnswer(
        **{
            **settings,
            **own,
            **{name: getattr(record, name) for name in same_name},
            "name": record.name,
            "project_type": record.project_type,
            "repository_url": record.repository_url,
            "branch": record.branch,
        },
        **{name: max(0, setting(name)) for name in _HISTORY_LIMITS},
    )
