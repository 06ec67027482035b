"""The tools a project can be made with, as one table: whatever the control plane must know of a tool stands in its row, and only
there. Nothing else branches on a tool's name, so a tool without a row is refused rather than taken for another one.

What the program inside the pod must know stands in a table of its own, :data:`dagctl_provider.runner.tools.TOOLS`, since the
runner imports nothing of this package. A test holds the facts that stand on both sides together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from dagctl_provider.domain.fields import (
    DURATION_PATTERN,
    ENVIRONMENT_PATTERN,
    REFERENCE_PATTERN,
    TARGET_PATTERN,
    VERSION_PATTERN,
    Field,
    check_polling_interval,
)
from dagctl_provider.domain.gateways import CONFIG_FILE_NAMES, Gateways, detect_gateways
from dagctl_provider.domain.manifests import AdoptedManifest, dbt_project_name, read_manifest

ProjectType = Literal["sqlmesh", "dbt"]

PYTHON_VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
"""What the supported dbt-core versions run on, together; the step says when the chosen one does not fit its dbt-core."""


@dataclass(frozen=True)
class UnnamedEnvironment:
    """What stands where the environment's name would, for projects that name none.

    :param page: On the pages of projects.
    :param dag: In the descriptions of Dags.
    :param decision: In what is said before somebody approves.
    """

    page: str
    dag: str
    decision: str


@dataclass(frozen=True)
class Form:
    """The group of the project form that only projects of this tool have.

    :param fields: In the order of the form.
    :param labels: Of each field.
    :param hints: How a rule is said to people.
    :param choices: How the values of closed lists are said, by field.
    :param unset: What an empty closed list means, by field.
    """

    fields: tuple[str, ...]
    labels: Mapping[str, str]
    hints: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unset: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loading:
    """What people of a tool call it when the rows of a model are computed: one word, wherever it is said.

    :param verb: As in "3 models to ...".
    :param done: As in "3 models are ...".
    """

    verb: str
    done: str


@dataclass(frozen=True)
class Tool:
    """One row of the table.

    :param label: The tool's name for people.
    :param fields: The fields that only its projects have.
    :param form: Its group of the project form.
    :param environment_field: The field with the environment that plans change.
    :param default_environment: The environment of projects that name none; ``None`` where the project's own files say.
    :param unnamed_environment: How that environment is called.
    :param version_field: The field with the version of the tool.
    :param project_files: A project's folder holds at least one of them.
    :param find_gateways: Reads the gateways out of those files, for tools that have gateways.
    :param find_name: Reads the project's own name out of those files, for tools whose projects have one.
    :param read_manifest: Reads what a build of its own left and says what is deployed, for tools without a state.
    :param has_state: Whether the tool keeps a state of its own, which an older version cannot read.
    :param takes_profile: Whether a step can be given a profile that was made from an Airflow connection.
    :param airflow_may_retry: Whether Airflow may try an execute again by itself: only where the tool knows how far it got.
    :param follows_releases: Whether a version in ``.dagctl/config.yaml`` can decide which commits are planned by themselves.
    :param loading: What people call it when rows are computed.
    :param categories: What a category says of a model that was edited, by the tool's own name for it.
    :param publishes_at_end: Whether readers see what an execute did only when all of it is done.
    :param drops_removed: Whether an execute drops what was removed from the project.
    :param tested_in: The step that runs the project's tests: before the decision, or with what it applies.
    :param run_does: What a run of the deployed commit does.
    :param command: The command line that an explain names the arguments of, if it does.
    :param plan_options: Rows of :data:`~dagctl_provider.domain.options.OPTIONS` that its plans have.
    """

    label: str
    fields: Mapping[str, Field]
    form: Form
    environment_field: str
    default_environment: str | None
    unnamed_environment: UnnamedEnvironment
    version_field: str
    project_files: tuple[str, ...]
    find_gateways: Callable[[Mapping[str, str]], Gateways] | None
    find_name: Callable[[Mapping[str, str]], str | None] | None
    read_manifest: Callable[[bytes], AdoptedManifest] | None
    has_state: bool
    takes_profile: bool
    airflow_may_retry: bool
    follows_releases: bool
    loading: Loading
    categories: Mapping[str, str]
    publishes_at_end: bool
    drops_removed: bool
    tested_in: Literal["explain", "execute"]
    run_does: str
    command: str | None = None
    plan_options: tuple[str, ...] = ()


DEFAULT_TOOL: ProjectType = "sqlmesh"
"""The tool of a project that names none (Projects API document)."""

TOOLS: dict[str, Tool] = {
    "sqlmesh": Tool(
        label="SQLMesh",
        fields={
            "sqlmesh_environment": Field("string", "SQLMesh environment name", default="prod", pattern=ENVIRONMENT_PATTERN),
            "sqlmesh_version": Field(
                "string", "SQLMesh version, one of the supported ones", pattern=VERSION_PATTERN, example="0.236.4"
            ),
            "use_managed_state_database": Field(
                "boolean", "Keep SQLMesh state in a database made for this project", default=True
            ),
        },
        form=Form(
            fields=("sqlmesh_environment", "sqlmesh_version", "use_managed_state_database"),
            labels={
                "sqlmesh_environment": "Environment",
                "sqlmesh_version": "SQLMesh version",
                "use_managed_state_database": "Keep SQLMesh's state in a database made for this project",
            },
            hints={
                "sqlmesh_environment": "Letters, digits and underscores; prod is what consumers read.",
                "sqlmesh_version": "For example 0.236.4. Empty: the newest that is supported.",
                "use_managed_state_database": "Otherwise the state connection of the project's own configuration is used.",
            },
        ),
        environment_field="sqlmesh_environment",
        default_environment="prod",
        unnamed_environment=UnnamedEnvironment(
            page="environment prod",
            dag="environment prod",
            decision="prod",
        ),
        version_field="sqlmesh_version",
        project_files=CONFIG_FILE_NAMES,
        find_gateways=detect_gateways,
        find_name=None,
        read_manifest=None,
        has_state=True,
        takes_profile=False,
        airflow_may_retry=True,
        follows_releases=False,
        loading=Loading("backfill", "backfilled"),
        categories={
            "breaking": "its readers are backfilled too",
            "non_breaking": "its readers are not backfilled",
            "forward_only": "forward only",
        },
        publishes_at_end=True,
        drops_removed=True,
        tested_in="explain",
        run_does="computes the intervals that are due",
    ),
    "dbt": Tool(
        label="dbt",
        fields={
            "dbt_target": Field(
                "string",
                "Target of the dbt profile; the profile's own default when absent",
                pattern=TARGET_PATTERN,
                nullable=True,
                example="prod",
            ),
            "warehouse_connection_id": Field(
                "string",
                "The Airflow connection that the dbt profile of its steps may be made from; when absent, the one that the "
                "project's own connection names when the project is created",
                pattern=REFERENCE_PATTERN,
                nullable=True,
                example="warehouse",
            ),
            "dbt_version": Field(
                "string", "dbt-core version, one of the supported ones", pattern=VERSION_PATTERN, example="1.8.0"
            ),
            "python_version": Field(
                "string",
                "Python version for dbt; that of the worker or image when absent",
                choices=PYTHON_VERSIONS,
                nullable=True,
                example="3.11",
            ),
            "polling_interval": Field(
                "string",
                "How often the branch is looked up; [dagctl] polling_interval when absent",
                nullable=True,
                pattern=DURATION_PATTERN,
                check=check_polling_interval,
                example="5m",
            ),
            "version_strategy": Field(
                "string",
                "What makes a plan: a higher version in .dagctl/config.yaml, or each commit; "
                "when absent, semantic for repositories that have that file",
                choices=("semantic", "continuous"),
                nullable=True,
                example="semantic",
            ),
        },
        form=Form(
            fields=(
                "dbt_target",
                "warehouse_connection_id",
                "dbt_version",
                "python_version",
                "version_strategy",
                "polling_interval",
            ),
            labels={
                "dbt_target": "Target of the profile",
                "warehouse_connection_id": "Warehouse connection",
                "dbt_version": "dbt-core version",
                "python_version": "Python version",
                "polling_interval": "Look for commits every",
                "version_strategy": "A plan is made for",
            },
            hints={
                "dbt_target": "Empty: the profile's own default.",
                "warehouse_connection_id": "For a profile that is made from an Airflow connection; others need none.",
                "dbt_version": "For example 1.8.0. Empty: the newest that is supported.",
                "polling_interval": "For example 30s, 5m or 1h30m, at least 10s. Empty: as the deployment has it.",
            },
            choices={
                "version_strategy": {
                    "semantic": "each higher version in .dagctl/config.yaml",
                    "continuous": "each commit",
                },
            },
            unset={
                "python_version": "that of the worker or image",
                "version_strategy": "each commit, or each higher version where .dagctl/config.yaml is",
            },
        ),
        environment_field="dbt_target",
        default_environment=None,
        unnamed_environment=UnnamedEnvironment(
            page="the default target of its dbt profile",
            dag="the default target of its profile",
            decision="the profile's default target",
        ),
        version_field="dbt_version",
        project_files=("dbt_project.yml",),
        find_gateways=None,
        find_name=dbt_project_name,
        read_manifest=read_manifest,
        has_state=False,
        takes_profile=True,
        # It starts from the beginning unless it is told how far it got, and only the API server can tell it.
        airflow_may_retry=False,
        follows_releases=True,
        loading=Loading("build", "built"),
        categories={"breaking": "changes what its readers see", "non_breaking": "leaves what its readers see"},
        publishes_at_end=False,
        drops_removed=False,
        tested_in="execute",
        run_does="builds its models and runs its tests",
        command="dbt build",
        plan_options=("full_refresh", "vars"),
    ),
}
"""project_type -> row."""


class UnknownTool(KeyError):
    """A tool that has no row, so that nothing can be said or done for it."""

    def __str__(self) -> str:
        return f"dagctl knows no tool {self.args[0]!r}; it knows {', '.join(TOOLS)}."


def tool_of(project_type: str) -> Tool:
    """The row of a tool.

    :raises UnknownTool: when it has none; it is never taken for another one.
    """
    row = TOOLS.get(project_type)
    if row is None:
        raise UnknownTool(project_type)
    return row


def fields_of(*project_types: str) -> dict[str, Field]:
    """The fields that only projects of these tools have, each marked as that tool's."""
    return {
        name: replace(row, project_type=project_type)
        for project_type in project_types
        for name, row in tool_of(project_type).fields.items()
    }
