"""Promises of enforced contracts that a commit takes back.

dbt notices these only while it selects by `state:modified`, as an error for versioned models and a passing warning for others.
"""

from __future__ import annotations

from dagctl_dbt.differ_nodes import Sides, constraints, enforced
from dagctl_dbt.differ_types import REMOVED, Changes, Column, ContractBreak, Node, built_nodes, name_of

#: Constraints a warehouse enforces; dropping one that is only written down breaks nobody. Others: all of them.
ENFORCED_CONSTRAINTS = {
    "bigquery": ("not_null",),
    "redshift": ("not_null",),
    "snowflake": ("not_null",),
    "databricks": ("not_null", "check"),
    "spark": ("not_null", "check"),
}
#: Materialisations on which constraints are enforced.
WITH_CONSTRAINTS = ("table", "incremental")


def broken(sides: Sides, changes: Changes) -> list[ContractBreak]:
    """What readers of a model with an enforced contract may no longer rely on.

    :param sides: Both manifests.
    :param changes: With models filled in.
    """
    old, new = built_nodes(sides.old), built_nodes(sides.new)
    gone = {change.unique_id: change for change in changes.of(REMOVED)}
    found = []
    for key, node in sorted(old.items()):
        if node["resource_type"] != "model" or not enforced(node):
            continue
        if key in gone:
            problems = ["the model is disabled" if "disabled" in gone[key].reasons else "the model is deleted or renamed"]
        elif key in new:
            problems = _problems(node, new[key], str((sides.new.get("metadata") or {}).get("adapter_type")))
        else:
            continue
        found += [ContractBreak(name_of(node, sides.new_reach.project), problem) for problem in problems]
    return found


def _problems(old: Node, new: Node, adapter: str) -> list[str]:
    if not enforced(new):
        return ["the contract is no longer enforced"]
    problems = []
    before, after = old.get("columns") or {}, new.get("columns") or {}
    for name, column in before.items():
        if name not in after:
            problems.append(f"column {name} is removed")
        elif base_type(column.get("data_type")) != base_type(after[name].get("data_type")):
            problems.append(f"column {name} changes from {column.get('data_type')} to {after[name].get('data_type')}")
        elif name in after and _materialized(old) in WITH_CONSTRAINTS:
            lost = _lost(column, after[name], adapter)
            problems += [f"column {name} loses its constraint {kind}" for kind in lost]
    if _materialized(old) in WITH_CONSTRAINTS:
        problems += [f"the constraint {kind} is removed" for kind in _lost(old, new, adapter)]
        if _materialized(new) not in WITH_CONSTRAINTS and (constraints(old) or any(constraints(row) for row in before.values())):
            problems.append(f"constraints are not enforced on a {_materialized(new)}")
    return problems


def _lost(old: Node | Column, new: Node | Column, adapter: str) -> list[str]:
    kept = constraints(new)
    count = ENFORCED_CONSTRAINTS.get(adapter)
    return [row[0] for row in constraints(old) if row not in kept and (count is None or row[0] in count)]


def _materialized(node: Node) -> str:
    return str((node.get("config") or {}).get("materialized"))


def base_type(data_type: object) -> str:
    """A type without size, precision and scale, whose change dbt does not call breaking."""
    return str(data_type or "").partition("(")[0].strip().lower()
