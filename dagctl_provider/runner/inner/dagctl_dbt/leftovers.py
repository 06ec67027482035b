"""What executions that did not end well left in the warehouse, and what the next plan does about it.

A dbt build that fails, is cancelled or is killed has built some nodes and not others: the warehouse is neither what is deployed
nor what was approved. Comparing the commit with the deployed manifest cannot show it. So the API server remembers the nodes that
such an execution may have touched, and the next plan builds them again, whatever the commit says, together with what reads them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagctl_dbt.differ_types import (
    DIRECT,
    METADATA,
    Changes,
    Manifest,
    Node,
    NodeChange,
    built_nodes,
    kind_of,
    name_of,
    project_of,
)

REASON = "leftover"
_STORED = ("incremental", "seed")


@dataclass(frozen=True)
class Leftover:
    """A node that an execution began to build and that is not deployed.

    :param node: Its unique id.
    :param plan_id: The plan's id for the tool.
    :param commit: That it was built from.
    :param relation: Where it was built; ``None`` when that is not known.
    """

    node: str
    plan_id: str
    commit: str
    relation: str | None = None
    kind: str | None = None


@dataclass
class Leftovers:
    """All of them.

    :param rows: The newest execution last.
    """

    rows: list[Leftover] = field(default_factory=list)

    @classmethod
    def read(cls, path: str | None) -> Leftovers:
        """Those that came with the request.

        :param path: File with ``rows``; ``None`` when nothing was left.
        """
        if not path:
            return cls()
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls([
            Leftover(str(row["node"]), str(row["plan_id"]), str(row["commit"]), row.get("relation"), row.get("kind"))
            for row in found["rows"]
        ])  # fmt: skip

    @property
    def nodes(self) -> dict[str, list[Leftover]]:
        """The rows of each node, by unique id."""
        found: dict[str, list[Leftover]] = {}
        for row in self.rows:
            found.setdefault(row.node, []).append(row)
        return found

    @property
    def identity(self) -> list[tuple[str, str]]:
        """What a digest says of them."""
        return sorted((row.node, row.plan_id) for row in self.rows)


def rows_of(manifest: Manifest, touched: Iterable[str]) -> list[dict[str, Any]]:
    """What an execution leaves that does not end well.

    :param manifest: Of its commit.
    :param touched: Unique ids of what it began to build, in this attempt or an earlier one.
    """
    nodes, project = built_nodes(manifest), project_of(manifest)
    return [
        {"node": key, "name": name_of(nodes[key], project), "kind": kind_of(nodes[key]), "relation": _relation(nodes[key])}
        for key in dict.fromkeys(touched)
        if key in nodes
    ]


def _relation(node: Node) -> str | None:
    name = node.get("relation_name")
    return str(name) if name else None


def mark(models: list[NodeChange], manifest: Manifest, leftovers: Leftovers) -> list[NodeChange]:
    """Add to the changes what has to be built again although the commit does not change it.

    :param models: What the commit changes directly.
    :param manifest: Of the commit.
    :param leftovers: What is left.
    """
    nodes, project = built_nodes(manifest), project_of(manifest)
    known = {change.unique_id: change for change in models}
    added = []
    for key, rows in sorted(leftovers.nodes.items()):
        if key not in nodes:
            continue
        change = known.get(key)
        if change is None:
            change = NodeChange(name_of(nodes[key], project), key, DIRECT, kind_of(nodes[key]), nodes[key]["resource_type"])
            added.append(change)
        elif change.change == METADATA:
            change.change = DIRECT
        change.reasons.append(REASON)
        change.details.append(f"the commit of that plan was {rows[-1].commit[:12]}")
    return models + added


def to_refresh(manifest: Manifest, leftovers: Leftovers) -> set[str]:
    """Unique ids of what has to be made from scratch, since rows or columns of code that is not deployed are in it.

    A model that may not be (``full_refresh: false``) is not among them.

    :param manifest: Of the commit.
    :param leftovers: What is left.
    """
    nodes = built_nodes(manifest)
    return {key for key in leftovers.nodes if key in nodes and kind_of(nodes[key]) in _STORED and not refuses(nodes[key])}


def refuses(node: Node) -> bool:
    """Whether a node's configuration forbids that it is made from scratch.

    :param node: Of a manifest.
    """
    return (node.get("config") or {}).get("full_refresh") is False


def warnings(changes: Changes, manifest: Manifest, leftovers: Leftovers) -> Iterator[str]:
    """What building again does not set right.

    :param changes: Of the plan.
    :param manifest: Of the commit.
    :param leftovers: What is left.
    """
    nodes, gone = built_nodes(manifest), {change.unique_id for change in changes.of("removed")}
    for key, rows in sorted(leftovers.nodes.items()):
        node = nodes.get(key)
        commit = rows[-1].commit[:12]
        places = sorted({row.relation for row in rows if row.relation} - ({_relation(node)} if node else set()))
        if node is None and key not in gone:
            where = f": {', '.join(places)} stays in the warehouse" if places else ""
            yield f"{key.split('.')[-1]} was built by commit {commit}, which is not deployed; dbt drops nothing{where}."
        elif node is not None and places:
            yield f"{_short(node, manifest)} was also built at {', '.join(places)}, by commit {commit}; dbt drops nothing."
        if node is not None and kind_of(node) == "snapshot":
            yield f"{_short(node, manifest)}: rows that the snapshot recorded for commit {commit} stay as they are."
        elif node is not None and kind_of(node) == "incremental" and refuses(node):
            yield (
                f"{_short(node, manifest)}: rows that commit {commit} made stay as they are, "
                "since the model's full_refresh is false."
            )


def _short(node: Node, manifest: Manifest) -> str:
    return name_of(node, project_of(manifest))


def described(manifest: Manifest, leftovers: Leftovers) -> list[dict[str, str]]:
    """For the reviewer: what is left, and what becomes of it.

    :param manifest: Of the commit.
    :param leftovers: What is left.
    """
    nodes, refreshed = built_nodes(manifest), to_refresh(manifest, leftovers)
    found = []
    for key, rows in sorted(leftovers.nodes.items()):
        node = nodes.get(key)
        what = "stays" if node is None else "made from scratch" if key in refreshed else "built again"
        name = _short(node, manifest) if node is not None else key.split(".")[-1]
        found.append({"name": name, "plan_id": rows[-1].plan_id, "commit": rows[-1].commit, "what": what})
    return found
