"""dbt: a microbatch model of which a batch fails or is never reached. Real dbt, DuckDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runner.dbt_halves import ONE, Halves
from tests.runner.dbt_shop import NEWEST, Files
from tests.runner.widths import some

pytestmark = [pytest.mark.slow, pytest.mark.long]

YEARS = range(2021, 2027)
MICROBATCH = """{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='happened', batch_size='year',
begin='2021-01-01', concurrent_batches=false, pre_hook=[], post_hook=[]) }}
/* fate: mb batch */ select id, happened, VERSION as version from {{ ref('raw_events') }}"""
BATCHES: Files = {
    "dbt_project.yml": ONE["dbt_project.yml"],
    "profiles.yml": ONE["profiles.yml"],
    "models/raw_events.sql": "{{ config(event_time='happened') }}\n"
    + "\nunion all ".join(f"select {year} as id, timestamp '{year}-03-01' as happened" for year in YEARS),
    "models/mb.sql": MICROBATCH.replace("VERSION", "1"),
    "models/after.sql": "select count(*) as n, sum(version) as versions from {{ ref('mb') }}",
}


# The adapter of dbt 1.9.0 has no such strategy yet; dbt itself has.
STRATEGY = """{% macro duckdb__get_incremental_microbatch_sql(arg_dict) %}
delete from {{ arg_dict['target_relation'] }}
where happened >= '{{ model.batch.event_time_start }}' and happened < '{{ model.batch.event_time_end }}';
{{ get_insert_into_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns']) }}
{% endmacro %}"""


def started(folder: Path, version: str) -> Halves:
    """A project with a microbatch model, of which nothing is deployed."""
    halves = Halves(folder, version, BATCHES)
    if version == "1.9.0":
        halves.project.write({"macros/strategy.sql": STRATEGY})
    return halves


def rows(halves: Halves) -> list[Any]:
    return [row[0] for row in halves.project.ask(halves.warehouse, "select id from mb order by 1")]


@pytest.mark.parametrize(
    ("fate", "version"),
    some([("fail mb 2024", NEWEST), ("kill mb 2024", "1.9.0")], [("fail mb 2024", "1.9.0"), ("kill mb 2024", NEWEST)]),
)
def test_a_retry_runs_the_batches_that_are_missing(tmp_path: Path, version: str, fate: str) -> None:
    halves = started(tmp_path / "p", version)
    halves.project.write(BATCHES)
    explained = halves.project.explain()
    ended = halves.break_off(explained, fate)
    if fate.startswith("fail"):
        assert ended["outcome"] == "failed", ended["log"]
        # The adapter of dbt 1.9.0 loses the text of what is not its own driver's error.
        assert ("the fate of mb" if version == NEWEST else "PARTIAL SUCCESS (5/6)") in ended["error"]["message"]
        assert {row["name"]: row["status"] for row in ended["models"]}["mb"] == "failed"

    retried = halves.project.execute(explained)

    assert retried["outcome"] == "succeeded", retried["log"]
    assert rows(halves) == list(YEARS)
    assert halves.project.ask(halves.warehouse, "select n from after") == [[6]]
    assert "batches are missing and are run" in retried["log"]
    ran = [line for line in retried["log"].splitlines() if "START batch" in line]
    assert len(ran) == (1 if fate.startswith("fail") else 3), retried["log"]


def test_another_machine_is_told_of_the_batches(tmp_path: Path) -> None:
    """The worker's disk is gone; the API server hands out what the events told."""
    halves = started(tmp_path / "p", NEWEST)
    halves.project.write(BATCHES)
    explained = halves.project.explain()
    halves.break_off(explained, "fail mb 2022")
    kept = next((halves.project.folder / "shared" / "progress").iterdir())
    content = kept.read_text()
    kept.unlink()

    retried = halves.project.execute(explained, inputs=halves.project.inputs(progress=json.loads(content)))

    assert retried["outcome"] == "succeeded", retried["log"]
    assert rows(halves) == list(YEARS)


def test_progress_of_another_turn_does_not_count(tmp_path: Path) -> None:
    """A run of the deployed state was between the two attempts."""
    halves = started(tmp_path / "p", NEWEST)
    halves.project.write(BATCHES)
    explained = halves.project.explain()
    halves.break_off(explained, "fail after before", turn="1")

    retried = halves.project.execute(explained, turn="2")

    assert retried["outcome"] == "succeeded", retried["log"]
    assert "are left out" not in retried["log"]


def test_a_revert_makes_batches_of_other_code_from_scratch(tmp_path: Path) -> None:
    halves = started(tmp_path / "p", NEWEST)
    halves.deploy(BATCHES)
    halves.project.write({"models/mb.sql": MICROBATCH.replace("VERSION", "2")})
    halves.break_off(halves.project.explain(**halves.inputs()), "fail after before")

    explained = halves.deploy(BATCHES)

    assert halves.project.ask(halves.warehouse, "select n, versions from after") == [[6, 6]]
    assert explained["plan_output"]["full_refresh"] == [{"name": "mb", "why": "leftover"}]
    assert [row["what"] for row in explained["plan_output"]["leftovers"]] == ["built again", "made from scratch"]
