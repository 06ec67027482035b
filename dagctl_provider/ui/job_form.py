"""The form of a job, made from the table of job fields; what the table cannot know is its order, and words for people.

Resources are four fields here and variables are lines, where the table has an object each.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from dagctl_provider.api import problems
from dagctl_provider.api.v1.jobs.schemas import CreateJob, UpdateJob
from dagctl_provider.domain.errors import DagctlError, invalid_field
from dagctl_provider.domain.jobs import DEFAULT_COMMAND, FIELDS, RESOURCES, Job, check_time_zone
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.schedules import check_schedule, describe, next_times
from dagctl_provider.domain.tools import tool_of
from dagctl_provider.runner.job_options import TOOL_COMMANDS
from dagctl_provider.services.showing.overview import due_times
from dagctl_provider.ui.project_form import LABELS as PROJECT_LABELS
from dagctl_provider.ui.project_form import Group, Input

_RESOURCE = "resources."
GROUPS: tuple[Group, ...] = (
    Group("Job", ("name", "description", "command")),
    Group("When", ("schedule", "time_zone", "enabled")),
    Group("Alerts", ("slack_channel", "slack_alerts_enabled", "slack_alert_on_success", "webhook_enabled")),
    Group(
        "Resources",
        tuple(_RESOURCE + name for name in RESOURCES),
        "Of the pods of this job's runs, in place of the project's. Empty: the project's.",
        folded=True,
    ),
    Group("Variables", ("environment",), folded=True),
)

LABELS: Mapping[str, str] = {
    "name": "Name",
    "description": "Description",
    "command": "Command",
    "schedule": "Schedule",
    "time_zone": "Time zone",
    "enabled": "Enabled",
    "slack_channel": "Slack channel",
    "slack_alerts_enabled": "Tell the channel of runs that fail",
    "slack_alert_on_success": "Tell the channel of runs that succeed",
    "webhook_enabled": "Tell the webhooks when a run ends",
    "environment": "Environment variables",
    **{_RESOURCE + name: PROJECT_LABELS[name] for name in RESOURCES},
}

HINTS: Mapping[str, str] = {
    "name": "Letters, digits, spaces, dots, dashes and underscores; 63 characters at most.",
    "description": "",
    "schedule": "@hourly, @daily or five cron fields such as 30 6 * * 1-5. Empty: only when somebody asks for it.",
    "time_zone": "By which the schedule is read, such as Europe/Berlin. Empty: Airflow's.",
    "enabled": "A job that is not enabled runs neither by schedule nor when somebody asks.",
    "slack_channel": "Such as #data-alerts.",
    "slack_alerts_enabled": "",
    "slack_alert_on_success": "",
    "webhook_enabled": "The webhooks of the setting [dagctl] notifiers.",
    "environment": "One a line, as NAME=value. Whoever may read sees them, so no secrets: use the organization's.",
    _RESOURCE + "cpu_request": "For example 500m or 2.",
    _RESOURCE + "cpu_limit": "For example 2000m or 2.",
    _RESOURCE + "memory_request": "For example 1Gi.",
    _RESOURCE + "memory_limit": "For example 4Gi.",
}
_MULTILINE = frozenset({"description", "environment"})


def command_hint(project: Project, default: bool) -> str:
    """What may be in a command.

    :param default: Whether it is that of the default job, which stays.
    """
    label = tool_of(project.project_type).label
    if default:
        return "The default job runs what is deployed. Make another job for another command."
    known = ", ".join(TOOL_COMMANDS[project.project_type].verbs)
    return (
        f"'{DEFAULT_COMMAND}', or a command line of {label} with one of: {known}. It is read word by word and given to no shell; "
        "what deploys belongs into a plan."
    )


def defaults() -> dict[str, object]:
    """What the form of a new job shows."""
    return {name: field.default for name, field in FIELDS.items()}


def values_of(job: Job) -> dict[str, object]:
    """The fields of a job, as they are stored."""
    return {name: job.value(name) for name in FIELDS}


def typed(form: Mapping[str, str]) -> dict[str, object]:
    """What a form sent, as values of the fields; all but the variables, of which a line may be none."""
    found: dict[str, object] = {}
    for name, field in FIELDS.items():
        text = form.get(name, "").strip().replace("\r\n", "\n")
        found[name] = name in form if field.json_type == "boolean" else text or None
    found["resources"] = {name: text for name in RESOURCES if (text := form.get(_RESOURCE + name, "").strip())} or None
    return {**found, "environment": None}


def variables(text: str) -> dict[str, str] | None:
    """The variables that were typed, a line each.

    :raises DagctlError: ``invalid_request`` for a line that is none.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or not name.strip():
            raise invalid_field("environment", f"line {number} must be NAME=value")
        if name.strip() in found:
            raise invalid_field("environment", f"line {number} names {name.strip()[:64]} once more")
        found[name.strip()] = value.strip()
    return found or None


def require_valid(values: Mapping[str, object], job: Job | None) -> dict[str, object]:
    """The values that are to be saved, judged by the rules of the API: of a job that exists those that differ from it.

    :raises DagctlError: ``invalid_request``, naming the fields.
    """
    if job is None:
        # Of what has no value only the schedule can be said to have none.
        sent = {name: value for name, value in values.items() if value is not None or name == "schedule"}
    else:
        before = values_of(job)
        sent = {name: value for name, value in values.items() if value != before[name]}
        sent = {name: "" if value is None and not FIELDS[name].nullable else value for name, value in sent.items()}
    try:
        return (CreateJob if job is None else UpdateJob).model_validate(sent).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise problems.from_validation(error) from None


def errors_by_field(error: DagctlError) -> dict[str, str]:
    """What is wrong with each field; under the empty name what concerns no single field."""
    if error.code == "name_taken":
        return {"name": error.detail}
    wrong: Any = error.extra.get("errors", [])
    found: dict[str, str] = {}
    for entry in wrong:
        name, message = str(entry["field"]).partition(".")[0], _said(entry["field"], entry["message"])
        # Resources are four fields here: the message names the one that is wrong.
        name = (
            next((_RESOURCE + one for one in RESOURCES if one in message), f"{_RESOURCE}cpu_request")
            if name == "resources"
            else name
        )
        if name in LABELS:
            found.setdefault(name, message)
    return found or {"": error.detail}


def _said(name: str, message: str) -> str:
    if message.startswith(("Field required", "String should have at least 1 ", "Input should be a valid string")):
        return "This is needed."
    if message.startswith("must match") and name in HINTS:
        return f"Not accepted. {HINTS[name]}"
    return message


def inputs(
    values: Mapping[str, object], lines: str | None, errors: Mapping[str, str], command: str
) -> list[tuple[Group, list[Input]]]:
    """The form, group by group.

    :param lines: The variables as they were typed, where they were.
    :param command: The hint of the command.
    """
    shown = {**values, **_resources(values), "environment": _lines(values) if lines is None else lines}
    hints = {**HINTS, "command": command, **schedule_hint(values)}
    return [
        (group, [_input(name, shown.get(name), hints[name], errors.get(name, "")) for name in group.fields]) for group in GROUPS
    ]


def _resources(values: Mapping[str, object]) -> dict[str, object]:
    found = values.get("resources")
    return {_RESOURCE + name: value for name, value in found.items()} if isinstance(found, dict) else {}


def _lines(values: Mapping[str, object]) -> str:
    found = values.get("environment")
    return "\n".join(f"{name}={value}" for name, value in found.items()) if isinstance(found, dict) else ""


def _input(name: str, value: object, hint: str, error: str) -> Input:
    field = FIELDS.get(name)
    kind = "textarea" if name in _MULTILINE else "checkbox" if field is not None and field.json_type == "boolean" else "text"
    rules: dict[str, object] = {}
    if field is not None and kind != "checkbox":
        rules = {
            "required": name in ("name", "command") or None,
            "maxlength": field.max_length if field.json_type == "string" else None,
            "placeholder": field.example if isinstance(field.example, str) else None,
        }
    return Input(
        name, kind, LABELS[name], hint, value, error, {rule: said for rule, said in rules.items() if said is not None}, ()
    )


def schedule_hint(values: Mapping[str, object]) -> dict[str, str]:
    """When a schedule is due, for the hint below it."""
    schedule, zone = (text if isinstance(text := values.get(name), str) else "" for name in ("schedule", "time_zone"))
    try:
        check_schedule(schedule)
        check_time_zone(zone or "UTC")
    except ValueError:
        return {"schedule": HINTS["schedule"]}
    times = next_times(schedule, datetime.now(ZoneInfo(zone)), 3) if zone else due_times(schedule)
    said = ", ".join(f"{time:%a %d %b %Y %H:%M}" for time in times)
    return {"schedule": f"Runs {describe(schedule)}; next on {said} ({times[0]:%Z})."}
