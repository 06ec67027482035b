"""What a project is: one table of its fields, from which request validation, OpenAPI, defaults and docs are made.

The fields that only projects of one tool have come from that tool's row (:mod:`~dagctl_provider.domain.tools`).

Source: the Projects API document. Rules the document leaves open are settled in ``docs/decisions``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagctl_provider.domain import schedules
from dagctl_provider.domain.fields import (
    CPU_PATTERN,
    MEMORY_PATTERN,
    MOST_REQUIREMENTS,
    NAME_PATTERN,
    REFERENCE_PATTERN,
    Field,
    check_requirements,
    parse_duration,
)
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.names import run_dag_id
from dagctl_provider.domain.targets import UNNAMED, PlanTarget
from dagctl_provider.domain.tools import DEFAULT_TOOL, TOOLS, ProjectType, Tool, fields_of, tool_of

# In the order of the document: what the default tool has of its own stands before what all have.
FIELDS: Mapping[str, Field] = {
    "name": Field("string", "Project name, unique in the organization", required=True, pattern=NAME_PATTERN, example="analytics"),
    "description": Field("string", "Human-readable description", max_length=1000, nullable=True),
    "project_type": Field("string", " or ".join(TOOLS), default=DEFAULT_TOOL, on_update=False, choices=tuple(TOOLS)),
    "repository_url": Field(
        "string", "Git repository URL", required=True, max_length=1024, example="https://github.com/acme/analytics"
    ),
    "branch": Field("string", "Branch name", default="main", max_length=255, never_empty=True, example="main"),
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
    **fields_of(DEFAULT_TOOL),
    "auto_apply": Field("boolean", "Apply plans without approval", default=False),
    "run_tests": Field("boolean", "Run the project's unit tests", default=True),
    "python_requirements": Field(
        "strings",
        "Python packages that the project needs beside its tool, besides those that its own files name",
        max_length=MOST_REQUIREMENTS,
        check=check_requirements,
        nullable=True,
        example=["faker>=30,<41"],
    ),
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
    **fields_of(*(name for name in TOOLS if name != DEFAULT_TOOL)),
    "remediation_auto_merge": Field("boolean", "Merge remediation pull requests automatically", on_create=False),
    "max_concurrent_job_runs": Field("integer", "Most runs at the same time", on_create=False, minimum=1, maximum=100),
    "status": Field("string", "Project status", default="active", on_create=False, choices=("active", "inactive", "error")),
}


@dataclass(frozen=True)
class Project:
    """A project as stored. Settable fields as in :data:`FIELDS`; commit ids are full, times aware and UTC.

    What is deployed is read from the :class:`~dagctl_provider.domain.deployments.Deployment` in ``current_environment``, and
    ``run_schedule`` from the default job: the project's own row has neither.

    :param settings: The settable fields, by name. Absent means not set.
    :param dag_id: Id of the generated plan Dag; fixed for life, so that renaming keeps the history.
    :param job: Its default job; absent for a project that is not stored yet.
    :param current_environment: The environment that the last successful execute changed.
    :param artifacts: What that execute left, by name: sha256 of the stored bytes.
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
    job: Job | None = None
    current_environment: str | None = None
    current_commit_sha: str | None = None
    current_tool_version: str | None = None
    artifacts: dict[str, str] | None = None
    latest_commit_sha: str | None = None
    latest_commit_message: str | None = None
    commits_behind: int | None = None
    last_synced_at: datetime | None = None
    sync_error: str | None = None
    deployed_at: datetime | None = None

    @property
    def run_dag_id(self) -> str:
        """Id of the Dag of the default job; before there is one, the id that it will have."""
        return self.job.dag_id if self.job is not None else run_dag_id(self.dag_id)

    @property
    def tool(self) -> Tool:
        """What is known of its tool.

        :raises UnknownTool: for a project that was stored by a version of this package that knows more tools.
        """
        return tool_of(self.project_type)

    @property
    def environment(self) -> str | None:
        """The environment that plans of this project change; ``None`` where the project's own files say which."""
        return self.settings.get(self.tool.environment_field) or self.tool.default_environment

    @property
    def target(self) -> PlanTarget:
        """Where the next plan leads."""
        return PlanTarget(self.branch, self.environment or UNNAMED)

    @property
    def tool_version(self) -> str | None:
        """The version of its tool that the next plan uses."""
        return self.settings.get(self.tool.version_field)

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
        """By what Airflow starts runs of the default job now: nothing before the first deployment and while suspended."""
        enabled = self.job is None or self.job.enabled
        return self.settings.get("run_schedule") if enabled and self._runs else None

    def schedule_of(self, job: Job) -> str | None:
        """By what Airflow starts runs of one of its jobs now."""
        return job.schedule if job.enabled and self._runs else None

    @property
    def _runs(self) -> bool:
        return self.deployed and self.current_commit_sha is not None and not self.suspended

    def told(self) -> dict[str, Any]:
        """What the record of changes tells of it: what people set. None of it is a secret."""
        own = ("name", "project_type", "repository_url", "branch", "deployed")
        return {**{name: getattr(self, name) for name in own}, **self.settings}
