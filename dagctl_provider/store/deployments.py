"""What is deployed in each environment of a project, as :class:`~dagctl_provider.domain.deployments.Deployment`.

Callers that write hold the project's row. What is deployed for the project as a whole is read with the project.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.store import tables
from dagctl_provider.store.session import changed


def get_deployment(session: Session, project_id: str, environment: str) -> Deployment | None:
    """What is deployed in an environment, or ``None``."""
    c = tables.deployment.c
    row = session.execute(select(*c).where(c.project_id == project_id, c.environment == environment)).first()
    return Deployment(**row._mapping) if row else None


def put_deployment(session: Session, deployment: Deployment) -> None:
    """Write what is deployed in an environment from now on, in place of what was."""
    c = tables.deployment.c
    values = asdict(deployment)
    here = (c.project_id == deployment.project_id, c.environment == deployment.environment)
    if not changed(session, update(tables.deployment).where(*here).values(**values)):
        session.execute(insert(tables.deployment).values(**values))


def deployed_settings(session: Session, project_id: str, environment: str) -> dict[str, Any] | None:
    """The settings with which the deployed commit was executed; ``None`` where the step is not on record."""
    c, step = tables.deployment.c, tables.plan_step.c
    both = tables.deployment.join(tables.plan_step, step.id == c.step_id)
    query = select(step.settings).select_from(both).where(c.project_id == project_id, c.environment == environment)
    settings: dict[str, Any] | None = session.execute(query).scalar()
    return settings


def deployed_output(session: Session, project_id: str, environment: str) -> dict[str, Any] | None:
    """What the explain of the deployed plan reported; ``None`` where it is not on record."""
    c, step = tables.deployment.c, tables.plan_step.c
    both = tables.deployment.join(tables.plan_step, step.group_id == c.group_id)
    here = (c.project_id == project_id, c.environment == environment, step.plan_type == "explain")
    output: dict[str, Any] | None = session.execute(select(step.plan_output).select_from(both).where(*here)).scalar()
    return output


def named_artifacts(session: Session, project_id: str) -> set[str]:
    """The artifacts that the deployments of a project name, all environments together."""
    c = tables.deployment.c
    rows = session.execute(select(c.artifacts).where(c.project_id == project_id)).scalars()
    return {sha256 for artifacts in rows for sha256 in (artifacts or {}).values()}


def delete_deployments(session: Session, project_id: str) -> None:
    """Forget what is deployed, in all environments of a project."""
    session.execute(delete(tables.deployment).where(tables.deployment.c.project_id == project_id))
