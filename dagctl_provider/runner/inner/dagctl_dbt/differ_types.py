"""What the differ finds, as data: other modules fill and read these, and none of them needs dbt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

ADDED, REMOVED, DIRECT, INDIRECT, METADATA = "added", "removed", "directly_modified", "indirectly_modified", "metadata"

#: What `dbt build` makes in the warehouse, apart from tests.
BUILT = ("model", "seed", "snapshot", "function")
TESTS = ("test", "unit_test")


class DependsOn(TypedDict, total=False):
    """Unique ids of what a node reads and calls."""

    nodes: list[str]
    macros: list[str]


class Column(TypedDict, total=False):
    """What is written down about a column."""

    name: str
    description: str | None
    data_type: str | None
    meta: dict[str, Any]
    tags: list[str]
    constraints: list[dict[str, Any]]


class Node(TypedDict, total=False):
    """Anything that stands in a manifest under a unique id: the keys that are read here, of which no kind of node has all."""

    unique_id: str
    name: str
    resource_type: str
    package_name: str
    source_name: str
    version: str | float | None
    fqn: list[str]
    original_file_path: str
    database: str | None
    schema: str | None
    alias: str | None
    identifier: str | None
    relation_name: str | None
    raw_code: str | None
    language: str
    compiled_code: str | None
    macro_sql: str
    checksum: Any
    description: str | None
    source_description: str | None
    tags: list[str]
    group: str | None
    type: str
    owner: dict[str, Any]
    config: dict[str, Any]
    unrendered_config: dict[str, Any]
    contract: dict[str, Any]
    constraints: list[dict[str, Any]]
    columns: dict[str, Column]
    depends_on: DependsOn
    test_metadata: dict[str, Any]
    given: Any
    expect: Any
    overrides: Any
    model: str


class Manifest(TypedDict, total=False):
    """dbt's manifest, schema v9 to v12, as far as it is read here."""

    metadata: dict[str, Any]
    nodes: dict[str, Node]
    functions: dict[str, Node]
    sources: dict[str, Node]
    macros: dict[str, Node]
    exposures: dict[str, Node]
    groups: dict[str, Node]
    semantic_models: dict[str, Node]
    metrics: dict[str, Node]
    saved_queries: dict[str, Node]
    unit_tests: dict[str, Node]
    disabled: dict[str, list[Node]]


@dataclass(frozen=True)
class Facts:
    """What a manifest does not say about the project it was parsed from.

    :param target: Name of the profile's target. None: not known, or parsed with stand-ins for missing secrets; where
        models lie is then compared by configuration only.
    :param vars: `vars` of each project, by its name, as written. None: not known, variables are not compared.
    :param packages: Version of each installed package.
    :param seeds: By unique id, `columns` (the CSV file's header) and, for files too big for dbt to read, `sha256`.
    :param outside: Unique ids of models and the like that the project's default selector left out: they were not built.
    """

    target: str | None = None
    vars: Mapping[str, Mapping[str, Any]] | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)


@dataclass
class NodeChange:
    """One model, seed, snapshot or function that is not as deployed.

    :param name: As people say it: `<package>.` only for packages, `.v2` for versions.
    :param change: One of the five above.
    :param kind: Materialisation, or seed, snapshot, function.
    :param reasons: body, seed_data, config, relation, contract, macro, vars, ref, description, path, version, access,
        disabled, enabled, selector, source; for an indirect one empty or source.
    :param details: Short texts for people: which keys, macros, variables, what it was renamed from.
    :param parents: Names of changed nodes and sources it reads.
    """

    name: str
    unique_id: str
    change: str
    kind: str
    resource_type: str
    reasons: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)


@dataclass
class ResourceChange:
    """Something else of the project that is not as deployed.

    :param type: test, unit_test, macro, source, exposure, group, semantic_model, metric, saved_query, hook, package, project.
    :param change: added, modified or removed.
    :param affects: Names of models that change because of it.
    :param rebuilds: Of a source: whether what reads it is built again.
    :param details: Short texts for people: what of it changed.
    """

    type: str
    name: str
    unique_id: str
    change: str
    reasons: list[str] = field(default_factory=list)
    affects: list[str] = field(default_factory=list)
    rebuilds: bool = False
    details: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ContractBreak:
    """A promise of an enforced contract that the commit takes back without a new version of the model."""

    model: str
    problem: str


@dataclass
class Changes:
    """All that differs.

    :param models: Models, seeds, snapshots and functions, by change and name.
    :param contracts_broken: See there.
    :param exposures_affected: Exposures that read something that changes: `name`, `type`, `owner`, `reads`.
    :param warnings: What dbt keeps quiet about.
    :param full_reason: Why everything has to be built; None when the difference suffices.
    :param unsure: Unique ids of what changes only because it may read a variable with another value: by a name that is not
        known, in nothing but what compiles to its SQL.
    """

    models: list[NodeChange] = field(default_factory=list)
    resources: list[ResourceChange] = field(default_factory=list)
    contracts_broken: list[ContractBreak] = field(default_factory=list)
    exposures_affected: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    full_reason: str | None = None
    unsure: list[str] = field(default_factory=list)

    def of(self, *changes: str) -> list[NodeChange]:
        """Models with one of these changes."""
        return [model for model in self.models if model.change in changes]

    def ids(self, *changes: str) -> set[str]:
        """Their unique ids."""
        return {model.unique_id for model in self.of(*changes)}

    @property
    def any(self) -> bool:
        """Whether the commit differs from what is deployed in anything a person should see."""
        return bool(self.models or self.resources or self.full_reason)


def name_of(node: Node, project: str | None) -> str:
    """Name of a node for people.

    :param project: The root project's name.
    """
    name = str(node["name"])
    if node.get("resource_type") == "source":
        name = f"{node['source_name']}.{name}"
    if node.get("version") not in (None, ""):
        name = f"{name}.v{node['version']}"
    package = node.get("package_name")
    return name if package == project else f"{package}.{name}"


def kind_of(node: Node) -> str:
    """Materialisation of a model; the resource's type for the others."""
    if node["resource_type"] == "model":
        return str((node.get("config") or {}).get("materialized") or "view")
    return str(node["resource_type"])


def built_nodes(manifest: Manifest) -> dict[str, Node]:
    """Models, seeds, snapshots and functions."""
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] in BUILT}
    return {**nodes, **(manifest.get("functions") or {})}


def test_nodes(manifest: Manifest) -> dict[str, Node]:
    """Data tests and unit tests."""
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "test"}
    return {**nodes, **(manifest.get("unit_tests") or {})}


def parents_of(node: Node) -> list[str]:
    """Unique ids of what a node reads."""
    return list((node.get("depends_on") or {}).get("nodes") or [])


def project_of(manifest: Manifest) -> str | None:
    """Name of the root project; None in manifests of dbt 1.5, which do not tell."""
    name = (manifest.get("metadata") or {}).get("project_name")
    return str(name) if name else None
