"""What makes two dbt plans the same plan: what would be built from what, where, and on top of which deployed state.

An execute parses the commit again, in full, and compares. Each node, macro and variable is a part of its own, so that a drift
can name it. Times are those of the plan's moment, see :mod:`dagctl_dbt.moments`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagctl_common import inputs
from dagctl_common.digests import MOMENT, hash_of, hashes_of, named, readable
from dagctl_common.inputs import input_parts, keyed

from dagctl_dbt.differ_macros import MacroReach, hooks_of
from dagctl_dbt.differ_types import Facts, Manifest, Node, name_of, project_of
from dagctl_dbt.differ_variables import variables_of
from dagctl_dbt.journals import Step
from dagctl_dbt.moments import Moment

if TYPE_CHECKING:
    from dbt.config.runtime import RuntimeConfig
    from dbt.contracts.graph.manifest import Manifest as Parsed

_KINDS = {"operation": "hook"}
_PLACES = (
    "host", "server", "port", "account", "project", "execution_project", "database", "dbname", "catalog", "schema", "dataset",
    "path", "schemas_and_paths", "schema_directory", "external_root", "http_path", "location", "region", "region_name",
    "warehouse", "role", "user", "username", "search_path", "cluster_identifier", "work_group", "s3_staging_dir", "s3_data_dir",
    "s3_data_naming", "lakehouse", "workspace", "engine_name", "account_name", "cluster", "organization", "method",
)  # fmt: skip
"""Fields of a target that say where an execute writes, and as whom. Everything else may be a secret, and is not looked at."""
_PRIVATE = "DBT_ENV_SECRET"
_LOGIN = re.compile(r"(?<=//)[^/@\s]*@|\?.*$")


@dataclass(frozen=True)
class Sources:
    """What the parts are made from, beside the job.

    :param manifest: Of the commit, as JSON.
    :param facts: Beside it.
    :param parsed: The same manifest in dbt's memory, which knows what was read from the environment.
    :param config: dbt's config of project and profile.
    :param base: Identity of the deployed state.
    :param leftovers: Identity of what plans that did not end well left.
    :param anew: Unique ids of what is made from scratch.
    """

    manifest: Manifest
    facts: Facts
    parsed: Parsed
    config: RuntimeConfig
    base: str | None
    leftovers: Sequence[tuple[str, str]] = ()
    anew: Sequence[str] = ()


def digest_parts(step: Step, sources: Sources, nodes: list[str], removed: list[str], moment: Moment) -> dict[str, str]:
    """The parts of a plan, without what is made from compiled SQL.

    :param step: The step.
    :param sources: What is known of the commit.
    :param nodes: Unique ids that will run.
    :param removed: Unique ids that are not in the commit any more.
    :param moment: The plan's.
    """
    job, facts = step.job, sources.facts
    reach = MacroReach(sources.manifest, facts)
    parts = {
        "commit": [job["commit_sha"], job["git_path"]],
        "environment": [job["profile"], facts.target],
        "tests": bool(job["run_tests"]),
        "base": sources.base,
        "selection": sorted(nodes),
        "removed": sorted(removed),
        "vars": [facts.vars, getattr(sources.config.vars, "vars", None)],
    }
    more = {"leftovers": sources.leftovers, "full_refresh": sources.anew}
    return {
        **hashes_of(parts),
        **hashes_of({name: value for name, value in more.items() if value}),
        "tool": readable(f"{job['tool']} {job['tool_version']}"),
        MOMENT: moment.text,
        **_nodes(sources.manifest, reach),
        **named("macro", _macros(sources.manifest, reach)),
        **named("dbt_package", hashes_of(dict(facts.packages))),
        **named("variable", _variables(step, sources)),
        **named("warehouse", warehouse_of(step, sources.config.credentials)),
        **input_parts(step),
    }


def _tables(manifest: Manifest) -> Iterator[tuple[str, Node]]:
    for table in (manifest["nodes"], manifest.get("functions") or {}, manifest.get("unit_tests") or {}):
        yield from table.items()


def parts_of(manifest: Manifest) -> dict[str, str]:
    """Name of each node's part, by unique id.

    :param manifest: Of the commit.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    project = project_of(manifest)
    for key, node in sorted(_tables(manifest)):
        kind = _KINDS.get(node["resource_type"], node["resource_type"])
        part = f"{kind}:{name_of(node, project)}"
        # Unit tests of different models may have the same name.
        found[key] = part if part not in taken else f"{kind}:{key}"
        taken.add(part)
    return found


def _nodes(manifest: Manifest, reach: MacroReach) -> dict[str, str]:
    names = parts_of(manifest)
    return {names[key]: hash_of(_node(node, reach)) for key, node in _tables(manifest)}


def _node(node: Node, reach: MacroReach) -> list[object]:
    config = node.get("config") or {}
    checksum: Any = node.get("checksum") or {}
    if isinstance(checksum, Mapping):
        # A seed too big for dbt to read has its path for a checksum, which is another one in each checkout.
        checksum = None if checksum.get("name") == "path" else checksum.get("checksum")
    texts = [*hooks_of(node), node.get("raw_code") if node["resource_type"] == "operation" else None]
    return [
        node["unique_id"], checksum, node.get("unrendered_config"), config.get("materialized"), node.get("relation_name"),
        texts, _values(node, reach) if any(texts) else None, reach.facts.seeds.get(node["unique_id"], {}).get("sha256"),
    ]  # fmt: skip


def _values(node: Node, reach: MacroReach) -> list[object]:
    """Values of the variables that a node with hooks reads: in a hook they are SQL that no model shows."""
    names = {path[0] for path in variables_of(node, reach).paths}
    return [[name, reach.value(node["package_name"], name)] for name in sorted(names) if reach.knows(node["package_name"], name)]


def _macros(manifest: Manifest, reach: MacroReach) -> dict[str, str]:
    project = project_of(manifest)
    return {
        name_of(macro, project): hash_of([key, macro["macro_sql"]]) for key, macro in manifest["macros"].items() if reach.own(key)
    }


def _variables(step: Step, sources: Sources) -> dict[str, str]:
    """What was read from the environment and is not among the step's own variables: those are inputs of every plan."""
    given = {*(step.job.get("given") or ()), *(step.job.get("known") or ())}
    names = {name for name in _read(sources) if not name.startswith(_PRIVATE) and name not in given}
    return {name: keyed(step, name, os.environ.get(name, "")) for name in names}


def _read(sources: Sources) -> set[str]:
    """Names that the project and its profile read. dbt's own list keeps, in partial parsing, names that nobody reads any more."""
    config, parsed = sources.config, sources.parsed
    found = {*(getattr(config, "project_env_vars", None) or {}), *(getattr(config, "profile_env_vars", None) or {})}
    for file in parsed.files.values():
        found.update(_flat(getattr(file, "env_vars", None)))
    rest = set(parsed.env_vars) - found
    if rest:
        text = "\n".join(_texts(sources.manifest))
        found |= {name for name in rest if name in text}
    return found


def _flat(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _flat(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)


def _texts(manifest: Manifest) -> Iterator[str]:
    for node in manifest["nodes"].values():
        yield node.get("raw_code") or ""
        yield str((node.get("config") or {}).get("pre-hook") or "")
        yield str((node.get("config") or {}).get("post-hook") or "")
    for macro in manifest["macros"].values():
        yield macro["macro_sql"]


def warehouse_of(step: Step, credentials: Any) -> dict[str, str]:
    """Where an execute writes, as far as it is no secret.

    :param step: Knows the secrets.
    :param credentials: Of dbt's config.
    """
    secrets = {value for name, value in os.environ.items() if name.startswith(_PRIVATE) and value}
    found = {"type": str(credentials.type)}
    own = inputs.has_own_credentials(step)
    for field in _PLACES:
        if own and field in inputs.WHO:
            continue
        value = getattr(credentials, field, None)
        text = " ".join(f"{key}={item}" for key, item in sorted(value.items())) if isinstance(value, dict) else value
        if not isinstance(text, (str, int)) or text == "" or str(text) in secrets:
            continue
        found[field] = step.hide(_LOGIN.sub("", str(text)))
    for row in getattr(credentials, "attach", None) or ():
        found[f"attach {row.alias or row.path}"] = step.hide(_LOGIN.sub("", str(row.path)))
    return found


WORDS: Mapping[str, str] = {
    **inputs.WORDS,
    "base": "another plan was deployed since",
    "commit": "commit or folder",
    "dbt_package": "dbt package",
    "environment": "profile or target",
    "function": "function",
    "full_refresh": "what is made from scratch",
    "hook": "hook",
    "leftovers": "what plans left that did not end well",
    "macro": "macro",
    "model": "model",
    "tests": "whether tests run",
    "removed": "what is removed",
    "rendered": "SQL made from query results, of model",
    "seed": "seed",
    "selection": "what would be built",
    "snapshot": "snapshot",
    "test": "test",
    "tool": "dbt version",
    "unaffected": "whether variables matter to",
    "unit_test": "unit test",
    "vars": "variables of dbt_project.yml",
    "warehouse": "warehouse's",
}
"""What the kinds of parts are called."""
