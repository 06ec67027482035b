"""Adoption: a project whose warehouse is there already begins with what is deployed, rather than with a full first build.

SQLMesh knows by its state what is deployed; what has to be said is the commit. dbt keeps no state, so its manifest comes along:
the one that the team's own last build wrote. It is checked here as far as it can be without running the project's code, and again
by the next explain.
"""

from __future__ import annotations

import gzip

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.manifests import AdoptedManifest
from dagctl_provider.domain.permissions import Actor, system_actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services.lifecycle import artifacts, auditing, lookups, publishing, steps
from dagctl_provider.services.outside import repositories
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

ADOPTED = "What is deployed was adopted after this plan was explained."


def adopt(actor: Actor, project_id: str, commit: str, manifest: bytes | None = None) -> Project:
    """Take over what is deployed already.

    :param commit: Full hash of the commit that was applied last.
    :param manifest: ``target/manifest.json`` of that build, plain or compressed with gzip; for tools without a state.
    :return: The project as it is afterwards.
    :raises DagctlError: ``not_found``, ``forbidden``, ``already_adopted`` when something is deployed, ``execution_in_progress``,
        ``manifest_refused``, ``invalid_request``, ``state_not_adoptable``, ``commit_not_found``, and what git answers.
    """
    actor.require("manage_projects")
    project = transactions.run(lambda session: lookups.visible_project(session, actor, project_id))
    _require_adoptable(project, manifest)
    read = project.tool.read_manifest
    found = read(manifest) if read is not None and manifest is not None else None
    facts = repositories.facts_of(project, commit, None)
    if found is not None:
        _require_same_project(found, repositories.project_name_of(project, facts.sha))
    content = gzip.compress(found.content, mtime=0) if found is not None else None
    version = found.tool_version if found is not None else project.tool_version

    def work(session: Session) -> Project:
        held = lookups.locked_project(session, actor, project_id)
        _require_adoptable(held, manifest)
        if plan_rows.count_steps(session, held.id, "execute", ["running"]):
            raise DagctlError("execution_in_progress", f"Project {held.name!r} is executing a plan.")
        named = artifacts.put(session, content) if content is not None else {}
        _record(session, held, facts.sha, version, named)
        _discard_plans(session, held, facts.sha)
        publishing.publish(session, held.id)
        adopted = project_rows.get_project(session, held.id)
        assert adopted is not None
        said = {"commit": facts.sha, "environment": held.target.environment, "tool_version": version}
        auditing.record(session, actor, "adopted", Subject("project", held.id, held.name, held.id), after=said)
        return adopted

    return transactions.run(work)


def _require_adoptable(project: Project, manifest: bytes | None) -> None:
    if project.current_commit_sha is not None:
        raise DagctlError(
            "already_adopted", f"Commit {short_sha(project.current_commit_sha)} of project {project.name!r} is deployed already."
        )
    if project.tool.read_manifest is None and manifest is not None:
        message = f"{project.tool.label} knows by its state what is deployed: send no manifest."
        raise DagctlError("invalid_request", message, errors=[{"field": "manifest", "message": message}])
    if project.tool.read_manifest is not None and manifest is None:
        raise DagctlError("manifest_refused", f"{project.tool.label} keeps no state: the manifest of the last build is needed.")
    if project.state_connection_id is not None:
        raise DagctlError(
            "state_not_adoptable",
            f"The state of project {project.name!r} lies in a database that was made for it and is empty.",
        )


def _require_same_project(manifest: AdoptedManifest, name: str | None) -> None:
    """Of manifests that do not tell, the next explain finds out: they have no node in common."""
    if None not in (manifest.project, name) and manifest.project != name:
        raise DagctlError(
            "manifest_refused", f"The manifest is of project {manifest.project!r}; the repository holds {name!r} at that commit."
        )


def _record(session: Session, project: Project, commit: str, version: str | None, named: dict[str, str]) -> None:
    deployment = Deployment(
        project_id=project.id,
        environment=project.target.environment,
        ref=project.target.ref,
        commit_sha=commit,
        deployed_at=utcnow(),
        tool_version=version,
        artifacts=named,
    )
    deployment_rows.put_deployment(session, deployment)
    project_rows.update_project(session, project.id, current_environment=project.target.environment)


def _discard_plans(session: Session, project: Project, commit: str) -> None:
    """Plans that were explained from nothing are not what would happen any more."""
    system = system_actor(project.organization_id, "deployed_state")
    for listed in plan_rows.steps_in(session, ["pending", "running"], project.id):
        step = plan_rows.get_step(session, listed.id)
        if step is None:
            continue
        if step.status == "pending":
            steps.discard(session, system, step, ADOPTED, commit)
        else:
            steps.stop(session, system, step, "supersede", "system")
