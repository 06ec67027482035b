"""Rows as they leave the store where no domain record stands for them, by the columns they have."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

from dagctl_provider.domain.permissions import Role


class OrganizationRow(TypedDict):
    """An organization."""

    id: str
    name: str
    created_at: datetime


class TokenRow(TypedDict):
    """An API token."""

    id: str
    organization_id: str
    name: str
    role: Role
    prefix: str
    token_hash: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class DecisionRow(TypedDict):
    """Who decided what."""

    id: str
    group_id: str
    step_id: str
    project_id: str
    commit_sha: str
    decision: str
    digest: str | None
    actor_kind: str
    actor_id: str
    actor_name: str
    door: str
    comment: str | None
    created_at: datetime


class AnswerRow(TypedDict):
    """What a person answered in Airflow's Required Actions, before it is judged."""

    id: int
    dag_id: str
    run_id: str
    user_id: str
    user_name: str
    chosen_options: list[str]
    responded_at: datetime


class NotificationRow(TypedDict):
    """Something that is to be told.

    :param payload: What is told, and to whom; JSON.
    """

    id: str
    target: str
    event: str
    payload: dict[str, Any]
    status: str
    attempts: int
    due_at: datetime
    created_at: datetime
    error: str | None


class DispatchedRun(TypedDict):
    """Where to find a run in Airflow."""

    id: str
    project_id: str
    dag_id: str
    run_id: str


class RunRow(DispatchedRun):
    """A run of the deployed state that somebody asked for."""

    job_name: str
    settings: dict[str, Any]
    triggered_by: str
    created_at: datetime
    dispatched_at: datetime | None
