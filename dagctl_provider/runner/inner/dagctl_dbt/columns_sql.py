"""sqlglot's part of the column report: one query, resolved against what is known of the tables it reads.

The only module of dagctl_dbt that needs sqlglot; it is imported when used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope
    from sqlglot.schema import MappingSchema

#: Adapters whose SQL sqlglot knows under another name. Others: the adapter's own name, or no dialect at all.
DIALECTS = {"sqlserver": "tsql", "fabric": "tsql", "synapse": "tsql", "athena": "athena", "glue": "spark"}

Place = tuple[str, str, str]
Columns = Mapping[str, "str | None"]


def dialect_of(adapter: str) -> str | None:
    """sqlglot's name of a dialect; None when it has none."""
    from sqlglot import Dialect

    name = DIALECTS.get(adapter, adapter)
    return name if Dialect.get(name) else None


class Reader:
    """Reads the queries of one side.

    :param dialect: Of :func:`dialect_of`.
    :param tables: Unique ids by database, schema and table in lower case.
    :param columns: Answers the columns of a unique id, or None.
    """

    def __init__(self, dialect: str | None, tables: Mapping[Place, str], columns: Callable[[str], Columns | None]) -> None:
        self.dialect = dialect
        self._tables = tables
        self._columns = columns
        self._read: dict[str, Query | None] = {}

    def read(self, key: str, code: str) -> Query | None:
        """A query; None for what sqlglot does not understand."""
        if key not in self._read:
            self._read[key] = None
            with contextlib.suppress(Exception):
                self._read[key] = self._parse(code)
        return self._read[key]

    def _parse(self, code: str) -> Query | None:
        from sqlglot import exp, parse_one

        parsed = parse_one(code, dialect=self.dialect)
        if not isinstance(parsed, exp.Query):
            return None
        return Query(parsed, self)

    def table(self, table: exp.Table) -> str | None:
        """Unique id of a table in a query."""
        return self._tables.get((table.catalog.lower(), table.db.lower(), table.name.lower()))

    def schema(self, query: exp.Query) -> dict[str, object]:
        """Columns of the tables a query reads, as sqlglot wants them."""
        from sqlglot import exp

        found: dict[str, Any] = {}
        for table in query.find_all(exp.Table):
            key = self.table(table)
            columns = self._columns(key) if key else None
            if columns and table.catalog and table.db:
                rows = {name: kind or "unknown" for name, kind in columns.items()}
                found.setdefault(table.catalog, {}).setdefault(table.db, {})[table.name] = rows
        return found


class Query:
    """One model's query.

    :param parsed: As sqlglot parsed it.
    :param reader: Where it comes from.
    """

    def __init__(self, parsed: exp.Query, reader: Reader) -> None:
        from sqlglot.errors import OptimizeError
        from sqlglot.optimizer.annotate_types import annotate_types

        self.parsed = parsed
        self.text = parsed.sql(dialect=reader.dialect, comments=False)
        self._reader = reader
        schema = reader.schema(parsed)
        try:
            self.qualified = self._qualify(schema)
        except OptimizeError:
            self.qualified = self._qualify({})
        self.typed = annotate_types(self.qualified.copy(), schema=self._mapping(schema), dialect=reader.dialect)

    def _mapping(self, schema: dict[str, object]) -> MappingSchema:
        from sqlglot.schema import MappingSchema

        return MappingSchema(schema, dialect=self._reader.dialect, normalize=True)

    def _qualify(self, schema: dict[str, object]) -> exp.Query:
        from sqlglot.optimizer.qualify import qualify

        return qualify(
            self.parsed.copy(), schema=self._mapping(schema), dialect=self._reader.dialect, identify=False,
            validate_qualify_columns=False,
        )  # fmt: skip

    @property
    def columns(self) -> dict[str, str | None] | None:
        """Names and types; None when there is a star that could not be resolved."""
        from sqlglot import exp

        if self.typed.is_star or any(not select.alias_or_name for select in self.typed.selects):
            return None
        unknown = (exp.DataType.Type.UNKNOWN, exp.DataType.Type.NULL)
        found = {}
        for select in self.typed.selects:
            kind = select.type
            found[select.alias_or_name] = None if kind is None or kind.this in unknown else kind.sql(dialect=self._reader.dialect)
        return found

    def reads(self) -> dict[tuple[str, str], set[str]]:
        """Which output columns each column of another node goes into: (unique id, column) -> names; "" is a condition."""
        from sqlglot import exp
        from sqlglot.optimizer.scope import build_scope

        found: dict[tuple[str, str], set[str]] = {}
        query = self.qualified
        scope = build_scope(query)
        if scope is None:
            return found
        for position, select in enumerate(query.selects):
            for key in self._origins(position, scope, set()):
                found.setdefault(key, set()).add(select.alias_or_name)
        for inner in scope.traverse():
            for column in inner.columns:
                source = _source_of(column, inner)
                table = self._reader.table(source) if isinstance(source, exp.Table) else None
                if table and not found.get((table, column.name)):
                    found[table, column.name] = {""}
        return found

    def _origins(self, position: int, scope: Scope, seen: set[tuple[int, int]]) -> set[tuple[str, str]]:
        """Columns of tables that one output column of a scope is made from, through subqueries and both sides of a union."""
        if (id(scope), position) in seen:
            return set()
        seen.add((id(scope), position))
        # An attribute that sqlglot has renamed within version 30.
        sides = getattr(scope, "set_operation_scopes", None) or getattr(scope, "union_scopes", None)
        if sides:
            return set().union(*(self._origins(position, side, seen) for side in sides))
        selects = _selects(scope)
        found: set[tuple[str, str]] = set()
        for column in _columns_of(selects[position]) if position < len(selects) else ():
            found |= self._origin(column, scope, seen)
        return found

    def _origin(self, column: exp.Column, scope: Scope, seen: set[tuple[int, int]]) -> set[tuple[str, str]]:
        from sqlglot import exp

        # A subquery inside a projection has sources of its own.
        inner = next((part for part in scope.subquery_scopes if any(column is other for other in part.columns)), scope)
        source = _source_of(column, inner)
        if isinstance(source, exp.Table):
            key = self._reader.table(source)
            return {(key, column.name)} if key else set()
        if source is None:
            return set()
        names = [select.alias_or_name for select in _selects(source)]
        return self._origins(names.index(column.name), source, seen) if column.name in names else set()


def _source_of(column: exp.Column, scope: Scope) -> exp.Table | Scope | None:
    """Table or scope a column is read from; one that no known table has is of the only table there is."""
    if column.table:
        return scope.sources.get(column.table)
    selected = list(scope.selected_sources.values())
    return selected[0][1] if len(selected) == 1 else None


def _selects(scope: Scope) -> list[exp.Expression]:
    """What a query, or a function that stands for a table, puts out."""
    expression: Any = scope.expression
    return list(expression.selects)


def _columns_of(expression: exp.Expression) -> list[exp.Column]:
    from sqlglot import exp

    return list(expression.find_all(exp.Column))


def adds_only(old: Query, new: Query) -> bool:
    """Whether a query has only got further columns: what reads it by name gets what it got before.

    SQLMesh's rule: every edit inserts a projection or something inside an inserted one.
    """
    from sqlglot import exp
    from sqlglot.diff import Insert, diff

    if new.parsed.find(exp.Distinct) or new.parsed.find(exp.SetOperation):
        return False
    edits = diff(old.parsed, new.parsed, matchings=[(old.parsed, new.parsed)], delta_only=True)
    inserted = {id(edit.expression) for edit in edits if isinstance(edit, Insert)}
    for edit in edits:
        if not isinstance(edit, Insert) or isinstance(edit.expression, exp.UDTF):
            return False
        parent = edit.expression.parent
        projection = isinstance(parent, exp.Select) and edit.expression.arg_key == "expressions"
        if not projection and id(parent) not in inserted:
            return False
    return True
