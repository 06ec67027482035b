"""The pages of environment variables: the list, the form, and whether one shall go. What is sensitive is never in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.variables import FOLDERS, MODE, NAME_PATTERN, VALUE_BYTES
from dagctl_provider.services import projects, variables
from dagctl_provider.services.results import ShownVariable
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.organization import section_page
from dagctl_provider.ui.pages import Pages, back_to, expose, signed_in

_WORD = "variables"
_LIST = "organization"
_MAX_FORM_BYTES = 512 * 1024
_SHOWN_LETTERS = 80


class VariablePages(Pages):
    """Environment variables."""

    @expose("/organization/variables")
    def variables(self) -> Response:
        """All of them, by name."""
        actor = signed_in("view_secrets")
        named = {project.id: project.name for project in projects.list_projects(actor)}
        rows = [(one, _first_line(one), _reach(one, named)) for one in variables.list_variables(actor)]
        return section_page("variables.html", actor, _WORD, rows=rows)

    @expose("/organization/variables/new", methods=("GET", "POST"))
    def new_variable(self) -> Response:
        """Make one."""
        actor = signed_in("manage_secrets")
        if request.method == "GET":
            return _form(actor, None, {"is_sensitive": True})
        try:
            _require_reasonable()
            variables.create_variable(actor, {**_read(creating=True), "name": request.form.get("name", "").strip()})
        except DagctlError as error:
            return _form(actor, None, _typed(), error)
        return back_to(page_url(_LIST, _WORD, said="variable_created"))

    @expose("/organization/variables/<variable_name>", methods=("GET", "POST"))
    def variable(self, variable_name: str) -> Response:
        """Change one."""
        actor = signed_in("manage_secrets")
        found = variables.get_variable(actor, _checked(variable_name))
        if request.method == "GET":
            return _form(actor, found, _values_of(found))
        try:
            _require_reasonable()
            variables.update_variable(actor, variable_name, _without_same_value(found, _read(creating=False)))
        except DagctlError as error:
            return _form(actor, found, _typed(), error)
        return back_to(page_url(_LIST, _WORD, said="variable_saved"))

    @expose("/organization/variables/<variable_name>/delete", methods=("GET", "POST"))
    def delete_variable(self, variable_name: str) -> Response:
        """Ask whether one shall go, and remove it."""
        actor = signed_in("manage_secrets")
        found = variables.get_variable(actor, _checked(variable_name))
        if request.method == "GET":
            return section_page("variable_delete.html", actor, _WORD, title=f"Delete {found.variable.name}", shown=found)
        variables.delete_variable(actor, variable_name)
        return back_to(page_url(_LIST, _WORD, said="variable_deleted"))


def _checked(name: str) -> str:
    if not re.fullmatch(NAME_PATTERN, name):
        raise not_found("Environment variable", name)
    return name


def _require_reasonable() -> None:
    if (request.content_length or 0) > _MAX_FORM_BYTES:
        raise DagctlError("payload_too_large", "The form is too large.")


def _first_line(shown: ShownVariable) -> str | None:
    """What a list has room for of a value; ``None`` when it cannot be read any more."""
    if shown.value is None or (len(shown.value) <= _SHOWN_LETTERS and "\n" not in shown.value):
        return shown.value
    return shown.value.split("\n")[0][:_SHOWN_LETTERS] + "…"


def _reach(shown: ShownVariable, named: Mapping[str, str]) -> list[str]:
    """Which steps get it, in words."""
    found = shown.variable
    told = [", ".join(named.get(one, one) for one in found.project_ids)] if found.project_ids else []
    return told + (["in " + ", ".join(found.environments)] if found.environments else [])


# The form


def _form(actor: Actor, shown: ShownVariable | None, values: Mapping[str, Any], error: DagctlError | None = None) -> Response:
    """The form. What was typed as a value is not shown again when something is wrong: it may be a secret."""
    listed: Any = error.extra.get("errors", []) if error is not None else []
    errors = {str(entry["field"]): str(entry["message"]) for entry in listed}
    if error is not None and error.code == "name_taken":
        errors = {"name": error.detail}
    return section_page(
        "variable_form.html",
        actor,
        _WORD,
        title=shown.variable.name if shown is not None else "New environment variable",
        status=error.kind.status if error is not None else 200,
        shown=shown,
        values=values,
        errors=errors,
        general_error=error if error is not None and not errors else None,
        projects=projects.list_projects(actor),
        folders=FOLDERS,
        limit=f"{VALUE_BYTES // 1024} KiB",
        mode=f"{MODE:04o}",
    )


def _values_of(shown: ShownVariable) -> dict[str, Any]:
    found = shown.variable
    return {
        "value": "" if found.is_sensitive else shown.value or "",
        "is_sensitive": found.is_sensitive,
        "mount_as_file": found.mount_as_file,
        "file_mount_path": found.file_mount_path or "",
        "file_permissions": f"{found.file_permissions:04o}" if found.file_permissions is not None else "",
        "project_ids": found.project_ids or (),
        "environments": ", ".join(found.environments or ()),
    }


def _typed() -> dict[str, Any]:
    """What was filled in, without the value."""
    form = request.form
    names = ("name", "file_mount_path", "file_permissions", "environments")
    return {
        **{name: form.get(name, "").strip() for name in names},
        **{name: name in form for name in ("is_sensitive", "mount_as_file")},
        "project_ids": form.getlist("project_ids"),
    }


def _read(creating: bool) -> dict[str, Any]:
    """The fields of the form, typed.

    :param creating: Whether an empty value is one; of a variable that is there it means that the value stays.
    :raises DagctlError: ``invalid_request``.
    """
    typed, value = _typed(), request.form.get("value", "").replace("\r\n", "\n")
    is_file = typed["mount_as_file"]
    return {
        **({"value": value} if value or creating else {}),
        "is_sensitive": typed["is_sensitive"],
        "mount_as_file": is_file,
        "file_mount_path": typed["file_mount_path"] or None if is_file else None,
        "file_permissions": _mode(typed["file_permissions"]) if is_file else None,
        "project_ids": typed["project_ids"] or None,
        "environments": [name for name in re.split(r"[\s,]+", typed["environments"]) if name] or None,
    }


def _mode(text: str) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-7]{3,4}", text):
        errors = [{"field": "file_permissions", "message": "is written as three or four digits from 0 to 7, such as 0600"}]
        raise DagctlError("invalid_request", "Not accepted: file_permissions.", errors=errors)
    return int(text, 8)


def _without_same_value(shown: ShownVariable, sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, without a value that stood in the form and was left as it is: forms change line ends."""
    same = not shown.variable.is_sensitive and sent.get("value") == (shown.value or "").replace("\r\n", "\n")
    return {name: value for name, value in sent.items() if not (same and name == "value")}
