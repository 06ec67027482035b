"""Runs of the deployed state that Airflow starts: by its Trigger button, and by the project's schedule."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dagctl_provider.domain.executions import FINISHED
from dagctl_provider.domain.runs import run_step_id
from tests.airflow.site import Shop, Site
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def ended(site: Site, project: dict[str, Any], run_id: str) -> dict[str, Any]:
    """The run on record, once it is over."""
    wanted = run_step_id(project["run_dag_id"], run_id)

    def look() -> dict[str, Any] | None:
        runs = site.ask("GET", f"/projects/{project['id']}/runs")["runs"]
        return next((run for run in runs if run["id"] == wanted and run["status"] in FINISHED), None)

    return wait_for(f"run {run_id}", look)


def next_run(site: Site, project: dict[str, Any]) -> Any:
    """When Airflow would start the next run."""
    ((moment,),) = site.sql("SELECT next_dagrun_create_after FROM dag WHERE dag_id = %s", project["run_dag_id"])
    return moment


def pressed(site: Site, project: dict[str, Any]) -> str:
    """Somebody presses Trigger, and would have something else run; id of the run."""
    answer = httpx.post(
        f"{site.stack.base_url}/api/v2/dags/{project['run_dag_id']}/dagRuns",
        json={"logical_date": None, "conf": {"dagctl": {"repository_url": "file:///nowhere", "commit_sha": "0" * 40}}},
        headers=site.stack.airflow_login(),
        timeout=60,
    )
    assert answer.is_success, answer.text
    return str(answer.json()["dag_run_id"])


def test_airflow_runs_what_is_deployed(site: Site, shop: Shop) -> None:
    project = site.project("by itself", shop)
    site.deployed(project)
    address, dag_id = f"/projects/{project['id']}", project["run_dag_id"]
    site.ask("PUT", address, {"suspended": False})

    run = ended(site, project, pressed(site, project))
    assert run["status"] == "success", run
    assert "cronjob_name" not in run

    # Airflow makes up for a time that is not five minutes ago, so nobody has to wait for the next one.
    site.ask("PUT", address, {"run_schedule": "*/5 * * * *"})
    query = "SELECT run_id FROM dag_run WHERE dag_id = %s AND run_type = 'scheduled'"
    ((scheduled,), *_) = wait_for("the scheduler to start a run", lambda: site.sql(query, dag_id))
    run = ended(site, project, scheduled)
    assert (run["status"], run["triggered_by"], run["cronjob_name"]) == ("success", "scheduled", dag_id), run
    wait_for("the next run to be due", lambda: next_run(site, project))
    site.ask("PUT", address, {"suspended": True})
    wait_for("no run to be due", lambda: next_run(site, project) is None)
    refused = ended(site, project, pressed(site, project))
    assert (refused["status"], refused["error_message"]) == ("error", "The project is suspended, so nothing is run.")
