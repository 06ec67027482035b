"""The pages of jobs: the list, the form with what is refused at its field, and the questions before a run and a deletion."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest

from dagctl_provider.domain.jobs import FIELDS, RESOURCES, Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import jobs, projects
from dagctl_provider.ui import job_form
from tests.services.executions import recorded
from tests.services.world import World, deploy_commit, sha

from .conftest import Browser, Shown, read
from .test_safety import HOSTILE

pytestmark = pytest.mark.slow

SENT = {"name": "nightly", "command": "sqlmesh run", "schedule": "30 6 * * 1-5", "enabled": "true"}


def deployed(world: World, **values: Any) -> Project:
    """A project with something to run."""
    project = world.project(**values)
    deploy_commit(project, sha("first"))
    return project


def made(world: World, project: Project, **values: Any) -> Job:
    """A job beside the default one."""
    return jobs.create_job(
        world.actor(), project.id, {"name": "nightly", "command": "sqlmesh run", "schedule": None, **values}
    ).job


def error_of(shown: Shown, name: str) -> str:
    """What stands at a field as wrong."""
    html = shown.html
    start = html.index(f'id="field-{name}-error"')
    return unescape(html[html.index(">", start) + 1 : html.index("</p>", start)])


def test_no_jobs_yet(browser: Browser, world: World) -> None:
    shown = browser.get(f"/dagctl/projects/{world.project().id}/jobs")
    assert shown.status == 200
    assert "Jobs run what is deployed. Nothing is deployed yet" in shown.text


def test_the_list_says_when_each_runs_and_how_it_went(browser: Browser, world: World) -> None:
    project = deployed(world)
    told = {
        "time_zone": "Europe/Berlin",
        "description": "every morning",
        "resources": {"cpu_limit": "2"},
        "environment": {"a": "b"},
    }
    job = made(world, project, schedule="30 6 * * 1-5", **told)
    off = made(world, project, name="off", enabled=False)
    run = recorded(project, job_id=job.id, status="failed")
    shown = browser.get(f"/dagctl/projects/{project.id}/jobs")
    for text in (
        "at 06:30, Monday through Friday",
        "Europe/Berlin",
        "sqlmesh run",
        "every morning",
        "A=b",
        "only on request",
        "default",
    ):
        assert text in shown.text, text
    links = shown.links()
    base = f"/pluginsv2/dagctl/projects/{project.id}"
    assert {
        f"{base}/runs/{run.id}",
        f"{base}/runs?job={job.id}",
        f"{base}/jobs/{job.id}/run",
        f"{base}/jobs/{job.id}/delete",
    } <= set(links)
    assert f"{base}/jobs/{off.id}/run" not in links, "what is disabled does not run"
    default = projects.get_project(world.actor(), project.id).job
    assert default is not None
    assert f"{base}/jobs/{default.id}/delete" not in links, "the default job stays"


def test_readers_see_jobs_and_change_none(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project)
    browser.actor = world.actor("reader")
    shown = browser.get(f"/dagctl/projects/{project.id}/jobs")
    assert "nightly" in shown.text
    assert not [link for link in shown.links() if "/jobs/" in link]
    for path in ("new", job.id, f"{job.id}/run", f"{job.id}/delete"):
        assert browser.get(f"/dagctl/projects/{project.id}/jobs/{path}").status == 403
        assert browser.post(f"/dagctl/projects/{project.id}/jobs/{path}", SENT).status_code == 403


def test_a_job_is_made(browser: Browser, world: World) -> None:
    project = deployed(world)
    form = {
        **SENT,
        "time_zone": "Europe/Berlin",
        "description": "",
        "resources.memory_limit": "8Gi",
        "environment": "LOOKBACK=3\r\n\r\nB = x=y",
        "slack_channel": "#data",
        "slack_alerts_enabled": "true",
    }
    answer = browser.post(f"/dagctl/projects/{project.id}/jobs/new", form)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        f"/pluginsv2/dagctl/projects/{project.id}/jobs?said=job_created",
    )
    job = next(one.job for one in jobs.list_jobs(world.actor(), project.id) if not one.default)
    assert (job.name, job.schedule, job.time_zone, job.enabled) == ("nightly", "30 6 * * 1-5", "Europe/Berlin", True)
    assert job.resources == {"memory_limit": "8Gi"}
    assert job.environment == {"LOOKBACK": "3", "B": "x=y"}
    assert (job.value("slack_alerts_enabled"), job.value("slack_alert_on_success")) == (True, False)
    shown = browser.get(f"/dagctl/projects/{project.id}/jobs/{job.id}")
    assert "Runs at 06:30, Monday through Friday; next on" in shown.text
    assert "LOOKBACK=3\nB=x=y" in shown.html
    assert shown.fields()["resources.memory_limit"]["value"] == "8Gi"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "This is needed."),
        ("name", "-", "Not accepted."),
        ("name", "Scheduled-Run", "has a job named"),
        ("command", "", "This is needed."),
        ("command", "sqlmesh plan", "a plan"),
        ("command", "sqlmesh run; rm -rf /", "';'"),
        ("command", "dbt run", "sqlmesh"),
        ("schedule", "0 0 30 2 *", "no such day"),
        ("schedule", "* * * * *", "5 minutes"),
        ("time_zone", "Mars/Olympus", "time zone"),
        ("resources.cpu_limit", "lots", "cpu_limit"),
        ("environment", "A=1\nnonsense", "line 2 must be NAME=value"),
        ("environment", "A=1\nA=2", "line 2 names A once more"),
        ("environment", "PATH=/evil", "PATH"),
        ("slack_alerts_enabled", "true", ""),
    ],
)
def test_what_is_refused_is_said_at_its_field_and_nothing_is_lost(
    browser: Browser, world: World, field: str, value: str, said: str
) -> None:
    project = deployed(world)
    before = len(jobs.list_jobs(world.actor(), project.id))
    form = {**SENT, "description": "kept", field: value}
    answer = browser.post(f"/dagctl/projects/{project.id}/jobs/new", form)
    shown = read(answer)
    assert answer.status_code in (409, 422)
    at = "slack_channel" if field == "slack_alerts_enabled" else field
    assert said.lower() in error_of(shown, at).lower() != ""
    assert "kept" in shown.html
    assert value.split("\n")[-1] in shown.text + "".join(str(own.get("value")) for own in shown.fields().values())
    assert len(jobs.list_jobs(world.actor(), project.id)) == before


def test_only_what_differs_is_changed(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project, environment={"A": "1"}, resources={"cpu_limit": "2"}, slack_channel="#x")
    edited = f"/dagctl/projects/{project.id}/jobs/{job.id}"
    form = {"name": "nightly", "command": "sqlmesh janitor", "schedule": "@daily", "environment": "", "resources.cpu_limit": ""}
    answer = browser.post(edited, form)
    assert answer.headers["Location"].endswith("?said=job_saved")
    found = jobs.get_job(world.actor(), job.id).job
    assert (found.command, found.schedule, found.enabled, found.environment, found.resources) == (
        "sqlmesh janitor",
        "@daily",
        False,
        {},
        {},
    )
    again = browser.post(edited, {**form, "name": ""})
    assert "Not accepted." in error_of(read(again), "name")


def test_the_default_job_keeps_its_command(browser: Browser, world: World) -> None:
    project = deployed(world)
    (default,) = jobs.list_jobs(world.actor(), project.id)
    edited = f"/dagctl/projects/{project.id}/jobs/{default.job.id}"
    assert "The default job runs what is deployed" in browser.get(edited).text
    answer = browser.post(edited, {**SENT, "name": "scheduled-run", "command": "sqlmesh janitor"})
    assert "stays 'run' in the default job" in read(answer).text
    assert browser.post(edited, {**SENT, "name": "scheduled-run", "command": "run"}).status_code == 303
    assert projects.get_project(world.actor(), project.id).settings["run_schedule"] == SENT["schedule"], "one schedule, two views"


def test_a_form_is_judged_while_somebody_types(browser: Browser, world: World) -> None:
    project = deployed(world)
    form = {"intent": "check", "name": "x", "command": "sqlmesh plan", "schedule": "@daily", "time_zone": "Asia/Tokyo"}
    told = browser.post(f"/dagctl/projects/{project.id}/jobs/new", form).get_json()
    assert set(told["errors"]) == {"command"}
    assert "(JST)" in told["hints"]["schedule"]
    told = browser.post(f"/dagctl/projects/{project.id}/jobs/new", {**form, "schedule": "x", "environment": "y"}).get_json()
    assert "environment" in told["errors"]
    assert len(jobs.list_jobs(world.actor(), project.id)) == 1


def test_a_job_is_run_and_cancelled(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project)
    asked = f"/dagctl/projects/{project.id}/jobs/{job.id}/run"
    assert "It does 'sqlmesh run' with the deployed commit" in browser.get(asked).text
    answer = browser.post(asked)
    address = answer.headers["Location"].removeprefix("/pluginsv2")
    shown = browser.get(address)
    assert (shown.status, "A run is queued." in shown.text, "Cancel the run" in shown.text) == (200, True, True)
    run = address.partition("?")[0]
    log = browser._send("GET", f"{run}/log", None, {})
    assert (log.status_code, log.headers["X-Dagctl-Step-Status"]) == (200, "running")
    assert "ended" in browser.get(f"{run}/cancel").text
    answer = browser.post(f"{run}/cancel")
    assert answer.headers["Location"].endswith("?said=run_cancelled")
    shown = browser.get(run)
    assert "Error" in shown.text
    assert "Cancel the run" not in shown.text
    assert browser._send("GET", f"{run}/log", None, {}).headers["X-Dagctl-Step-Status"] == "completed"
    assert "over" in read(browser.post(f"{run}/cancel")).text, "once is enough"


def test_a_run_in_airflow_leads_to_its_page(browser: Browser, world: World) -> None:
    project = deployed(world)
    started = jobs.run_job(world.actor(), made(world, project).id)
    dag_id = next(one.job.dag_id for one in jobs.list_jobs(world.actor(), project.id) if not one.default)
    answer = browser._send("GET", f"/dagctl/runs/{dag_id}/{started.run_id}", None, {})
    assert answer.headers["Location"] == f"/pluginsv2/dagctl/projects/{project.id}/runs/{started.run_id}"


def test_a_job_that_cannot_run_says_why(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project, enabled=False)
    answer = browser.post(f"/dagctl/projects/{project.id}/jobs/{job.id}/run")
    assert (answer.status_code, "disabled" in read(answer).text) == (409, True)


def test_a_job_is_deleted_and_its_runs_stay(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project)
    run = recorded(project, job_id=job.id)
    asked = f"/dagctl/projects/{project.id}/jobs/{job.id}/delete"
    assert "Its Dag is withdrawn" in browser.get(asked).text
    assert browser.post(asked).headers["Location"].endswith("?said=job_deleted")
    assert browser.get(asked).status == 404
    assert "deleted" in browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}").text
    assert "A job that is deleted" in browser.get(f"/dagctl/projects/{project.id}/runs").text


def test_jobs_and_runs_of_another_project_are_not_there(browser: Browser, world: World) -> None:
    one, other = deployed(world, name="one"), deployed(world, name="other")
    job, run = made(world, one), recorded(one)
    for path in (f"jobs/{job.id}", f"jobs/{job.id}/run", f"jobs/{job.id}/delete", f"runs/{run.id}/log", f"runs/{run.id}/cancel"):
        assert browser.get(f"/dagctl/projects/{other.id}/{path}").status == 404, path
        if "log" not in path:
            assert browser.post(f"/dagctl/projects/{other.id}/{path}", SENT).status_code == 404, path
    assert jobs.get_job(world.actor(), job.id).job == job


def test_another_site_cannot_run_change_or_delete(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project)
    for path in ("new", job.id, f"{job.id}/run", f"{job.id}/delete"):
        answer = browser.post(f"/dagctl/projects/{project.id}/jobs/{path}", SENT, Sec_Fetch_Site="cross-site")
        assert answer.status_code == 403


def test_hostile_texts_are_only_ever_text(browser: Browser, world: World) -> None:
    project = deployed(world)
    job = made(world, project, description=HOSTILE, environment={"A": HOSTILE})
    for path in ("jobs", f"jobs/{job.id}"):
        shown = browser.get(f"/dagctl/projects/{project.id}/{path}")
        assert shown.status == 200
        assert "onerror" not in {name for _, own in shown.elements for name in own}
        assert all("src" in own for own in shown.all("script"))
    answer = browser.post(f"/dagctl/projects/{project.id}/jobs/new", dict.fromkeys((*SENT, "environment"), HOSTILE))
    assert "onerror" not in {name for _, own in read(answer).elements for name in own}


def test_every_field_stands_in_the_form() -> None:
    named = {name for group in job_form.GROUPS for name in group.fields}
    assert named == ({*FIELDS} - {"resources"}) | {f"resources.{name}" for name in RESOURCES}
    assert named <= {*job_form.LABELS}
    assert named <= {*job_form.HINTS, "command"}
