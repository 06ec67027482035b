"""Where a project writes: what of it a plan is for, and whether it outlives the step.

The quickstarts of SQLMesh keep the warehouse in a file beside the models. In a step's checkout such a file would be gone with
the step, and the next plan would find a state that believes in tables that are nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed
from dagctl_common.digests import named
from dagctl_common.inputs import WHO, has_own_credentials

from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.config import Config
    from sqlmesh.core.config.connection import ConnectionConfig, DuckDBConnectionConfig
    from sqlmesh.core.context import Context

FIELDS = (
    "type_", "host", "server_hostname", "port", "account", "database", "catalog", "catalogs", "db", "dbname", "schema_",
    "project", "execution_project", "location", "http_path", "warehouse", "region", "region_name", "s3_staging_dir", "work_group",
    "work_group_name", "workspace", "workspace_id", "cluster", "cluster_id", "serverless", "keyspace", "url", "user", "username",
    "role", "role_arn",
)  # fmt: skip
"""Of all of SQLMesh's connections what says where statements go and as whom; none of these is a secret."""
_PASSWORD = re.compile(r"(://[^:@/\s]*:)[^@/\s]+@|((?:password|pwd|token|secret|key)\s*=\s*)[^\s;&]+", re.IGNORECASE)
_REMOTE = re.compile(r"^(md:|motherduck:|ducklake:md:|[a-z0-9+]+://|postgres:|mysql:|sqlite:.*=)", re.IGNORECASE)
_VALUE_LIMIT = 300


def warehouse_fields(step: Step, context: Context) -> dict[str, str]:
    """What of the connections is no secret, by field; of further gateways with their name before it.

    :param step: Tells whether the explain has a connection of its own.
    :param context: Its config names the gateways that models use.
    """
    selected = context.config.get_connection(context.gateway)
    found = _fields(selected, "", step)
    for gateway in sorted({name for model in context.models.values() if (name := getattr(model, "gateway", None))}):
        connection = context.config.get_connection(gateway)
        if connection != selected:
            found.update(_fields(connection, f"{gateway}.", step))
    return found


def state_fields(step: Step, context: Context) -> dict[str, str]:
    """The same of the state's connection, where that is another one."""
    state = context.config.get_state_connection(context.gateway)
    if state is None or state == context.config.get_connection(context.gateway):
        return {}
    return named("state", _fields(state, "", step))


def _fields(connection: ConnectionConfig, prefix: str, step: Step) -> dict[str, str]:
    own = has_own_credentials(step)
    found = {}
    for name in FIELDS:
        value = getattr(connection, name, None)
        if value in (None, "", {}, []) or (own and name in WHO):
            continue
        text = _PASSWORD.sub(r"\1\2***", str(_plain(value)))
        found[prefix + name.rstrip("_")] = text[:_VALUE_LIMIT]
    return found


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(item)}" for key, item in sorted(value.items()))
    return getattr(value, "path", value)


def keep_files(step: Step, config: Config) -> None:
    """Refuse warehouses and states that would be gone with the step, or move them to where files are kept.

    :param step: Knows the folder of kept files, if there is one.
    :param config: Changed where files are moved.
    :raises StepFailed: ``warehouse_not_kept``.
    """
    gateway = config.get_gateway(step.job["gateway"])
    for name in ("connection", "state_connection"):
        connection = getattr(gateway, name, None) or (config.default_connection if name == "connection" else None)
        if connection is not None and connection.type_ in ("duckdb", "ducklake"):
            _keep(step, connection, "state" if name == "state_connection" else "warehouse")


def _keep(step: Step, connection: DuckDBConnectionConfig, what: str) -> None:
    places = list(_files(connection))
    if not places:
        raise _refused(step, what, "a database in memory, for 'database' is empty or ':memory:'")
    for place, path in places:
        if _is_kept(step, path):
            continue
        folder = step.job.get("data_folder")
        if not folder or path == ":memory:" or os.path.isabs(path):
            told = "a database in memory" if path == ":memory:" else f"the file {_shown(step, path)}"
            raise _refused(step, what, f"{told}{f' of catalog {place}' if place else ''}")
        kept = Path(folder) / os.path.normpath(path)
        if not kept.resolve().is_relative_to(Path(folder).resolve()):
            raise _refused(step, what, f"the file {path}, which leaves the folder of kept files")
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        step.channel.line(f"the {what} {path} is kept in {kept}")
        _move(connection, place, str(kept))


def _files(connection: DuckDBConnectionConfig) -> Iterator[tuple[str, str]]:
    """Names of catalogs, empty for the only one, and what they are files of."""
    if connection.catalogs:
        for name, options in connection.catalogs.items():
            path = getattr(options, "path", options)
            if not _REMOTE.match(str(path)):
                yield name, str(path)
    elif connection.database:
        if not _REMOTE.match(str(connection.database)):
            yield "", str(connection.database)
    elif getattr(connection, "token", None):
        return
    else:
        yield "", ":memory:"


def _is_kept(step: Step, path: str) -> bool:
    """Whether a file outlives the step: it lies outside of the step's place, wherever links lead."""
    if path == ":memory:" or not os.path.isabs(path):
        return False
    return not Path(path).resolve().is_relative_to(Path(step.job["scratch"]).resolve())


def _move(connection: DuckDBConnectionConfig, place: str, path: str) -> None:
    if not place:
        connection.database = path
    elif hasattr(connection.catalogs[place], "path"):
        connection.catalogs[place].path = path
    else:
        connection.catalogs[place] = path


def _shown(step: Step, path: str) -> str:
    return step.shorten(path) or path


def _refused(step: Step, what: str, found: str) -> StepFailed:
    return StepFailed(
        "warehouse_not_kept",
        f"The {what} is {found}: it would be gone when the step ends. Name a file outside of the repository, for example "
        "database: \"{{ env_var('WAREHOUSE_FILE') }}\" with an absolute path in that variable.",
    )
