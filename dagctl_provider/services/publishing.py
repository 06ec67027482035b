"""What Dag generation needs to know of projects, and writing it for the Dag processor together with the project."""

from __future__ import annotations

import json
from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import dags
from dagctl_provider.store import records
from dagctl_provider.store.session import Session

_INDEX_LOCK = "dags_index"


def dag_spec(project: Project) -> dict[str, Any]:
    """What the Dag factory gets of a project. Plan settings are not in it: they travel in each run's conf."""
    return {
        "project_id": project.id,
        "organization_id": project.organization_id,
        "name": project.name,
        "slug": slug(project.name),
        "project_type": project.project_type,
        "environment": project.environment,
        "dag_id": project.dag_id,
        "launcher": setting("launcher"),
        "max_active_job_runs": _active_runs(project),
    }


def _active_runs(project: Project) -> int:
    if project.settings.get("concurrency_policy", "Allow") != "Allow":
        return 1
    return int(project.settings.get("max_concurrent_job_runs") or 16)


def is_generated(project: Project) -> bool:
    """Whether the project has Dags."""
    return project.deployed


def publish(session: Session, project_id: str) -> None:
    """Write a project's Variable and the index, in the caller's transaction.

    The index is one value made from all projects, so writers take turns: the lease row is written first, which locks it
    on every database, and only then are the projects read.
    """
    records.touch_lock(session, _INDEX_LOCK)
    project = records.get_project(session, project_id)
    if project is not None:
        dags.publish_project(session, project.dag_id, dag_spec(project) if is_generated(project) else None)
    publish_index(session)


def withdraw(session: Session, project: Project) -> None:
    """Take away all that Dag generation knows of a project whose row is gone."""
    records.touch_lock(session, _INDEX_LOCK)
    dags.publish_project(session, project.dag_id, None)
    dags.drop_pool(session, project.dag_id)
    publish_index(session)


def publish_index(session: Session) -> None:
    """Write the index if it differs from what the projects say."""
    specs = {project.id: dag_spec(project) for project in records.list_projects(session) if is_generated(project)}
    if json.dumps(dags.read_index(session), sort_keys=True) != json.dumps(specs, sort_keys=True):
        dags.publish_index(session, specs)


def ask_for_parsing(session: Session) -> None:
    """Ask the Dag processor to look at the dagctl Dag file now."""
    dags.request_parsing(session, setting("dag_bundle"), setting("dag_file"))
