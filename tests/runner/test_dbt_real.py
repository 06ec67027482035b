"""The runner with real dbt and DuckDB: what is approved is what runs, once, and a failure says why."""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.conftest import PATIENCE, Driver, Outcome, Running, approved
from tests.runner.dbt_shop import FIRST, PROFILE, SECOND, Files, apply, deployed, prepare
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

EXPECTED = {
    "environment": "prod",
    "is_new_environment": False,
    "explain_completed": True,
    "has_changes": True,
    "modelsAdded": 1,
    "modelsModified": 3,
    "modelsRemoved": 1,
    "modelsNeedingBackfill": 3,
    "directly_modified": ["stg_orders"],
    "indirectly_modified": ["eph_orders", "fct_customers"],
    "models_added": ["new_report"],
    "models_removed": ["old_report"],
}


def finished(outcome: Outcome | Running) -> set[str]:
    """Unique ids of what succeeded."""
    events = outcome.events if isinstance(outcome, Outcome) else outcome.events()
    return {event["unique_id"] for event in events if event["event"] == "model_finished"}


def progress(digest: str, succeeded: set[str]) -> str:
    """What the API server gives back to a retry."""
    return base64.b64encode(gzip.compress(json.dumps({"digest": digest, "succeeded": sorted(succeeded)}).encode())).decode()


def test_a_change_is_explained_and_exactly_that_is_built(driver: Driver) -> None:
    warehouse = prepare(driver)
    first = driver.repository.commit(FIRST)
    explained, executed = apply(driver, first)
    selection = explained.result["plan_output"]["selection"]
    assert (selection["mode"], len(selection["models"]), len(selection["tests"])) == ("full", 5, 2)
    assert executed.status == 0, executed.output
    assert finished(executed) == set(selection["nodes"])
    assert executed.result["tests"] == {"run": 2, "passed": 2, "failed": 0, "skipped": 0, "names": []}

    second = driver.repository.commit(SECOND)
    # What needs no warehouse must not ask for one.
    os.rename(warehouse, warehouse.with_suffix(".away"))
    explained = driver.step("explain", commit_sha=second, **deployed(executed))
    assert not warehouse.exists()
    os.rename(warehouse.with_suffix(".away"), warehouse)
    output = explained.result["plan_output"]
    assert {key: output[key] for key in EXPECTED} == EXPECTED
    assert output["lineage"]["new_report"] == ["fct_customers", "v_names"]
    changed = {row["name"]: row for row in output["models"]}
    assert (changed["stg_orders"]["reasons"], changed["stg_orders"]["diff_of"]) == (["body"], "compiled")
    assert '+select id, customer, amount from "warehouse"."main"."raw_orders" where amount > 10' in changed["stg_orders"]["diff"]
    assert "old_report" in output["warnings"][0]

    inputs = deployed(executed)
    drifted = driver.step(
        "execute", commit_sha=second, **{**approved(explained), "expected_digest": "sha256:" + "0" * 64}, **inputs
    )
    assert (drifted.status, drifted.code) == (3, "plan_drifted"), drifted.output
    assert finished(drifted) == set()
    again = driver.step("execute", commit_sha=second, **approved(explained), **inputs)
    assert again.status == 0, again.output
    assert finished(again) == set(output["selection"]["nodes"])
    assert {row["name"] for row in again.result["models"]} == {"stg_orders", "fct_customers", "new_report"}

    run = driver.step("run", commit_sha=second, run_tests=False)
    assert (run.status, len(run.result["models"]), "tests" in run.result) == (0, 6, False), run.output


def test_after_a_cancel_and_a_kill_nothing_is_built_twice(driver: Driver, tmp_path: Path) -> None:
    prepare(driver, "1.8.10")
    # Not from a variable: another value would be another plan.
    rows = f"(select rows from read_csv('{driver.folder / 'rows.csv'}'))"
    slow = f"select sum(i) as n from (select i from range({10**13}) t(i) limit {rows}), {{{{ ref('stg_orders') }}}}"
    commit = driver.repository.commit({**FIRST, "models/slow.sql": slow})
    set_rows(driver, 10)
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    nodes = set(explained.result["plan_output"]["selection"]["nodes"])

    set_rows(driver, 10**13)
    running = driver.start("execute", commit_sha=commit, **approved(explained))
    wait_while_it_runs(running, "the slow model", lambda: "START sql table model main.slow" in running.output())
    running.process.send_signal(signal.SIGTERM)
    cancelled = running.wait()
    assert (cancelled.status, cancelled.code) == (130, "cancelled"), cancelled.output
    assert {row["name"]: row["status"] for row in cancelled.result["models"]}["stg_orders"] == "succeeded"
    first = finished(cancelled)

    # On this machine it is known what was done, even if nobody tells.
    running = driver.start("execute", commit_sha=commit, attempt=2, **approved(explained))
    wait_while_it_runs(
        running,
        "all but the slow model",
        lambda: "fct_customers" in str(first | finished(running)) and "model main.slow" in running.output(),
    )
    running.vanish()
    second = finished(running)
    assert first & second == set()

    # On another one, all that is known comes with the request.
    set_rows(driver, 10)
    driver.variables["DAGCTL_CACHE_DIR"] = str(tmp_path / "elsewhere")
    known = {"inputs": {"progress": progress(explained.result["digest"], first | second)}}
    retried = driver.step("execute", commit_sha=commit, attempt=3, **approved(explained), **known)
    assert retried.status == 0, retried.output
    assert "nodes succeeded in an earlier attempt" in retried.output
    assert (first | second) & finished(retried) == set()
    assert first | second | finished(retried) == nodes


def set_rows(driver: Driver, rows: int) -> None:
    """How long the slow model takes."""
    (driver.folder / "rows.csv").write_text(f"rows\n{rows}\n")


def wait_while_it_runs(running: Running, what: str, happened: Callable[[], bool]) -> None:
    """Wait until the log or the events of what still runs say so."""

    def happened_or_over() -> bool:
        return happened() or running.process.poll() is not None

    wait_for(what, happened_or_over, seconds=PATIENCE, show=running.output)
    assert running.process.poll() is None, running.output()


BROKEN: dict[str, tuple[Files, str, str]] = {
    "missing target": ({"profiles.yml": PROFILE.replace("target: prod", "target: dev")}, "profile_invalid", "dev"),
    "unknown adapter": ({"profiles.yml": PROFILE.replace("duckdb", "paradox")}, "adapter_missing", "'paradox'"),
    "failing deps": ({"packages.yml": "packages:\n  - local: ../nowhere\n"}, "packages_failed", "nowhere/dbt_project.yml"),
    "parse error": (
        {"models/stg_orders.sql": "select {{ ref('raw_orders' }}", "packages.yml": None},
        "project_load_failed",
        "stg_",
    ),
}
"""Of each kind one; the others are told apart by what dbt says, in the tests that need no dbt."""


def test_what_is_wrong_with_a_project_is_said_in_one_line(driver: Driver) -> None:
    prepare(driver)
    for name, (files, code, text) in BROKEN.items():
        commit = driver.repository.commit({**FIRST, **files})
        outcome = driver.step("explain", commit_sha=commit)
        error = outcome.result.get("error", {})
        assert (name, outcome.code) == (name, code), outcome.output
        assert text in error["message"], error
        assert "Traceback" not in error["message"]


def test_what_fails_in_the_warehouse_is_said_in_one_line_and_nothing_counts_as_deployed(driver: Driver) -> None:
    prepare(driver)
    tests = "models:\n  - name: stg_orders\n    columns: [{name: customer, tests: [unique]}]\n"
    _, outcome = apply(driver, driver.repository.commit({**FIRST, "models/schema.yml": tests}))
    assert (outcome.status, outcome.code) == (1, "dbt_test_failed"), outcome.output
    assert outcome.result["error"]["message"] == "unique_stg_orders_customer: Got 1 result, configured to fail if != 0"
    statuses = {row["name"]: row["status"] for row in outcome.result["models"]}
    assert (statuses["stg_orders"], statuses["fct_customers"]) == ("succeeded", "skipped")
    assert "artifacts" not in outcome.result
