"""Finds out which database drivers a SQLMesh project needs without running any of the project's code.

SQLMesh renders ``config.yaml`` with an unsandboxed template engine and imports ``config.py``: letting it load the config only
to learn the connection types would run the project's code before its environment exists. So the text is looked at instead.
Naming a driver too many costs a second; missing one shows up as a clear import error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dagctl_provider.runner.errors import RunnerError

CONFIG_NAMES = ("config.py", "config.yml", "config.yaml", "sqlmesh.yml", "sqlmesh.yaml")
_SIZE_LIMIT = 1024 * 1024

EXTRA_OF_TYPE: Mapping[str, str] = {
    "athena": "athena",
    "azuresql": "azuresql",
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "db2": "db2",
    "fabric": "fabric",
    "gcppostgres": "gcppostgres",
    "motherduck": "motherduck",
    "mssql": "mssql",
    "mysql": "mysql",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "starrocks": "starrocks",
    "trino": "trino",
}
"""Connection type without underscores -> extra of the package. DuckDB needs none, PostgreSQL's driver is always there."""

_YAML_TYPE = re.compile(
    r"""(?:^|[\s{,])["']?type["']?\s*:\s*(["']?)(?P<value>\{\{.*?\}\}|[A-Za-z_][A-Za-z0-9_]*)\1""", re.MULTILINE
)
_ENV_VAR = re.compile(r"""env_var\(\s*["'](\w+)["']\s*(?:,\s*["'](\w*)["'])?""")


def find_config(folder: Path, root: Path) -> list[Path]:
    """The project's config files.

    :param folder: The project's folder.
    :param root: The checkout; a config that is a link to somewhere outside is not read.
    :raises RunnerError: ``no_sqlmesh_project``.
    """
    found = [folder / name for name in CONFIG_NAMES if (folder / name).is_file()]
    if not found:
        where = folder.relative_to(root).as_posix()
        raise RunnerError(
            "no_sqlmesh_project", f"No SQLMesh config in {'the repository' if where == '.' else where!r} at this commit."
        )
    for path in found:
        if not path.resolve().is_relative_to(root.resolve()):
            raise RunnerError("no_sqlmesh_project", f"{path.name} is a link that leaves the repository.")
    return found


def find_extras(folder: Path, root: Path, env: Mapping[str, str]) -> list[str]:
    """Extras of the tool that the project's connections ask for.

    :param folder: The project's folder.
    :param root: The checkout.
    :param env: The step's variables, for ``type: {{ env_var('X') }}``.
    """
    types: set[str] = set()
    for path in find_config(folder, root):
        if path.stat().st_size > _SIZE_LIMIT:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        types.update(_types_in_python(text) if path.suffix == ".py" else rendered_types(text, env))
    return sorted({EXTRA_OF_TYPE[name] for name in (kind.replace("_", "") for kind in types) if name in EXTRA_OF_TYPE})


def rendered_types(text: str, env: Mapping[str, str]) -> Iterator[str]:
    """Values of all keys ``type`` in a YAML text.

    :param text: The file.
    :param env: The step's variables, for ``type: {{ env_var('X') }}``.
    """
    for match in _YAML_TYPE.finditer(text):
        value = match["value"]
        if value.startswith("{{"):
            variable = _ENV_VAR.search(value)
            value = env.get(variable[1], variable[2] or "") if variable else ""
        yield value.lower()


def _types_in_python(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            # "type": "snowflake" in a dictionary, or type="snowflake" in a call.
            yield node.value.lower()
        elif isinstance(node, (ast.Name, ast.Attribute)):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name.endswith("ConnectionConfig"):
                yield name.removesuffix("ConnectionConfig").lower()
