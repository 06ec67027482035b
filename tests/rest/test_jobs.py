"""Jobs over REST from end to end: made, changed, run, stopped and deleted, with the real services and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.services import projects, tokens
from tests.services.test_races import together
from tests.services.test_runs import deployed
from tests.services.world import World

pytestmark = pytest.mark.slow

Ask = Callable[..., Any]
BODY = {"name": "hourly", "command": "sqlmesh run --select-model 'a'", "schedule": "0 * * * *"}


def fields(answer: Any) -> list[str]:
    """The fields that a refusal names."""
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_request"), answer.text
    return [error["field"] for error in answer.get_json()["errors"]]


def test_the_life_of_a_job(ask: Ask, world: World) -> None:
    project = deployed(world)
    address = f"/projects/{project.id}/jobs"
    made = ask("POST", address, json={**BODY, "time_zone": "Europe/Berlin", "environment": {"days": "3"}})
    assert made.status_code == 201, made.text
    job = made.get_json()
    assert (job["enabled"], job["default"], job["resources"], job["environment"]) == (True, False, {}, {"DAYS": "3"})
    assert not [name for name, value in job.items() if value is None]
    listed = ask("GET", address).get_json()
    assert ([one["name"] for one in listed["jobs"]], listed["total"]) == (["scheduled-run", "hourly"], 2)
    world.parse(projects.get_project(world.actor(), project.id))
    assert "next_run_at" in ask("GET", f"/jobs/{job['id']}").get_json()

    started = ask("POST", f"/jobs/{job['id']}/run").get_json()
    assert started["job_name"].startswith("analytics-hourly-manual-")
    assert ask("DELETE", f"/jobs/{job['id']}").get_json()["code"] == "job_busy"
    assert ask("GET", f"/runs/{started['job_run_id']}/logs").get_json()["status"] == "pending"
    assert ask("GET", f"/jobs/{job['id']}/runs").get_json()["total"] == 1
    assert ask("POST", f"/runs/{started['job_run_id']}/cancel").get_json()["run_id"] == started["job_run_id"]
    assert ask("POST", f"/runs/{started['job_run_id']}/cancel").get_json()["code"] == "run_over"
    (run,) = ask("GET", f"/jobs/{job['id']}/runs?status=error").get_json()["runs"]
    assert (run["error_message"], run["job_id"]) == ("Cancelled by test", job["id"])

    changed = ask("PUT", f"/jobs/{job['id']}", json={"schedule": None, "time_zone": None, "name": "by hand"}).get_json()
    assert changed["name"] == "by hand"
    assert not {"schedule", "time_zone", "next_run_at"} & changed.keys()
    assert changed["dag_id"] == job["dag_id"], "renaming keeps the history"
    assert ask("DELETE", f"/jobs/{job['id']}").status_code == 200
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/runs")):
        sent = {"json": {}} if method in ("PUT", "POST") else {}
        assert ask(method, f"/jobs/{job['id']}{path}", **sent).status_code == 404


def test_two_jobs_of_one_name_at_once_are_one(ask: Ask, world: World, app: Any, headers: dict[str, str]) -> None:
    project = deployed(world)

    def make() -> int:
        address = f"/api/v1/projects/{project.id}/jobs"
        return int(app.test_client().post(address, json=BODY, headers=headers).status_code)

    assert sorted(together(*[make] * 5)) == [201, 409, 409, 409, 409]
    assert ask("GET", f"/projects/{project.id}/jobs").get_json()["total"] == 2


def test_two_sides_of_one_schedule(ask: Ask, world: World) -> None:
    project = deployed(world)
    (default,) = ask("GET", f"/projects/{project.id}/jobs").get_json()["jobs"]
    assert default["default"] is True
    ask("PUT", f"/jobs/{default['id']}", json={"schedule": "@daily"})
    assert ask("GET", f"/projects/{project.id}").get_json()["run_schedule"] == "@daily"
    ask("PUT", f"/projects/{project.id}", json={"run_schedule": None})
    assert "schedule" not in ask("GET", f"/jobs/{default['id']}").get_json()
    assert fields(ask("PUT", f"/jobs/{default['id']}", json={"command": "sqlmesh janitor"})) == ["command"]
    assert ask("DELETE", f"/jobs/{default['id']}").get_json()["code"] == "default_job"
    run = ask("POST", f"/projects/{project.id}/run").get_json()["job_run_id"]
    assert ask("GET", f"/jobs/{default['id']}/runs").get_json()["runs"][0]["id"] == run


@pytest.mark.parametrize(
    "command",
    ["sqlmesh plan", "sqlmesh run; true", "sqlmesh --gateway other run", "dbt run", "rm -rf /", "sqlmesh run --no-such-option"],
)
def test_commands_that_are_refused_say_why(ask: Ask, world: World, command: str) -> None:
    project = deployed(world)
    answer = ask("POST", f"/projects/{project.id}/jobs", json={**BODY, "command": command})
    assert fields(answer) == ["command"]
    assert len(answer.get_json()["errors"][0]["message"]) > 20
    assert ask("GET", f"/projects/{project.id}/jobs").get_json()["total"] == 1


def test_an_option_of_a_newer_version_is_refused_with_that_version(ask: Ask, world: World) -> None:
    project = deployed(world, sqlmesh_version="0.130.0")
    answer = ask("POST", f"/projects/{project.id}/jobs", json={**BODY, "command": "sqlmesh run --no-auto-upstream"})
    assert fields(answer) == ["command"]
    assert "0.136.0" in answer.get_json()["errors"][0]["message"]


@pytest.mark.parametrize(("state", "code"), [("suspended", "project_suspended"), ("undeployed", "project_not_deployed")])
def test_jobs_of_projects_that_do_not_run(ask: Ask, world: World, state: str, code: str) -> None:
    project = deployed(world)
    if state == "suspended":
        ask("PUT", f"/projects/{project.id}", json={"suspended": True})
    else:
        ask("DELETE", f"/projects/{project.id}/deploy")
    job = ask("POST", f"/projects/{project.id}/jobs", json=BODY).get_json()
    assert "next_run_at" not in job
    answer = ask("POST", f"/jobs/{job['id']}/run")
    assert (answer.status_code, answer.get_json()["code"]) == (409, code)


def test_a_limited_token_has_the_jobs_of_its_projects(app: Any, world: World) -> None:
    mine, other = deployed(world), deployed(world, "shop")
    root = system_actor(world.organization_id, "cli:root")
    secret = tokens.create(root, "limited", "developer", project_ids=[mine.id]).secret
    headers = {"Authorization": f"Bearer {secret}", "X-Organization-ID": world.organization_id}
    client = app.test_client()
    job = client.post(f"/api/v1/projects/{mine.id}/jobs", json=BODY, headers=headers)
    assert job.status_code == 201
    assert client.delete(f"/api/v1/jobs/{job.get_json()['id']}", headers=headers).status_code == 200
    assert client.post(f"/api/v1/projects/{other.id}/jobs", json=BODY, headers=headers).status_code == 404
    assert client.get(f"/api/v1/projects/{other.id}/jobs", headers=headers).status_code == 404
