"""Jobs as the doors and the controller use them: rules, races, Dags, turns, and what a run of one is granted."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.dag_factory import run_dags
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.executions import Execution
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.jobs import MOST_JOBS
from dagctl_provider.domain.names import RUN, project_variable
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.orchestration import dags, schedules
from dagctl_provider.services import audit, jobs, plans, projects, protections, runs, variables
from dagctl_provider.services.audit import AuditFilter
from dagctl_provider.services.lifecycle import publishing
from dagctl_provider.services.results import PlanApproved, ShownJob
from dagctl_provider.services.turns import dispatching, granting, scheduled_runs
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow
from tests.services.test_granting import clear, grant_of
from tests.services.test_plans import refused
from tests.services.test_races import together
from tests.services.test_runs import by_itself, deployed, state_of
from tests.services.test_variables import given_to
from tests.services.world import World

COMMAND = "sqlmesh run --select-model 'a'"


def make(world: World, project: Project, name: str = "hourly", parsed: bool = True, **values: Any) -> ShownJob:
    """A job whose Dag Airflow knows."""
    made = jobs.create_job(world.actor(), project.id, {"name": name, "command": COMMAND, "schedule": "0 * * * *", **values})
    if parsed:
        world.parse(projects.get_project(world.actor(), project.id))
    return made


def published(project: Project) -> dict[str, Any]:
    """What workers read of the project."""
    found = transactions.run(dags.read_projects)
    return found[project_variable(project.dag_id)]


def granted(run_id: str) -> dict[str, Any]:
    """What the task of a run was granted, once it has started."""
    run = transactions.run(lambda session: run_rows.get_run(session, run_id))
    assert run is not None
    grant = grant_of(run.dag_id, run.run_id, RUN)
    assert grant is not None
    return {"request": grant.request, "refusal": grant.refusal}


def begun(world: World, job: ShownJob, run_id: str) -> dict[str, Any]:
    """Let the task of a run start and be granted; what the grant says."""
    run = transactions.run(lambda session: run_rows.get_run(session, run_id))
    assert run is not None
    world.begin_task(job.job.dag_id, run.run_id, "run")
    granting.grant_all()
    return granted(run_id)


def run_rows_of(project: Project) -> list[ProjectRun]:
    """The runs on record, oldest first."""
    return transactions.run(lambda session: run_rows.runs_of(session, project.id))


def execution(run_id: str) -> Execution:
    """A run as the metrics have it."""
    found = transactions.run(lambda session: execution_rows.get_execution(session, run_id))
    assert found is not None
    return found


def start(world: World, job: ShownJob) -> str:
    return jobs.run_job(world.actor(), job.job.id).run_id


def test_a_job_gets_a_dag_of_its_own(world: World) -> None:
    project = deployed(world)
    made = make(world, project, time_zone="Europe/Berlin")
    assert made.job.dag_id.startswith(f"{project.dag_id}__hourly-")
    assert project_variable(made.job.dag_id) == project.dag_id
    assert not made.default
    assert [one.job.name for one in jobs.list_jobs(world.actor(), project.id)] == ["scheduled-run", "hourly"]
    assert published(project)["jobs"] == [
        {"dag_id": made.job.dag_id, "name": "hourly", "schedule": "0 * * * *", "time_zone": "Europe/Berlin"}
    ]
    assert jobs.get_job(world.actor(), made.job.id).next_run_at is not None


def test_the_dags_of_jobs_are_made_from_what_is_published(world: World) -> None:
    project = deployed(world)
    made = make(world, project, time_zone="America/New_York", schedule="30 2 * * *")
    spec = publishing.DagSpec.from_json(published(project))
    default, further = run_dags(spec)
    assert (default.dag_id, further.dag_id) == (project.run_dag_id, made.job.dag_id)
    assert further.get_task("run").pool == default.get_task("run").pool, "jobs of a project take turns"
    assert str(further.timetable.timezone) == "America/New_York"  # type: ignore[attr-defined]


def test_what_is_published_without_further_jobs_is_what_it_was(world: World) -> None:
    project = deployed(world, run_schedule="@daily")
    assert not {"jobs", "time_zone"} & published(project).keys()


@pytest.mark.parametrize("how", ["disabled", "suspended", "undeployed"])
def test_a_job_that_does_not_run_has_no_schedule(world: World, how: str) -> None:
    project = deployed(world)
    made = make(world, project)
    due = transactions.run(lambda session: schedules.next_runs(session, [made.job.dag_id]))
    assert due[made.job.dag_id].at is not None
    if how == "disabled":
        jobs.update_job(world.actor(), made.job.id, {"enabled": False})
    elif how == "suspended":
        projects.update_project(world.actor(), project.id, {"suspended": True})
    else:
        projects.undeploy(world.actor(), project.id)
    coming = transactions.run(lambda session: schedules.next_runs(session, [made.job.dag_id]))[made.job.dag_id]
    assert coming.at is None, "the scheduler starts nothing until the Dag is parsed again"
    if how == "undeployed":
        assert coming.paused
    else:
        assert "schedule" not in published(project)["jobs"][0]
    with refused({"disabled": "job_disabled", "suspended": "project_suspended", "undeployed": "project_not_deployed"}[how]):
        start(world, made)


def test_names_are_unique_without_regard_to_case(world: World) -> None:
    project = deployed(world)
    made = make(world, project, "Hourly")
    other = make(world, project, "daily")
    for name in ("hourly", "SCHEDULED-RUN"):
        with refused("name_taken"):
            make(world, project, name)
        with refused("name_taken"):
            jobs.update_job(world.actor(), other.job.id, {"name": name})
    jobs.update_job(world.actor(), made.job.id, {"name": "HOURLY"})
    make(world, world.project("shop"), "hourly")


def test_two_jobs_of_one_name_made_at_once(world: World) -> None:
    project = deployed(world)

    outcomes = together(*[lambda: make(world, project, parsed=False)] * 4)
    assert [one.code for one in outcomes if isinstance(one, DagctlError)] == ["name_taken"] * 3


def test_a_project_has_a_limited_number_of_jobs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = deployed(world)
    monkeypatch.setattr(jobs, "MOST_JOBS", 2)
    make(world, project, parsed=False)
    with refused("too_many_jobs"):
        make(world, project, "another", parsed=False)
    assert MOST_JOBS == 100


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"command": "sqlmesh plan prod"}, "command"),
        ({"command": "sqlmesh run; rm -rf /"}, "command"),
        ({"command": "dbt run"}, "command"),
        ({"resources": {"cpu_request": "3", "cpu_limit": "1"}}, "resources"),
        ({"resources": {"memory_request": "64Gi"}}, "resources"),
        ({"slack_alerts_enabled": True}, "slack_channel"),
        ({"slack_alert_on_success": True}, "slack_channel"),
    ],
)
def test_what_does_not_fit_names_its_field(world: World, values: dict[str, Any], field: str) -> None:
    project = deployed(world)
    made = make(world, project)
    for act in (lambda: make(world, project, "other", **values), lambda: jobs.update_job(world.actor(), made.job.id, values)):
        with pytest.raises(DagctlError) as caught:
            act()
        assert caught.value.code == "invalid_request"
        assert [error["field"] for error in caught.value.extra["errors"]] == [field]
    assert len(jobs.list_jobs(world.actor(), project.id)) == 2, "nothing half done"


def test_the_default_job_stays(world: World) -> None:
    project = deployed(world)
    default = jobs.list_jobs(world.actor(), project.id)[0]
    assert default.default
    with refused("default_job"):
        jobs.delete_job(world.actor(), default.job.id)
    with refused("invalid_request"):
        jobs.update_job(world.actor(), default.job.id, {"command": "sqlmesh janitor"})
    changed = jobs.update_job(world.actor(), default.job.id, {"schedule": "@daily", "command": "run", "time_zone": "Asia/Tokyo"})
    assert changed.job.schedule == "@daily"
    now = projects.get_project(world.actor(), project.id)
    assert now.settings["run_schedule"] == "@daily", "one mechanism, two views"
    assert (published(project)["schedule"], published(project)["time_zone"]) == ("@daily", "Asia/Tokyo")
    projects.update_project(world.actor(), project.id, {"run_schedule": "@hourly"})
    assert jobs.get_job(world.actor(), default.job.id).job.schedule == "@hourly"
    jobs.update_job(world.actor(), default.job.id, {"enabled": False})
    assert projects.get_project(world.actor(), project.id).active_schedule is None
    assert projects.get_project(world.actor(), project.id).settings["run_schedule"] == "@hourly"


def test_running_the_project_makes_its_default_job(world: World) -> None:
    project = deployed(world)
    transactions.run(lambda session: job_rows.delete_jobs(session, project.id))
    run = projects.run_project(world.actor(), project.id).run_id
    default = jobs.list_jobs(world.actor(), project.id)[0]
    assert default.default
    assert execution(run).job_id == default.job.id


def test_permissions(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    reader = world.actor("reader", "rita")
    assert jobs.list_jobs(reader, project.id)
    for act in (
        lambda: jobs.create_job(reader, project.id, {"name": "x", "command": "run", "schedule": None}),
        lambda: jobs.update_job(reader, made.job.id, {"enabled": False}),
        lambda: jobs.delete_job(reader, made.job.id),
        lambda: jobs.run_job(reader, made.job.id),
    ):
        with refused("forbidden"):
            act()
    developer = world.actor("developer", "dora")
    jobs.update_job(developer, made.job.id, {"enabled": False})
    jobs.delete_job(developer, made.job.id)


def test_a_deleted_job_takes_its_dag_with_it(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    run = start(world, made)
    with refused("job_busy"):
        jobs.delete_job(world.actor(), made.job.id)
    runs.cancel(world.actor(), run)
    jobs.delete_job(world.actor(), made.job.id)
    assert "jobs" not in published(project)
    coming = transactions.run(lambda session: schedules.next_runs(session, [made.job.dag_id]))[made.job.dag_id]
    assert (coming.at, coming.paused) == (None, True)
    with refused("not_found"):
        jobs.get_job(world.actor(), made.job.id)
    assert execution(run).status == "error", "what it did stays"
    projects.delete_project(world.actor(), project.id)


def test_a_run_does_what_its_job_says(world: World) -> None:
    project = deployed(world)
    for name, value in (("DAYS", "1"), ("OTHER", "2")):
        variables.create_variable(world.actor(), {"name": name, "value": value})
    made = make(world, project, resources={"memory_limit": "8Gi"}, environment={"days": "3"})
    assert made.job.environment == {"DAYS": "3"}, "one spelling for variables"
    found = begun(world, made, start(world, made))["request"]
    assert found["job_command"] == COMMAND
    assert (found["resources"]["memory_limit"], found["resources"]["cpu_limit"]) == ("8Gi", "2000m")
    assert "DAYS" not in json.dumps(found), "variables go the sealed way"
    run = run_rows_of(project)[0]
    given = given_to(run.dag_id, run.run_id, RUN)
    assert {name: one.value for name, one in given.items()} == {"DAYS": "3", "OTHER": "2"}, "the nearer one wins"


def test_the_variables_of_the_organization_are_not_a_developers_to_change(world: World) -> None:
    project = deployed(world)
    variables.create_variable(world.actor(), {"name": "DB_HOST", "value": "db.example"})
    developer, values = world.actor("developer", "dora"), {"name": "x", "command": "run", "schedule": None}
    with refused("invalid_request"):
        jobs.create_job(developer, project.id, {**values, "environment": {"db_host": "evil.example"}})
    made = jobs.create_job(world.actor(), project.id, {**values, "environment": {"DB_HOST": "test.example"}})
    jobs.update_job(developer, made.job.id, {"environment": {"DB_HOST": "test.example", "OTHER": "1"}})
    with refused("invalid_request"):
        jobs.update_job(developer, made.job.id, {"environment": {"DB_HOST": "evil.example"}})


def left(project: Project, *rows: tuple[str, tuple[str, ...] | None]) -> None:
    """Runs that have ended, oldest first: how, and what they left to do again."""
    for number, (status, remaining) in enumerate(rows):
        at = utcnow() + timedelta(minutes=number)
        values: Any = {"status": status, "remaining": remaining, "command": "dbt build --select a", "job_id": "job_1"}
        run = Execution(new_id("run_"), project.id, "run", "a", triggered_by="ada", created_at=at, updated_at=at, **values)
        transactions.run(lambda session, run=run: execution_rows.insert_execution(session, run))


@pytest.mark.parametrize(
    ("before", "nodes"),
    [
        ([], None),
        ([("failed", ("model.a", "model.b"))], ["model.a", "model.b"]),
        ([("failed", ("model.a",)), ("partial", ("model.b",))], ["model.b"]),
        ([("failed", ("model.a",)), ("error", None)], ["model.a"]),
        ([("failed", ("model.a",)), ("success", ())], None),
        ([("failed", ("model.a",)), ("success", None)], None),
    ],
)
def test_a_retry_gets_what_the_last_run_left(world: World, before: list[Any], nodes: list[str] | None) -> None:
    project = deployed(world, project_type="dbt")
    made = make(world, project, command="dbt retry")
    left(project, *before)
    inputs = begun(world, made, start(world, made))["request"].get("inputs") or {}
    found = json.loads(gzip.decompress(base64.b64decode(inputs["retry"]))) if "retry" in inputs else None
    assert found == ({"command": "dbt build --select a", "nodes": nodes} if nodes else None)


def test_other_commands_of_dbt_get_no_retry(world: World) -> None:
    project = deployed(world, project_type="dbt")
    made = make(world, project, command="dbt test")
    left(project, ("failed", ("model.a",)))
    assert "inputs" not in begun(world, made, start(world, made))["request"]


def test_an_execute_of_dbt_hears_of_all_jobs(world: World) -> None:
    project = world.project("shop", project_type="dbt")
    made = make(world, project, command="dbt test")
    done = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(done, PlanApproved)
    grant = grant_of(done.execute.dag_id, done.execute.run_id, "execute")
    assert grant is not None
    assert grant.request["job_dag_ids"] == [made.job.dag_id]


def test_the_default_run_says_no_command(world: World) -> None:
    project = deployed(world)
    default = jobs.list_jobs(world.actor(), project.id)[0]
    assert "job_command" not in begun(world, default, start(world, default))["request"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"enabled": False}, "job_disabled"), ({"command": "sqlmesh janitor"}, None)],
)
def test_what_changed_before_a_run_began_counts(world: World, change: dict[str, Any], code: str | None) -> None:
    project = deployed(world)
    made = make(world, project)
    run = start(world, made)
    jobs.update_job(world.actor(), made.job.id, change)
    found = begun(world, made, run)
    if code is not None:
        assert found["refusal"]["code"] == code
    else:
        assert found["request"]["job_command"] == change["command"]
        assert (execution(run).command, execution(run).job_type) == (change["command"], "janitor")


def test_a_command_that_the_deployed_version_does_not_take_is_refused(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    run = start(world, made)
    job = made.job
    # As an older version of this package, with another table of commands, may have stored it.
    transactions.run(lambda session: job_rows.update_job(session, type(job)(**{**vars(job), "command": "sqlmesh fly"})))
    found = begun(world, made, run)
    assert found["refusal"]["code"] == "command_refused"
    with refused("command_refused"):
        start(world, made)


def test_a_further_try_is_refused_what_is_refused_by_now(world: World) -> None:
    """Rather than wait for a grant that never comes."""
    project = deployed(world)
    made = make(world, project)
    run = start(world, made)
    assert begun(world, made, run)["refusal"] is None
    job = made.job
    transactions.run(lambda session: job_rows.update_job(session, type(job)(**{**vars(job), "command": "sqlmesh fly"})))
    clear(SimpleNamespace(dag_id=job.dag_id, run_id=run, task_id=RUN))  # type: ignore[arg-type]
    world.begin_task(job.dag_id, run, RUN)
    granting.grant_all()
    assert granted(run)["refusal"]["code"] == "command_refused"


def test_another_environment_is_asked_for_at_each_door_and_never_by_itself(world: World) -> None:
    project = deployed(world)
    # Only such an environment can be protected as a project of the organization has.
    world.project("other", sqlmesh_environment="dev")
    values = {"command": "sqlmesh invalidate dev"}
    made = make(world, project, "cleaning", **values)
    protections.create_protection(world.actor(), {"environment_name": "dev", "enabled": True})
    for act in (
        lambda: make(world, project, "again", **values),
        lambda: jobs.update_job(world.actor(), made.job.id, {"schedule": "@daily"}),
        lambda: start(world, made),
    ):
        with refused("environment_protected"):
            act()
    jobs.update_job(world.actor(), made.job.id, {"description": "still mine"})
    by_dag(world, project, made)
    scheduled_runs.follow()
    found = transactions.run(lambda session: run_rows.runs_of(session, project.id))[0]
    assert begun(world, made, found.id)["refusal"]["code"] == "environment_protected"
    jobs.update_job(world.actor(), made.job.id, {"enabled": False})


def by_dag(world: World, project: Project, made: ShownJob, hour: int = 12) -> str:
    """A run that the schedule of a job starts."""
    return by_itself(SimpleNamespace(run_dag_id=made.job.dag_id), hour)  # type: ignore[arg-type]


def test_forbid_holds_for_all_jobs_together(world: World) -> None:
    project = deployed(world, concurrency_policy="Forbid")
    one, other = make(world, project), make(world, project, "daily")
    run = start(world, one)
    with refused("run_in_progress"):
        start(world, other)
    with refused("run_in_progress"):
        projects.run_project(world.actor(), project.id)
    runs.cancel(world.actor(), run)
    start(world, other)


def test_replace_ends_the_older_run_of_any_job(world: World) -> None:
    project = deployed(world, concurrency_policy="Replace")
    one, other = make(world, project), make(world, project, "daily")
    first = start(world, one)
    second = start(world, other)
    assert state_of(first)[0] == "failed"
    assert state_of(second)[0] == "queued"
    third = by_dag(world, project, one)
    assert scheduled_runs.follow() == 1
    assert (state_of(second)[0], state_of(third)[0]) == ("failed", "queued")


def test_a_busy_job_holds_the_project(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    by_dag(world, project, made)
    with refused("project_busy"):
        projects.undeploy(world.actor(), project.id)


def test_runs_by_schedule_are_on_record_with_their_job(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    by_dag(world, project, made)
    scheduled_runs.follow()
    found = jobs.list_job_runs(world.actor(), made.job.id)
    assert found.total == 1
    assert (found.items[0].job_id, found.items[0].cronjob_name) == (made.job.id, made.job.dag_id)
    assert found.items[0].job_name == "analytics-hourly-20260428-120000"
    default = jobs.list_jobs(world.actor(), project.id)[0]
    assert jobs.list_job_runs(world.actor(), default.job.id).total == 0


def test_cancelling_a_run_that_runs(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    run = start(world, made)
    begun(world, made, run)
    cancelled = runs.cancel(world.actor("developer", "dora"), run)
    assert (cancelled.status, cancelled.error_code, cancelled.error_message) == ("error", "cancelled", "Cancelled by dora")
    assert state_of(run) == ("failed", "failed")
    assert cancelled.duration_seconds is not None
    assert (execution(run).status, execution(run).end_time) == ("error", cancelled.end_time)
    with refused("run_over"):
        runs.cancel(world.actor(), run)


def test_cancelling_a_run_that_waits_takes_it_back(world: World) -> None:
    project = deployed(world)
    made = make(world, project, parsed=False)
    run = start(world, made)
    assert state_of(run) == (None, None)
    assert runs.cancel(world.actor(), run).status == "error"
    world.parse(project)
    assert dispatching.dispatch_waiting_runs() == 0
    assert state_of(run) == (None, None)


def test_cancelling_at_once_cancels_once(world: World) -> None:
    project = deployed(world)
    run = start(world, make(world, project))

    outcomes = together(*[lambda: runs.cancel(world.actor(), run)] * 3)
    assert [one.code for one in outcomes if isinstance(one, DagctlError)] == ["run_over"] * 2


def test_readers_cancel_nothing_and_others_see_nothing(world: World) -> None:
    project = deployed(world)
    run = start(world, make(world, project))
    with refused("forbidden"):
        runs.cancel(world.actor("reader"), run)
    with refused("not_found"):
        runs.cancel(world.actor(), "run_unknown")


def test_what_is_on_record_of_jobs(world: World) -> None:
    project = deployed(world)
    made = make(world, project, environment={"TOKEN_PART": "hush"})
    jobs.update_job(world.actor(), made.job.id, {"schedule": "@daily", "environment": {"TOKEN_PART": "hush hush"}})
    runs.cancel(world.actor(), start(world, made))
    jobs.delete_job(world.actor(), made.job.id)
    entries = audit.list_entries(world.actor(), AuditFilter()).items
    mine = [(one.verb, one.object_kind) for one in entries if one.object_kind in ("job", "run")]
    assert mine == [("removed", "job"), ("cancelled", "run"), ("run", "job"), ("changed", "job"), ("created", "job")]
    assert not any("hush" in f"{one.before}{one.after}" for one in entries)
    assert any("TOKEN_PART" in str(one.after) for one in entries)


def test_deleting_a_project_removes_its_jobs(world: World) -> None:
    project = deployed(world)
    made = make(world, project)
    projects.delete_project(world.actor(), project.id)
    assert transactions.run(lambda session: job_rows.get_job(session, made.job.id)) is None
    assert transactions.run(lambda session: project_rows.get_project(session, project.id)) is None
