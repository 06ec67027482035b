"""The pages of projects: the list, one project, its form, and what can be done to it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import FIELDS, Project
from dagctl_provider.domain.tools import TOOLS
from dagctl_provider.services import projects
from dagctl_provider.services.showing import live, overview
from dagctl_provider.ui import form_fields, project_form
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.lists import STATUS_FILTERS, page_number, status_tabs
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, json_answer, page, signed_in
from dagctl_provider.ui.project_actions import BY_VERB, Action

_FILTERS = (
    ("all", "All"),
    ("waiting", "Waiting for approval"),
    ("behind", "Behind"),
    ("failing", "Failing"),
    ("suspended", "Suspended"),
    ("undeployed", "Not deployed"),
)
_SORTS = (("name", "Name"), ("waiting", "Most waiting"), ("behind", "Furthest behind"), ("changed", "Newest change"))
_MAX_FORM_BYTES = 256 * 1024


class ProjectPages(Pages):
    """Projects."""

    @expose("/projects")
    def projects(self) -> Response:
        """All projects of the organization."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        show, sort = request.args.get("show", "all"), request.args.get("sort", "name")
        show, sort = show if show in overview.PROJECT_FILTERS else "all", sort if sort in overview.PROJECT_SORTS else "name"
        search = request.args.get("search", "")[:100]
        found = overview.list_project_rows(actor, search=search, show=show, sort=sort, page=page_number())
        filters = [(word, text, found.counts[word]) for word, text in _FILTERS]
        return page(
            "projects.html",
            actor,
            title="Projects",
            nav="projects",
            version=version,
            list=found,
            search=search,
            show=show,
            sort=sort,
            sorts=_SORTS,
            filters=filters,
            tools=" or ".join(tool.label for tool in TOOLS.values()),
        )

    @expose("/projects/<project_id>")
    def project(self, project_id: str) -> Response:
        """One project with its plans."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        row = overview.get_project_row(actor, check_id(project_id, "Project"))
        status = request.args.get("status", "")
        status = status if status in STATUS_FILTERS else ""
        found = overview.list_plan_groups(actor, project_id=project_id, status=status or None, page=page_number())
        return page(
            "project.html",
            actor,
            title=row.project.name,
            nav="projects",
            version=version,
            row=row,
            list=found,
            chosen=status,
            filters=status_tabs(found.counts),
            settings=_settings(row.project),
        )

    @expose("/projects/<project_id>/<any(plan,run,adopt,deploy,undeploy,suspend,resume,delete):verb>", methods=("GET", "POST"))
    def act(self, project_id: str, verb: str) -> Response:
        """Ask whether something shall be done to a project, and do it."""
        action = BY_VERB[verb]
        actor = signed_in(action.permission)
        row = overview.get_project_row(actor, check_id(project_id, "Project"))
        if request.method == "GET":
            return _ask(actor, action, row)
        if action.name_to_type and request.form.get("typed_name", "").strip() != row.project.name:
            return _ask(actor, action, row, DagctlError("invalid_request", "The name that was typed is not the project's."))
        try:
            return back_to(action.perform(actor, project_id, form_fields.filled(request)))
        except DagctlError as error:
            return _ask(actor, action, row, error)

    @expose("/projects/new", methods=("GET", "POST"))
    def new(self) -> Response:
        """Make a project."""
        actor = signed_in("manage_projects")
        if request.method == "GET":
            return _form(actor, None, project_form.defaults())
        return _take_form(actor, None)

    @expose("/projects/<project_id>/edit", methods=("GET", "POST"))
    def edit(self, project_id: str) -> Response:
        """Change a project."""
        actor = signed_in("manage_projects")
        project = projects.get_project(actor, check_id(project_id, "Project"))
        if request.method == "GET":
            return _form(actor, project, project_form.values_of(project))
        return _take_form(actor, project)


def _ask(actor: Actor, action: Action, row: overview.ProjectRow, error: DagctlError | None = None) -> Response:
    title = action.title.format(name=row.project.name)
    return page(
        "confirm.html",
        actor,
        title=title,
        nav="projects",
        status=error.kind.status if error is not None else 200,
        action=action,
        row=row,
        consequences=action.consequences(row),
        fields=action.fields(row, request.form),
        error=error,
    )


def _settings(project: Project) -> list[tuple[str, str]]:
    """Label and value of each setting that has one, in the order of the form."""
    values = project_form.values_of(project)
    shown = []
    for group in project_form.GROUPS:
        for name in group.fields:
            if values.get(name) not in (None, "") and name not in ("name", "description", "agent_context"):
                shown.append((project_form.LABELS[name], _said(name, values[name])))
    return shown


def _said(name: str, value: object) -> str:
    if FIELDS[name].json_type == "boolean":
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    return project_form.CHOICES.get(name, {}).get(str(value), str(value))


# The form


def _form(
    actor: Actor,
    project: Project | None,
    values: dict[str, object],
    *,
    error: DagctlError | None = None,
    report: object = None,
) -> Response:
    errors = project_form.errors_by_field(error) if error is not None else {}
    return page(
        "project_form.html",
        actor,
        title="New project" if project is None else f"Edit {project.name}",
        nav="projects",
        status=error.kind.status if error is not None else 200,
        project=project,
        project_type=values["project_type"],
        groups=project_form.inputs(values, errors, creating=project is None),
        general_error=error if error is not None and "" in errors else None,
        errors=errors,
        report=report,
    )


def _take_form(actor: Actor, project: Project | None) -> Response:
    """Save what was sent; or only judge it, or ask the repository, as the button that was pressed says."""
    if (request.content_length or 0) > _MAX_FORM_BYTES:
        raise DagctlError("payload_too_large", "The form is too large.")
    intent = request.form.get("intent", "save")
    sent = project_form.read_form(request.form, project)
    project_id = project.id if project is not None else None
    shown = {**(project_form.values_of(project) if project is not None else {**project_form.defaults(), **_blank()}), **sent}
    if intent == "check":
        errors = _judged(actor, sent, project_id)
        return json_answer({"errors": errors, "hints": project_form.hints(shown, errors)})
    try:
        values = project_form.require_valid(sent, creating=project is None)
        if intent == "test":
            report = projects.inspect_repository(actor, values, project_id)
            return _form(actor, project, shown, report=report)
        return _saved(actor, project, values)
    except DagctlError as error:
        return _form(actor, project, shown, error=error)


def _blank() -> dict[str, object]:
    """A field that was sent empty is shown empty, not with its default."""
    return {name: None for name, field in FIELDS.items() if field.choices is None and field.json_type != "boolean"}


def _judged(actor: Actor, sent: dict[str, Any], project_id: str | None) -> dict[str, str]:
    """What is wrong with what was typed so far, by field. A name can be judged before the rest is there."""
    found: dict[str, str] = {}
    try:
        projects.check_project(actor, project_form.require_valid(sent, creating=project_id is None), project_id)
    except DagctlError as error:
        found = project_form.errors_by_field(error)
    if "name" in sent and "name" not in found:
        try:
            projects.check_name(actor, sent["name"], project_id)
        except DagctlError as error:
            found |= project_form.errors_by_field(error)
    return found


def _saved(actor: Actor, project: Project | None, values: dict[str, object]) -> Response:
    if project is None:
        made = projects.create_project(actor, values)
        return back_to(page_url("projects", made.id, said="project_created"))
    if values:
        projects.update_project(actor, project.id, values)
    return back_to(page_url("projects", project.id, said="project_saved"))
