"""Runs: what schedules, concurrency_policy, max_concurrent_job_runs, suspended and the history limits do to them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import run_step_id
from dagctl_provider.orchestration import runs as airflow_runs
from dagctl_provider.orchestration import schedules
from dagctl_provider.services import plans, projects
from dagctl_provider.services.lifecycle import publishing
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import dispatching, scheduled_runs
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow
from tests.services.test_plans import refused
from tests.services.test_races import together
from tests.services.world import World, deploy_commit, runs_do, sha


def deployed(world: World, name: str = "analytics", **values: Any) -> Project:
    """A project that can be run: it has a deployed commit."""
    project = world.project(name, **values)
    deploy_commit(project, sha("first"))
    return projects.get_project(world.actor(), project.id)


def start(world: World, project: Project) -> str:
    """Ask for a run; its id."""
    return projects.run_project(world.actor(), project.id).run_id


def state_of(run_id: str) -> tuple[str | None, str | None]:
    """State of the Dag run and of its task; ``None`` for what does not exist."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    def work(session: Any) -> tuple[str | None, str | None]:
        run = session.execute(select(DagRun.state).where(DagRun.run_id == run_id)).scalar()
        task = session.execute(select(TaskInstance.state).where(TaskInstance.run_id == run_id)).scalar()
        return (None if run is None else str(run), None if task is None else str(task))

    return transactions.run(work)


def by_itself(project: Project, hour: int = 12, kind: str = "scheduled") -> str:
    """A run that Airflow's scheduler starts, or with ``manual`` a person with the Trigger button; its id."""
    from airflow.models.dagbag import DBDagBag
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    moment = datetime(2026, 4, 28, hour, tzinfo=timezone.utc)
    run_id = f"{kind}__{moment.isoformat()}"

    def work(session: Any) -> None:
        dag: Any = DBDagBag().get_latest_version_of_dag(project.run_dag_id, session=session)
        dag.create_dagrun(
            run_id=run_id,
            logical_date=moment,
            data_interval=(moment, moment),
            run_after=moment,
            run_type=DagRunType(kind),
            triggered_by=DagRunTriggeredByType.TEST,
            triggering_user_name=None if kind == "scheduled" else "eve",
            state=DagRunState.QUEUED,
            session=session,
        )

    transactions.run(work)
    return run_id


def next_run(world: World, project: Project) -> datetime | None:
    """When Airflow would start the next run, once it has parsed the Dag again."""
    world.parse(projects.get_project(world.actor(), project.id))
    return due(project)


def due(project: Project) -> datetime | None:
    """When Airflow would start the next run, as things stand."""
    return transactions.run(lambda session: schedules.next_runs(session, [project.run_dag_id]))[project.run_dag_id].at


def end(run_id: str, state: str, minutes_ago: float = 60) -> None:
    """Let a Dag run and its task end."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import update

    ended = utcnow() - timedelta(minutes=minutes_ago)

    def work(session: Any) -> None:
        for model in (DagRun, TaskInstance):
            session.execute(update(model).where(model.run_id == run_id).values(state=state, end_date=ended))

    transactions.run(work)


def begin(run_id: str) -> None:
    """Let a worker take up the run."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import update

    transactions.run(
        lambda session: session.execute(update(TaskInstance).where(TaskInstance.run_id == run_id).values(state="running"))
    )


def on_record(project: Project) -> list[str]:
    """Dag run ids of the runs in our table, oldest first."""
    return [row.run_id for row in transactions.run(lambda session: run_rows.runs_of(session, project.id))]


def test_allow_adds_run_to_run_and_airflow_holds_the_maximum(world: World) -> None:
    project = deployed(world, concurrency_policy="Allow")
    assert publishing.dag_spec(project).max_active_job_runs == 16
    project = projects.update_project(world.actor(), project.id, {"max_concurrent_job_runs": 2})
    assert publishing.dag_spec(project).max_active_job_runs == 2
    started = [start(world, project) for _ in range(3)]
    assert [state_of(one)[0] for one in started] == ["queued"] * 3
    assert on_record(project) == started


def test_forbid_refuses_while_a_run_is_not_over(world: World) -> None:
    project = deployed(world, concurrency_policy="Forbid")
    first = start(world, project)
    with refused("run_in_progress") as caught:
        start(world, project)
    assert caught.value.extra["running_runs"] == [first]
    begin(first)
    with refused("run_in_progress"):
        start(world, project)
    end(first, "success")
    second = start(world, project)
    end(second, "failed")
    third = start(world, project)
    assert on_record(project) == [first, second, third]


def test_forbid_counts_what_airflow_does_not_have_yet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_provider.orchestration import dags

    project = deployed(world, concurrency_policy="Forbid")
    with monkeypatch.context() as patched:
        patched.setattr(dags, "is_ready", lambda session, dag_id: False)
        start(world, project)
        with refused("run_in_progress"):
            start(world, project)


def test_replace_stops_the_running_one_and_starts_the_new(world: World) -> None:
    project = deployed(world, concurrency_policy="Replace")
    assert publishing.dag_spec(project).max_active_job_runs == 2, "the newer one has to be there to be seen"
    first = start(world, project)
    begin(first)
    second = start(world, project)
    assert state_of(first) == ("failed", "failed")
    assert state_of(second)[0] == "queued"
    third = start(world, project)
    assert state_of(second) == ("failed", "skipped"), "it had not begun"
    assert state_of(third)[0] == "queued"


def test_replace_takes_back_what_airflow_does_not_have_yet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_provider.orchestration import dags

    project = deployed(world, concurrency_policy="Replace")
    with monkeypatch.context() as patched:
        patched.setattr(dags, "is_ready", lambda session, dag_id: False)
        first, second = start(world, project), start(world, project)
    assert on_record(project) == [second]
    assert dispatching.dispatch_waiting_runs() == 0
    assert state_of(first)[0] is None
    assert state_of(second)[0] == "queued"


@pytest.mark.parametrize("kind", ["scheduled", "manual"])
def test_runs_that_airflow_started_count_as_well(world: World, kind: str) -> None:
    forbidding, replacing = deployed(world, "f", concurrency_policy="Forbid"), deployed(world, "r", concurrency_policy="Replace")
    foreign = by_itself(forbidding, kind=kind)
    with refused("run_in_progress") as caught:
        start(world, forbidding)
    assert caught.value.extra["running_runs"] == [foreign]
    foreign = by_itself(replacing, hour=13, kind=kind)
    begin(foreign)
    newer = start(world, replacing)
    assert state_of(foreign) == ("failed", "failed")
    assert state_of(newer)[0] == "queued"


def test_a_run_that_airflow_starts_takes_the_place_of_older_ones(world: World) -> None:
    replacing, allowing = deployed(world, "r", concurrency_policy="Replace"), deployed(world, "a")
    assert scheduled_runs.follow() == 0
    first, kept = start(world, replacing), start(world, allowing)
    begin(first)
    assert scheduled_runs.follow() == 0, "nothing has come to take its place"
    second, beside = by_itself(replacing, 12), by_itself(allowing, 13)
    assert scheduled_runs.follow() == 1
    assert state_of(first) == ("failed", "failed")
    assert [state_of(one)[0] for one in (second, kept, beside)] == ["queued"] * 3
    assert scheduled_runs.follow() == 0


def test_plans_are_not_runs(world: World) -> None:
    project = deployed(world, concurrency_policy="Forbid")
    world.head = "second"
    plans.create_plan(world.actor(), project.id)
    assert state_of(start(world, project))[0] == "queued"


def test_suspended_projects_are_not_run_until_resumed(world: World) -> None:
    project = deployed(world)
    projects.update_project(world.actor(), project.id, {"suspended": True})
    with refused("project_suspended"):
        start(world, project)
    assert on_record(project) == []
    projects.update_project(world.actor(), project.id, {"suspended": False})
    start(world, project)


def test_history_keeps_three_of_each_outcome_and_all_that_is_not_over(world: World) -> None:
    project, other = deployed(world), deployed(world, "other")
    ended = [start(world, project) for _ in range(9)]
    for age, run_id in enumerate(reversed(ended)):
        end(run_id, "success" if age % 2 else "failed", minutes_ago=60 + age)
    queued, foreign = start(world, project), start(world, other)
    assert scheduled_runs.clean_history() == 3
    # From the newest: failed, success, failed, ... so two more than three failed, one more than three succeeded.
    assert on_record(project) == [*ended[3:], queued]
    assert [state_of(run_id) for run_id in ended[:3]] == [(None, None)] * 3
    assert on_record(other) == [foreign]
    assert scheduled_runs.clean_history() == 0


def test_history_follows_the_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__SUCCESSFUL_RUNS_HISTORY_LIMIT", "1")
    monkeypatch.setenv("AIRFLOW__DAGCTL__FAILED_RUNS_HISTORY_LIMIT", "0")
    project = deployed(world)
    good, bad, better = (start(world, project) for _ in range(3))
    for age, (run_id, state) in enumerate([(better, "success"), (bad, "failed"), (good, "success")]):
        end(run_id, state, minutes_ago=60 + age)
    assert scheduled_runs.clean_history() == 2
    assert on_record(project) == [better]


def test_history_leaves_what_has_just_ended_to_its_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__FAILED_RUNS_HISTORY_LIMIT", "0")
    project = deployed(world)
    run_id = start(world, project)
    end(run_id, "failed", minutes_ago=1)
    assert scheduled_runs.clean_history() == 0
    assert scheduled_runs.clean_history(utcnow() + scheduled_runs.SETTLING) == 1


def test_history_forgets_what_was_deleted_in_airflow(world: World) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import delete

    project = deployed(world)
    run_id = start(world, project)
    transactions.run(lambda session: session.execute(delete(DagRun).where(DagRun.run_id == run_id)))
    assert scheduled_runs.clean_history() == 0
    assert on_record(project) == []


def test_history_does_not_touch_plans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__SUCCESSFUL_RUNS_HISTORY_LIMIT", "0")
    step = world.explained(world.project())
    end(step.run_id, "success", minutes_ago=600)
    assert scheduled_runs.clean_history() == 0
    assert state_of(step.run_id)[0] == "success"


@pytest.mark.slow
def test_runs_that_airflow_started_are_adopted_once_and_cleaned(world: World) -> None:
    project, other = deployed(world), deployed(world, "other")
    own = start(world, project)
    scheduled = [by_itself(project, hour) for hour in range(6)]
    pressed, foreign = by_itself(project, 7, "manual"), by_itself(other, 1)
    assert on_record(project) == [own]
    for _ in range(2):
        assert scheduled_runs.follow() == 0
        assert len(on_record(project)) == 8
    rows = {row.run_id: row for row in transactions.run(lambda session: run_rows.runs_of(session, project.id))}
    assert set(rows) == {own, pressed, *scheduled}
    assert (rows[pressed].triggered_by, rows[scheduled[0]].triggered_by) == ("eve", "scheduled")
    assert rows[scheduled[0]].job_name == "analytics-scheduled-run-20260428-000000"
    assert rows[scheduled[0]].id == run_step_id(project.run_dag_id, scheduled[0])
    assert on_record(other) == [foreign]
    ended = by_itself(project, 8)
    for age, run_id in enumerate(reversed([*scheduled, pressed, own, ended])):
        end(run_id, "success", minutes_ago=60 + age)
    assert scheduled_runs.clean_history() == 6, "also of what came and went while nobody looked"
    assert set(on_record(project)) == {own, pressed, ended}


@pytest.mark.slow
def test_two_that_look_at_once_add_a_run_once_and_end_one_once(world: World) -> None:
    project = deployed(world, concurrency_policy="Replace")
    first = by_itself(project, 1)
    for hour in range(2, 5):
        newer = by_itself(project, hour)
        assert sorted(together(*[scheduled_runs.follow] * 3)) == [0, 0, 1]
        assert [state_of(run_id)[0] for run_id in (first, newer)] == ["failed", "queued"]
        first = newer
    assert len(on_record(project)) == 4


@pytest.mark.slow
def test_the_newest_run_of_a_schedule_is_never_cleaned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow counts on from it: without it, what was due last is started again, and again when that has been cleaned."""
    for limit in ("SUCCESSFUL", "FAILED"):
        monkeypatch.setenv(f"AIRFLOW__DAGCTL__{limit}_RUNS_HISTORY_LIMIT", "0")
    project = deployed(world, run_schedule="@yearly")
    first, second = by_itself(project, 1), by_itself(project, 2)
    end(first, "success")
    end(second, "failed")
    later = start(world, project)
    end(later, "success", minutes_ago=30)
    before = next_run(world, project)
    assert scheduled_runs.clean_history() == 2
    assert on_record(project) == [second]
    assert next_run(world, project) == before


def test_a_run_that_bears_the_id_of_another_stays_airflows(world: World) -> None:
    project, other = deployed(world), deployed(world, "other")
    own = start(world, project)
    transactions.run(lambda session: airflow_runs.trigger_run(session, other.run_dag_id, own, {}, "eve"))
    assert scheduled_runs.follow() == 0
    assert (on_record(project), on_record(other)) == ([own], [])


@pytest.mark.slow
def test_a_schedule_is_airflows_from_the_first_deployment_on(world: World) -> None:
    project = world.project(run_schedule="@hourly")
    assert next_run(world, project) is None
    assert runs_do(project) == {}
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    hourly = next_run(world, project)
    assert hourly is not None
    # Airflow makes up for what was due less than a tenth of the interval ago.
    assert timedelta(minutes=-6) < hourly - utcnow() <= timedelta(hours=1)
    assert runs_do(project)["commit_sha"] == sha("first")
    projects.update_project(world.actor(), project.id, {"run_schedule": None})
    assert next_run(world, project) is None


@pytest.mark.slow
def test_while_suspended_nothing_is_due(world: World) -> None:
    project = deployed(world, run_schedule="@hourly")
    assert next_run(world, project) is not None
    projects.update_project(world.actor(), project.id, {"suspended": True})
    assert due(project) is None, "at once, before the Dag is parsed again"
    assert next_run(world, project) is None
    projects.update_project(world.actor(), project.id, {"suspended": False})
    assert next_run(world, project) is not None


@pytest.mark.slow
def test_an_undeployed_project_is_not_due_and_no_run_is_left_behind(world: World) -> None:
    project = deployed(world, run_schedule="@hourly")
    assert next_run(world, project) is not None
    run_id = by_itself(project)
    for leave in (projects.undeploy, projects.delete_project):
        with refused("project_busy") as caught:
            leave(world.actor(), project.id)
        assert caught.value.extra["running_runs"] == [run_id]
    end(run_id, "success")
    projects.undeploy(world.actor(), project.id)
    assert due(project) is None


@pytest.mark.slow
def test_a_run_that_took_the_place_of_an_execution_starts_again_with_what_is_deployed_now(world: World) -> None:
    project = deployed(world)
    world.head = "second"
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    early, waiting = by_itself(project, 1), by_itself(project, 2)
    begin(early)
    world.finish_execute(approved.execute)
    assert runs_do(project)["commit_sha"] == sha("second")
    assert (state_of(early)[1], state_of(waiting)[1]) == ("restarting", None)
