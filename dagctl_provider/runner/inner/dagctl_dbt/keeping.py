"""Where a warehouse that is a file lies: one inside the step's own folder, or in memory, is gone when the step ends.

With a folder that keeps such files they are used from there, under the name that the profile gives them; without one the step is
refused, since everything that it writes would be lost.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.keeping import MEMORY, make_room, place_of

from dagctl_dbt.journals import Step

if TYPE_CHECKING:
    from dbt.config.runtime import RuntimeConfig

    Place = tuple[str, str, Callable[[str], None]]

_ADVICE = (
    "Name a file outside of the repository, path: \"{{ env_var('WAREHOUSE_FILE') }}\" for example, and give the variable an "
    "absolute path that outlives the step; or let '[dagctl] data_folder' keep relative paths."
)
_SCHEME = re.compile(r"(?:(?:ducklake|sqlite|duckdb|file):)*", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:")


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


def _duckdb(credentials: Any) -> Iterator[Place]:
    attached = list(getattr(credentials, "attach", None) or ())
    elsewhere = credentials.database in [_alias(row) for row in attached]
    # With everything in an attached database, the main one may be in memory.
    if not (elsewhere and str(credentials.path) in ("", MEMORY)) and not getattr(credentials, "remote", None):
        yield "path", str(credentials.path or MEMORY), functools.partial(setattr, credentials, "path")
    for row in attached:
        reads = row.read_only or (getattr(row, "options", None) or {}).get("read_only")
        if not reads and str(getattr(row, "type", None) or "duckdb").lower() in ("duckdb", "sqlite", "ducklake"):
            yield f"attach: {_alias(row)}", str(row.path), functools.partial(setattr, row, "path")


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


def _sqlite(credentials: Any) -> Iterator[Place]:
    paths = credentials.schemas_and_paths
    for schema, path in dict(paths).items():
        yield f"schemas_and_paths: {schema}", str(path), functools.partial(paths.__setitem__, schema)
    directory = getattr(credentials, "schema_directory", None)
    if directory:
        yield "schema_directory", str(directory), functools.partial(setattr, credentials, "schema_directory")


def _kept(job: Any, field: str, path: str) -> str:
    """Where a file is kept; the path itself when that outlives the step."""
    scheme = _SCHEME.match(path)
    head, rest = path[: scheme.end()] if scheme else "", path[scheme.end() :] if scheme else path
    if rest in ("", MEMORY):
        raise StepFailed(
            "warehouse_not_kept", f"The profile's warehouse ({field}) is in memory, and gone when the step ends. {_ADVICE}"
        )
    if _ADDRESS.match(rest):
        return path
    place = place_of(job, rest)
    if place.outlives:
        return path
    if place.kept is None:
        shown = f"{field}: {rest.replace(job['scratch'] + '/', '')}"
        raise StepFailed(
            "warehouse_not_kept",
            f"The profile's warehouse ({shown}) is a file in the step's own folder, and gone when the step ends. {_ADVICE}",
        )
    if job["command"] != "explain":
        make_room(place.kept)
    return head + str(place.kept)
