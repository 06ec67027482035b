"""Projects: create, read, change, delete, deploy, run, compare with the branch (Projects API document)."""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from typing import Any

from dagctl_provider.config import project_connection
from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import new_id, slug
from dagctl_provider.domain.names import plan_dag_id
from dagctl_provider.domain.permissions import Actor, system_actor
from dagctl_provider.domain.projects import FIELDS, Project
from dagctl_provider.domain.tools import DEFAULT_TOOL, ProjectType, tool_of
from dagctl_provider.orchestration import connections, dags
from dagctl_provider.orchestration.connections import StoredConnection
from dagctl_provider.services.lifecycle import artifacts, asking, auditing, jobs, lookups, publishing, runs, steps
from dagctl_provider.services.outside import pods, repositories, state_databases, versions, waiting
from dagctl_provider.services.results import RepositoryReport, RunStarted, SyncStatus
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

_COLUMNS = ("name", "project_type", "repository_url", "branch")
_CHANGED = (*_COLUMNS, "settings", "gateways", "default_gateway", "state_connection_id")
_LOCATION = ("repository_url", "branch", "git_path", "git_auth_method", "git_secret_ref")
MAX_NAME_IN_DAG_ID = 40


def list_projects(actor: Actor) -> tuple[Project, ...]:
    """All projects of the actor's organization that exist for the actor, by name."""
    actor.require("read")
    found = transactions.run(lambda session: project_rows.list_projects(session, actor.organization_id))
    return tuple(project for project in found if actor.sees(project.id))


def get_project(actor: Actor, project_id: str) -> Project:
    """One project.

    :raises DagctlError: ``not_found``, also for projects of another organization.
    """
    actor.require("read")

    return transactions.run(lambda session: lookups.visible_project(session, actor, project_id))


def create_project(actor: Actor, values: dict[str, object]) -> Project:
    """Make a project and deploy it: its Dags are generated from now on.

    The repository is asked first, so that a project that could never be planned is refused. The state database is made
    before the record and dropped again when the record cannot be kept.

    :param values: Fields of :data:`~dagctl_provider.domain.projects.FIELDS`, validated for type and form.
    :raises DagctlError: ``name_taken``, ``invalid_repository``, ``unsupported_version``, and what git answers.
    """
    actor.require("manage_projects")
    actor.require_unlimited()
    draft = _draft(actor, values)
    pods.require_acceptable(draft)
    _require_free_name(draft)
    draft, head = _inspected(_bound(draft))
    managed = bool(draft.settings.get("use_managed_state_database"))
    stored = state_databases.create(draft.id) if managed else None

    def work(session: Session) -> Project:
        _require_free_name(draft, session)
        made = dataclasses.replace(draft, state_connection_id=stored.conn_id if stored else None)
        project_rows.insert_project(session, made)
        jobs.default_job(session, draft)
        if stored is not None:
            connections.write_state_connection(session, stored)
        _note_head(session, draft, head)
        publishing.publish(session, draft.id)
        return _on_record(session, actor, "created", None, _read(session, draft.id))

    try:
        return transactions.run(work)
    except BaseException:
        if stored is not None:
            state_databases.drop(draft.id)
        raise


def _draft(actor: Actor, values: dict[str, Any]) -> Project:
    project_type: ProjectType = values.get("project_type") or DEFAULT_TOOL
    settings = {
        name: field.default
        for name, field in FIELDS.items()
        if field.default is not None and field.project_type in (None, project_type) and name not in _COLUMNS
    }
    settings.update({name: value for name, value in values.items() if name not in _COLUMNS and value is not None})
    version = tool_of(project_type).version_field
    settings[version] = versions.checked(project_type, settings.get(version))
    versions.require_fitting_python(project_type, settings[version], settings.get("python_version"))
    if settings.get("use_managed_state_database") and not state_databases.is_configured():
        if values.get("use_managed_state_database"):
            raise DagctlError("state_database_not_configured", "No server for managed state databases is configured.")
        settings["use_managed_state_database"] = False
    now, identifier = utcnow(), new_id("proj_")
    return Project(
        id=identifier,
        organization_id=actor.organization_id,
        name=values["name"],
        project_type=project_type,
        repository_url=values["repository_url"],
        branch=values.get("branch") or FIELDS["branch"].default,
        settings=settings,
        dag_id=plan_dag_id(slug(values["name"])[:MAX_NAME_IN_DAG_ID], identifier[-8:]),
        deployed=True,
        deployed_at=now,
        created_at=now,
        updated_at=now,
    )


def _require_free_name(project: Project, session: Session | None = None) -> None:
    def work(session: Session) -> bool:
        others = project_rows.list_projects(session, project.organization_id)
        return any(other.name.lower() == project.name.lower() and other.id != project.id for other in others)

    if work(session) if session is not None else transactions.run(work):
        raise _name_taken(project.name)


def _name_taken(name: str) -> DagctlError:
    return DagctlError("name_taken", f"A project named {name!r} exists already.", name=name)


def _inspected(project: Project) -> tuple[Project, str]:
    """The project with what its repository says, and the branch HEAD."""
    _, branch, folder = repositories.check_location(project.repository_url, project.branch, project.settings.get("git_path"))
    settings = (
        {**project.settings, "git_path": folder} if folder else {k: v for k, v in project.settings.items() if k != "git_path"}
    )
    project = dataclasses.replace(project, branch=branch, settings=settings)
    head = repositories.head_of(project)
    found = repositories.gateways_of(project, head)
    names = list(found.names) if found.names is not None else None
    return dataclasses.replace(project, gateways=names, default_gateway=found.default), head


def _bound(draft: Project) -> Project:
    """The new project with the connection that its profile may be made from: what stands there now, chosen by whoever makes it.

    Later, whoever may edit Airflow's connections must not choose which password a project's code gets.
    """
    settings = draft.settings
    if not draft.tool.takes_profile or settings.get("warehouse_connection_id"):
        return draft
    found = connections.read_connection(project_connection(draft.name))
    profile = found.extra.get("profile") if found is not None else None
    named = profile.get("connection") if isinstance(profile, dict) else None
    bound = {"warehouse_connection_id": named} if isinstance(named, str) else {}
    return dataclasses.replace(draft, settings={**settings, **bound})


def _note_head(session: Session, project: Project, head: str) -> None:
    """Write down the branch HEAD; what is known of a commit stays only if it is still that one."""
    same = head == project.latest_commit_sha
    project_rows.note_head(
        session,
        project.id,
        head,
        message=project.latest_commit_message if same else None,
        behind=project.commits_behind if same else None,
    )


def _read(session: Session, project_id: str) -> Project:
    project = project_rows.get_project(session, project_id)
    assert project is not None
    return project


def _subject(project: Project) -> Subject:
    return Subject("project", project.id, project.name, project.id)


def _on_record(session: Session, actor: Actor, verb: str, before: Project | None, after: Project) -> Project:
    """Note what was done to a project, where something of it is another than before."""
    was, now = auditing.changes(before.told() if before is not None else {}, after.told())
    if was or now:
        auditing.record(session, actor, verb, _subject(after), before=was if before is not None else None, after=now)
    return after


@dataclasses.dataclass(frozen=True)
class _Change:
    """A change of a project against which nothing speaks so far.

    :param values: The fields to set, as they are stored.
    :param wanted: The project as it would be.
    :param head: The branch HEAD, where the repository had to be asked.
    """

    values: dict[str, Any]
    wanted: Project
    head: str | None = None


def update_project(actor: Actor, project_id: str, values: dict[str, Any]) -> Project:
    """Change the supplied fields and nothing else. Plans that exist keep the settings they were made with.

    :raises DagctlError: ``not_found``, ``name_taken``, ``downgrade_refused``, ``unsupported_version``, and what git answers.
    """
    actor.require("manage_projects")
    before = get_project(actor, project_id)
    change = _judged(before, values)
    managed = change.wanted.settings.get("use_managed_state_database") and before.state_connection_id is None
    stored = state_databases.create(before.id) if managed else None

    def work(session: Session) -> Project:
        current = lookups.locked_project(session, actor, project_id)
        _require_free_name(change.wanted, session)
        merged = _merged(current, change, stored)
        if stored is not None:
            connections.write_state_connection(session, stored)
        jobs.default_job(session, current)
        due = jobs.schedules_of(session, current)
        project_rows.change_project(session, merged, _CHANGED)
        if change.head is not None:
            _note_head(session, current, change.head)
        publishing.publish(session, project_id)
        after = _read(session, project_id)
        jobs.forget_ended(session, due, after)
        return _on_record(session, actor, "changed", current, after)

    return transactions.run(work)


def _merged(current: Project, change: _Change, stored: StoredConnection | None) -> Project:
    """The project of this moment with a change that was judged a moment ago."""
    merged = _changed(current, change.values)
    if stored is not None:
        merged = dataclasses.replace(merged, state_connection_id=stored.conn_id)
    if change.head is None:
        return merged
    return dataclasses.replace(merged, gateways=change.wanted.gateways, default_gateway=change.wanted.default_gateway)


def _judged(before: Project, values: dict[str, Any]) -> _Change:
    """Look for what stands in the way of a change, asking the repository where the change is about where that is."""
    _require_fitting_fields(before, values)
    values = {**values, **_checked_version(before, values)}
    wanted = _changed(before, values)
    if pods.SHAPES_THE_POD & set(values):
        pods.require_acceptable(wanted)
    if not set(_LOCATION) & set(values):
        return _Change(values, wanted)
    wanted, head = _inspected(wanted)
    if "git_path" in values:
        values = {**values, "git_path": wanted.settings.get("git_path")}
    return _Change(values, wanted, head)


def _checked_version(before: Project, values: dict[str, Any]) -> dict[str, str]:
    """The version of the tool that is asked for, if one is, under the name of its field.

    :raises DagctlError: ``unsupported_version``, ``downgrade_refused``.
    """
    field = before.tool.version_field
    if field not in values:
        return {}
    version = versions.checked(before.project_type, values[field])
    versions.require_no_downgrade(before.project_type, before.current_tool_version, version)
    return {field: version}


def _require_fitting_fields(project: Project, values: dict[str, Any]) -> None:
    errors = [
        {"field": name, "message": f"only for {FIELDS[name].project_type} projects"}
        for name in values
        if FIELDS[name].project_type not in (None, project.project_type)
    ]
    if errors:
        raise DagctlError("invalid_request", f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)


def _changed(project: Project, values: dict[str, Any]) -> Project:
    columns = {name: values[name] for name in _COLUMNS if name in values}
    settings = {**project.settings, **{name: value for name, value in values.items() if name not in _COLUMNS}}
    version = project.tool.version_field
    if {version, "python_version"} & values.keys() and settings.get(version):
        versions.require_fitting_python(project.project_type, settings[version], settings.get("python_version"))
    return dataclasses.replace(project, settings={k: v for k, v in settings.items() if v is not None}, **columns)


def check_project(actor: Actor, values: dict[str, object], project_id: str | None = None) -> None:
    """Judge fields as :func:`create_project` and :func:`update_project` would, without asking a remote and without a write.

    :param values: As for those; validated for type and form.
    :param project_id: Of the project to change; a new one when absent.
    :raises DagctlError: what stands in the way first.
    """
    actor.require("manage_projects")
    wanted = _wanted(actor, values, project_id)
    repositories.check_location(wanted.repository_url, wanted.branch, wanted.settings.get("git_path"))
    pods.require_acceptable(wanted)
    _require_free_name(wanted)


def check_name(actor: Actor, name: str, project_id: str | None = None) -> None:
    """Judge a name alone, while the other fields are still missing.

    :param project_id: Of the project that is to have it, when that exists.
    :raises DagctlError: ``name_taken``.
    """
    actor.require("manage_projects")
    others = (project for project in list_projects(actor) if project.id != project_id)
    if any(other.name.lower() == name.lower() for other in others):
        raise _name_taken(name)


def inspect_repository(actor: Actor, values: dict[str, object], project_id: str | None = None) -> RepositoryReport:
    """What the repository of a project would say if the project were saved with these values.

    :param values: As for :func:`check_project`.
    :raises DagctlError: ``invalid_repository``, ``project_not_found_in_repository`` and what git answers.
    """
    actor.require("manage_projects")
    wanted, head = _inspected(_wanted(actor, values, project_id))
    facts = repositories.facts_of(wanted, head, wanted.current_commit_sha)
    return RepositoryReport(
        facts.sha, facts.message, facts.author_name, facts.committed_at, wanted.gateways, wanted.default_gateway
    )


def _wanted(actor: Actor, values: dict[str, Any], project_id: str | None) -> Project:
    """The project as it would be."""
    if project_id is None:
        actor.require_unlimited()
        return _draft(actor, values)
    before = get_project(actor, project_id)
    _require_fitting_fields(before, values)
    return _changed(before, {**values, **_checked_version(before, values)})


def delete_project(actor: Actor, project_id: str) -> None:
    """Undeploy a project, drop its managed state database, and remove it with its plans. Decisions stay on record.

    Re-runnable at every point: the record goes last.

    :raises DagctlError: ``not_found``, ``project_busy`` while a step or run of it is under way, ``state_database_unavailable``.
    """
    actor.require("manage_projects")
    undeploy(actor, project_id)
    project = get_project(actor, project_id)
    if project.state_connection_id is not None:
        with waiting.outside():
            state_databases.drop(project.id)

    def work(session: Session) -> None:
        project = lookups.locked_project(session, actor, project_id)
        _require_idle(session, project)
        named = deployment_rows.named_artifacts(session, project_id)
        project_rows.delete_project(session, project_id)
        if project.state_connection_id is not None:
            connections.delete_connection(session, project.state_connection_id)
        artifacts.forget(session, named)
        publishing.withdraw(session, project)
        auditing.record(session, actor, "removed", _subject(project), before=project.told())

    transactions.run(work)


def _require_idle(session: Session, project: Project) -> None:
    running = [step.id for step in plan_rows.steps_in(session, ["running"], project.id)]
    if running:
        raise DagctlError(
            "project_busy", f"Project {project.name!r} has a running step; cancel it or wait for it.", running_plans=running
        )
    unfinished = runs.unfinished(session, project)
    if unfinished:
        detail = f"A run of project {project.name!r} is not over yet; wait for it, or mark it as failed in Airflow."
        raise DagctlError("project_busy", detail, running_runs=unfinished)


def deploy(actor: Actor, project_id: str) -> Project:
    """Generate the project's Dags and unpause them. Deploying again is as good as once."""
    return _set_deployed(actor, project_id, True)


def undeploy(actor: Actor, project_id: str) -> Project:
    """Withdraw and pause the project's Dags; the record stays. Pending plans are discarded.

    :raises DagctlError: ``project_busy`` while a step or run of it is under way.
    """
    return _set_deployed(actor, project_id, False)


def _set_deployed(actor: Actor, project_id: str, deployed: bool) -> Project:
    actor.require("manage_projects")

    def work(session: Session) -> Project:
        project = lookups.locked_project(session, actor, project_id)
        if not deployed:
            _require_idle(session, project)
            for step in plan_rows.steps_in(session, ["pending"], project.id):
                pending = plan_rows.get_step(session, step.id)
                if pending is not None:
                    system = system_actor(project.organization_id, "undeploy")
                    steps.discard(session, system, pending, "The project was undeployed.", pending.to_commit_sha)
        if project.deployed != deployed:
            project_rows.update_project(session, project_id, deployed=deployed, deployed_at=utcnow() if deployed else None)
        dags.set_paused(session, [project.dag_id, *jobs.dag_ids_of(session, project)], not deployed)
        publishing.publish(session, project_id)
        publishing.ask_for_parsing(session)
        return _on_record(session, actor, "deployed" if deployed else "undeployed", project, _read(session, project_id))

    return transactions.run(work)


def run_project(actor: Actor, project_id: str, override_reason: str | None = None) -> RunStarted:
    """Start a run of the deployed state now: of the default job, which is made if there is none.

    :param override_reason: Why an owner does it while the environment is closed.
    :raises DagctlError: ``project_not_deployed``, ``plan_not_executed``, ``project_suspended``, ``job_disabled``,
        ``run_in_progress``, ``environment_protected``, ``outside_window``, ``override_refused``.
    """
    actor.require("run_project")

    def work(session: Session) -> RunStarted:
        project = lookups.locked_project(session, actor, project_id)
        job = jobs.default_job(session, project)
        return asking.ask(session, actor, project, job, _subject(project), override_reason)

    return asking.started(transactions.run(work))


def sync_status(actor: Actor, project_id: str) -> SyncStatus:
    """How the project stands to its branch, asked from the remote now.

    A remote that does not answer is told in ``error``, with what was last known; that is no error of this request.
    """
    project = get_project(actor, project_id)
    try:
        head = repositories.head_of(project)
        facts = repositories.facts_of(project, head, project.current_commit_sha)
    except DagctlError as error:
        if error.code == "server_busy":
            raise
        detail = error.detail
        transactions.run(lambda session: project_rows.update_project(session, project.id, touch=False, sync_error=detail))
    else:
        note = partial(project_rows.note_head, message=facts.message, behind=facts.commits_behind)
        transactions.run(lambda session: note(session, project.id, facts.sha))
    project = get_project(actor, project_id)
    return SyncStatus(
        project_id=project.id,
        branch=project.branch,
        in_sync=project.current_commit_sha is not None and project.current_commit_sha == project.latest_commit_sha,
        current_commit_sha=project.current_commit_sha,
        latest_commit_sha=project.latest_commit_sha,
        latest_commit_message=project.latest_commit_message,
        commits_behind=project.commits_behind,
        last_synced_at=project.last_synced_at,
        error=project.sync_error,
    )
