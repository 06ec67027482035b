"""Real dbt and DuckDB: what a plan says is what an execute then does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runner.dbt_inner import Project
from tests.runner.dbt_shop import NEWEST, PROFILE, Files
from tests.runner.widths import some

pytestmark = [pytest.mark.slow, pytest.mark.long]

OLDEST = "1.5.0"
ENDS = [OLDEST, NEWEST]
WITH_MIDDLE = [OLDEST, "1.8.10", NEWEST]
"""How dbt runs hooks and tells of them changed twice."""
PROJECT = "name: shop\nversion: '1.0'\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: table}}\n"


@pytest.fixture(params=ENDS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of dbt: the oldest and the newest."""
    found: str = request.param
    return found


def shop(folder: Path, files: Files, version: str = NEWEST, project: str = PROJECT) -> Project:
    """A project with its warehouse outside of the step's folder."""
    found = Project(folder, version, variables={"WAREHOUSE": str(folder / "warehouse.duckdb")})
    found.write({"dbt_project.yml": project, "profiles.yml": PROFILE, "models/one.sql": "select 1 as x", **files})
    return found


def apply(project: Project) -> dict[str, Any]:
    """Explain and execute; what the explain said."""
    explained = project.explain()
    executed = project.execute(explained)
    assert executed["outcome"] == "succeeded", executed["log"]
    output: dict[str, Any] = explained["plan_output"]
    return output


def rows(project: Project, query: str) -> list[list[Any]]:
    """What the warehouse has."""
    return project.ask(project.folder / "warehouse.duckdb", query)


AUDIT = 'on-run-{when}: ["create table if not exists audit (v int)", "insert into audit values ({value})"]\n'


@pytest.mark.parametrize(
    ("version", "when"), some([(NEWEST, "start"), (OLDEST, "end")], ((version, "end") for version in WITH_MIDDLE[1:]))
)
def test_a_hook_that_changes_runs_though_nothing_is_built(tmp_path: Path, version: str, when: str) -> None:
    project = shop(tmp_path, {}, version, PROJECT + AUDIT.format(when=when, value=1))
    apply(project)
    assert rows(project, "select v from audit") == [[1]]

    project.write({"dbt_project.yml": PROJECT + AUDIT.format(when=when, value=2)})
    output = apply(project)
    assert (output["has_changes"], output["selection"]["mode"], output["selection"]["nodes"]) == (True, "selected", [])
    assert output["selection"]["reason"] == (
        "Only hooks of the project changed: on-run-start and on-run-end run, and nothing is built."
    )
    assert rows(project, "select v from audit order by 1") == [[1], [2]]
    assert project.explain()["plan_output"]["has_changes"] is False

    project.write({"dbt_project.yml": PROJECT})
    output = apply(project)
    assert (output["has_changes"], output["selection"]["mode"]) == (True, "none")
    assert len(output["warnings"]) == 2
    assert rows(project, "select v from audit order by 1") == [[1], [2]]


@pytest.mark.parametrize("version", WITH_MIDDLE)
def test_a_hook_that_fails_fails_the_plan_and_runs_again_with_the_retry(tmp_path: Path, version: str) -> None:
    hook = 'on-run-end: ["insert into audit select * from gate"]\n'
    project = shop(tmp_path, {}, version, PROJECT + hook)
    explained = project.explain()
    failed = project.execute(explained)
    assert failed["outcome"] == "failed", failed["log"]
    assert failed["error"]["code"] == "apply_failed"
    assert rows(project, "select x from one") == [[1]]

    project.ask(tmp_path / "warehouse.duckdb", "create table audit (v int); create table gate as select 7 as v", read_only=False)
    retried = project.execute(explained)
    assert retried["outcome"] == "succeeded", retried["log"]
    assert rows(project, "select v from audit") == [[7]]


@pytest.mark.parametrize("version", some([NEWEST], [OLDEST]))
def test_a_variable_in_the_text_of_a_hook_is_seen(tmp_path: Path, version: str) -> None:
    text = (
        "name: shop\nversion: '1.0'\nconfig-version: 2\nprofile: shop\nvars: {{role: {role}, when: {when}}}\n"
        'models: {{shop: {{+materialized: table, +post-hook: "create or replace table hooked as '
        "select '{{{{ var('role') }}}}' as r\"}}}}\n"
        "on-run-end: \"create or replace table ended as select '{{{{ var('when') }}}}' as r\"\n"
    )
    project = shop(tmp_path, {}, version, text.format(role="a", when="x"))
    apply(project)

    project.write({"dbt_project.yml": text.format(role="b", when="x")})
    output = apply(project)
    assert [(row["name"], row["reasons"], row["details"][0]) for row in output["models"]] == [("one", ["vars"], "vars: role")]
    assert rows(project, "select r from hooked") == [["b"]]

    project.write({"dbt_project.yml": text.format(role="b", when="y")})
    output = apply(project)
    assert output["models"] == []
    assert [(row["type"], row["reasons"], row["details"]) for row in output["resources"]] == [("hook", ["vars"], ["vars: when"])]
    assert rows(project, "select r from ended") == [["y"]]


SELECTORS = """selectors:
  - name: nightly
    default: true
    definition: {method: fqn, value: '*', exclude: [{method: tag, value: manual}]}
"""


@pytest.mark.parametrize("version", some([OLDEST], [NEWEST]))
def test_the_default_selector_says_what_a_build_builds(tmp_path: Path, version: str) -> None:
    files: Files = {
        "selectors.yml": SELECTORS,
        "models/manual.sql": "{{ config(tags=['manual']) }} select error('by hand only') as y",
        "models/s.yml": "version: 2\nmodels: [{name: manual, columns: [{name: y, tests: [not_null]}]}, "
        "{name: one, columns: [{name: x, tests: [not_null]}]}]\n",
    }
    project = shop(tmp_path, files, version)
    output = apply(project)
    assert (output["selection"]["models"], output["tests_to_run"]) == (["one"], ["not_null_one_x"])
    assert output["warnings"] == ["The project's default selector 'nightly' leaves out manual: not built."]

    project.write({"models/manual.sql": "{{ config(tags=['manual']) }} select 3 as y"})
    output = apply(project)
    assert (output["has_changes"], output["selection"]["nodes"]) == (True, [])
    assert output["selection"]["reason"] == "What changed is left out by the project's default selector: nothing is built."
    assert output["warnings"] == ["Changed, but left out by the project's default selector 'nightly', and so not built: manual."]

    project.write({"selectors.yml": SELECTORS.replace("value: manual", "value: nothing")})
    output = apply(project)
    assert output["selection"]["models"] == ["manual"]
    assert rows(project, "select y from manual") == [[3]]
    assert project.explain()["plan_output"]["has_changes"] is False


COMPUTED: Files = {
    "macros/cfg.sql": "{% macro cfg(n) %}{{ return(var(n, none)) }}{% endmacro %}\n"
    "{% macro limit() %}{% for name in graph.nodes.values() | map(attribute='name') | list %}"
    "{% if name == 'one' %}{{ var(name ~ '_limit', 5) }}{% endif %}{% endfor %}{% endmacro %}\n"
    "{% materialization test, default %}{% set x = cfg('limit_rows') %}{{ return(dbt.materialization_test_default()) }}"
    "{% endmaterialization %}",
    "models/one.sql": "select 1 as x, {{ limit() if execute else 0 }} as y",
    "tests/late.sql": "select * from {{ ref('one') }} where x > {{ var('late_' ~ target.name, 1) }}",
    "models/a.sql": "select {{ var('conf')['a'] }} as x",
    "models/b.sql": "select {{ var('conf')['b'] }} as x",
    "models/s.yml": "version: 2\nmodels: [{name: one, columns: [{name: x, tests: [not_null, unique]}]},"
    " {name: a, columns: [{name: x, tests: [not_null]}]}]\n",
}
VARS = "vars: {{unrelated: {unrelated}, conf: {{a: {a}, b: 1}}, one_limit: {limit}}}\n"


def test_variables_count_by_what_they_change(tmp_path: Path, version: str) -> None:
    def with_vars(unrelated: int = 1, a: int = 1, limit: int = 5) -> Files:
        return {"dbt_project.yml": PROJECT + VARS.format(unrelated=unrelated, a=a, limit=limit)}

    project = shop(tmp_path, {**COMPUTED, **with_vars()}, version)
    apply(project)

    project.write(with_vars(unrelated=2))
    output = apply(project)
    assert (output["has_changes"], output["selection"]["nodes"], output["resources"]) == (False, [], [])
    assert {"unaffected:model.shop.one", "unaffected:test.shop.late"} <= set(output["digest_parts"])

    project.write(with_vars(unrelated=2, a=2))
    output = apply(project)
    assert (output["selection"]["models"], output["tests_to_run"]) == (["a"], ["not_null_a_x"])
    assert rows(project, "select x from a") == [[2]]

    project.write(with_vars(unrelated=2, a=2, limit=9))
    output = apply(project)
    assert (output["selection"]["models"], len(output["tests_to_run"])) == (["one"], 3)
    assert rows(project, "select y from one") == [[9]]


@pytest.mark.parametrize("version", some([NEWEST], [OLDEST]))
def test_a_macro_that_is_handed_on_rebuilds_what_it_goes_into(tmp_path: Path, version: str) -> None:
    macros = "{% macro col() %}1{% endmacro %}\n{% macro caller(parts) %}{% for p in parts %}{{ p() }}{% endfor %}{% endmacro %}"
    project = shop(tmp_path, {"macros/m.sql": macros, "models/fct.sql": "select {{ caller([col]) }} as n"}, version)
    apply(project)
    project.write({"macros/m.sql": macros.replace("%}1{%", "%}2{%")})
    output = apply(project)
    assert output["directly_modified"] == ["fct"]
    assert output["resources"][0]["affects"] == ["fct"]
    assert rows(project, "select n from fct") == [[2]]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_one_key_of_one_variable_in_a_project_of_800_models(tmp_path: Path) -> None:
    """50 models read the key, 50 read those, 100 read a variable whose name only a run knows: of these, nothing changes."""
    late = "{{ var('late_' ~ target.name, var('conf')['b']) }}"
    view = "{{ config(materialized='view') }}"
    files: Files = {f"models/m{number}.sql": "select {{ var('conf').get('b') }} as x" for number in range(600)}
    files |= {f"models/late{number}.sql": f"select {late} as x" for number in range(100)}
    files |= {f"models/reads{number}.sql": view + "{% set c = var('conf') %}select {{ c.a }} as x" for number in range(50)}
    files |= {f"models/follows{number}.sql": f"{view}select x from {{{{ ref('reads{number}') }}}}" for number in range(50)}
    # What is not built takes no time.
    project = PROJECT.replace("table", "ephemeral") + "vars: {conf: {a: 1, b: 1}}\n"
    shop_of_800 = shop(tmp_path, files, project=project)
    apply(shop_of_800)

    shop_of_800.write({"dbt_project.yml": project.replace("a: 1", "a: 2")})
    output = shop_of_800.explain()["plan_output"]

    assert sorted(output["directly_modified"]) == sorted(f"reads{number}" for number in range(50))
    assert sorted(output["indirectly_modified"]) == sorted(f"follows{number}" for number in range(50))
    assert len(output["selection"]["nodes"]) == 100
    assert {row["details"][0] for row in output["models"] if row["change"] == "directly_modified"} == {"vars: conf.a"}
    assert len([part for part in output["digest_parts"] if part.startswith("unaffected:")]) == 100


FLAGS = "target-path: out/target\nlog-path: out/logs\nflags: {fail_fast: true, write_json: false, partial_parse: false%s}\n"


@pytest.mark.long
def test_flags_of_the_project_do_not_stand_in_the_way_and_a_refusal_has_its_cause(tmp_path: Path) -> None:
    """`dbt build` writes elsewhere, or nothing, with these; what a step needs of dbt it says itself."""
    project = shop(tmp_path, {}, project=PROJECT + FLAGS % "")
    apply(project)
    assert rows(project, "select x from one") == [[1]]
    assert project.explain()["plan_output"]["has_changes"] is False

    project.write({"dbt_project.yml": PROJECT + FLAGS % ", warn_error_options: {error: all}"})
    refused = project.do("explain")
    assert refused["error"]["code"] == "project_load_failed", refused["log"]
    assert refused["error"]["message"].startswith("A warning, which the project's flags (warn_error) make an error: Deprecated")


def test_a_model_has_its_file_and_its_tags(tmp_path: Path, version: str) -> None:
    """By which groups and code owners are asked for an approval; of a model that is gone by what is deployed."""
    tagged = "{{ config(tags=['money', 'core']) }} select 1 as x"
    project = shop(tmp_path, {"models/deep/two.sql": tagged}, version)
    output = apply(project)
    found = {row["name"]: (row["change"], row["path"], row["tags"]) for row in output["models"]}
    assert found == {"one": ("added", "models/one.sql", []), "two": ("added", "models/deep/two.sql", ["core", "money"])}
    (project.checkout / "models/deep/two.sql").unlink()
    (gone,) = [row for row in project.explain()["plan_output"]["models"] if row["name"] == "two"]
    assert (gone["change"], gone["path"], gone["tags"]) == ("removed", "models/deep/two.sql", ["core", "money"])
