"""A dbt project in a real Airflow: found, explained, built as approved, killed, retried without building anything twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.airflow.dbt_shop import DbtShop
from tests.airflow.site import Site
from tests.waiting import nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def planned(site: Site, project: dict[str, Any], message: str) -> dict[str, Any]:
    """The plan that polling makes of a commit, once it is explained."""

    def look() -> dict[str, Any] | None:
        plans = site.ask("GET", f"/projects/{project['id']}/plans")["plans"]
        return next((plan for plan in plans if plan["commit_message"] == message and plan["plan_type"] == "explain"), None)

    return site.wait(wait_for(f"the plan of {message!r}", look)["id"], "pending")


def built(site: Site, shop: DbtShop) -> Counter[str]:
    """How often each model was built."""
    return Counter(dict(site.rows(shop, "SELECT model, COUNT(*) FROM main.built GROUP BY 1")))


def test_from_commit_to_warehouse_through_a_kill_and_a_failure(site: Site, tmp_path: Path) -> None:
    shop = DbtShop(tmp_path)
    project = site.project("dbt shop", shop, project_type="dbt", suspended=False)  # type: ignore[arg-type]

    # The first commit builds everything.
    plan = planned(site, project, "Orders and totals")
    output = plan["plan_output"]
    assert (output["environment"], output["is_new_environment"], output["modelsAdded"]) == ("dev", True, 3)
    assert output["selection"]["mode"] == "full"
    site.wait(site.approve(plan), "completed")
    assert site.rows(shop, "SELECT total FROM totals") == [[10]]
    assert built(site, shop) == {"orders": 1, "totals": 1, "dates": 1}
    assert site.sql("SELECT COUNT(*) FROM dagctl_artifact")[0][0] >= 1

    # The second builds what it changes, from the state that the first left.
    shop.write("models/orders.sql", "select 1 as id, 20 as amount\n")
    shop.commit("Twice as much")
    plan = planned(site, project, "Twice as much")
    output = plan["plan_output"]
    assert (output["directly_modified"], output["indirectly_modified"]) == (["orders"], ["totals"])
    execute = site.wait(site.approve(plan), "completed")
    ran = {model["unique_id"] for model in execute["plan_output"]["models"]}
    assert ran == {node for node in output["selection"]["nodes"] if node.startswith("model.")}
    assert site.rows(shop, "SELECT total FROM totals") == [[20]]
    assert built(site, shop) == {"orders": 2, "totals": 2, "dates": 1}

    # The third: its worker is killed, then a model fails, then all is well. What is built is not built again.
    shop.write("models/orders.sql", "select 1 as id, 30 as amount\n")
    shop.add_slow_model()
    shop.commit("Something slow")
    plan = planned(site, project, "Something slow")
    execute_id = site.approve(plan)
    # What is being built when its worker is killed may be built without anybody knowing, and is then built again. So that is the
    # slow one, once the one before it is known to have succeeded, and its gate stays shut until the killed runner is gone.
    slow_runs = """
        SELECT 1 FROM xcom WHERE run_id = %s AND key = 'progress' AND value::jsonb -> 'succeeded' ? 'model.shop.orders'
        AND value::jsonb -> 'models' @> '[{"unique_id": "model.shop.slow", "status": "running"}]'
    """
    wait_for("the slow model's turn", lambda: site.sql(slow_runs, plan["plan_id"]))
    site.kill_workers()
    killed = site.wait(execute_id, "failed")
    assert killed["plan_output"]["already_succeeded"] == ["model.shop.orders"]
    wait_for("the killed runner to be gone", site.runner_processes, nothing)
    shop.open_gate()
    execute_id = site.ask("POST", f"/plans/{execute_id}/retry")["execution_plan_id"]
    failed = site.wait(execute_id, "failed")
    assert "export of the till" in str(failed["error"]) + site.log(execute_id)
    assert site.ask("GET", f"/projects/{project['id']}")["current_commit_sha"] != plan["to_commit_sha"]
    shop.export.touch()
    execute_id = site.ask("POST", f"/plans/{execute_id}/retry")["execution_plan_id"]
    done = site.wait(execute_id, "completed")
    assert [model["unique_id"] for model in done["plan_output"]["models"]] == ["model.shop.needy"]
    assert built(site, shop) == {"orders": 3, "totals": 3, "dates": 1, "slow": 1, "needy": 1}
    assert site.rows(shop, "SELECT total FROM totals") == [[30]]
    left = "SELECT task_id, key FROM xcom WHERE run_id = %s AND key IN ('inputs', 'artifacts')"
    assert site.sql(left, plan["plan_id"]) == []

    # The deployed state runs on request.
    started = site.ask("POST", f"/projects/{project['id']}/run")
    wait_for("the run", lambda: site.sql("SELECT 1 FROM dag_run WHERE run_id = %s AND state = 'success'", started["job_run_id"]))
    assert built(site, shop) == {"orders": 4, "totals": 4, "dates": 2, "slow": 2, "needy": 2}

    # The fourth fails half-way: the warehouse is neither the third nor the fourth. The commit that takes it back sets that right.
    shop.export.unlink()
    shop.write("models/orders.sql", "select 1 as id, 40 as amount\n")
    shop.commit("Too much")
    plan = planned(site, project, "Too much")
    failed = site.wait(site.approve(plan), "failed")
    assert {row["name"] for row in failed["plan_output"]["left"]} == {"orders", "totals", "slow", "needy"}
    assert site.rows(shop, "SELECT total FROM totals") == [[40]]
    shop.export.touch()
    shop.write("models/orders.sql", "select 1 as id, 30 as amount\n")
    shop.commit("As it was")
    plan = planned(site, project, "As it was")
    output = plan["plan_output"]
    assert {row["name"]: row["what"] for row in output["leftovers"]} == dict.fromkeys(
        ("orders", "totals", "slow", "needy"), "built again"
    )
    assert {model["name"]: model["reasons"] for model in output["models"]}["orders"] == ["leftover"]
    site.wait(site.approve(plan), "completed")
    assert site.rows(shop, "SELECT total FROM totals") == [[30]]
