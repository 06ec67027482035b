"""Plans in a real Airflow: commits are explained, decided by every door, applied, cancelled, retried."""

from __future__ import annotations

import pytest

from tests.airflow.site import PARKED, Shop, Site
from tests.waiting import equals, holds, nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_from_commit_to_warehouse_by_every_door(site: Site, shop: Shop) -> None:
    project = site.project("doors", shop, suspended=False)

    # The first commit is found by polling, approved over REST.
    first = wait_for("a plan made by polling", lambda: site.ask("GET", f"/projects/{project['id']}/plans")["plans"])[0]
    assert first["triggered_by"] == "git_polling"
    plan = site.wait(first["id"], "pending")
    assert (plan["plan_output"]["modelsAdded"], plan["plan_output"]["is_new_environment"]) == (2, True)
    assert plan["commit_message"] == "Orders and totals"
    # A worker may still be writing its last lines when it has told how its task ended.
    wait_for("the summary in the log", lambda: site.log(first["id"]), holds("2 added"))
    execute = site.approve(plan)
    done = site.wait(execute, "completed")
    assert site.rows(shop, "SELECT total FROM shop.totals") == [[10]]
    assert site.ask("POST", f"/projects/{project['id']}/plans")["status"] == "already_deployed"

    # The second is approved in Airflow's Required Actions.
    shop.write("models/orders.sql", "MODEL (name shop.orders, kind FULL);\nSELECT 1 AS id, 20 AS amount, 'x' AS note\n")
    shop.commit("Twice as much")
    second = wait_for(
        "the second plan",
        lambda: next(
            (p for p in site.ask("GET", f"/projects/{project['id']}/plans")["plans"] if p["commit_message"] == "Twice as much"),
            None,
        ),
    )
    plan = site.wait(second["id"], "pending")
    assert plan["plan_output"]["directly_modified"] == ["shop.orders"]
    assert plan["plan_output"]["indirectly_modified"] == ["shop.totals"]
    assert plan["commits_behind"] == 1
    site.answer_in_airflow(plan, "Approve")
    wait_for("the decision", lambda: site.plan(plan["id"])["status"], equals("approved"))
    group = site.ask("GET", f"/plans/group/{plan['plan_id']}/steps")
    site.wait(group["steps"][1]["id"], "completed")
    assert site.rows(shop, "SELECT total FROM shop.totals") == [[20]]
    assert site.ask("GET", f"/plans/group/{plan['plan_id']}/steps")["current_status"] == "completed"
    assert site.times_applied(shop) == 2
    assert site.log(done["id"]), "logs of finished steps stay readable"

    # The deployed state runs on request.
    started = site.ask("POST", f"/projects/{project['id']}/run")
    wait_for("the run", lambda: site.sql("SELECT 1 FROM dag_run WHERE run_id = %s AND state = 'success'", started["job_run_id"]))


def test_a_rejection_in_airflow_executes_nothing(site: Site, shop: Shop) -> None:
    plan = site.explained(site.project("rejected", shop))
    site.answer_in_airflow(plan, "Reject")
    wait_for("the decision", lambda: site.plan(plan["id"])["status"], equals("rejected"))
    wait_for("the gate to skip", lambda: site.task(plan, "execute")[0], equals("skipped"))
    assert not shop.warehouse.exists() or site.rows(shop, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied'") == []


def test_a_cancelled_execution_stops_keeps_its_log_and_can_be_retried(site: Site, shop: Shop) -> None:
    shop.add_slow_model()
    shop.commit("Something slow")
    plan = site.explained(site.project("cancelled", shop))
    execute = site.approve(plan)
    wait_for("the slow model in the log", lambda: site.log(execute), holds("shop.slow"))
    assert site.runner_processes(execute)
    site.ask("POST", f"/plans/{execute}/cancel")
    assert site.plan(execute)["status"] == "cancelled"
    wait_for("the runner to be gone", lambda: site.runner_processes(execute), nothing)
    wait_for("the partial log", lambda: site.log(execute), holds("shop.slow"))
    shop.open_gate()
    again = site.ask("POST", f"/plans/{execute}/retry")
    assert again["retry_of"] == execute
    site.wait(again["execution_plan_id"], "completed")
    assert site.times_applied(shop) == 1
    assert "shop.slow" in site.log(execute), "the first execution keeps its own log"


def test_a_cancelled_explain_stops(site: Site, shop: Shop) -> None:
    shop.write("models/wait.py", f'import os, time\nwhile not os.path.exists("{shop.gate}"):\n    time.sleep(0.05)\n')
    shop.commit("Loading takes its time")
    plan_id = site.create_plan(site.project("explain cancelled", shop))
    wait_for("the runner", lambda: site.runner_processes(plan_id))
    site.ask("POST", f"/plans/{plan_id}/cancel")
    wait_for("the runner to be gone", lambda: site.runner_processes(plan_id), nothing)
    assert site.plan(plan_id)["status"] == "cancelled"


BROKEN = {
    "model": ("models/orders.sql", "MODEL (name shop.orders, kind FULL);\nSELEC 1 AS\n", "project_load_failed"),
    "test": (
        "tests/test_totals.yaml",
        "test_totals:\n  model: shop.totals\n  inputs: {shop.orders: [{id: 1, amount: 3}]}\n  outputs: {query: [{total: 8}]}\n",
        "tests_failed",
    ),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_a_broken_commit_says_what_is_broken(site: Site, shop: Shop, kind: str) -> None:
    name, text, code = BROKEN[kind]
    project = site.project(f"broken {kind}", shop)
    shop.write(name, text)
    shop.commit("Broken")
    plan = site.wait(site.create_plan(project), "failed")
    assert plan["error"]["code"] == code
    assert "\n" not in plan["error"]["message"]
    assert "Traceback" not in str(plan)
    assert site.log(plan["id"])
    fresh = site.ask("POST", f"/projects/{project['id']}/plans", status=201)
    assert fresh["plan_id"] != plan["id"], "a failed explain may be planned again"
    site.ask("POST", f"/plans/{fresh['plan_id']}/cancel")


def test_a_failing_warehouse_fails_the_execution_and_can_be_retried(site: Site, shop: Shop) -> None:
    # A query that only fails when it runs: a division that DuckDB refuses.
    shop.write(
        "models/totals.sql", "MODEL (name shop.totals, kind FULL);\nSELECT CAST('abc' || id AS INT) AS total FROM shop.orders\n"
    )
    (shop.path / "tests" / "test_totals.yaml").unlink()
    shop.commit("Cannot be computed")
    plan = site.explained(site.project("warehouse fails", shop))
    failed = site.wait(site.approve(plan), "failed")
    assert "totals" in failed["error"]["message"]
    assert site.ask("GET", f"/projects/{plan['project_id']}").get("current_commit_sha") is None


def test_somebody_forcing_the_gate_in_airflow_executes_nothing(site: Site, shop: Shop) -> None:
    import httpx

    plan = site.explained(site.project("forced", shop))
    wait_for("the gate to park", lambda: site.task(plan, "await_approval")[0] in PARKED)
    (dag_id,) = site.sql("SELECT DISTINCT dag_id FROM task_instance WHERE run_id = %s", plan["plan_id"])[0]
    url = f"{site.stack.base_url}/api/v2/dags/{dag_id}/dagRuns/{plan['plan_id']}/taskInstances/await_approval"
    answer = httpx.patch(url, json={"new_state": "success"}, headers=site.stack.airflow_login(), timeout=60)
    assert answer.is_success, answer.text
    wait_for("the execute task to refuse", lambda: site.task(plan, "execute")[0], equals("failed"))
    assert site.plan(plan["id"])["status"] == "pending"
    assert not shop.warehouse.exists() or site.rows(shop, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied'") == []
