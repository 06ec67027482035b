"""Looks at a deployed state before anything is compared with it: a broken one must not look like a change of the project."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from dagctl_common.channel import StepFailed

from dagctl_dbt.differ_types import Manifest, built_nodes, project_of

#: Schemas of dbt 1.5 to 1.12.
SCHEMAS = range(9, 13)
_SCHEMA = re.compile(r"/manifest/v(\d+)\.json$")
_TABLES = ("nodes", "sources", "macros")


def read_state(content: bytes) -> Manifest:
    """The manifest that is the deployed state.

    :param content: As it came with the request, unpacked.
    :raises StepFailed: ``state_damaged`` or ``state_unknown_version``.
    """
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise _damaged(f"it is no JSON ({error})" if content else "it is empty") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("metadata"), dict):
        raise _damaged("it is no manifest of dbt")
    for table in _TABLES:
        rows = manifest.get(table)
        if not isinstance(rows, dict):
            raise _damaged(f"it has no '{table}'")
        if not all(_is_node(row, table) for row in rows.values()):
            raise _damaged(f"something in its '{table}' is none of dbt's")
    schema = str(manifest["metadata"].get("dbt_schema_version") or "")
    version = _SCHEMA.search(schema)
    if version is None:
        raise _damaged("it does not say which version of dbt's manifest it is")
    if int(version[1]) not in SCHEMAS:
        raise StepFailed(
            "state_unknown_version",
            f"The deployed state is a manifest v{version[1]} (dbt {manifest['metadata'].get('dbt_version')}); "
            f"v{SCHEMAS[0]} to v{SCHEMAS[-1]} are known here.",
        )
    found: Manifest = manifest  # type: ignore[assignment]
    return found


def note_of(manifest: Manifest, key: str) -> dict[str, Any] | None:
    """What stands beside the manifest, of our own; ``None`` in one that a team's own dbt wrote.

    :param manifest: The deployed state.
    :param key: Under `metadata.env`.
    :raises StepFailed: ``state_damaged``.
    """
    texts = manifest["metadata"].get("env")
    text = texts.get(key) if isinstance(texts, Mapping) else None
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (TypeError, ValueError) as error:
        raise _damaged(f"what stands beside the manifest ({key}) is no JSON") from error
    if not isinstance(found, dict):
        raise _damaged(f"what stands beside the manifest ({key}) is not what was written there")
    return found


def refuse_foreign(deployed: Manifest | None, manifest: Manifest) -> None:
    """Refuse the state of another project. A project under a new name still has its models.

    :param deployed: The deployed state.
    :param manifest: Of the commit.
    :raises StepFailed: ``state_foreign``.
    """
    if deployed is None or None in (project_of(deployed), project_of(manifest)) or project_of(deployed) == project_of(manifest):
        return
    names = [{(node["resource_type"], node["name"]) for node in built_nodes(side).values()} for side in (deployed, manifest)]
    if all(names) and names[0].isdisjoint(names[1]):
        raise StepFailed(
            "state_foreign",
            f"The deployed state is of the project '{project_of(deployed)}', and nothing in it has the name of something "
            f"in '{project_of(manifest)}'.",
        )


def _is_node(row: object, table: str) -> bool:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("name", "package_name", "unique_id")):
        return False
    return isinstance(row.get("macro_sql" if table == "macros" else "resource_type"), str)


def _damaged(why: str) -> StepFailed:
    return StepFailed("state_damaged", f"The deployed state is broken: {why}.")
