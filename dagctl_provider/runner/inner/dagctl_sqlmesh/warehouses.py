"""Where a project writes: what of it a plan is for, and whether it outlives the step.

The quickstarts of SQLMesh keep the warehouse in a file beside the models. In a step's checkout such a file would be gone with
the step, and the next plan would find a state that believes in tables that are nowhere.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed
from dagctl_common.digests import named
from dagctl_common.inputs import WHO, has_own_credentials
from dagctl_common.keeping import MEMORY, Entry, place_of

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
FILES = ("duckdb", "ducklake")
"""Types of connections whose data may lie in a file."""
_PASSWORD = re.compile(r"(://[^:@/\s]*:)[^@/\s]+@|((?:password|pwd|token|secret|key)\s*=\s*)[^\s;&]+", re.IGNORECASE)
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
    """Move warehouses and states to where files are kept, and refuse those that would be gone with the step.

    Of further gateways and catalogs it is not known yet whether anything is written there, see :func:`refuse_fleeting_models`.

    :param step: Knows the folder of kept files, if there is one.
    :param config: Changed where files are moved.
    :raises StepFailed: ``warehouse_not_kept``.
    """
    selected = config.get_gateway(step.job["gateway"])
    state, warehouse = selected.state_connection, selected.connection or config.default_connection
    others = [gateway.connection for gateway in config.gateways.values() if gateway is not selected]
    for what, connection in (("state", state), ("warehouse", warehouse), *(("warehouse", other) for other in others)):
        if connection is not None and connection.type_ in FILES:
            _move_files(step, connection, what)
    for what, connection in (("state", state), ("warehouse", warehouse)):
        if connection is not None and connection.type_ in FILES:
            gone, default = _fleeting(step, connection), next(iter(connection.catalogs or {}), "")
            if default in gone:
                raise _refused(f"The {what} is {gone[default]}{f' of catalog {default}' if default else ''}")


def refuse_fleeting_models(step: Step, context: Context) -> None:
    """Refuse models that are written into a catalog or a gateway that is gone with the step; others may be there for scratch.

    :param step: The step.
    :param context: The project is loaded in it.
    :raises StepFailed: ``warehouse_not_kept``.
    """

    @functools.cache
    def fleeting(gateway: str | None) -> tuple[bool, dict[str, str]]:
        connection = context.config.get_connection(gateway)
        return bool(getattr(connection, "catalogs", None)), _fleeting(step, connection) if connection.type_ in FILES else {}

    for name, model in sorted(context.models.items()):
        has_catalogs, gone = fleeting(getattr(model, "gateway", None) or context.gateway)
        catalog = (model.catalog or "") if has_catalogs else ""
        told = None if model.kind.is_symbolic else gone.get(catalog)
        if told:
            of = f" of catalog {catalog}" if catalog else ""
            raise _refused(f"Model {step.journal.names.of(name)} is written to {told}{of}")


def _move_files(step: Step, connection: DuckDBConnectionConfig, what: str) -> None:
    for _, path, change in _places(connection):
        place = place_of(step.job, path)
        if place.kept is not None:
            place.make_room()
            step.channel.line_once(f"the {what} {place.shown} is kept in {place.kept}")
            change(place.kept)


def _fleeting(step: Step, connection: DuckDBConnectionConfig) -> dict[str, str]:
    """What of a connection is gone with the step: catalogs, empty for the only one, and what they are."""
    return {catalog: text for catalog, path, _ in _places(connection) if (text := place_of(step.job, path).fleeting)}


def _places(connection: DuckDBConnectionConfig) -> Iterator[Entry]:
    """What a connection writes to, by catalog, empty for the only one: path, and how to change it."""
    for name, options in (connection.catalogs or {}).items():
        if isinstance(options, str):
            yield name, options, functools.partial(connection.catalogs.__setitem__, name)
        elif not options.read_only:
            yield name, options.path, functools.partial(setattr, options, "path")
            if getattr(options, "data_path", None):
                yield name, str(options.data_path), functools.partial(setattr, options, "data_path")
    # With a token and without a name it is MotherDuck's own database.
    if not connection.catalogs and (connection.database or not getattr(connection, "token", None)):
        yield "", str(connection.database or MEMORY), functools.partial(setattr, connection, "database")


def _refused(found: str) -> StepFailed:
    return StepFailed(
        "warehouse_not_kept",
        f"{found}: it would be gone when the step ends. Name a file outside of the repository, for example "
        "database: \"{{ env_var('WAREHOUSE_FILE') }}\" with an absolute path in that variable.",
    )
