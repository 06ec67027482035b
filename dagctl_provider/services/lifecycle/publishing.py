"""What Dag generation needs to know of projects, written for Dag processor and workers together with the project; and what their
runs are to do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.domain.wire.specs import DagSpec, JobSpec
from dagctl_provider.orchestration import dags
from dagctl_provider.services.lifecycle import deployments, keys, leftovers
from dagctl_provider.services.lifecycle.project_requests import request_for_project
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import leases
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session

_INDEX_LOCK = "dags_index"


# Where the deployed commit was executed, and as what; whatever the project asks of its next plan.
_AS_DEPLOYED = ("environment", "git_path", "python_version")
# A run that is to be replaced has to be there beside the one that replaces it. They still take turns in the writer's pool.
_MOST_RUNS = {"Forbid": 1, "Replace": 2}


def dag_spec(project: Project, jobs: Sequence[Job] = ()) -> DagSpec:
    """What the Dag factory gets of a project.

    :param jobs: All of its jobs; the default one is known from the project.
    """
    further = [_job_spec(project, job).to_json() for job in jobs if job.dag_id != project.run_dag_id]
    return DagSpec(
        project_id=project.id,
        organization_id=project.organization_id,
        name=project.name,
        slug=slug(project.name),
        project_type=project.project_type,
        environment=project.environment,
        dag_id=project.dag_id,
        max_active_job_runs=_MOST_RUNS.get(project.settings.get("concurrency_policy", "Allow"))
        or int(project.settings.get("max_concurrent_job_runs") or 16),
        schedule=project.active_schedule,
        place=f"environment {project.environment}" if project.environment else project.tool.unnamed_environment.dag,
        airflow_may_retry=project.tool.airflow_may_retry,
        time_zone=project.job.time_zone if project.job is not None and project.active_schedule else None,
        jobs=further or None,
    )


def _job_spec(project: Project, job: Job) -> JobSpec:
    schedule = project.schedule_of(job)
    return JobSpec(dag_id=job.dag_id, name=job.name, schedule=schedule, time_zone=job.time_zone if schedule else None)


def run_request(session: Session, project: Project) -> StepRequest | None:
    """What a run of the deployed state is to do, before it has an id; ``None`` when nothing is deployed. No secret is in it."""
    if project.current_commit_sha is None:
        return None
    request = request_for_project(project, project.current_commit_sha)
    version = project.current_tool_version or request.runner.tool_version
    deployed = _deployed_settings(session, project)
    as_deployed: dict[str, Any] = {name: deployed[name] for name in _AS_DEPLOYED if name in deployed}
    if deployed:
        as_deployed["requirements"] = deployed.get("requirements")
        as_deployed["vars"] = deployed.get("vars")
    as_deployed["deployed_packages"] = deployments.packages(session, project) or None
    as_deployed["inputs"] = leftovers.input_for_runs(session, project) or None
    return StepRequest.from_json({**request.to_json(), "tool_version": version, **as_deployed})


def _deployed_settings(session: Session, project: Project) -> dict[str, Any]:
    if project.current_environment is None:
        return {}
    return deployment_rows.deployed_settings(session, project.id, project.current_environment) or {}


def is_generated(project: Project) -> bool:
    """Whether the project has Dags."""
    return project.deployed


def publish(session: Session, project_id: str) -> None:
    """Write a project's Variable and the index, and the keys if there are none, in the caller's transaction.

    The index is one value made from all projects, so writers take turns: the lease row is written first, which locks it
    on every database, and only then are the projects read.
    """
    leases.touch_lock(session, _INDEX_LOCK)
    keys.ensure(session)
    project = project_rows.get_project(session, project_id)
    if project is not None:
        jobs = job_rows.list_jobs(session, [project.id])[project.id]
        spec = dag_spec(project, jobs).to_json() if is_generated(project) else None
        dags.publish_project(session, project.dag_id, spec)
    publish_index(session)


def withdraw(session: Session, project: Project) -> None:
    """Take away all that Dag generation knows of a project whose row is gone."""
    leases.touch_lock(session, _INDEX_LOCK)
    dags.publish_project(session, project.dag_id, None)
    dags.drop_pool(session, project.dag_id)
    publish_index(session)


def publish_index(session: Session) -> None:
    """Write the index if it differs from what the projects say, and have the Dags made anew."""
    specs = {project.id: spec.to_json() for project, spec in _specs(session)}
    if json.dumps(dags.read_index(session), sort_keys=True) != json.dumps(specs, sort_keys=True):
        dags.publish_index(session, specs)
        ask_for_parsing(session)


def heal(session: Session) -> None:
    """Write again what Dag generation and workers read, where somebody edited or deleted it or a setting has changed.

    The keys and the writer pools are among it: a deployment that was upgraded has no keys until then.
    """
    leases.touch_lock(session, _INDEX_LOCK)
    keys.ensure(session)
    published = dags.read_projects(session)
    for project, spec in _specs(session):
        if published.get(project.dag_id) != spec.to_json() or not dags.has_pool(session, project.dag_id):
            dags.publish_project(session, project.dag_id, spec.to_json())
    publish_index(session)


def _specs(session: Session) -> list[tuple[Project, DagSpec]]:
    """What is published of each project that has Dags."""
    projects = [project for project in project_rows.list_projects(session) if is_generated(project)]
    jobs = job_rows.list_jobs(session, [project.id for project in projects])
    return [(project, dag_spec(project, jobs[project.id])) for project in projects]


def ask_for_parsing(session: Session) -> None:
    """Ask the Dag processor to look at the dagctl Dag file now."""
    dags.request_parsing(session, setting("dag_bundle"), setting("dag_file"))
