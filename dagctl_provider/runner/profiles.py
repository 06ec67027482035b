"""Finds the profile of a dbt project and the adapters it needs, without a YAML parser and without rendering anything.

The outer program has only the standard library. Profiles are nearly always written in block style, so their keys are read
from the indentation. Where that does not work, every connection type of the file counts: an adapter too many costs seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.runner.configs import rendered_types
from dagctl_provider.runner.errors import RunnerError

PROJECT_FILE = "dbt_project.yml"
_SIZE_LIMIT = 1024 * 1024

ADAPTER_PACKAGES: Mapping[str, str] = {
    "athena": "dbt-athena-community",
    "bigquery": "dbt-bigquery",
    "clickhouse": "dbt-clickhouse",
    "databricks": "dbt-databricks",
    "dremio": "dbt-dremio",
    "duckdb": "dbt-duckdb",
    "exasol": "dbt-exasol",
    "fabric": "dbt-fabric",
    "firebolt": "dbt-firebolt",
    "glue": "dbt-glue",
    "materialize": "dbt-materialize",
    "mysql": "dbt-mysql",
    "oracle": "dbt-oracle",
    "postgres": "dbt-postgres",
    "redshift": "dbt-redshift",
    "risingwave": "dbt-risingwave",
    "singlestore": "dbt-singlestore",
    "snowflake": "dbt-snowflake",
    "spark": "dbt-spark[PyHive]",
    "sqlite": "dbt-sqlite",
    "sqlserver": "dbt-sqlserver",
    "starrocks": "dbt-starrocks",
    "synapse": "dbt-synapse",
    "teradata": "dbt-teradata",
    "trino": "dbt-trino",
    "vertica": "dbt-vertica",
}
"""``type`` of a profile's target -> package. A type that is not here is refused: its package's name would be a guess."""

_BLOCK = re.compile(r"""(?P<indent> *)(?P<quote>["']?)(?P<key>[\w.-]+)(?P=quote)\s*:(?:\s+(?P<value>.*?))?\s*""")
_ENV_VAR = re.compile(r"""env_var\(\s*["'](\w+)["']\s*(?:,\s*["']([^"']*)["'])?\s*\)""")

Keys = tuple[str, ...]


@dataclass(frozen=True)
class ChosenProfile:
    """The profile a step uses.

    :param path: File it stands in.
    :param profile: Its name, where it is not the project's to say.
    :param target: Its target, where the file does not say.
    :param adapters: Connection types to install for.
    """

    path: Path
    profile: str | None
    target: str | None
    adapters: list[str]


def choose_profile(folder: Path, root: Path, target: str | None, env: Mapping[str, str], given: Path | None) -> ChosenProfile:
    """Choose between the project's own profiles.yml and the one that came with the secrets.

    The project's own file counts when it has the target; the one from the secrets is for projects that have none for it. Its
    first profile is used, whatever its name.

    :param folder: The project's folder.
    :param root: The checkout; a file that is a link to somewhere outside is not read.
    :param target: Wanted target, ``None`` for the profile's default.
    :param env: The step's variables, for ``env_var``.
    :param given: File in the secrets folder, which may not exist.
    :raises RunnerError: ``no_dbt_project`` or ``profile_invalid``.
    """
    name = _profile_name(folder, root, env)
    own = folder / "profiles.yml"
    if own.is_file():
        _check_inside(own, root, "profile_invalid")
        text = _text(own)
        known = dict(block_values(text))
        wanted = target or _rendered(known.get((name, "target"), "default"), env) if name else target
        here = name is None or any(keys[:3] == (name, "outputs", wanted) for keys in known)
        if here or given is None or not given.is_file():
            return ChosenProfile(own, None, target, _adapters(text, known, (name, "outputs", wanted), env))
    if given is None or not given.is_file():
        raise RunnerError(
            "profile_invalid", "The project has no profiles.yml beside its dbt_project.yml, and the step was given no connection."
        )
    text = _text(given)
    known = dict(block_values(text))
    profile = next((keys[0] for keys in known if "outputs" in keys[1:2]), None)
    targets = [keys[2] for keys in known if keys[:2] == (profile, "outputs") and len(keys) > 2]
    if profile is None or not targets:
        raise RunnerError("profile_invalid", "The profile made from the connection has no target.")
    wanted = target if target in targets else None
    return ChosenProfile(given, profile, wanted, _adapters(text, known, (profile, "outputs", wanted or targets[0]), env))


def _profile_name(folder: Path, root: Path, env: Mapping[str, str]) -> str | None:
    path = folder / PROJECT_FILE
    if not path.is_file():
        where = folder.relative_to(root).as_posix()
        raise RunnerError(
            "no_dbt_project", f"No {PROJECT_FILE} in {'the repository' if where == '.' else where!r} at this commit."
        )
    _check_inside(path, root, "no_dbt_project")
    value = dict(block_values(_text(path))).get(("profile",))
    return _rendered(value, env) if value else None


def _check_inside(path: Path, root: Path, code: str) -> None:
    if not path.resolve().is_relative_to(root.resolve()):
        raise RunnerError(code, f"{path.name} is a link that leaves the repository.")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size <= _SIZE_LIMIT else ""


def block_values(text: str) -> Iterator[tuple[Keys, str]]:
    """Keys and plain values of a YAML text in block style; anything else in it is passed over.

    :param text: The file.
    :return: Pairs of the path of keys and the value, empty for a mapping.
    """
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = _BLOCK.fullmatch(line.split(" #")[0].rstrip())
        if not match or line.lstrip().startswith("#"):
            continue
        depth = len(match["indent"])
        while path and path[-1][0] >= depth:
            path.pop()
        path.append((depth, match["key"]))
        yield tuple(key for _, key in path), (match["value"] or "").strip("\"'") if match["value"] else ""


def _rendered(value: str, env: Mapping[str, str]) -> str:
    variable = _ENV_VAR.search(value)
    return env.get(variable[1], variable[2] or "") if variable else value


def _adapters(
    text: str, known: Mapping[Keys, str], place: tuple[str | None, str, str | None], env: Mapping[str, str]
) -> list[str]:
    # A place without a profile or a target is not among them.
    exact = known.get((*place, "type"))  # type: ignore[arg-type]
    types = {_rendered(exact, env)} if exact else set(rendered_types(text, env)) & set(ADAPTER_PACKAGES)
    if not types - {""}:
        raise RunnerError("profile_invalid", "profiles.yml names no connection type, or only by a variable that is not set.")
    return sorted(kind.lower() for kind in types if kind)
