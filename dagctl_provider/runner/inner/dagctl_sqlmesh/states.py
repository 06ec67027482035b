"""The version of the state, and what to do when it is not the tool's.

A newer SQLMesh refuses an older state until it is migrated, and migrating is a write that needs approval. So an explain with a
newer version works on a copy: the state's tables go into a scratch schema of the same database, the copy is migrated, the plan
is made from it, and the scratch schema is dropped again. The plan and its counts are then the true ones.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.locks import wait

from dagctl_sqlmesh.cancelling import connection_address
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.projects import load_configs, make_context, state_config

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.engine_adapter import EngineAdapter
    from sqlmesh.core.state_sync.base import Versions

SCRATCH_PREFIX = "dagctl_explain_"
SCRATCH_LIFETIME = 24 * 3600
DEFAULT_SCHEMA = "sqlmesh"
FILE_SECONDS = 120
"""How long a state in a file is waited for that another process has open."""


def _minor(version: object) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(version or "0"))[:2])


def state_versions(context: Context) -> Versions | None:
    """What wrote the state; ``None`` for a database without state."""
    versions = context._new_state_sync().get_versions(validate=False)
    return versions if versions.schema_version else None


def needed_migration(context: Context) -> dict[str, str] | None:
    """From which to which version the state would have to be migrated; ``None`` when it is fine as it is.

    :raises StepFailed: ``state_migration_downgrade`` when the state is newer than the tool.
    """
    from sqlglot import __version__ as sqlglot_version
    from sqlmesh import __version__ as sqlmesh_version
    from sqlmesh.core.state_sync.base import SCHEMA_VERSION

    found = state_versions(context)
    if found is None:
        return None
    pairs = [
        ((found.schema_version,), (SCHEMA_VERSION,)),
        (_minor(found.sqlmesh_version), _minor(sqlmesh_version)),
        (_minor(found.sqlglot_version), _minor(sqlglot_version)),
    ]
    if any(stored > ours for stored, ours in pairs):
        text = f"The state was written by SQLMesh {found.sqlmesh_version}; {sqlmesh_version} cannot read it."
        raise StepFailed("state_migration_downgrade", text)
    if any(stored < ours for stored, ours in pairs):
        return {"from": str(found.sqlmesh_version), "to": str(sqlmesh_version)}
    return None


def remember_state_address(step: Step, context: Context) -> None:
    """Tell the canceller which connections are the state's, if the warehouse is somewhere else."""
    state, warehouse = state_config(context), context.config.get_connection(context.gateway)
    if state.type_ != "postgres" or state == warehouse:
        return
    adapter = state.create_engine_adapter()
    with contextlib.closing(adapter):
        address = connection_address(adapter.cursor.connection)
    same = all(getattr(state, key, 0) == getattr(warehouse, key, 1) for key in ("host", "port", "database", "user"))
    step.canceller.state_address = None if same else address


def await_state_file(step: Step, context: Context) -> None:
    """Wait a while for a state in a DuckDB file that another process has open: DuckDB lets in one at a time.

    :param step: Is told, and cancels.
    :param context: Tells where the state is.
    :raises StepFailed: ``state_unreachable`` when the other one goes on and on.
    """
    config = state_config(context)
    path = getattr(config, "database", None) if config.type_ == "duckdb" else None
    if not path or not Path(path).is_file():
        return
    duckdb: Any = importlib.import_module("duckdb")
    began = time.monotonic()

    def attempt() -> bool:
        try:
            duckdb.connect(path).close()
        except duckdb.IOException as error:
            if "lock" not in str(error):
                return True
            if time.monotonic() - began > FILE_SECONDS:
                text = f"The state's DuckDB file has been open in another process for {FILE_SECONDS} s."
                raise StepFailed("state_unreachable", text) from error
            return False
        except duckdb.Error:
            # SQLMesh says better what else is wrong with it.
            return True
        return True

    wait(step, attempt)


def migrate(context: Context) -> None:
    """Migrate the state for good.

    :raises StepFailed: ``state_migration_failed``.
    """
    try:
        context.migrate()
    except Exception as error:
        raise StepFailed("state_migration_failed", f"Migrating the state failed: {error}") from error


@contextlib.contextmanager
def migrated_copy(step: Step, context: Context) -> Iterator[Context]:
    """A context on a migrated copy of the state.

    :param step: The step.
    :param context: A context on the real state, which is only read.
    :raises StepFailed: ``state_behind`` when no copy can be made, ``state_migration_failed`` when migrating it fails.
    """
    adapter = state_config(context).create_engine_adapter()
    scratch = f"{SCRATCH_PREFIX}{int(time.time())}_{uuid.uuid4().hex[:8]}"
    schema = context.config.get_state_schema(context.gateway) or DEFAULT_SCHEMA
    try:
        try:
            _drop_old_copies(adapter)
            adapter.create_schema(scratch)
            _copy_tables(adapter, schema, scratch)
        except Exception as error:
            text = f"The state is older than the tool, and a copy of it to plan with could not be made: {error}"
            raise StepFailed("state_behind", text) from error
        configs = load_configs(step, state_schema=scratch)
        for config in configs.values():
            # Nobody is to be told of a migration that is none.
            config.notification_targets = []
            config.users = []
        copy = make_context(step, configs)
        migrate(copy)
        yield copy
        copy.close()
    finally:
        with contextlib.suppress(Exception):
            _drop_schema(adapter, scratch)
        adapter.close()


def _copy_tables(adapter: EngineAdapter, schema: str, scratch: str) -> None:
    from sqlglot import exp

    for item in adapter.get_data_objects(schema):
        if item.name.startswith("_") and not item.name.endswith("_backup"):
            source = exp.table_(item.name, db=schema, quoted=True)
            query = exp.select("*").from_(source)
            adapter.ctas(exp.table_(item.name, db=scratch, quoted=True), query)


def _drop_schema(adapter: EngineAdapter, schema: str) -> None:
    adapter.drop_schema(schema, ignore_if_not_exists=True, cascade=True)


def _drop_old_copies(adapter: EngineAdapter) -> None:
    """Drop what explains that were killed left behind; only PostgreSQL's catalog is asked."""
    if adapter.dialect != "postgres":
        return
    rows = adapter.fetchall(f"SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname LIKE '{SCRATCH_PREFIX}%'")  # noqa: S608 - a constant of ours
    for (name,) in rows:
        made = re.fullmatch(SCRATCH_PREFIX + r"(\d+)_[0-9a-f]{8}", name)
        if made and time.time() - int(made[1]) > SCRATCH_LIFETIME:
            _drop_schema(adapter, name)
