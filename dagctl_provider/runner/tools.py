"""The tools a step can run, as one table: whatever the outer program must know of a tool stands in its row, and only there."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagctl_provider.runner.configs import find_extras
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.profiles import ADAPTER_PACKAGES, PROJECT_FILE, choose_profile
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.variables import OF_TOOLS


@dataclass(frozen=True)
class Scene:
    """What a tool's row may look at when a step is prepared.

    :param request: The step's request.
    :param credentials: What the secrets folder held.
    :param secrets: The secrets folder itself.
    :param root: The checkout.
    :param project: The project's folder inside it.
    :param scratch: Private folder of the step.
    :param committed_at: When the commit was made, in seconds since 1970.
    """

    request: Request
    credentials: Credentials
    secrets: Path | None
    root: Path
    project: Path
    scratch: Path
    committed_at: int = 0


@dataclass(frozen=True)
class Finding:
    """What was learned from the project's files without running its code.

    :param drivers: Database drivers the project needs: extras of SQLMesh, adapters of dbt.
    :param job: What the tool's inner program is told besides the request.
    :param sweeps: Whether the inner program's ``sweep`` can end statements that a killed process left running.
    """

    drivers: Sequence[str]
    job: Mapping[str, Any]
    sweeps: bool = False


@dataclass(frozen=True)
class Tool:
    """One row of the table.

    :param label: The tool's name for people.
    :param environment: What a request without ``environment`` means.
    :param always: Requirements of every environment of the tool.
    :param requirements: Version and drivers to what the installer is asked for, without ``always``.
    :param overrides: Lines of an overrides file for the installer.
    :param exclude_newer: Packages with a day of their own, as ``name=day``; their versions are fixed.
    :param inspect: Looks at the project; raises :class:`RunnerError` when there is none.
    :param keep_cache: Gets the scene and the folder that outlives the step.
    :param variables: Variables of the tool's process that nobody else may set.
    :param protected: Further names that ``env.json`` may not set.
    :param lock_file: The tool's own list of the Python packages that a project needs.
    :param versioned_state: Whether an older version of the tool cannot read what a newer one left.
    """

    label: str
    environment: str | None
    always: tuple[str, ...]
    requirements: Callable[[str, Sequence[str]], list[str]]
    inspect: Callable[[Scene], Finding]
    keep_cache: Callable[[Scene, Path], None]
    variables: Callable[[Path], dict[str, str]]
    protected: re.Pattern[str]
    overrides: tuple[str, ...] = ()
    exclude_newer: tuple[str, ...] = ()
    lock_file: str | None = None
    versioned_state: bool = False


WITHOUT_PARSER = ("dbt-core-experimental-parser ; python_version < '3'",)
"""dbt-core only uses it with --use-v2-parser, and its installation downloads a binary from elsewhere."""

DRIVER_LIMITS: Mapping[tuple[str, str], str] = {("duckdb", "1.5"): "duckdb<0.10"}
"""Adapter and minor version of dbt -> what it needs and does not say. Found by trying: newer DuckDB counts catalogs otherwise."""


def _sqlmesh_requirements(version: str, extras: Sequence[str]) -> list[str]:
    adapters = [name.removeprefix(_ADAPTER) for name in extras if name.startswith(_ADAPTER)]
    own = ",".join(name for name in extras if not name.startswith(_ADAPTER))
    return [f"sqlmesh{f'[{own}]' if own else ''}=={version}", *(ADAPTER_PACKAGES[name] for name in adapters)]


_ADAPTER = "dbt:"
"""Begins a driver of SQLMesh that is an adapter of dbt."""


def _dbt_drivers(scene: Scene) -> list[str]:
    """What SQLMesh needs to load a dbt project: dbt itself, and the adapter of the profile, which its extra does not bring."""
    if not (scene.project / PROJECT_FILE).is_file():
        return []
    adapters: list[str] = []
    # Whether there is a profile, and which target counts, SQLMesh's own configuration may say.
    with contextlib.suppress(RunnerError):
        adapters = choose_profile(scene.project, scene.root, None, scene.credentials.environment, None).adapters
    return ["dbt", *(f"{_ADAPTER}{name}" for name in adapters if name in ADAPTER_PACKAGES)]


def _inspect_sqlmesh(scene: Scene) -> Finding:
    drivers = [*find_extras(scene.project, scene.root, scene.credentials.environment), *_dbt_drivers(scene)]
    empty = scene.scratch / "empty.env"
    empty.touch()
    managed = scene.secrets is not None and scene.credentials.state_connection is not None
    state = str(scene.secrets / "state_connection.json") if scene.secrets and managed else None
    # Its driver is always there, so the drivers do not tell whether the warehouse is PostgreSQL; loading the config is quick.
    return Finding(drivers, {"state_file": state, "empty_file": str(empty)}, sweeps=True)


def _link_sqlmesh_cache(scene: Scene, folder: Path) -> None:
    """Let SQLMesh keep its cache between steps; its entries are keyed by content, and one project never sees another's."""
    link = scene.project / ".cache"
    if os.path.lexists(link):
        return
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        link.symlink_to(folder, target_is_directory=True)


def _sqlmesh_variables(scratch: Path) -> dict[str, str]:
    return {"SQLMESH_HOME": str(scratch / "home" / ".sqlmesh"), "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true"}


def _dbt_requirements(version: str, adapters: Sequence[str]) -> list[str]:
    unknown = [name for name in adapters if name not in ADAPTER_PACKAGES]
    if unknown:
        raise RunnerError("adapter_missing", f"No adapter package is known for the connection type {unknown[0][:40]!r}.")
    minor = version.rpartition(".")[0]
    limits = [DRIVER_LIMITS[name, minor] for name in adapters if (name, minor) in DRIVER_LIMITS]
    return [f"dbt-core=={version}", *(ADAPTER_PACKAGES[name] for name in adapters), *limits]


def _inspect_dbt(scene: Scene) -> Finding:
    given = scene.secrets / "profiles.yml" if scene.secrets else None
    chosen = choose_profile(scene.project, scene.root, scene.request.environment, scene.credentials.environment, given)
    job = {"profile_file": str(chosen.path), "profile": chosen.profile, "target": chosen.target}
    return Finding(chosen.adapters, job, sweeps="postgres" in chosen.adapters)


def _make_folder(_scene: Scene, folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _dbt_variables(scratch: Path) -> dict[str, str]:
    return {
        "DBT_PROFILES_DIR": str(scratch / "profiles"),
        "DBT_TARGET_PATH": str(scratch / "target"),
        "DBT_LOG_PATH": str(scratch / "logs"),
        "DBT_LOG_LEVEL_FILE": "none",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_USE_COLORS": "false",
        "DBT_USE_COLORS_FILE": "false",
        "DBT_VERSION_CHECK": "true",
        # dbt hands git whatever address packages.yml holds.
        "GIT_ALLOW_PROTOCOL": "https:ssh",
        "GIT_TERMINAL_PROMPT": "0",
    }


TOOLS: Mapping[str, Tool] = {
    "sqlmesh": Tool(
        label="SQLMesh",
        environment="prod",
        always=("psycopg2-binary",),
        requirements=_sqlmesh_requirements,
        # SQLMesh can load dbt projects. Its extra for PostgreSQL names the driver as source; the wheel is always there.
        overrides=(*WITHOUT_PARSER, "psycopg2 ; python_version < '3'"),
        inspect=_inspect_sqlmesh,
        keep_cache=_link_sqlmesh_cache,
        variables=_sqlmesh_variables,
        protected=re.compile(OF_TOOLS["sqlmesh"]),
        lock_file="sqlmesh-requirements.lock",
        versioned_state=True,
    ),
    "dbt": Tool(
        label="dbt",
        environment=None,
        # Reads compiled SQL for column lineage; a version of its own day, the same with every dbt.
        always=("sqlglot==30.8.0",),
        exclude_newer=("sqlglot=2026-11-01",),
        requirements=_dbt_requirements,
        overrides=WITHOUT_PARSER,
        inspect=_inspect_dbt,
        keep_cache=_make_folder,
        variables=_dbt_variables,
        protected=re.compile(OF_TOOLS["dbt"]),
    ),
}
"""tool -> row. The versions stand in :data:`dagctl_provider.runner.versions.TOOL_VERSIONS`."""
