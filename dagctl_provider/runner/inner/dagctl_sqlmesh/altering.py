"""Tables that a plan alters in place, with what is in them: what SQLMesh calls destructive and additive changes.

SQLMesh ends a plan on the first such change that its model does not allow, and says little of it. Here the plan is made all the
same and lists each of them with its statements, so that a person can approve them by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from dagctl_common.digests import hash_of

from dagctl_sqlmesh.categories import category_of
from dagctl_sqlmesh.naming import Names

if TYPE_CHECKING:
    from sqlglot.expressions import DataType
    from sqlmesh.core.context import Context
    from sqlmesh.core.plan import Plan
    from sqlmesh.core.snapshot import Snapshot

    Columns = Mapping[str, DataType]

DESTRUCTIVE, ADDITIVE = "destructive", "additive"
_POLICIES = {DESTRUCTIVE: "on_destructive_change", ADDITIVE: "on_additive_change"}
_REMEDIES = {
    DESTRUCTIVE: [
        "approve the change by name: what is in these columns is lost",
        "keep the columns in the query, or give the new type to a column of another name",
        "set on_destructive_change of the model to ignore, which leaves the columns where they are",
    ],
    ADDITIVE: [
        "approve the change by name: rows that are there already get no values in these columns",
        "set on_additive_change of the model to ignore, which leaves the columns out",
    ],
}


class Altered(TypedDict):
    """A row of ``plan_output.destructive``."""

    name: str
    columns: list[str]
    statements: list[str]
    kind: str
    policy: str
    remedies: list[str]


def altered_tables(context: Context, plan: Plan, names: Names) -> dict[str, list[Altered]]:
    """What an execute alters in place, by the model's full name.

    :param context: Knows the warehouse's statements.
    :param plan: SQLMesh's plan.
    :param names: Of models.
    """
    found = {}
    for name, (new, old) in sorted(plan.context_diff.modified_snapshots.items()):
        if _shares_table(new, old):
            rows = list(_rows(context, new, old, names.of(name)))
            if rows:
                found[name] = rows
    return found


def _shares_table(new: Snapshot, old: Snapshot) -> bool:
    if not (new.is_model and old.is_model and new.version == old.version) or category_of(new) == "metadata":
        return False
    return bool(new.is_materialized and not new.is_seed and not new.is_symbolic)


def _rows(context: Context, new: Snapshot, old: Snapshot, name: str) -> Iterator[Altered]:
    before, after = (_columns(snapshot) for snapshot in (old, new))
    if not before or not after:
        return
    operations = _operations(context, new, before, after)
    for kind, wanted in ((DESTRUCTIVE, True), (ADDITIVE, False)):
        policy = _policy(new, kind)
        mine = [operation for operation in operations if _is_destructive(operation) is wanted]
        if not mine or policy == "ignore" or (policy == "allow" and kind == ADDITIVE):
            continue
        gone = [column for column in before if after.get(column) != before[column]]
        columns = gone if wanted else [column for column in after if column not in before]
        statements = [_statement(operation, new.model.dialect) for operation in mine]
        yield {
            "name": name, "columns": columns, "statements": statements, "kind": kind, "policy": policy,
            "remedies": _REMEDIES[kind] if policy == "error" else [],
        }  # fmt: skip


def _columns(snapshot: Snapshot) -> Columns:
    """Columns with their types; none where one is not known."""
    columns = dict(snapshot.model.columns_to_types or {})
    return {} if any(str(kind) in ("UNKNOWN", "NULL") for kind in columns.values()) else columns


def _operations(context: Context, new: Snapshot, before: Columns, after: Columns) -> list[object]:
    adapter: Any = context.engine_adapter
    differ = getattr(adapter, "schema_differ", None) or adapter.SCHEMA_DIFFER
    return list(differ.compare_columns(new.name, dict(before), dict(after)))


def _statement(operation: object, dialect: str) -> str:
    expression: Any = getattr(operation, "expression", operation)
    return str(expression.sql(dialect=dialect))


def _is_destructive(operation: object) -> bool:
    """Newer versions say so; older ones give statements."""
    told = getattr(operation, "is_destructive", None)
    if told is not None:
        return bool(told)
    from sqlmesh.core.schema_diff import has_drop_alteration

    return bool(has_drop_alteration([operation]))


def _policy(snapshot: Snapshot, kind: str) -> str:
    policy = getattr(snapshot.model, _POLICIES[kind], None)
    return str(getattr(policy, "value", policy) or "allow").lower()


def allowances(found: Mapping[str, Iterable[Altered]]) -> dict[str, set[str]]:
    """Full names of models whose changes the plan allows because it names them, by SQLMesh's name for the allowance.

    :param found: What an execute alters in place.
    """
    kinds = {"allow_destructive_models": DESTRUCTIVE, "allow_additive_models": ADDITIVE}
    return {
        allowance: {name for name, rows in found.items() if any(row["kind"] == kind and row["policy"] == "error" for row in rows)}
        for allowance, kind in kinds.items()
    }


def altered_parts(found: Mapping[str, Iterable[Altered]]) -> dict[str, str]:
    """Parts of the digest, so that what is approved by name is what is executed.

    :param found: What an execute alters in place.
    """
    return {row["name"]: hash_of([dict(row) for row in rows]) for rows in found.values() for row in rows}
