"""The pages of jobs: the list of a project's jobs, the form of one, and the questions before it is run or deleted."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request

from dagctl_provider.domain.doors import require_short
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.schedules import describe
from dagctl_provider.services import jobs
from dagctl_provider.services.showing import jobs_page, live
from dagctl_provider.services.showing.jobs_page import JobRow
from dagctl_provider.ui import job_form
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.form_fields import OVERRIDE_HINT, OVERRIDE_LABEL, FormField
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, json_answer, page, signed_in
from dagctl_provider.ui.plan_diffs import visible
from dagctl_provider.ui.questions import Question, ask

_MAX_FORM_BYTES = 128 * 1024


class JobPages(Pages):
    """Jobs of a project."""

    @expose("/projects/<project_id>/jobs")
    def jobs(self, project_id: str) -> Response:
        """All jobs of a project, the default one first."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        found = jobs_page.get_job_list(actor, check_id(project_id, "Project"))
        return page(
            "jobs/list.html",
            actor,
            title=f"Jobs of {found.project.name}",
            nav="projects",
            version=version,
            project=found.project,
            rows=found.rows,
            describe=describe,
            visible=visible,
        )

    @expose("/projects/<project_id>/jobs/new", methods=("GET", "POST"))
    def new(self, project_id: str) -> Response:
        """Make a job."""
        actor = signed_in("manage_jobs")
        project = jobs_page.get_project(actor, check_id(project_id, "Project"))
        if request.method == "GET":
            return _form(actor, project, None, job_form.defaults())
        return _take_form(actor, project, None)

    @expose("/projects/<project_id>/jobs/<job_id>", methods=("GET", "POST"))
    def edit(self, project_id: str, job_id: str) -> Response:
        """Change a job."""
        actor = signed_in("manage_jobs")
        project, row = _found(actor, project_id, job_id)
        if request.method == "GET":
            return _form(actor, project, row, job_form.values_of(row.job))
        return _take_form(actor, project, row)

    @expose("/projects/<project_id>/jobs/<job_id>/run", methods=("GET", "POST"))
    def run(self, project_id: str, job_id: str) -> Response:
        """Ask whether a job shall run now, and start it."""
        actor = signed_in("run_project")
        project, row = _found(actor, project_id, job_id)
        question = _of_run(project, row)
        if request.method == "GET":
            return ask(actor, question)
        try:
            reason = request.form.get("override_reason", "").strip()
            require_short(reason)
            started = jobs.run_job(actor, job_id, reason or None)
        except DagctlError as error:
            return ask(actor, question, error)
        return back_to(page_url("projects", project_id, "runs", started.run_id, said="run_started"))

    @expose("/projects/<project_id>/jobs/<job_id>/delete", methods=("GET", "POST"))
    def delete(self, project_id: str, job_id: str) -> Response:
        """Ask whether a job shall be deleted, and delete it."""
        actor = signed_in("manage_jobs")
        project, row = _found(actor, project_id, job_id)
        question = Question(
            title=visible(f"Delete the job {row.job.name} of {project.name}?"),
            label="Delete",
            tone="danger",
            consequences=(
                "Its Dag is withdrawn, and it does not run any more. What its runs did stays among the project's runs.",
                "It is refused while a run of the job is not over. This cannot be undone.",
            ),
            back=page_url("projects", project_id, "jobs"),
        )
        if request.method == "GET":
            return ask(actor, question)
        try:
            jobs.delete_job(actor, job_id)
        except DagctlError as error:
            return ask(actor, question, error)
        return back_to(page_url("projects", project_id, "jobs", said="job_deleted"))


def _found(actor: Actor, project_id: str, job_id: str) -> tuple[Project, JobRow]:
    return jobs_page.get_job_row(actor, check_id(project_id, "Project"), check_id(job_id, "Job"))


def _of_run(project: Project, row: JobRow) -> Question:
    sha = short_sha(project.current_commit_sha or "")
    told = [
        f"It does '{row.job.command}' with the deployed commit {sha}. Nothing new is deployed."
        if sha
        else "Nothing is deployed yet."
    ]
    if not row.job.enabled:
        told.append("The job is not enabled, so the request will be refused.")
    policy = project.settings.get("concurrency_policy", "Allow")
    if policy == "Forbid":
        told.append(
            "This project allows one run at a time, of all its jobs together: while one is under way the request is refused."
        )
    elif policy == "Replace":
        told.append("A run of the project that is under way, of whatever job, is stopped and replaced.")
    return Question(
        title=visible(f"Run {row.job.name} of {project.name} now?"),
        label="Run now",
        consequences=[visible(sentence) for sentence in told],
        back=page_url("projects", project.id, "jobs"),
        fields=(FormField("override_reason", OVERRIDE_LABEL, OVERRIDE_HINT, request.form.get("override_reason", "")),),
    )


def _form(
    actor: Actor,
    project: Project,
    row: JobRow | None,
    values: Mapping[str, object],
    *,
    lines: str | None = None,
    error: DagctlError | None = None,
) -> Response:
    errors = job_form.errors_by_field(error) if error is not None else {}
    hint = job_form.command_hint(project, row is not None and row.shown.default)
    return page(
        "jobs/form.html",
        actor,
        title=visible(f"Edit {row.job.name}") if row is not None else f"New job of {project.name}",
        nav="projects",
        status=error.kind.status if error is not None else 200,
        project=project,
        row=row,
        groups=job_form.inputs(values, lines, errors, hint),
        general_error=error if "" in errors else None,
        errors=errors,
        visible=visible,
    )


def _take_form(actor: Actor, project: Project, row: JobRow | None) -> Response:
    """Save what was sent; or only judge it, as a form does while somebody types."""
    if (request.content_length or 0) > _MAX_FORM_BYTES:
        raise DagctlError("payload_too_large", "The form is too large.")
    job = row.job if row is not None else None
    if request.form.get("intent") == "check":
        return _judged(project, job)
    values, lines = job_form.typed(request.form), request.form.get("environment", "")
    try:
        sent = job_form.require_valid({**values, "environment": job_form.variables(lines)}, job)
        if job is None:
            jobs.create_job(actor, project.id, sent)
        elif sent:
            jobs.update_job(actor, job.id, sent)
    except DagctlError as error:
        return _form(actor, project, row, values, lines=lines, error=error)
    return back_to(page_url("projects", project.id, "jobs", said="job_saved" if job is not None else "job_created"))


def _judged(project: Project, job: Job | None) -> Response:
    errors: dict[str, str] = {}
    values = job_form.typed(request.form)
    try:
        job_form.require_valid({**values, "environment": job_form.variables(request.form.get("environment", ""))}, job)
    except DagctlError as error:
        errors = job_form.errors_by_field(error)
    if job is None or values.get("command") != job.command:
        errors = {**jobs_page.judge(project, job, values), **errors}
    return json_answer({"errors": errors, "hints": job_form.schedule_hint(values)})
