"""What a dbt manifest has to be to stand for what is deployed: read without trusting it, and judged before anything is kept."""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dagctl_provider.domain.errors import DagctlError

SCHEMAS = range(9, 13)
"""Versions of dbt's manifest schema that the runner compares: dbt 1.5 to 1.12."""
MOST_BYTES = 256 * 1024 * 1024
_SCHEMA = re.compile(r"/manifest/v([0-9]{1,3})(?:\.[0-9]+)?\.json$")
_GZIP = b"\x1f\x8b"
_NAME_FILE = "dbt_project.yml"


@dataclass(frozen=True)
class AdoptedManifest:
    """A manifest that was read.

    :param content: It, as JSON.
    :param project: Name of the root project; ``None`` where dbt did not write it down.
    :param tool_version: Of the dbt that wrote it.
    """

    content: bytes
    project: str | None
    tool_version: str | None


def read_manifest(data: bytes) -> AdoptedManifest:
    """Read and judge a manifest.

    :param data: JSON, plain or compressed with gzip.
    :raises DagctlError: ``manifest_refused``, saying what is wrong.
    """
    content = _unpacked(data)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON; it is cut off, or another file") from None
    if not isinstance(found, dict) or not isinstance(found.get("metadata"), dict):
        raise _refused("it has no metadata, so it is no manifest.json of dbt")
    metadata: dict[str, Any] = found["metadata"]
    _require_schema(str(metadata.get("dbt_schema_version") or ""))
    for table in ("nodes", "sources", "macros"):
        if not isinstance(found.get(table), dict):
            raise _refused(f"it has no {table}")
    if not any(str(key).startswith(("model.", "seed.", "snapshot.")) for key in found["nodes"]):
        raise _refused("there is no model, seed or snapshot in it")
    name, version = metadata.get("project_name"), metadata.get("dbt_version")
    return AdoptedManifest(content, str(name) if name else None, str(version) if version else None)


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            content = packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        raise _refused("it is damaged: its compressed bytes cannot be read") from None
    if len(content) > MOST_BYTES:
        raise _refused("it is larger than 256 MiB")
    return content


def _require_schema(address: str) -> None:
    found = _SCHEMA.search(address)
    if found is None:
        raise _refused("it does not say which version of dbt's manifest schema it has")
    if int(found[1]) not in SCHEMAS:
        raise _refused(f"its schema is v{found[1]}; v{SCHEMAS[0]} to v{SCHEMAS[-1]} are known, those of dbt 1.5 to 1.12")


def _refused(why: str) -> DagctlError:
    return DagctlError("manifest_refused", f"The manifest cannot stand for what is deployed: {why}.")


def dbt_project_name(files: Mapping[str, str]) -> str | None:
    """The name in dbt_project.yml, which the ids of all nodes begin with.

    :param files: Content of the project's files, by name.
    """
    try:
        found = yaml.safe_load(files.get(_NAME_FILE, ""))
    except (yaml.YAMLError, RecursionError):
        return None
    name = found.get("name") if isinstance(found, dict) else None
    return str(name) if name else None
