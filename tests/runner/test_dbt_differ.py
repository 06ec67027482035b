"""The differ on manifests made by hand: what the corpus of commits cannot show with one project, one adapter and one version."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
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


def node(name: str, *parents: str, kind: str = "model", **more: Any) -> dict[str, Any]:
    """A node as a manifest has it; `config` adds to a table's."""
    package = more.pop("package", "shop")
    written = more.pop("config", {})
    materialized = {"model": "table", "test": "test"}.get(kind, kind)
    return {
        "name": name, "resource_type": kind, "package_name": package, "unique_id": f"{kind}.{package}.{name}",
        "fqn": [package, name], "original_file_path": f"models/{name}.sql", "raw_code": f"select 1 as {name}",
        "checksum": {"name": "sha256", "checksum": name}, "database": "db", "schema": "main", "alias": name,
        "config": {"enabled": True, "materialized": materialized, **written}, "unrendered_config": dict(written),
        "depends_on": {"nodes": list(parents), "macros": more.pop("macros", [])}, "description": "", "columns": {}, "tags": [],
        "group": None, "access": "protected", "latest_version": None, "deprecation_date": None, "constraints": [], **more,
    }  # fmt: skip


def macro(name: str, sql: str = "", *calls: str, package: str = "shop") -> dict[str, Any]:
    return {
        "name": name, "package_name": package, "unique_id": f"macro.{package}.{name}", "macro_sql": sql or name,
        "depends_on": {"macros": list(calls)},
    }  # fmt: skip


def manifest(*parts: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A manifest of nodes and macros."""
    found: dict[str, Any] = {
        "metadata": {"project_name": "shop", "adapter_type": "duckdb", "dbt_version": "1.12.6", "env": {}, **metadata},
        "nodes": {}, "sources": {}, "macros": {}, "exposures": {}, "unit_tests": {}, "disabled": {},
    }  # fmt: skip
    folders = {"source": "sources", "exposure": "exposures", "unit_test": "unit_tests"}
    for part in parts:
        folder = "macros" if "macro_sql" in part else folders.get(part["resource_type"], "nodes")
        found[folder][part["unique_id"]] = part
    return found


def changed(old: dict[str, Any], name: str, **values: Any) -> dict[str, Any]:
    """A copy of a manifest with one model changed; dicts are merged."""
    new = copy.deepcopy(old)
    found = next(part for key, part in {**new["nodes"], **new["sources"]}.items() if key.endswith(f".{name}"))
    for key, value in values.items():
        found[key] = {**found[key], **value} if isinstance(found.get(key), dict) and isinstance(value, dict) else value
    return new


def compare(old: dict[str, Any] | None, new: dict[str, Any], **facts: Any) -> Any:
    from dagctl_dbt.differ import compare

    return compare(old, new, **facts)


def facts(**values: Any) -> Any:
    from dagctl_dbt.differ_types import Facts

    return Facts(**{"target": "prod", "vars": {}, **values})


def both(**values: Any) -> dict[str, Any]:
    """Facts that are the same on both sides."""
    return {"old_facts": facts(**values), "new_facts": facts(**values)}


def shown(changes: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for change in changes.models:
        found.setdefault(change.change, []).append(change.name)
    return found


def reasons(changes: Any, name: str) -> list[str]:
    found: list[str] = next(change.reasons for change in changes.models if change.name == name)
    return found


BASE = manifest(node("a"), node("b", "model.shop.a"), node("c", "model.shop.b"))


def test_the_same_is_nothing() -> None:
    changes = compare(BASE, copy.deepcopy(BASE), **both())

    assert not changes.any
    assert changes.warnings == []


def test_another_version_target_or_database_of_dbt_is_no_change_of_models() -> None:
    new = copy.deepcopy(BASE)
    new["metadata"]["dbt_version"] = "1.8.0"
    for key, part in new["nodes"].items():
        part.update(database="ci", schema="pr_7", checksum={"name": "sha256", "checksum": key})
        part["config"]["event_time"] = None
        part["unrendered_config"]["static_analysis"] = None
        del part["access"], part["latest_version"], part["deprecation_date"]

    changes = compare(BASE, new, old_facts=facts(target=None), new_facts=facts(target=None))

    assert changes.models == []
    assert changes.full_reason is None
    assert changes.warnings == ["Deployed with dbt 1.12.6, this is 1.8.0: its own macros may differ, which rebuilds nothing."]


@pytest.mark.parametrize(
    ("metadata", "beside", "reason"),
    [
        ({"adapter_type": "postgres"}, {}, "The warehouse is another one: duckdb became postgres."),
        ({"project_name": "store"}, {}, "The project was renamed from shop to store: dbt knows its models by that name."),
        ({}, {"target": "live"}, "The deployed state is of target prod; this deploys to live."),
    ],
)
def test_what_cannot_be_compared_is_built_in_full(metadata: dict[str, str], beside: dict[str, str], reason: str) -> None:
    from dagctl_dbt.selection import select

    new = copy.deepcopy(BASE)
    new["metadata"].update(metadata)

    changes = compare(BASE, new, old_facts=facts(), new_facts=facts(**beside))
    selection = select(changes, new)

    assert (selection.mode, selection.reason) == ("full", reason)
    assert selection.nodes == ["model.shop.a", "model.shop.b", "model.shop.c"]


def test_the_first_deployment_adds_everything() -> None:
    from dagctl_dbt.selection import select

    changes = compare(None, BASE, new_facts=facts())

    assert shown(changes) == {"added": ["a", "b", "c"]}
    assert select(changes, BASE).mode == "full"
    assert select(changes, BASE).arguments == []
    assert changes.warnings == []


def test_a_variable_read_by_a_computed_name_counts_as_all_of_them() -> None:
    new = changed(BASE, "c", raw_code="{{ var(kind ~ '_days') }}")

    changes = compare(new, new, old_facts=facts(vars={"shop": {"x": 1}}), new_facts=facts(vars={"shop": {"x": 2}}))

    assert shown(changes) == {"directly_modified": ["c"]}
    assert changes.models[0].details == ["vars: x"]


@pytest.mark.parametrize("code", ["{# var('x') #} 1", "{{ env_var('x') }}", "{{ var('y') }}"])
def test_other_variables_and_comments_are_no_use_of_a_variable(code: str) -> None:
    same = changed(BASE, "c", raw_code=code)

    assert not compare(same, same, old_facts=facts(vars={"shop": {"x": 1}}), new_facts=facts(vars={"shop": {"x": 2}})).any


def test_a_variable_that_only_a_hook_reads_counts() -> None:
    hook = {"post-hook": [{"sql": "grant select on {{ this }} to {{ var('role') }}", "transaction": True}]}
    same = manifest(node("a", config=hook), node("b"))

    changes = compare(same, same, old_facts=facts(vars={"shop": {"role": "x"}}), new_facts=facts(vars={"shop": {"role": "y"}}))

    assert shown(changes) == {"directly_modified": ["a"]}
    assert reasons(changes, "a") == ["vars"]


def hooks(*texts: str, when: str = "end") -> list[dict[str, Any]]:
    """`on-run-start` or `on-run-end`, as a manifest has them."""
    return [node(f"shop-on-run-{when}-{number}", kind="operation", raw_code=text) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("before", "after", "told", "mode"),
    [
        (["a"], ["b"], ["modified shop-on-run-end-0"], "selected"),
        ([], ["b"], ["added shop-on-run-end-0"], "selected"),
        (["a", "b"], ["b"], ["removed shop-on-run-end-0"], "none"),
        (["a"], [], ["removed shop-on-run-end-0"], "none"),
        (["a", "b"], ["b", "a"], ["modified shop-on-run-end-1"], "selected"),
        (["a"], ["a"], [], "none"),
    ],
)
def test_hooks_of_the_project_that_change_run_and_those_that_go_do_not(
    before: list[str], after: list[str], told: list[str], mode: str
) -> None:
    from dagctl_dbt.outputs import Plan, describe
    from dagctl_dbt.selection import HOOKS_ONLY, HOOKS_REMOVED, NOTHING, select

    old, new = manifest(node("a"), *hooks(*before)), manifest(node("a"), *hooks(*after))
    changes = compare(old, new, **both())
    selection = select(changes, new)
    output = describe(Plan(new, facts(), old, facts(), changes, selection, {}))

    assert [f"{row.change} {row.name}" for row in changes.resources] == told
    assert (selection.mode, selection.nodes, output["has_changes"]) == (mode, [], bool(told))
    assert selection.reason == (HOOKS_ONLY if mode == "selected" else HOOKS_REMOVED if told else NOTHING)
    assert len(output["warnings"]) == len([text for text in told if text.startswith("removed")])


def test_a_variable_that_only_a_hook_of_the_project_reads_counts() -> None:
    from dagctl_dbt.selection import select

    side = manifest(node("a"), *hooks("grant x to {{ var('role') }}", when="start"))
    changes = compare(side, side, old_facts=facts(vars={"shop": {"role": "x"}}), new_facts=facts(vars={"shop": {"role": "y"}}))

    assert [(row.type, row.reasons, row.details) for row in changes.resources] == [("hook", ["vars"], ["vars: role"])]
    assert select(changes, side).mode == "selected"


def test_what_the_default_selector_leaves_out_is_not_built_and_is_said() -> None:
    from dagctl_dbt.selection import LEFT_OUT, select
    from dagctl_dbt.selectors import DefaultSelector, warnings_of_selector

    old = manifest(node("a"), node("manual", "model.shop.a"), node("t", "model.shop.manual", kind="test"))
    new = changed(old, "a", raw_code="select 2")
    default = DefaultSelector("prod", frozenset({"model.shop.a"}))

    first = compare(None, new, new_facts=facts())
    later = compare(old, new, **both())

    assert select(first, new, within=default.nodes).nodes == ["model.shop.a"]
    assert select(first, new, within=default.nodes).arguments == []
    assert warnings_of_selector(default, first, new) == ["The project's default selector 'prod' leaves out manual: not built."]
    assert select(later, new, within=default.nodes).nodes == ["model.shop.a"]
    assert select(later, new, within=default.nodes).arguments == ["--select", "a+", "--exclude", "manual"]
    assert warnings_of_selector(default, later, new) == [
        "Changed, but left out by the project's default selector 'prod', and so not built: manual."
    ]
    only = changed(old, "manual", raw_code="select 2")
    nothing = select(compare(old, only, **both()), only, within=default.nodes)
    assert (nothing.mode, nothing.reason, nothing.nodes) == ("none", LEFT_OUT, [])
    untested = select(first, new, run_tests=False, within=default.nodes)
    assert untested.arguments == ["--exclude", "resource_type:test", "resource_type:unit_test", "--exclude", "manual"]
    assert default.left_out(new) == ["model.shop.manual"]
    assert warnings_of_selector(None, later, new) == []


def test_what_was_left_out_and_comes_into_the_default_selector_is_built() -> None:
    side = manifest(node("a"), node("manual", "model.shop.a"), node("reader", "model.shop.manual"))
    out = ["model.shop.manual"]

    changes = compare(side, side, old_facts=facts(outside=out), new_facts=facts())

    assert shown(changes) == {"directly_modified": ["manual"], "indirectly_modified": ["reader"]}
    assert reasons(changes, "manual") == ["selector"]
    assert not compare(side, side, old_facts=facts(outside=out), new_facts=facts(outside=out)).any


@pytest.mark.parametrize(
    ("change", "reason", "details"),
    [
        ({"description": "What came in."}, ["description"], ["description: (none) -> What came in."]),
        ({"description": "x" * 100}, ["description"], ["description"]),
        ({"tags": ["nightly"]}, ["tags"], ["tags: +nightly"]),
        ({"group": "money"}, ["group"], ["group: (none) -> money"]),
        ({"columns": {"id": {"name": "id", "description": "Key."}}}, ["description", "columns"],
         ["column.id: (none) -> Key.", "column.id: (none) -> mentioned"]),
        ({"columns": {"id": {"name": "id", "data_type": "int", "meta": {"pii": True}}}}, ["columns"],
         ["column.id.data_type: (none) -> int", "column.id.meta.pii: (none) -> True"]),
    ],
)  # fmt: skip
def test_metadata_says_what_changed_and_nothing_else(change: dict[str, Any], reason: list[str], details: list[str]) -> None:
    changes = compare(BASE, changed(BASE, "c", **change), **both())

    assert shown(changes) == {"metadata": ["c"]}
    assert changes.models[0].reasons == reason
    assert changes.models[0].details == details


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        ({"meta": {"owner": "ann", "x": 1}}, {"meta": {"owner": "bob", "x": 1}}, ["config: meta.owner: ann -> bob"]),
        ({}, {"docs": {"node_color": "red"}}, ["config: docs.node_color: (none) -> red"]),
        ({"post-hook": [{"sql": "a"}]}, {"post-hook": [{"sql": "a"}, {"sql": "b"}]}, ["config: post-hook: +b"]),
        ({"partition_by": {"field": "day"}}, {}, ["config: partition_by.field: day -> (none)"]),
    ],
)
def test_configuration_says_which_key_changed(before: dict[str, Any], after: dict[str, Any], details: list[str]) -> None:
    changes = compare(manifest(node("a", config=before)), manifest(node("a", config=after)), **both())

    assert reasons(changes, "a") == ["config"]
    assert changes.models[0].details == details


def test_resources_say_what_changed() -> None:
    exposure = node("dash", kind="exposure", owner={"name": "Ann", "email": "a@x"}, type="dashboard")
    old = manifest(source(), exposure)
    new = changed(old, "orders", freshness={"warn_after": {"count": 12}})
    new["exposures"][exposure["unique_id"]] = {**exposure, "owner": {"name": "Bob", "email": "a@x"}}

    assert [(row.name, row.details) for row in compare(old, new, **both()).resources] == [
        ("dash", ["owner.name: Ann -> Bob"]),
        ("raw.orders", ["freshness.warn_after.count: (none) -> 12"]),
    ]


def test_variables_of_the_root_project_win_over_a_package_s_own() -> None:
    same = manifest(node("calendar", package="common", raw_code="{{ var('start') }}"))
    old = {"shop": {"common": {"start": 1}}, "common": {"start": 5}}

    def differs(new: dict[str, Any]) -> bool:
        return bool(compare(same, same, old_facts=facts(vars=old), new_facts=facts(vars=new)).models)

    assert not differs({"shop": {"common": {"start": 1}}, "common": {"start": 6}})
    assert not differs({"shop": {"start": 1}, "common": {"start": 5}})
    assert differs({"shop": {}, "common": {"start": 5}})


def test_variables_nobody_kept_are_said_to_be_unknown() -> None:
    assert compare(BASE, BASE, new_facts=facts()).warnings == [
        "What variables were deployed is not known: a changed value of a variable goes unnoticed this time."
    ]


def test_configuration_that_came_out_differently_though_written_the_same() -> None:
    old = changed(BASE, "c", unrendered_config={"materialized": "{{ var('kind') }}"})
    new = changed(old, "c", config={"materialized": "view"})

    assert reasons(compare(old, new, **both()), "c") == ["config"]
    assert not compare(old, new, old_facts=facts(target=None), new_facts=facts(target=None)).models


CALLS = ("macro.common.money",)


def with_macros(*macros: dict[str, Any]) -> dict[str, Any]:
    return manifest(
        node("a", macros=CALLS), macro("money", "m", "macro.common.default__money", package="common"),
        macro("default__money", "d", package="common"), macro("is_incremental", "i", package="dbt"), *macros,
    )  # fmt: skip


def test_an_override_counts_even_where_partial_parsing_noted_the_old_one() -> None:
    old, new = with_macros(), with_macros(macro("duckdb__money", "mine"))

    assert reasons(compare(old, new, **both()), "a") == ["macro"]
    assert reasons(compare(new, old, **both()), "a") == ["macro"]
    noted = copy.deepcopy(new)
    noted["macros"]["macro.common.money"]["depends_on"]["macros"] = ["macro.shop.duckdb__money"]
    assert not compare(new, noted, **both()).any


def test_an_override_of_one_of_dbt_s_own_macros_that_is_deleted() -> None:
    old = with_macros(macro("is_incremental", "mine"))
    old["nodes"]["model.shop.a"]["depends_on"]["macros"] = ["macro.shop.is_incremental"]
    new = with_macros()
    new["nodes"]["model.shop.a"]["depends_on"]["macros"] = ["macro.dbt.is_incremental"]

    changes = compare(old, new, **both())

    assert reasons(changes, "a") == ["macro"]
    assert [(row.type, row.name, row.change, row.affects) for row in changes.resources] == [
        ("macro", "is_incremental", "removed", ["a"])
    ]


def test_macros_of_dbt_itself_are_not_compared() -> None:
    old = manifest(node("a", macros=["macro.dbt.run"]), macro("run", "1", package="dbt"), adapter_type="redshift")
    new = manifest(node("a", macros=["macro.dbt.run"]), macro("run", "2", package="dbt"), adapter_type="redshift")
    for side, text in ((old, "1"), (new, "2")):
        side["macros"]["macro.dbt_postgres.x"] = macro("x", text, package="dbt_postgres")

    assert not compare(old, new, **both()).any


def test_a_materialization_of_the_project_s_own() -> None:
    def side(sql: str) -> dict[str, Any]:
        return manifest(node("a"), node("b", config={"materialized": "vault"}), macro("materialization_vault_default", sql))

    assert shown(compare(side("1"), side("2"), **both())) == {"directly_modified": ["b"]}


def test_a_macro_that_calls_itself_ends() -> None:
    one = manifest(node("a", macros=["macro.shop.m"]), macro("m", "m", "macro.shop.n"), macro("n", "n", "macro.shop.m"))

    assert not compare(one, one, **both()).any


@pytest.mark.parametrize("key", ["database", "schema", "alias"])
def test_a_relation_that_moves_by_a_macro_or_the_profile(key: str) -> None:
    new = changed(BASE, "c", **{key: "elsewhere"})

    changes = compare(BASE, new, **both())

    assert reasons(changes, "c") == ["relation"]
    assert changes.full_reason is None
    assert changes.warnings == ["c no longer lies at db.main.c; dbt drops nothing: the table stays there."]


def test_a_seed_too_big_for_dbt_to_read() -> None:
    def side(path: str) -> dict[str, Any]:
        return manifest(node("s", kind="seed", checksum={"name": "path", "checksum": path}))

    def beside(text: str) -> Any:
        return facts(seeds={"seed.shop.s": {"columns": ["id"], "sha256": text}})

    same = compare(side("/scratch/1"), side("/scratch/2"), old_facts=beside("x"), new_facts=beside("x"))
    other = compare(side("/scratch/1"), side("/scratch/1"), old_facts=beside("x"), new_facts=beside("y"))

    assert not same.models
    assert reasons(other, "s") == ["seed_data"]
    assert compare(side("/a"), side("/b"), **both()).warnings == [
        "s: the seed is larger than 1 MiB, dbt compares only its path: later changes of its rows go unnoticed."
    ]


def test_a_seed_whose_columns_change() -> None:
    old = manifest(node("s", kind="seed"))
    new = changed(old, "s", checksum={"checksum": "other"})
    beside = [facts(seeds={"seed.shop.s": {"columns": columns}}) for columns in (["id", "name"], ["id", "title"])]

    (warning,) = compare(old, new, old_facts=beside[0], new_facts=beside[1]).warnings
    assert warning.startswith("s: the seed's columns change (+title, -name); dbt fills the existing table")


def contracted(columns: dict[str, str], **more: Any) -> dict[str, Any]:
    rows = {name: {"name": name, "data_type": kind, "constraints": []} for name, kind in columns.items()}
    return manifest(node("m", columns=rows, config={"contract": {"enforced": True}}, **more))


@pytest.mark.parametrize(
    ("columns", "problems"),
    [
        ({"id": "int", "name": "varchar(20)", "more": "int"}, []),
        ({"id": "int"}, ["column name is removed"]),
        ({"id": "text", "name": "varchar"}, ["column id changes from int to text"]),
    ],
)
def test_contracts(columns: dict[str, str], problems: list[str]) -> None:
    changes = compare(contracted({"id": "int", "name": "varchar"}), contracted(columns), **both())

    assert [row.problem for row in changes.contracts_broken] == problems
    assert reasons(changes, "m") == ["contract"]


def test_a_contract_that_is_given_up_or_whose_model_goes() -> None:
    old = contracted({"id": "int"})

    given_up = compare(old, changed(old, "m", config={"contract": {"enforced": False}}), **both())
    gone = compare(old, manifest(), **both())

    assert [row.problem for row in given_up.contracts_broken] == ["the contract is no longer enforced"]
    assert [row.problem for row in gone.contracts_broken] == ["the model is deleted or renamed"]


@pytest.mark.parametrize(("adapter", "problems"), [("postgres", ["the constraint unique is removed"]), ("snowflake", [])])
def test_constraints_count_where_the_warehouse_enforces_them(adapter: str, problems: list[str]) -> None:
    old = contracted({"id": "int"}, constraints=[{"type": "unique", "columns": ["id"]}])
    new = contracted({"id": "int"})
    for side in (old, new):
        side["metadata"]["adapter_type"] = adapter

    assert [row.problem for row in compare(old, new, **both()).contracts_broken] == problems


def source(**more: Any) -> dict[str, Any]:
    found = node("orders", kind="source", source_name="raw", identifier="orders", freshness=None, loaded_at_field=None, **more)
    return {**found, "unique_id": "source.shop.raw.orders"}


@pytest.mark.parametrize(
    ("change", "rebuilt"),
    [({"identifier": "orders_2"}, True), ({"freshness": {"warn_after": {"count": 1}}}, False), ({"description": "x"}, False)],
)
def test_a_source_rebuilds_its_readers_only_when_it_leads_elsewhere(change: dict[str, Any], rebuilt: bool) -> None:
    from dagctl_dbt.selection import select

    test = node("t", "source.shop.raw.orders", kind="test")
    old = manifest(source(), node("a", "source.shop.raw.orders"), test)
    new = changed(old, "orders", **change)

    changes = compare(old, new, **both())

    assert [row.name for row in changes.resources] == ["raw.orders"]
    assert select(changes, new).nodes == (["model.shop.a", "test.shop.t"] if rebuilt else [])
    assert select(changes, new).arguments == (["--select", "source:raw.orders+"] if rebuilt else [])


def test_tests_are_left_out_when_they_are_not_wanted() -> None:
    from dagctl_dbt.selection import NO_TESTS, select

    old = manifest(node("a"), node("t", "model.shop.a", kind="test"))
    new = changed(old, "a", raw_code="select 2")
    changes = compare(old, new, **both())

    assert select(changes, new).nodes == ["model.shop.a", "test.shop.t"]
    assert select(changes, new, run_tests=False).nodes == ["model.shop.a"]
    assert select(changes, new, run_tests=False).arguments[-3:] == ["--exclude", "resource_type:test", "resource_type:unit_test"]
    tested = select(compare(old, changed(old, "t", raw_code="select 3"), **both()), new, run_tests=False)
    assert (tested.mode, tested.reason) == ("none", NO_TESTS)


def test_a_name_that_a_folder_or_another_package_has_too_is_typed_in_full() -> None:
    from dagctl_dbt.selection import select

    old = manifest(node("a"), node("b", fqn=["shop", "a", "b"]))
    new = changed(old, "a", raw_code="select 2")

    assert select(compare(old, new, **both()), new).arguments == ["--select", "fqn:shop.a+"]


def test_many_new_and_gone_models_are_not_matched_by_text() -> None:
    old = manifest(*(node(f"old{number}", raw_code="select 1 " * 100) for number in range(50)))
    new = manifest(*(node(f"new{number}", raw_code="select 1 " * 100) for number in range(50)))

    assert not any(change.details for change in compare(old, new, **both()).models)


def test_facts_travel_in_the_manifest_and_are_found_in_a_project(tmp_path: Path) -> None:
    from dagctl_dbt.differ_facts import attach, attached, collect

    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "s.csv").write_text("id;name\n1;x\n")
    (tmp_path / "dbt_project.yml").write_text("name: shop\nversion: 1.2\nvars: {day: 2024-01-01, common: {x: [1, true]}}\n")
    parsed = manifest(
        node("s", kind="seed", original_file_path="seeds/s.csv", config={"delimiter": ";"}, checksum={"name": "path"}),
        node("gone", kind="seed", original_file_path="seeds/gone.csv"),
    )

    found = collect(parsed, tmp_path, target="prod")

    assert found.vars == {"shop": {"day": "2024-01-01", "common": {"x": [1, True]}}}
    assert found.packages == {"shop": "1.2"}
    assert found.seeds["seed.shop.s"]["columns"] == ["id", "name"]
    assert len(found.seeds["seed.shop.s"]["sha256"]) == 64
    assert attached(json.loads(json.dumps(attach(parsed, found)))) == found
    assert attached(parsed) == attached(None)
    assert "DAGCTL_FACTS" not in parsed["metadata"]["env"]


@pytest.mark.parametrize("delimiter", [",", "||"])
def test_a_seed_that_leads_out_of_the_project_or_is_no_csv(tmp_path: Path, delimiter: str) -> None:
    from dagctl_dbt.differ_facts import collect

    (tmp_path / "secret").write_text("key,password\n")
    project = tmp_path / "project"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: shop\n")
    (project / "link.csv").symlink_to(tmp_path / "secret")
    (project / "binary.csv").write_bytes(b"\xff\xfe\x00")
    seeds = [
        node(name, kind="seed", original_file_path=f"{name}.csv", config={"delimiter": delimiter}) for name in ("link", "binary")
    ]

    assert collect(manifest(*seeds), project, target=None).seeds == {"seed.shop.binary": {}}


def test_a_thousand_models_take_no_time() -> None:
    parts = [
        node("m0"),
        *(node(f"m{number}", f"model.shop.m{number // 2}", macros=["macro.shop.x"]) for number in range(1, 1000)),
    ]
    old = manifest(*parts, macro("x", "1"))
    new = changed(old, "m0", raw_code="select 2")

    before = time.process_time()
    changes = compare(old, new, **both())

    assert len(changes.models) == 1000
    assert time.process_time() - before < 1
