"""What is deployed where: moved by an execute that succeeded, in the transaction that settles it.

It runs under the lock of the project's row, which is the lock of all its deployments.
"""

from __future__ import annotations

from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output import reading
from dagctl_provider.services.lifecycle import artifacts
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session, utcnow

_PACKAGE = "package:"


def packages(session: Session, project: Project) -> dict[str, str]:
    """Name and version of the Python packages that the deployed plan was worked out with, where it says so."""
    if project.current_environment is None:
        return {}
    output = deployment_rows.deployed_output(session, project.id, project.current_environment)
    parts = reading.explained(output).digest_parts
    named = {name.removeprefix(_PACKAGE): value for name, value in parts.items() if name.startswith(_PACKAGE)}
    # The interpreter is a part of the digest beside them and nothing that is installed; each plan would say that it goes.
    return {name: version for name, version in named.items() if name != "python"}


def commit_in(session: Session, project: Project, environment: str) -> str | None:
    """The commit on record in an environment, or ``None``."""
    if project.current_environment == environment:
        return project.current_commit_sha
    found = deployment_rows.get_deployment(session, project.id, environment)
    return found.commit_sha if found is not None else None


def record(session: Session, project: Project, step: PlanStep) -> Deployment:
    """Note that an execute has made its commit the deployed one in its environment, and the project's deployed state.

    :param project: As it was before; its artifacts are kept where the execute left no newer.
    :param step: The execute step.
    """
    replaced = deployment_rows.get_deployment(session, project.id, step.environment)
    deployment = Deployment(
        project_id=project.id,
        environment=step.environment,
        ref=step.ref,
        commit_sha=step.to_commit_sha,
        deployed_at=utcnow(),
        tool_version=step.settings.get("tool_version"),
        artifacts=artifacts.keep(session, project, step),
        digest=step.digest,
        group_id=step.group_id,
        step_id=step.id,
    )
    deployment_rows.put_deployment(session, deployment)
    project_rows.update_project(session, project.id, touch=False, current_environment=step.environment)
    if replaced is not None:
        artifacts.give_up(session, replaced, deployment)
    return deployment
