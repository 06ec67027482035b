"""Columns that come, go or change their type, and who reads them: sqlglot on compiled SQL, where there is any.

Needs no warehouse. It says so where it cannot tell: SQL that was not compiled or not understood, and `select *` from something
whose columns nobody wrote down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagctl_dbt.columns_sql import Query, Reader, adds_only, dialect_of
from dagctl_dbt.differ_texts import same_statement
from dagctl_dbt.differ_types import (
    DIRECT,
    INDIRECT,
    Changes,
    Facts,
    Manifest,
    Node,
    built_nodes,
    kind_of,
    name_of,
    parents_of,
    project_of,
)

BREAKING, NON_BREAKING = "breaking", "non_breaking"
SNAPSHOT_COLUMNS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")
CANNOT_STAR = "it selects * from something whose columns are not known"
CANNOT_READ = "its SQL on one side is not known or not understood"


@dataclass
class ModelColumns:
    """What changes in one model's columns.

    :param added: Names.
    :param removed: Names.
    :param changed: Of another type: texts such as `amount: INT -> TEXT`.
    :param category: breaking, non_breaking (columns were only added, or the SQL means the same), None: not known.
    :param same_sql: The compiled SQL differs in nothing but layout and comments, as the dialect's lexer has it.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    category: str | None = None
    same_sql: bool = False


@dataclass
class ColumnReport:
    """All models.

    :param models: By unique id; a model is absent when nothing could be told.
    :param impact: Rows `model`, `column`, `change` (removed or changed), `read_by` (`model.column`, `model (condition)`).
    :param missing: Why the report has gaps; None when it has none.
    :param warnings: Texts for people.
    """

    models: dict[str, ModelColumns] = field(default_factory=dict)
    impact: list[dict[str, Any]] = field(default_factory=list)
    missing: str | None = None
    warnings: list[str] = field(default_factory=list)


class Side:
    """The project on one side of the comparison.

    :param manifest: Its manifest.
    :param facts: Beside it: headers of seeds.
    :param code: Compiled SQL by unique id.
    :param late: Tells that time is over: parents are then not looked into any more.
    """

    def __init__(self, manifest: Manifest, facts: Facts, code: Mapping[str, str], late: Callable[[], bool]) -> None:
        self.nodes = built_nodes(manifest)
        self.project = project_of(manifest)
        self._facts = facts
        self.code = code
        self._late = late
        adapter = str((manifest.get("metadata") or {}).get("adapter_type"))
        places = {**self.nodes, **(manifest.get("sources") or {})}
        self._sources = manifest.get("sources") or {}
        tables = {_place(node): key for key, node in places.items() if kind_of(node) != "ephemeral"}
        self.dialect = dialect_of(adapter)
        self._reader = Reader(self.dialect, tables, self.columns)
        self._columns: dict[str, dict[str, str | None] | None] = {}

    def name(self, key: str) -> str:
        """For people."""
        return name_of(self.nodes[key], self.project)

    def query(self, key: str) -> Query | None:
        """A model's SQL with every column resolved as far as possible; None when there is none or it is not understood."""
        code = self.code.get(key)
        return self._reader.read(key, code) if code else None

    def columns(self, key: str) -> dict[str, str | None] | None:
        """Names and types (None: type not known) of a node's columns; None when they are not known."""
        if key not in self._columns:
            self._columns[key] = None  # A cycle in broken SQL ends here.
            self._columns[key] = self._find(key)
        return self._columns[key]

    def _find(self, key: str) -> dict[str, str | None] | None:
        if key in self._sources or self._late():
            # Columns of a source are documented in part at best: types serve, completeness is not assumed.
            return None
        node = self.nodes.get(key)
        if node is None:
            return None
        if node["resource_type"] == "seed":
            header = self._facts.seeds.get(key, {}).get("columns")
            types = {name.lower(): kind for name, kind in ((node.get("config") or {}).get("column_types") or {}).items()}
            return None if header is None else {name: types.get(name.lower()) for name in header}
        query = self.query(key)
        found = query.columns if query else None
        if found is not None and node["resource_type"] == "snapshot":
            return {**found, **dict.fromkeys(SNAPSHOT_COLUMNS)}
        return found


def _place(node: Node) -> tuple[str, str, str]:
    table = node.get("identifier") if node.get("resource_type") == "source" else node.get("alias")
    return str(node.get("database") or "").lower(), str(node.get("schema") or "").lower(), str(table or node["name"]).lower()


def compare_columns(
    changes: Changes,
    old: Manifest | None,
    new: Manifest,
    compiled: Mapping[str, str],
    *,
    old_facts: Facts | None = None,
    new_facts: Facts | None = None,
    seconds: float = 5.0,
) -> ColumnReport:
    """Columns of changed models, and readers of those that go or change.

    :param changes: Of :func:`dagctl_dbt.differ.compare`.
    :param old: What is deployed, with `compiled_code` where it is known.
    :param new: The commit's manifest.
    :param compiled: Compiled SQL of the commit by unique id: of changed models and what reads them.
    :param old_facts: As for `compare`.
    :param new_facts: As for `compare`.
    :param seconds: After this the rest is left out, and the report says so.
    """
    report = ColumnReport()
    if old is None:
        return report
    try:
        import sqlglot  # noqa: F401
    except ImportError:
        report.missing = "sqlglot is not in the environment of dbt"
        return report
    known = {key: code for key, node in built_nodes(old).items() if (code := node.get("compiled_code"))}
    gaps = _Gaps(time.monotonic() + seconds)
    sides = (
        Side(old, old_facts or Facts(), known, gaps.late),
        Side(new, new_facts or Facts(), {**known, **compiled}, gaps.late),
    )
    lost = _compare_models(changes, *sides, compiled, report, gaps)
    _find_readers(sides[1], lost, report, gaps)
    report.warnings = list(_warnings(sides[1], report))
    report.missing = gaps.text()
    return report


class _Gaps:
    """Collects why something is missing.

    :param deadline: On the monotonic clock.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._rows: dict[str, list[str]] = {}
        self._late = False

    def add(self, why: str, name: str) -> None:
        """Note one model."""
        self._rows.setdefault(why, []).append(name)

    def late(self) -> bool:
        """Whether time is over."""
        self._late = self._late or time.monotonic() > self._deadline
        return self._late

    def text(self) -> str | None:
        """All of it in short."""
        rows = [f"{_few(names)}: {why}" for why, names in self._rows.items()]
        return "; ".join([*rows, *(["the time for looking at columns was over before the end"] if self._late else [])]) or None


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _compare_models(
    changes: Changes, old: Side, new: Side, compiled: Mapping[str, str], report: ColumnReport, gaps: _Gaps
) -> dict[tuple[str, str], str]:
    """Fill in the models; returns what was removed or changed: (unique id, column) -> change."""
    lost: dict[tuple[str, str], str] = {}
    for change in changes.of(DIRECT, INDIRECT):
        key = change.unique_id
        if change.kind != "seed" and key not in compiled:
            if change.change == DIRECT and change.resource_type == "model":
                gaps.add("its SQL was not compiled", change.name)
            continue
        if change.change == INDIRECT and old.code.get(key) == new.code.get(key) and "*" not in new.code.get(key, ""):
            continue
        if gaps.late():
            break
        codes = old.code.get(key), new.code.get(key)
        found = _categorized(
            old.query(key), new.query(key), _same(*codes, new.dialect), any("/*+" in (code or "") for code in codes)
        )
        before, after = old.columns(key), new.columns(key)
        if before is None or after is None:
            gaps.add(CANNOT_STAR if found.category else CANNOT_READ, change.name)
        else:
            _compare_lists(key, before, after, found, lost)
        if change.change == INDIRECT and found.same_sql:
            found.category = None
        if found != ModelColumns(same_sql=found.same_sql) or change.change == DIRECT:
            report.models[key] = found
    return lost


def _same(old: str | None, new: str | None, dialect: str | None) -> bool:
    return bool(old and new and same_statement(old, new, dialect))


def _categorized(old: Query | None, new: Query | None, same: bool, hinted: bool) -> ModelColumns:
    """Hints stand in comments, which a parser leaves out."""
    if same:
        return ModelColumns(category=NON_BREAKING, same_sql=True)
    if old is None or new is None:
        return ModelColumns()
    return ModelColumns(category=NON_BREAKING if not hinted and adds_only(old, new) else BREAKING)


def _compare_lists(
    key: str,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    found: ModelColumns,
    lost: dict[tuple[str, str], str],
) -> None:
    found.added = [name for name in after if name not in before]
    found.removed = [name for name in before if name not in after]
    lost.update({(key, name): "removed" for name in found.removed})
    for name in before:
        one, other = before[name], after.get(name)
        if one and other and one != other:
            found.changed.append(f"{name}: {one} -> {other}")
            lost[key, name] = "changed"


def _find_readers(new: Side, lost: Mapping[tuple[str, str], str], report: ColumnReport, gaps: _Gaps) -> None:
    """Who reads the lost columns, over any number of models."""
    children: dict[str, list[str]] = {}
    for key, node in new.nodes.items():
        for parent in parents_of(node):
            children.setdefault(parent, []).append(key)
    cache: dict[str, dict[tuple[str, str], set[str]]] = {}
    for (key, column), change in lost.items():
        seen = dict.fromkeys(_readers(new, children, cache, key, column, gaps))
        report.impact.append({"model": new.name(key), "column": column, "change": change, "read_by": list(seen)})


def _readers(
    new: Side,
    children: Mapping[str, list[str]],
    cache: dict[str, dict[tuple[str, str], set[str]]],
    key: str,
    column: str,
    gaps: _Gaps,
) -> Iterator[str]:
    todo, done = [(key, column)], {(key, column)}
    while todo:
        parent, name = todo.pop(0)
        for child in children.get(parent, ()):
            if gaps.late():
                return
            if child not in cache:
                query = new.query(child)
                cache[child] = query.reads() if query else {}
                if query is None:
                    gaps.add("whether it reads a lost column is not known", new.name(child))
            for reader in sorted(cache[child].get((parent, name), ())):
                if (child, reader) not in done:
                    done.add((child, reader))
                    yield f"{new.name(child)}.{reader}" if reader else f"{new.name(child)} (condition)"
                    if reader:
                        todo.append((child, reader))


def _warnings(new: Side, report: ColumnReport) -> Iterator[str]:
    for row in report.impact:
        if row["change"] == "removed" and row["read_by"]:
            yield f"{row['model']} loses column {row['column']}, which is still read by {', '.join(row['read_by'][:5])}."
    for key, found in report.models.items():
        node = new.nodes[key]
        config = node.get("config") or {}
        moved = ", ".join([*(f"+{name}" for name in found.added), *(f"-{name}" for name in found.removed)])
        if moved and kind_of(node) == "incremental" and config.get("on_schema_change") in (None, "ignore"):
            yield f"{new.name(key)} is incremental and ignores changes of columns (on_schema_change): not in its table: {moved}."
