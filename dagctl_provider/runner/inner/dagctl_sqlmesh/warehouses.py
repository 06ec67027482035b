"""Where a project writes: what of it a plan is for, and whether it outlives the step.

The quickstarts of SQLMesh keep the warehouse in a file beside the models. In a step's checkout such a file would be gone with
the step, and the next plan would find a state that believes in tables that are nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed
from dagctl_common.digests import named
from dagctl_common.inputs import WHO, has_own_credentials
from dagctl_common.keeping import MEMORY, make_room, place_of

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
    for catalog, path in _files(connection):
        of = f" of catalog {catalog}" if catalog else ""
        if path == MEMORY:
            raise _refused(what, f"a database in memory{of}")
        place = place_of(step.job, path)
        if place.outlives:
            continue
        if place.kept is None:
            raise _refused(what, f"the file {step.shorten(path) or path}{of}")
        make_room(place.kept)
        step.channel.line(f"the {what} {step.shorten(path) or path} is kept in {place.kept}")
        _move(connection, catalog, str(place.kept))


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
        yield "", MEMORY


def _move(connection: DuckDBConnectionConfig, place: str, path: str) -> None:
    if not place:
        connection.database = path
    elif hasattr(connection.catalogs[place], "path"):
        connection.catalogs[place].path = path
    else:
        connection.catalogs[place] = path


def _refused(what: str, found: str) -> StepFailed:
    return StepFailed(
        "warehouse_not_kept",
        f"The {what} is {found}: it would be gone when the step ends. Name a file outside of the repository, for example "
        "database: \"{{ env_var('WAREHOUSE_FILE') }}\" with an absolute path in that variable.",
    )
