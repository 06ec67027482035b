"""Columns that come, go or change, and their readers, from compiled SQL."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from dagctl_provider.runner.steps import INNER


@pytest.fixture(autouse=True, scope="module")
def importable() -> Iterator[None]:
    """As in dbt's environment, where the inner program stands for itself."""
    sys.path.insert(0, str(INNER))
    yield
    sys.path.remove(str(INNER))
    for name in [name for name in sys.modules if name.startswith("dagctl_dbt")]:
        del sys.modules[name]


def project(models: dict[str, str], **config: Any) -> dict[str, Any]:
    """A manifest of models whose SQL reads `db.main.<other model>` or the source `db.raw.orders`."""
    nodes = {}
    for name, code in models.items():
        parents = [f"model.shop.{other}" for other in models if f"main.{other}" in code]
        nodes[f"model.shop.{name}"] = {
            "name": name, "resource_type": "model", "package_name": "shop", "unique_id": f"model.shop.{name}",
            "fqn": ["shop", name], "original_file_path": f"{name}.sql", "raw_code": code, "compiled_code": code,
            "database": "db", "schema": "main",
            "alias": name, "config": {"materialized": "table", **config}, "unrendered_config": {}, "columns": {},
            "depends_on": {"nodes": parents, "macros": []},
        }  # fmt: skip
    place = {"source_name": "raw", "name": "orders", "resource_type": "source", "package_name": "shop", "fqn": ["shop", "raw"]}
    source = {**place, "unique_id": "source.shop.raw.orders", "database": "db", "schema": "raw", "identifier": "orders"}
    metadata = {"project_name": "shop", "adapter_type": "duckdb", "dbt_version": "1.12.6"}
    return {"metadata": metadata, "nodes": nodes, "sources": {source["unique_id"]: source}, "macros": {}}


def report(old: dict[str, str], new: dict[str, str], *, compiled: dict[str, str] | None = None, **config: Any) -> Any:
    """Compare two sets of models, all of the commit's compiled."""
    from dagctl_dbt.columns import compare_columns
    from dagctl_dbt.differ import compare

    before, after = project(old, **config), project(new, **config)
    codes = {f"model.shop.{name}": code for name, code in (new if compiled is None else compiled).items()}
    return compare_columns(compare(before, after), before, after, codes, seconds=600)


STAGED = "select id, cast(amount as int) as amount, customer from db.raw.orders"
SUMMED = "select customer, sum(amount) as total from db.main.staged group by customer"
OLD = {
    "staged": STAGED,
    "summed": SUMMED,
    "everything": "select * from db.main.summed",
    "rich": "select customer from db.main.everything where total > 10",
}


def test_a_removed_column_and_all_that_still_read_it() -> None:
    found = report(OLD, {**OLD, "staged": STAGED.replace("cast(amount as int) as amount, ", "")})

    assert found.models["model.shop.staged"].removed == ["amount"]
    assert found.models["model.shop.staged"].category == "breaking"
    assert found.impact == [
        {
            "model": "staged",
            "column": "amount",
            "change": "removed",
            "read_by": ["summed.total", "everything.total", "rich (condition)"],
        }
    ]
    assert found.warnings == [
        "staged loses column amount, which is still read by summed.total, everything.total, rich (condition)."
    ]
    assert found.missing is None


def test_a_column_of_another_type_and_what_becomes_of_it() -> None:
    found = report(OLD, {**OLD, "staged": STAGED.replace("as int)", "as text)")})

    assert found.models["model.shop.staged"].changed == ["amount: INT -> TEXT"]
    assert [row["read_by"][0] for row in found.impact if row["column"] == "amount"] == ["summed.total"]


@pytest.mark.parametrize(
    ("code", "category", "added"),
    [
        (STAGED.replace("customer from", "customer, 1 as more from"), "non_breaking", ["more"]),
        (STAGED.upper().replace("DB.RAW.ORDERS", "db.raw.orders") + " -- said again", None, None),
        (STAGED + "  -- said again", "non_breaking", []),
        (STAGED + " where id > 1", "breaking", []),
        ("select distinct id, cast(amount as int) as amount, customer, 1 as more from db.raw.orders", "breaking", ["more"]),
    ],
)
def test_categories(code: str, category: str | None, added: list[str] | None) -> None:
    found = report(OLD, {**OLD, "staged": code}).models["model.shop.staged"]

    if category is not None:
        assert (found.category, found.added) == (category, added)
    assert found.same_sql is ("again" in code and category is not None)


@pytest.mark.parametrize(
    "code",
    [
        "with s as (select * from db.main.staged) select amount as x from s",
        "select s.amount + 1 as x from (select id, amount from db.main.staged) as s join db.raw.orders as o on o.id = s.id",
        "select id as x from db.raw.orders union all select amount from db.main.staged",
        "select (select max(t.amount) from db.main.staged as t) as x",
        "with recursive r as (select amount as n from db.main.staged union all select n + 1 from r) select n as x from r",
    ],
)
def test_readers_through_subqueries(code: str) -> None:
    old = {"staged": STAGED, "reader": code}

    found = report(old, {**old, "staged": STAGED.replace("as int)", "as text)")})

    assert [row["read_by"] for row in found.impact if row["column"] == "amount"] == [["reader.x"]]


def test_a_star_over_a_changed_model_changes_with_it() -> None:
    found = report(OLD, {**OLD, "summed": SUMMED.replace("total from", "total, 1 as more from")})

    assert found.models["model.shop.everything"].added == ["more"]
    assert found.models["model.shop.everything"].category is None
    assert "model.shop.rich" not in found.models


def test_it_says_where_it_cannot_tell() -> None:
    star = {"staged": "select * from db.raw.orders", "other": "select id from db.raw.orders"}

    found = report(star, {"staged": "select * from db.raw.orders where 1 = 1", "other": "select {{ nonsense"}, compiled=star)
    nothing = report(star, {**star, "other": "select 1 as id"}, compiled={})

    assert "staged: it selects * from something whose columns are not known" in found.missing
    assert nothing.missing == "other: its SQL was not compiled"
    assert not nothing.models


def test_sql_that_sqlglot_does_not_understand() -> None:
    found = report(OLD, {**OLD, "staged": "this is )( no SQL"})

    assert found.missing is not None
    assert "staged: its SQL on one side is not known or not understood" in found.missing
    assert found.impact == []


def test_an_incremental_model_that_ignores_new_columns() -> None:
    new = {"staged": STAGED.replace("customer from", "customer, 1 as more from")}

    assert report({"staged": STAGED}, new, materialized="incremental").warnings == [
        "staged is incremental and ignores changes of columns (on_schema_change): not in its table: +more."
    ]
    assert report({"staged": STAGED}, new, materialized="incremental", on_schema_change="sync_all_columns").warnings == []


def test_without_sqlglot_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)

    assert report(OLD, {**OLD, "staged": STAGED + " where 1 = 1"}).missing == "sqlglot is not in the environment of dbt"


def test_when_time_is_over_it_says_so() -> None:
    from dagctl_dbt.columns import compare_columns
    from dagctl_dbt.differ import compare

    before, after = project(OLD), project({**OLD, "staged": STAGED + " where 1 = 1"})
    found = compare_columns(compare(before, after), before, after, {"model.shop.staged": STAGED}, seconds=-1)

    assert found.missing == "the time for looking at columns was over before the end"
