"""The form of a project, made from the table of project fields.

The table gives defaults, limits, patterns and closed lists; here stands what it cannot know: the order of the form, short labels,
and how a rule is said to people. A test holds the two together. What only projects of one tool have comes from the tool's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dagctl_provider.api import problems
from dagctl_provider.api.v1.projects.schemas import CreateProject, UpdateProject
from dagctl_provider.api.v1.projects.schemas import project as as_answer
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.fields import Field
from dagctl_provider.domain.projects import FIELDS, Project
from dagctl_provider.domain.schedules import describe
from dagctl_provider.domain.tools import DEFAULT_TOOL, TOOLS
from dagctl_provider.services.outside import versions
from dagctl_provider.services.showing.overview import due_times


@dataclass(frozen=True)
class Group:
    """Fields that belong together.

    :param project_type: Only for projects of this type.
    :param folded: Whether the group is closed at first, because its defaults do.
    """

    title: str
    fields: tuple[str, ...]
    about: str = ""
    project_type: str | None = None
    folded: bool = False


GROUPS: tuple[Group, ...] = (
    Group("Project", ("name", "project_type", "description")),
    Group(
        "Repository",
        ("repository_url", "branch", "git_path", "git_auth_method", "git_secret_ref"),
        "Credentials never stand in the address: keep them in an Airflow connection and name it here.",
    ),
    *(Group(tool.label, tool.form.fields, project_type=name) for name, tool in TOOLS.items()),
    Group("Plans and runs", ("run_tests", "auto_apply", "run_schedule", "suspended", "python_requirements")),
    Group(
        "Resources and runs",
        (
            "cpu_request",
            "cpu_limit",
            "memory_request",
            "memory_limit",
            "concurrency_policy",
            "max_concurrent_job_runs",
        ),
        "CPU and memory are those of the pods; the process launcher does not use them.",
        folded=True,
    ),
    Group("More", ("agent_context", "remediation_auto_merge", "status"), folded=True),
)

LABELS: Mapping[str, str] = {
    "name": "Name",
    "description": "Description",
    "project_type": "Tool",
    "repository_url": "Repository address",
    "branch": "Branch",
    "git_path": "Folder in the repository",
    "git_auth_method": "Access",
    "git_secret_ref": "Airflow connection with the credentials",
    "auto_apply": "Apply plans without approval",
    "run_tests": "Run the project's unit tests",
    "cpu_request": "CPU request",
    "cpu_limit": "CPU limit",
    "memory_request": "Memory request",
    "memory_limit": "Memory limit",
    "concurrency_policy": "While a run is under way, a new one is",
    "run_schedule": "Schedule",
    "suspended": "Suspended",
    "python_requirements": "Python packages",
    "agent_context": "Context for an AI agent",
    "remediation_auto_merge": "Merge remediation pull requests automatically",
    "max_concurrent_job_runs": "Most runs at the same time",
    "status": "Status",
    **{name: label for tool in TOOLS.values() for name, label in tool.form.labels.items()},
}

HINTS: Mapping[str, str] = {
    "project_type": "What the repository holds; it cannot be changed later.",
    "run_tests": "Failing tests stop a plan before anything is written.",
    "run_schedule": "@hourly, @daily or five cron fields such as 30 6 * * 1-5. Empty: only when somebody asks for it.",
    "python_requirements": "One a line, such as faker>=30,<41: what the project needs beside its tool and its files do not name.",
    "suspended": "New commits are not detected and nothing runs.",
    "name": "Letters, digits, spaces, dots, dashes and underscores; 63 characters at most.",
    "repository_url": "https://… or git@host:path",
    "branch": "New commits on this branch become plans.",
    "git_path": "Only when the project is not at the top.",
    "git_secret_ref": "Letters, digits, dots, dashes and underscores.",
    "cpu_request": "For example 500m or 2.",
    "cpu_limit": "For example 2000m or 2.",
    "memory_request": "For example 1Gi.",
    "memory_limit": "For example 4Gi.",
    "auto_apply": "Every commit on the branch then changes the warehouse with nobody looking.",
    "max_concurrent_job_runs": "1 to 100. Empty: 16.",
    **{name: hint for tool in TOOLS.values() for name, hint in tool.form.hints.items()},
}

CHOICES: Mapping[str, Mapping[str, str]] = {
    "project_type": {name: tool.label for name, tool in TOOLS.items()},
    "git_auth_method": {"none": "Public, no credentials", "ssh": "SSH key", "github_app": "Token"},
    "concurrency_policy": {"Allow": "started as well", "Forbid": "refused", "Replace": "started in its place"},
    **{name: said for tool in TOOLS.values() for name, said in tool.form.choices.items()},
}
"""How the values of closed lists are said; those that are not here are said as they are."""

_UNSET = {
    "status": "",
    **{name: said for tool in TOOLS.values() for name, said in tool.form.unset.items()},
}
_EMPTY_MESSAGES = ("Field required", "String should have at least 1 ", "Value should have at least 1 ")
_TOOL_OF = {tool.version_field: name for name, tool in TOOLS.items()}
_MULTILINE = frozenset(("description", "agent_context", "python_requirements"))


@dataclass(frozen=True)
class Input:
    """One field as the template needs it.

    :param value: What stands in it.
    :param error: What is wrong with it.
    :param rules: HTML attributes that say the rule to the browser.
    :param choices: Value and text of each choice, for closed lists.
    :param suggestions: Values that would be accepted, where they can be listed but are too many to choose from.
    """

    name: str
    kind: str
    label: str
    hint: str
    value: Any
    error: str
    rules: Mapping[str, Any]
    choices: tuple[tuple[str, str], ...]
    suggestions: tuple[str, ...] = ()


def read_form(form: Mapping[str, str], project: Project | None) -> dict[str, object]:
    """The fields of a sent form, typed; for a project that exists only those that differ from it.

    Fields of the other tool are left out: the form shows them where scripts are off.

    :param project: The project to change; a new one when absent.
    """
    project_type = project.project_type if project is not None else form.get("project_type", DEFAULT_TOOL)
    sent = {
        name: _typed(field, form.get(name))
        for name, field in FIELDS.items()
        if field.project_type in (None, project_type) and (field.on_create if project is None else field.on_update)
    }
    if project is None:
        return {name: value for name, value in sent.items() if value is not None}
    before = {name: bool(value) if FIELDS[name].json_type == "boolean" else value for name, value in values_of(project).items()}
    changed = {name: value for name, value in sent.items() if value != before.get(name)}
    # An empty field takes a value away where that is possible, and is an error where it is not.
    return {
        name: "" if value is None and not FIELDS[name].nullable and FIELDS[name].json_type == "string" else value
        for name, value in changed.items()
        if value is not None or FIELDS[name].nullable or FIELDS[name].json_type == "string"
    }


def _typed(field: Field, text: str | None) -> object:
    if field.json_type == "boolean":
        return text is not None
    text = (text or "").strip().replace("\r\n", "\n")
    if not text:
        return None
    if field.json_type == "strings":
        return [line.strip() for line in text.split("\n") if line.strip()]
    return int(text) if field.json_type == "integer" and text.isascii() and text.isdigit() else text


def values_of(project: Project) -> dict[str, object]:
    """The fields of a project as the form shows them."""
    answer = as_answer(project).model_dump()
    return {name: answer.get(name) for name in FIELDS}


def defaults() -> dict[str, object]:
    """What the form of a new project shows."""
    return {name: field.default for name, field in FIELDS.items()}


def require_valid(values: Mapping[str, object], creating: bool) -> dict[str, object]:
    """The values, judged by the rules of the API.

    :raises DagctlError: ``invalid_request``, naming the fields.
    """
    model = CreateProject if creating else UpdateProject
    try:
        return model.model_validate(values).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise problems.from_validation(error) from None


def errors_by_field(error: DagctlError) -> dict[str, str]:
    """What is wrong with each field, said to people; under the empty name what concerns no single field."""
    if error.code == "name_taken":
        return {"name": error.detail}
    wrong: Any = error.extra.get("errors", [])
    listed = {entry["field"]: _said(entry["field"], entry["message"]) for entry in wrong}
    known = {name: message for name, message in listed.items() if name in FIELDS}
    return known or {_FIELD_OF.get(error.code, ""): error.detail}


_FIELD_OF = {
    "branch_not_found": "branch",
    "repository_unreachable": "repository_url",
    "repository_empty": "repository_url",
    "repository_authentication_failed": "git_secret_ref",
    "project_not_found_in_repository": "git_path",
    "state_database_not_configured": "use_managed_state_database",
}


def _said(name: str, message: str) -> str:
    if message.startswith(_EMPTY_MESSAGES):
        return "This is needed."
    if message.startswith("must match") and name in HINTS:
        return f"Not accepted. {HINTS[name]}"
    return message


def inputs(values: Mapping[str, object], errors: Mapping[str, str], creating: bool) -> list[tuple[Group, list[Input]]]:
    """The form, group by group; groups and fields that do not apply are left out.

    :param creating: Whether the project is new.
    """
    found = []
    for group in GROUPS:
        if not creating and group.project_type not in (None, values["project_type"]):
            continue
        names = [name for name in group.fields if (FIELDS[name].on_create if creating else FIELDS[name].on_update)]
        if names:
            found.append((group, [_input(name, values.get(name), errors.get(name, "")) for name in names]))
    return found


def _input(name: str, value: object, error: str) -> Input:
    field = FIELDS[name]
    suggestions = tuple(versions.supported(_TOOL_OF[name])) if name in _TOOL_OF else ()
    return Input(
        name,
        _kind(name, field),
        LABELS[name],
        _hint(name, value, error),
        "\n".join(value) if isinstance(value, list) else value,
        error,
        _rules(name, field),
        _choices(name, field),
        suggestions,
    )


def _hint(name: str, value: object, error: str) -> str:
    if name == "run_schedule" and isinstance(value, str) and value and not error:
        times = due_times(value)
        said = ", ".join(f"{time:%a %d %b %Y %H:%M}" for time in times)
        return f"Runs {describe(value)}; next on {said} ({times[0]:%Z})."
    description = FIELDS[name].description
    return HINTS.get(name) or ("" if LABELS[name].lower() in description.lower() else description)


def hints(values: Mapping[str, object], errors: Mapping[str, str]) -> dict[str, str]:
    """The hints that follow from what stands in the field, for a form that is judged while somebody types."""
    return {name: _hint(name, values.get(name), errors.get(name, "")) for name in ("run_schedule",)}


def _kind(name: str, field: Field) -> str:
    if field.choices is not None:
        return "select"
    if name in _MULTILINE:
        return "textarea"
    return {"boolean": "checkbox", "integer": "number"}.get(field.json_type, "text")


def _rules(name: str, field: Field) -> dict[str, object]:
    rules = {
        "required": field.required or name == "branch" or None,
        "maxlength": field.max_length if field.json_type == "string" else None,
        "pattern": field.pattern.removeprefix("^").removesuffix("$") if field.pattern else None,
        "min": field.minimum,
        "max": field.maximum,
        "placeholder": field.example if isinstance(field.example, str) and field.default is None else None,
    }
    return {rule: value for rule, value in rules.items() if value is not None}


def _choices(name: str, field: Field) -> tuple[tuple[str, str], ...]:
    if field.choices is None:
        return ()
    said = CHOICES.get(name, {})
    listed = tuple((choice, said.get(choice, choice)) for choice in field.choices)
    return listed if field.default is not None else (("", _UNSET[name]), *listed)
