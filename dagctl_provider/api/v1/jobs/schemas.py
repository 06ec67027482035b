"""Job requests and answers, generated from the table of job fields.

A row added to :data:`~dagctl_provider.domain.jobs.FIELDS` is accepted, checked, stored, answered and documented without a line
here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model

from dagctl_provider.api.models import WHOLE, Answer, Count, Request, Timestamp, instant
from dagctl_provider.api.v1.common import MAX_LIMIT, MAX_PAGE
from dagctl_provider.api.v1.field_models import answer_type, request_type
from dagctl_provider.api.v1.run_shapes import DEFAULT_LIMIT
from dagctl_provider.domain.executions import EXECUTION_STATUSES, ExecutionStatus
from dagctl_provider.domain.jobs import FIELDS
from dagctl_provider.services.results import ShownJob

_ALWAYS_THERE = {"name": ..., "command": ..., "resources": ..., "environment": ...}


def _create_fields() -> Iterator[tuple[str, Any]]:
    for name, field in FIELDS.items():
        # What has to be said may be said to be nothing, where it can be taken away later.
        annotation = request_type(field) | None if field.required and field.nullable else request_type(field)
        yield name, (annotation, ... if field.required else Field(default=field.default))


def _update_fields() -> Iterator[tuple[str, Any]]:
    for name, field in FIELDS.items():
        annotation = request_type(field)
        yield name, (annotation | None if field.nullable else annotation, Field(default=None))


def _answer_fields() -> Iterator[tuple[str, Any]]:
    for name, field in FIELDS.items():
        there = name in _ALWAYS_THERE or field.default is not None
        kind = answer_type(field)
        yield (
            name,
            (kind, Field(description=field.description)) if there else (kind | None, Field(None, description=field.description)),
        )


CreateJob = create_model("CreateJob", __base__=Request, **dict(_create_fields()))
CreateJob.__doc__ = "A new job."
UpdateJob = create_model("UpdateJob", __base__=Request, **dict(_update_fields()))
UpdateJob.__doc__ = "What to change; fields left out stay as they are."
_Fields = create_model("_Fields", __base__=Answer, **dict(_answer_fields()))


# Made from the table of fields, so a checker knows nothing of it.
class Job(_Fields):  # type: ignore[misc, valid-type]
    """Something that a project runs again and again."""

    id: str
    project_id: str
    default: bool = Field(description="Whether it is the default job, which 'run the project' runs")
    dag_id: str = Field(description="Airflow Dag of its runs")
    next_run_at: Timestamp | None = Field(None, description="When it runs next by itself; absent where it does not")
    created_at: Timestamp
    updated_at: Timestamp


class JobList(Answer):
    """All jobs of a project."""

    jobs: list[Job]
    total: Count


class JobRunParameters(Request):
    """Paging and filters of the list of a job's runs."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), WHOLE] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), WHOLE] = DEFAULT_LIMIT
    status: Literal[EXECUTION_STATUSES] | None = Field(None, description="Only runs in this status")  # type: ignore[valid-type]
    updated_after: Annotated[Timestamp | None, BeforeValidator(instant)] = Field(
        None, description="Only runs whose record changed after this moment, RFC 3339"
    )


class RunLogs(Answer):
    """The log of a run."""

    run_id: str
    logs: str
    status: ExecutionStatus
    job_name: str
    pod_name: str | None = None


class RunMessage(Answer):
    """What was done to a run."""

    message: str
    run_id: str


def job(shown: ShownJob) -> Job:
    """A job for the API."""
    record = shown.job
    values = {name: record.value(name) for name in FIELDS}
    return Job(
        **{**values, "resources": record.resources, "environment": record.environment},
        default=shown.default,
        next_run_at=shown.next_run_at,
        **{name: getattr(record, name) for name in ("id", "project_id", "dag_id", "created_at", "updated_at")},
    )
