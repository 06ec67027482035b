"""What has to be kept beside a manifest to compare it later: variables, package versions, headers of seeds, the target.

They travel inside the deployed manifest itself, as one text under `metadata.env`, a place where every version of dbt allows
texts of somebody else's; so the manifest stays usable for `--state`.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from dagctl_dbt.differ_types import Facts, Manifest

KEY = "DAGCTL_FACTS"
#: Characters of a CSV file's first line.
MOST_HEADER = 100_000


def attach(manifest: Manifest, facts: Facts) -> dict[str, Any]:
    """A manifest that carries its facts; the given one is left alone.

    :param manifest: As dbt wrote it.
    :param facts: Of :func:`collect`.
    """
    metadata = manifest.get("metadata") or {}
    text = json.dumps(asdict(facts), default=str, sort_keys=True)
    return {**manifest, "metadata": {**metadata, "env": {**(metadata.get("env") or {}), KEY: text}}}


def attached(manifest: Manifest | None) -> Facts:
    """Facts a manifest carries; none for one that dbt wrote by itself."""
    text = (((manifest or {}).get("metadata") or {}).get("env") or {}).get(KEY)
    return facts_of(json.loads(text) if text else None)


def facts_of(found: Mapping[str, Any] | None) -> Facts:
    """Facts as they were kept; what a newer version of this package kept beside them is left alone.

    :param found: What was kept, if anything was.
    """
    known = {row.name for row in fields(Facts)}
    return Facts(**{key: value for key, value in (found or {}).items() if key in known})


def collect(
    manifest: Manifest,
    project: Path,
    installed: Iterable[Path] = (),
    *,
    target: str | None,
    given: Mapping[str, Any] | None = None,
) -> Facts:
    """Facts of a checkout.

    :param manifest: Parsed from it.
    :param project: Folder of the root project.
    :param installed: Folders of installed packages, those in `dbt_packages`.
    :param target: Name of the target it was parsed for; None when secrets were replaced for parsing.
    :param given: Values of variables that the plan sets (`--vars`): they win over those of every project.
    """
    variables, versions, folders = {}, {}, {}
    for folder in (project, *installed):
        rows = _yaml(folder / "dbt_project.yml")
        if "name" in rows:
            name = str(rows["name"])
            folders[name] = folder
            variables[name] = _over(_plain(rows.get("vars") or _yaml(folder / "vars.yml").get("vars") or {}), given or {})
            versions[name] = str(rows.get("version") or "")
    return Facts(target, variables, versions, _seeds(manifest, folders))


def _yaml(path: Path) -> dict[str, object]:
    import yaml

    if not path.is_file():
        return {}
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def _plain(value: object) -> dict[str, object]:
    """As JSON has it, so that a value read back later is equal: dates become texts, keys too."""
    plain: dict[str, object] = json.loads(json.dumps(value, default=str, skipkeys=True))
    return plain


def _over(own: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of a project under those of the plan, which win over what is set for single packages, too."""
    scopes = {name: value for name, value in own.items() if isinstance(value, dict)}
    shaded = {name: {key: one for key, one in scope.items() if key not in given} for name, scope in scopes.items()}
    return {**own, **shaded, **_plain(dict(given))}


def _seeds(manifest: Manifest, folders: Mapping[str, Path]) -> dict[str, dict[str, object]]:
    found = {}
    for key, node in manifest["nodes"].items():
        folder = folders.get(node["package_name"])
        if node["resource_type"] != "seed" or folder is None:
            continue
        path = folder / node["original_file_path"]
        # A link out of the repository is not followed: its first line would be shown.
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            found[key] = _header(path, str((node.get("config") or {}).get("delimiter") or ","))
            if (node.get("checksum") or {}).get("name") == "path":
                with open(path, "rb") as raw:
                    found[key]["sha256"] = _sha256(raw)
    return found


def _header(path: Path, delimiter: str) -> dict[str, object]:
    """Names of a CSV file's columns; nothing for what is none, which dbt will say."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return {"columns": next(csv.reader([file.readline(MOST_HEADER)], delimiter=delimiter), [])}
    except (csv.Error, UnicodeError, TypeError, OSError):
        return {}


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
