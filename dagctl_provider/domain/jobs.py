"""What of a project runs again and again, by a schedule or when somebody asks for it, each with a Dag of its own.

Each project has a default job, which runs what is deployed. Further ones are rows of the same table
(docs/decisions/job-and-target.md). The fields that people set are one table, from which request validation, OpenAPI and defaults
are made, as with projects. Source: the Jobs API document; what it leaves open is settled in ``docs/decisions``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from dagctl_provider.domain import schedules
from dagctl_provider.domain.fields import CPU_PATTERN, MEMORY_PATTERN, NAME_PATTERN, Field
from dagctl_provider.domain.variables import check_name, stored_name

DEFAULT_NAME = "scheduled-run"
"""Name of the default job: the example of the Jobs API document, and the kind in the job names of its runs."""

DEFAULT_COMMAND = "run"
"""The command of the default job, whatever the tool: run what is deployed. Other commands begin with the name of their tool."""

COMMAND_LENGTH = 1_000
MOST_JOBS = 100
"""Of one project: each is a Dag that Airflow parses."""
MOST_VALUES = 50
VALUE_BYTES = 4 * 1024
TOTAL_BYTES = 16 * 1024
"""Of all of ``environment``, names and values."""

_OVERRIDES = "SQLMESH_"
"""With such variables SQLMesh lets every setting of a project be another one, its gateways among them."""

RESOURCES: Mapping[str, str] = {
    "cpu_request": CPU_PATTERN,
    "cpu_limit": CPU_PATTERN,
    "memory_request": MEMORY_PATTERN,
    "memory_limit": MEMORY_PATTERN,
}
"""What ``resources`` may name, as the project's fields of the same name."""

CHANNEL_PATTERN = r"^#?[^\s#@&<>,!'\"`\\]{1,80}$"


def check_time_zone(name: str) -> None:
    """Refuse what is no time zone.

    :raises ValueError: saying so.
    """
    # Not what ZoneInfo can open: "localtime" and the like are another thing on each machine, and one that the Dag processor
    # does not know would take the Dags of all projects with it.
    if name not in _time_zones():
        raise ValueError("is no time zone of the IANA database, such as Europe/Berlin")


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"localtime"}


def check_resources(values: Mapping[str, str]) -> None:
    """Refuse what no project could have either. Whether requests and limits fit is asked of job and project together.

    :raises ValueError: naming the first that is wrong.
    """
    for name, value in values.items():
        if name not in RESOURCES:
            raise ValueError(f"{name[:64]!r} is unknown; known are {', '.join(RESOURCES)}")
        if not re.fullmatch(RESOURCES[name], value):
            raise ValueError(f"{name} must match {RESOURCES[name]}")


def check_environment(values: Mapping[str, str]) -> None:
    """Refuse what no variable of an organization could be called, and what is more than a job needs.

    :raises ValueError: naming the first that is wrong; values are never quoted.
    """
    for name, value in values.items():
        try:
            check_name(name)
        except ValueError as error:
            raise ValueError(f"{name[:64]!r} {error}") from None
        if stored_name(name).startswith(_OVERRIDES):
            # A plan is where these are reviewed; a job is changed by one person.
            raise ValueError(f"{name[:64]!r} is reserved: it says what the project's configuration is")
        if "\x00" in value or len(value.encode()) > VALUE_BYTES:
            raise ValueError(f"the value of {name} must be at most {VALUE_BYTES // 1024} KiB, without NUL")
    if len({stored_name(name) for name in values}) != len(values):
        raise ValueError("holds two names that differ in case only")
    if sum(len(f"{name}{value}".encode()) for name, value in values.items()) > TOTAL_BYTES:
        raise ValueError(f"must not be more than {TOTAL_BYTES // 1024} KiB together")


FIELDS: Mapping[str, Field] = {
    "name": Field(
        "string", "Name, unique in the project without regard to case", required=True, pattern=NAME_PATTERN, example="hourly"
    ),
    "description": Field("string", "Human-readable description", max_length=1000, nullable=True),
    "command": Field(
        "string",
        "What it runs: 'run', or a command line of the project's tool; docs/jobs.md lists what may be in it",
        required=True,
        max_length=COMMAND_LENGTH,
        example="sqlmesh run --select-model '*'",
    ),
    "schedule": Field(
        "string",
        "When it runs by itself: five cron fields or a preset, at least 5 minutes apart; null: only on request",
        required=True,
        max_length=schedules.MAX_LENGTH,
        check=schedules.check_schedule,
        nullable=True,
        example="0 2 * * *",
    ),
    "time_zone": Field(
        "string",
        "By which the schedule is read, as the IANA database names it; Airflow's default time zone when absent",
        max_length=64,
        check=check_time_zone,
        nullable=True,
        example="Europe/Berlin",
    ),
    "enabled": Field("boolean", "Whether it runs at all", default=True),
    "resources": Field(
        "texts",
        f"Of its pods, in place of the project's: {', '.join(RESOURCES)}",
        max_length=len(RESOURCES),
        check=check_resources,
        nullable=True,
        example={"memory_limit": "8Gi"},
    ),
    "environment": Field(
        "texts",
        "Environment variables of its runs; they are shown to whoever may read, so no secrets",
        max_length=MOST_VALUES,
        check=check_environment,
        nullable=True,
        example={"LOOKBACK_DAYS": "3"},
    ),
    "slack_channel": Field(
        "string", "Slack channel that is told", pattern=CHANNEL_PATTERN, max_length=81, nullable=True, example="#data-alerts"
    ),
    "slack_alerts_enabled": Field("boolean", "Tell the channel of runs that fail", default=False),
    "slack_alert_on_success": Field("boolean", "Tell the channel of runs that succeed", default=False),
    "webhook_enabled": Field("boolean", "Tell the webhooks of [dagctl] notifiers when a run ends", default=False),
}

COLUMNS = ("name", "command", "schedule", "enabled")
"""The fields that are columns; the others are settings."""


@dataclass(frozen=True)
class Job:
    """A job as stored.

    :param name: Unique in the project, whatever the case of its letters.
    :param command: What its runs do: :data:`DEFAULT_COMMAND`, or a command line of the project's tool.
    :param schedule: When it runs by itself; absent for a job that only runs when somebody asks.
    :param enabled: Whether it runs at all; the project's ``suspended`` is asked besides.
    :param dag_id: Id of its Dag; fixed for life, so that renaming keeps the history.
    :param settings: The other fields of :data:`FIELDS`, by name. Absent means not set.
    """

    id: str
    project_id: str
    name: str
    command: str
    dag_id: str
    created_at: datetime
    updated_at: datetime
    schedule: str | None = None
    enabled: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def time_zone(self) -> str | None:
        """By which its schedule is read; absent for Airflow's."""
        return self.settings.get("time_zone")

    @property
    def resources(self) -> dict[str, str]:
        """What its pods have other than the project's."""
        return dict(self.settings.get("resources") or {})

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its runs, as they are set."""
        return dict(self.settings.get("environment") or {})

    def value(self, name: str) -> Any:
        """What one of :data:`FIELDS` is; its default where nothing is set."""
        return getattr(self, name) if name in COLUMNS else self.settings.get(name, FIELDS[name].default)

    def told(self) -> dict[str, Any]:
        """What the record of changes tells of it: of its variables the names only."""
        said = {name: self.value(name) for name in FIELDS if self.value(name) is not None}
        return {**said, "environment": sorted(self.environment)} if self.environment else said


def changed(job: Job, values: Mapping[str, Any]) -> Job:
    """A job with some fields set anew; ``None`` takes away what may be absent.

    :param values: Validated for type and form. Names of variables are the same without regard to case, as everywhere.
    """
    settings = {**job.settings, **{name: value for name, value in values.items() if name not in COLUMNS}}
    if settings.get("environment"):
        settings["environment"] = {stored_name(name): value for name, value in settings["environment"].items()}
    # An empty object says as much as none.
    kept = {name: value for name, value in settings.items() if value not in (None, {})}
    return replace(job, **{name: values[name] for name in COLUMNS if name in values}, settings=kept)


def missing_channel(job: Job) -> str | None:
    """The field that has Slack told something without saying which channel."""
    if job.settings.get("slack_channel"):
        return None
    return next((name for name in ("slack_alerts_enabled", "slack_alert_on_success") if job.settings.get(name)), None)
