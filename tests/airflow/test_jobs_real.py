"""Jobs of one project in a whole Airflow: each by its own Dag, by its schedule or by hand, with their logs, and stopped."""

from __future__ import annotations

from typing import Any

import pytest

from tests.airflow.site import Shop, Site
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OVER = ("success", "partial", "failed", "error")


def make(site: Site, project: dict[str, Any], name: str, command: str, **values: Any) -> dict[str, Any]:
    """A job."""
    body = {"name": name, "command": command, "schedule": None, **values}
    made: dict[str, Any] = site.ask("POST", f"/projects/{project['id']}/jobs", body)
    return made


def runs_of(site: Site, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a job, newest first."""
    found: list[dict[str, Any]] = site.ask("GET", f"/jobs/{job['id']}/runs")["runs"]
    return found


def ended(site: Site, job: dict[str, Any], what: str) -> dict[str, Any]:
    """The newest run of a job, once it is over."""
    found: dict[str, Any] = wait_for(what, lambda: next((run for run in runs_of(site, job)[:1] if run["status"] in OVER), None))
    return found


def test_jobs_run_by_schedule_and_by_hand(site: Site, shop: Shop) -> None:
    project = site.project("with jobs", shop)
    site.deployed(project)
    site.ask("PUT", f"/projects/{project['id']}", {"suspended": False})
    every = "*/5 * * * *"
    # Airflow makes up for a time that is not five minutes ago, so nobody has to wait for the next one.
    scheduled = make(site, project, "all models", "sqlmesh run --ignore-cron", schedule=every, time_zone="Asia/Tokyo")
    off = make(site, project, "switched off", "sqlmesh run", schedule=every, enabled=False)
    by_hand = make(site, project, "checks", "sqlmesh test", environment={"LOOKBACK_DAYS": "3"})

    started = site.ask("POST", f"/jobs/{by_hand['id']}/run")
    run = ended(site, by_hand, "the run that was asked for")
    assert (run["id"], run["status"], run["command"]) == (started["job_run_id"], "success", "sqlmesh test"), run
    assert "cronjob_name" not in run
    log = site.ask("GET", f"/runs/{run['id']}/logs")
    assert log["run_id"] == run["id"]
    assert "test" in log["logs"], log

    run = ended(site, scheduled, "the run of the schedule")
    assert (run["status"], run["cronjob_name"], run["triggered_by"]) == ("success", scheduled["dag_id"], "scheduled"), run
    assert runs_of(site, off) == []
    ((number,),) = site.sql("SELECT count(*) FROM dag_run WHERE dag_id = %s", off["dag_id"])
    assert number == 0

    site.ask("POST", f"/jobs/{by_hand['id']}/run")
    under_way = wait_for(
        "a run to begin", lambda: next((one for one in runs_of(site, by_hand)[:1] if one["status"] == "running"), None)
    )
    answer = site.ask("POST", f"/runs/{under_way['id']}/cancel")
    assert answer == {"message": "Run cancelled successfully", "run_id": under_way["id"]}
    run = ended(site, by_hand, "the cancelled run")
    assert run["status"] == "error"
    assert run["error_message"].startswith("Cancelled by "), run
    wait_for("the runner to end", lambda: not site.runner_processes(under_way["id"]))

    site.ask("DELETE", f"/jobs/{by_hand['id']}")
    site.ask("PUT", f"/projects/{project['id']}", {"suspended": True})
