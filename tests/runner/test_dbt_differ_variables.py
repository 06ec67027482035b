"""Variables by the key that is read, and macros that are handed on instead of called: what dbt notes of neither."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from tests.runner.test_dbt_differ import BASE, changed, compare, facts, importable, macro, manifest, node, reasons, shown

__all__ = ["importable"]

CONF = {"conf": {"a": 1, "b": {"c": 1, "d": 1}}, "list": ["x"], "x": 1, "y_days": 1, "z": 1, "pick": "x"}


def reads(*codes: str, macros: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A project of one model with this code, or with a macro in its way."""
    parts = [macro(f"m{number}", text) for number, text in enumerate(macros)]
    calls = [part["unique_id"] for part in parts]
    return manifest(*(node(f"n{number}", raw_code=code, macros=calls, **more) for number, code in enumerate(codes)), *parts)


def with_value(path: str) -> dict[str, Any]:
    """The variables with another value at one place."""
    new = copy.deepcopy(CONF)
    *above, last = path.split(".")
    place: Any = new
    for key in above:
        place = place[key]
    place[last] = "other"
    return new


def touched(side: dict[str, Any], path: str) -> bool:
    """Whether the model counts as changed when this variable does."""
    changes = compare(side, side, old_facts=facts(vars={"shop": CONF}), new_facts=facts(vars={"shop": with_value(path)}))
    return bool(changes.models)


@pytest.mark.parametrize(
    ("code", "paths"),
    [
        ("{{ var('conf')['a'] }}", {"conf.a"}),
        ("{{ var('conf').a }}", {"conf.a"}),
        ("{{ var('conf').get('a') }}", {"conf.a"}),
        ("{{ var('conf', {})['b']['c'] }}", {"conf.b.c"}),
        ("{{ var('conf').b.c }}", {"conf.b.c"}),
        ("{{ var('conf') }}", {"conf.a", "conf.b.c", "conf.b.d"}),
        ("{{ var('conf')[var('pick')] }}", {"conf.a", "conf.b.c", "conf.b.d", "pick"}),
        ("{{ var('conf').items() }}", {"conf.a", "conf.b.c", "conf.b.d"}),
        ("{% set c = var('conf') %}{{ c.a }}", {"conf.a"}),
        ("{% set c = var('conf').b %}{{ c['c'] }}", {"conf.b.c"}),
        ("{% set c = var('conf') %}{{ f(c) }}", {"conf.a", "conf.b.c", "conf.b.d"}),
        ("{% set c = var('conf') %}{% do c.update({}) %}", {"conf.a", "conf.b.c", "conf.b.d"}),
        ("{% for k in ['a'] %}{{ var('conf')[k] }}{% endfor %}", {"conf.a"}),
        ("{% for k, v in var('conf').items() %}{{ v }}{% endfor %}", {"conf.a", "conf.b.c", "conf.b.d"}),
        ("{% for k in var('conf').b %}{{ k }}{% endfor %}", {"conf.b.c", "conf.b.d"}),
        ("{% set n = 'x' %}{{ var(n) }}", {"x"}),
        ("{% for n in ['x', 'z'] %}{{ var(n) }}{% endfor %}", {"x", "z"}),
        ("{% for n in ['y'] %}{{ var(n ~ '_days') }}{% endfor %}", {"y_days"}),
        ("{{ var('x' if target.name == 'prod' else 'z') }}", {"x", "z"}),
        ("{{ var('unset', var('x')) }}", {"x"}),
        ("{{ builtins.var('x') }}", {"x"}),
        ("{{ context['var']('x') }}", {"x"}),
        ("{{ config(meta={'a': \"{{ var('x') }}\"}) }}", {"x"}),
        ("{% if var.has_var('x') %}1{% endif %}", {"x"}),
        ("{% set c = var('list') %}{{ c[0] }}", {"list"}),
        ("{{ np.var('x') }} {{ env_var('x') }} {# var('x') #} {% raw %}{{ var('x') }}{% endraw %}", set()),
    ],
)
def test_a_variable_counts_by_the_key_that_is_read(code: str, paths: set[str]) -> None:
    everything = {"conf.a", "conf.b.c", "conf.b.d", "list", "x", "y_days", "z", "pick"}

    assert {path for path in everything if touched(reads(code), path)} == paths


@pytest.mark.parametrize(
    "code",
    [
        "{{ var(kind ~ '_days') }}", "{% set v = var %}{{ v('x') }}", "{{ var(var('pick')) }}",
        "{% for k in run_query('q') %}{{ var(k) }}{% endfor %}", "{{ var(*names) }}", "{{ context[what]('x') }}",
    ],
)  # fmt: skip
def test_a_name_that_only_a_run_knows_counts_as_all_of_them(code: str) -> None:
    assert all(touched(reads(code), path) for path in ("x", "z", "conf.a"))


CFG = "{% macro m0(name, other='z') %}{{ return(var(name, none)) }}{{ var(other) }}{% endmacro %}"


@pytest.mark.parametrize(
    ("code", "paths"),
    [
        ("{{ m0('x') }}", {"x", "z"}),
        ("{{ m0('x') }}{{ m0(name='list', other='y_days') }}", {"x", "z", "list", "y_days"}),
        ("{% for n in ['x', 'list'] %}{{ m0(n, 'x') }}{% endfor %}", {"x", "list"}),
        ("{{ m0(run_query('q')) }}", {"x", "z", "list", "y_days"}),
        ("{{ other([m0]) }}", {"x", "z", "list", "y_days"}),
        ("{{ m0(*row) }}", {"x", "z", "list", "y_days"}),
    ],
)
def test_a_name_given_to_a_macro_is_followed(code: str, paths: set[str]) -> None:
    assert {path for path in ("x", "z", "list", "y_days") if touched(reads(code, macros=(CFG,)), path)} == paths


def test_a_name_in_the_override_of_a_materialization_is_followed_as_well() -> None:
    """One macro of a package that reads variables by name, called by what builds every test, once rebuilt everything."""
    override = "{% materialization test, default %}{% set x = cfg('limit_rows') %}{% endmaterialization %}"
    side = manifest(
        node("a", raw_code="select 1"),
        node("t", "model.shop.a", kind="test", raw_code="select 1"),
        macro("cfg", "{% macro cfg(n) %}{{ return(var(n, none)) }}{% endmacro %}"),
        macro("materialization_test_default", override, "macro.shop.cfg"),
    )

    def resources(name: str) -> list[str]:
        new = facts(vars={"shop": {"limit_rows": 1, "unrelated": 1, name: 2}})
        changes = compare(side, side, old_facts=facts(vars={"shop": {"limit_rows": 1, "unrelated": 1}}), new_facts=new)
        return [row.name for row in changes.resources]

    assert resources("unrelated") == []
    assert resources("limit_rows") == ["t"]


def test_what_may_read_a_variable_can_be_compared_where_all_of_it_compiles() -> None:
    code, vault = "{{ var(run_query('q')) }}", {"materialized": "incremental"}
    side = manifest(
        node("sql", raw_code=code), node("reader", "model.shop.sql"), node("hooked", config={"post-hook": [{"sql": code}]}),
        node("inc", raw_code=code, config=vault), node("both", raw_code=code + "{{ var('x') }}"),
        node("moving", raw_code="{{ var(run_started_at.strftime('x_%Y')) }}"),
    )  # fmt: skip
    sides: dict[str, Any] = {"old_facts": facts(vars={"shop": {"x": 1}}), "new_facts": facts(vars={"shop": {"x": 2}})}

    changes = compare(side, side, **sides)
    settled = compare(side, side, **sides, unaffected=changes.unsure)

    assert changes.unsure == ["model.shop.sql"]
    assert shown(changes) == {"directly_modified": ["both", "hooked", "inc", "moving", "sql"], "indirectly_modified": ["reader"]}
    assert shown(settled) == {"directly_modified": ["both", "hooked", "inc", "moving"]}


def test_one_key_of_one_variable_of_800_models() -> None:
    """50 read it, 50 read what those make: these and nothing else."""
    parts = [node(f"m{number}", raw_code="select {{ var('conf')['b'] }}, {{ var('conf').get('c') }}") for number in range(700)]
    parts += [node(f"reads{number}", raw_code="{% set c = var('conf') %}select {{ c.a }}") for number in range(50)]
    parts += [node(f"follows{number}", f"model.shop.reads{number}") for number in range(50)]
    side = manifest(*parts)
    old, new = {"conf": {"a": 1, "b": 1, "c": 1}}, {"conf": {"a": 2, "b": 1, "c": 1}}

    before = time.process_time()
    changes = compare(side, side, old_facts=facts(vars={"shop": old}), new_facts=facts(vars={"shop": new}))

    assert {kind: len(names) for kind, names in shown(changes).items()} == {"directly_modified": 50, "indirectly_modified": 50}
    assert changes.models[0].details == ["vars: conf.a"]
    assert time.process_time() - before < 2


HANDED = "{% macro caller(parts) %}{% for p in parts %}{{ p() }}{% endfor %}{% endmacro %}"


@pytest.mark.parametrize(
    "code",
    [
        "{{ caller([col]) }}", "{{ caller([shop.col]) }}", "{% set parts = [col] %}{{ caller(parts) }}",
        "{{ context['col']() }}", "{{ context.get('col')() }}", "{{ adapter.dispatch('col', 'shop')() }}",
        "{% if execute %}{{ col() }}{% endif %}", "{{ shop.col() if execute }}",
        "{% set name = 'col' %}{{ context[name]() }}", "{{ config(post_hook=\"{{ caller([col]) }}\") }}",
    ],
)  # fmt: skip
def test_a_macro_that_is_handed_on_counts(code: str) -> None:
    def side(text: str) -> dict[str, Any]:
        return manifest(
            node("a", raw_code=f"select {code}", macros=["macro.shop.caller"]), macro("caller", HANDED),
            macro("col", f"{{% macro col() %}}{text}{{% endmacro %}}"), node("b", raw_code="select 1 as col"),
        )  # fmt: skip

    changes = compare(side("x"), side("y"), old_facts=facts(), new_facts=facts())

    assert shown(changes) == {"directly_modified": ["a"]}
    assert reasons(changes, "a") == ["macro"]
    assert [row.affects for row in changes.resources] == [["a"]]


def test_a_macro_that_is_looked_up_by_a_name_that_the_model_gives() -> None:
    def side(text: str) -> dict[str, Any]:
        return manifest(
            node("a", raw_code="{{ by_name('col') }}", macros=["macro.shop.by_name"]), macro("col", text), node("b"),
            macro("by_name", "{% macro by_name(name) %}{{ context[name]() }}{% endmacro %}"),
        )  # fmt: skip

    assert shown(compare(side("x"), side("y"), old_facts=facts(), new_facts=facts())) == {"directly_modified": ["a"]}


@pytest.mark.parametrize(
    ("kind", "config", "name"),
    [
        ("model", {"materialized": "incremental", "incremental_strategy": "insert_only"}, "get_incremental_insert_only_sql"),
        ("snapshot", {"strategy": "mine"}, "snapshot_mine_strategy"),
    ],
)
def test_a_strategy_that_dbt_looks_up_when_it_builds(kind: str, config: dict[str, str], name: str) -> None:
    def side(text: str) -> dict[str, Any]:
        return manifest(node("a", kind=kind, config=config), node("b"), macro(name, text))

    assert shown(compare(side("x"), side("y"), old_facts=facts(), new_facts=facts())) == {"directly_modified": ["a"]}


def test_code_that_this_does_not_understand_may_read_anything_it_names() -> None:
    same = changed(BASE, "c", raw_code="{% unknown %}{{ var('x') }}{{ var(n) }}")

    assert touched(same, "z")
    assert not touched(changed(BASE, "c", raw_code="{% unknown %}{{ var('x') }}"), "z")
    assert touched(changed(BASE, "c", raw_code="{% unknown %}{{ var('x') }}"), "x")
