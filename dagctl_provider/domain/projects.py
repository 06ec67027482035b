"""What a project is: one table of its fields, from which request validation, OpenAPI, defaults and docs are made.

Source: the Projects API document. Rules the document leaves open are settled in ``docs/decisions``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from dagctl_provider.domain import schedules

ProjectType = Literal["sqlmesh", "dbt"]
JsonType = Literal["string", "boolean", "integer"]

NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?$"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9_]{1,63}$"
TARGET_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"
CPU_PATTERN = r"^(?:[1-9][0-9]{0,6}m|[0-9]{1,4}(?:\.[0-9]{1,3})?)$"
MEMORY_PATTERN = r"^[1-9][0-9]{0,12}(?:Ki|Mi|Gi|Ti|k|M|G|T)?$"
REFERENCE_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$"
DURATION_PATTERN = r"^(?:[0-9]{1,5}h)?(?:[0-9]{1,5}m)?(?:[0-9]{1,6}s)?$"
VERSION_PATTERN = r"^[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}$"
MIN_POLLING_INTERVAL = timedelta(seconds=10)
PYTHON_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
"""What the supported dbt-core versions run on, together; the step says when the chosen one does not fit its dbt-core."""


def parse_duration(text: str) -> timedelta:
    """``5m``, ``30s``, ``1h30m`` as a time span.

    :raises ValueError: when ``text`` is not such a duration.
    """
    if not text or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("a duration looks like 30s, 5m or 1h30m")
    units = {"h": 3600, "m": 60, "s": 1}
    return timedelta(seconds=sum(int(n) * units[u] for n, u in re.findall(r"([0-9]+)([hms])", text)))


def _polling_interval(value: str) -> None:
    if parse_duration(value) < MIN_POLLING_INTERVAL:
        raise ValueError("the shortest polling interval is 10s")


@dataclass(frozen=True)
class Field:
    """One row of the project field table.

    :param json_type: Type in JSON.
    :param default: Value when create leaves the field out; ``None`` means absent.
    :param required: Must be sent on create.
    :param on_create: Accepted by POST.
    :param on_update: Accepted by PUT.
    :param project_type: Only for projects of this type, when given.
    :param choices: Closed list of values.
    :param pattern: Regular expression for strings.
    :param max_length: Longest string, in characters.
    :param minimum: Smallest integer.
    :param maximum: Largest integer.
    :param check: A rule beyond these; raises :class:`ValueError` with the reason.
    :param nullable: PUT may send ``null`` to take the value away.
    :param example: For OpenAPI and the docs.
    :param description: For people.
    """

    json_type: JsonType
    description: str
    default: Any = None
    required: bool = False
    on_create: bool = True
    on_update: bool = True
    project_type: ProjectType | None = None
    choices: tuple[str, ...] | None = None
    pattern: str | None = None
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    check: Callable[[Any], None] | None = None
    nullable: bool = False
    example: Any = None


FIELDS: Mapping[str, Field] = {
    "name": Field("string", "Project name, unique in the organization", required=True, pattern=NAME_PATTERN, example="analytics"),
    "description": Field("string", "Human-readable description", max_length=1000, nullable=True),
    "project_type": Field("string", "sqlmesh or dbt", default="sqlmesh", on_update=False, choices=("sqlmesh", "dbt")),
    "repository_url": Field(
        "string", "Git repository URL", required=True, max_length=1024, example="https://github.com/acme/analytics"
    ),
    "branch": Field("string", "Branch name", default="main", max_length=255, example="main"),
    "git_auth_method": Field(
        "string", "How the repository is read", default="none", choices=("none", "ssh", "github_app"), example="none"
    ),
    "git_secret_ref": Field(
        "string",
        "Airflow connection that holds the git credentials",
        pattern=REFERENCE_PATTERN,
        max_length=253,
        nullable=True,
    ),
    "git_path": Field("string", "Subdirectory within the repository that contains the project", max_length=512, nullable=True),
    "sqlmesh_environment": Field(
        "string", "SQLMesh environment name", default="prod", project_type="sqlmesh", pattern=ENVIRONMENT_PATTERN
    ),
    "sqlmesh_version": Field(
        "string",
        "SQLMesh version, one of the supported ones",
        project_type="sqlmesh",
        pattern=VERSION_PATTERN,
        example="0.236.4",
    ),
    "use_managed_state_database": Field(
        "boolean", "Keep SQLMesh state in a database made for this project", default=True, project_type="sqlmesh"
    ),
    "auto_apply": Field("boolean", "Apply plans without approval", default=False),
    "run_tests": Field("boolean", "Run the project's unit tests", default=True),
    "cpu_request": Field("string", "Kubernetes CPU request", default="500m", pattern=CPU_PATTERN),
    "cpu_limit": Field("string", "Kubernetes CPU limit", default="2000m", pattern=CPU_PATTERN),
    "memory_request": Field("string", "Kubernetes memory request", default="1Gi", pattern=MEMORY_PATTERN),
    "memory_limit": Field("string", "Kubernetes memory limit", default="4Gi", pattern=MEMORY_PATTERN),
    "concurrency_policy": Field(
        "string", "What a run does while another is running", default="Allow", choices=("Allow", "Forbid", "Replace")
    ),
    "run_schedule": Field(
        "string",
        "When the deployed state runs by itself: five cron fields or a preset, in Airflow's default time zone (UTC unless "
        "configured otherwise), at least 5 minutes apart; only on request when absent",
        max_length=schedules.MAX_LENGTH,
        check=schedules.check_schedule,
        nullable=True,
        example="@hourly",
    ),
    "suspended": Field("boolean", "Neither detect commits nor start runs", default=False),
    "agent_context": Field("string", "Custom context for an AI agent", max_length=10_000, nullable=True),
    "dbt_target": Field(
        "string",
        "Target of the dbt profile; the profile's own default when absent",
        project_type="dbt",
        pattern=TARGET_PATTERN,
        nullable=True,
        example="prod",
    ),
    "dbt_version": Field(
        "string", "dbt-core version, one of the supported ones", project_type="dbt", pattern=VERSION_PATTERN, example="1.8.0"
    ),
    "python_version": Field(
        "string",
        "Python version for dbt; that of the worker or image when absent",
        project_type="dbt",
        choices=PYTHON_VERSIONS,
        nullable=True,
        example="3.11",
    ),
    "polling_interval": Field(
        "string",
        "How often the branch is looked up; [dagctl] polling_interval when absent",
        project_type="dbt",
        nullable=True,
        pattern=DURATION_PATTERN,
        check=_polling_interval,
        example="5m",
    ),
    "version_strategy": Field(
        "string",
        "What makes a plan: a higher version in .dagctl/config.yaml, or each commit; "
        "when absent, semantic for repositories that have that file",
        project_type="dbt",
        choices=("semantic", "continuous"),
        nullable=True,
        example="semantic",
    ),
    "remediation_auto_merge": Field("boolean", "Merge remediation pull requests automatically", on_create=False),
    "max_concurrent_job_runs": Field("integer", "Most runs at the same time", on_create=False, minimum=1, maximum=100),
    "status": Field("string", "Project status", default="active", on_create=False, choices=("active", "inactive", "error")),
}


@dataclass(frozen=True)
class Project:
    """A project as stored. Settable fields as in :data:`FIELDS`; commit ids are full, times aware and UTC.

    :param settings: The settable fields, by name. Absent means not set.
    :param dag_id: Id of the generated plan Dag; fixed for life, so that renaming keeps the history.
    :param artifacts: What the last successful execute left, by name: sha256 of the stored bytes.
    """

    id: str
    organization_id: str
    name: str
    project_type: ProjectType
    repository_url: str
    branch: str
    settings: dict[str, Any]
    dag_id: str
    deployed: bool
    created_at: datetime
    updated_at: datetime
    gateways: list[str] | None = None
    default_gateway: str | None = None
    state_connection_id: str | None = None
    current_commit_sha: str | None = None
    current_tool_version: str | None = None
    artifacts: dict[str, str] | None = None
    latest_commit_sha: str | None = None
    latest_commit_message: str | None = None
    commits_behind: int | None = None
    last_synced_at: datetime | None = None
    sync_error: str | None = None
    deployed_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def run_dag_id(self) -> str:
        """Id of the generated run Dag."""
        return f"{self.dag_id}__run"

    @property
    def environment(self) -> str | None:
        """The environment that plans of this project change; ``None`` for the default target of a dbt profile."""
        if self.project_type == "dbt":
            return self.settings.get("dbt_target")
        return str(self.settings.get("sqlmesh_environment") or "prod")

    @property
    def tool_version(self) -> str | None:
        """The version of its tool that the next plan uses."""
        return self.settings.get(f"{self.project_type}_version")

    @property
    def polling_interval(self) -> float | None:
        """Seconds between two looks at the branch, when the project has a wish of its own."""
        text = self.settings.get("polling_interval")
        return parse_duration(text).total_seconds() if text else None

    @property
    def suspended(self) -> bool:
        """Whether detection and runs are off."""
        return bool(self.settings.get("suspended"))

    @property
    def active_schedule(self) -> str | None:
        """By what Airflow starts runs now: nothing before the first deployment and while the project is suspended."""
        active = self.deployed and self.current_commit_sha is not None and not self.suspended
        return self.settings.get("run_schedule") if active else None
