"""Where a warehouse that is a file lies: one inside the step's own folder, or in memory, is gone when the step ends.

With a folder that keeps such files they are used from there, under the name that the profile gives them; without one the step is
refused, since everything that it writes would be lost.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.keeping import MEMORY, Entry, place_of

from dagctl_dbt.journals import Step

if TYPE_CHECKING:
    from dbt.config.runtime import RuntimeConfig

_ADVICE = (
    "Name a file outside of the repository, path: \"{{ env_var('WAREHOUSE_FILE') }}\" for example, and give the variable an "
    "absolute path that outlives the step; or let '[dagctl] data_folder' keep relative paths."
)


def keep_warehouse(step: Step, config: RuntimeConfig) -> None:
    """Make sure that the files of a warehouse outlive the step; before the first connection.

    :param step: The step.
    :param config: dbt's config; the credentials in it get the path of the file that is kept.
    :raises StepFailed: ``warehouse_not_kept``.
    """
    places = {"duckdb": _duckdb, "sqlite": _sqlite}.get(config.credentials.type)
    for field, path, change in places(config.credentials) if places else ():
        kept = _kept(step.job, field, path)
        if kept != path:
            change(kept)
            step.channel.line(f"the warehouse's file {path} is kept as {kept}")


def _duckdb(credentials: Any) -> Iterator[Entry]:
    attached = list(getattr(credentials, "attach", None) or ())
    elsewhere = credentials.database in [_alias(row) for row in attached]
    # With everything in an attached database, the main one may be in memory.
    if not (elsewhere and str(credentials.path) in ("", MEMORY)) and not getattr(credentials, "remote", None):
        yield "path", str(credentials.path or MEMORY), functools.partial(setattr, credentials, "path")
    for row in attached:
        reads = row.read_only or (getattr(row, "options", None) or {}).get("read_only")
        scratch = str(row.path) == MEMORY and _alias(row) != credentials.database
        if not (reads or scratch) and str(getattr(row, "type", None) or "duckdb").lower() in ("duckdb", "sqlite", "ducklake"):
            yield f"attach: {_alias(row)}", str(row.path), functools.partial(setattr, row, "path")
            options = getattr(row, "options", None) or {}
            # DuckLake's tables are files of their own, beside the list of them.
            for name in [name for name in options if name.lower() == "data_path"]:
                yield f"attach: {_alias(row)}: {name}", str(options[name]), functools.partial(options.__setitem__, name)


def refuse_fleeting(config: RuntimeConfig, nodes: Iterable[Any]) -> None:
    """Refuse nodes that are written into an attached database in memory; without any it may be there for scratch.

    :param config: dbt's config.
    :param nodes: Of dbt's parsed manifest.
    :raises StepFailed: ``warehouse_not_kept``.
    """
    attached = (getattr(config.credentials, "attach", None) or ()) if config.credentials.type == "duckdb" else ()
    fleeting = {_alias(row) for row in attached if str(row.path) == MEMORY}
    for node in nodes:
        if node.database in fleeting and str(getattr(node.config, "materialized", "")) not in ("ephemeral", "test", "unit"):
            told = f"{node.resource_type} {node.name} is written to the database {node.database}, which is in memory, and gone"
            raise StepFailed("warehouse_not_kept", f"{told} when the step ends. {_ADVICE}")


def keep_external(step: Step, config: RuntimeConfig, nodes: Iterable[Any]) -> None:
    """The same for models that dbt-duckdb writes into files of their own.

    :param step: The step.
    :param config: dbt's config.
    :param nodes: Of dbt's parsed manifest.
    :raises StepFailed: ``warehouse_not_kept``.
    """
    credentials: Any = config.credentials
    external = [node for node in nodes if str(getattr(node.config, "materialized", "")) == "external"]
    if credentials.type != "duckdb" or not external:
        return
    for node in external:
        location = node.config.get("location")
        if location:
            _kept({**step.job, "data_folder": None}, f"location of model {node.name}", str(location))
    if any(not node.config.get("location") for node in external):
        credentials.external_root = _kept(step.job, "external_root", str(credentials.external_root))


def _alias(row: Any) -> str:
    return str(row.alias or Path(str(row.path)).stem)


def _sqlite(credentials: Any) -> Iterator[Entry]:
    paths = credentials.schemas_and_paths
    for schema, path in dict(paths).items():
        yield f"schemas_and_paths: {schema}", str(path), functools.partial(paths.__setitem__, schema)
    directory = getattr(credentials, "schema_directory", None)
    if directory:
        yield "schema_directory", str(directory), functools.partial(setattr, credentials, "schema_directory")


def _kept(job: Any, field: str, path: str) -> str:
    """Where a file is kept; the path itself when that outlives the step."""
    place = place_of(job, path)
    if not place.fleeting:
        return path
    if place.in_memory:
        raise StepFailed(
            "warehouse_not_kept", f"The profile's warehouse ({field}) is in memory, and gone when the step ends. {_ADVICE}"
        )
    if place.kept is None:
        raise StepFailed(
            "warehouse_not_kept",
            f"The profile's warehouse ({field}: {place.shown}) is a file in the step's own folder, "
            f"and gone when the step ends. {_ADVICE}",
        )
    if job["command"] != "explain":
        place.make_room()
    return place.kept
