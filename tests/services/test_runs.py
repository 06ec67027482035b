"""Runs: what concurrency_policy, max_concurrent_job_runs, suspended and the history limits do to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagctl_provider.domain.projects import Project
from dagctl_provider.services import dispatching, plans, projects, publishing, runs, transactions
from dagctl_provider.store import records
from dagctl_provider.store.session import utcnow
from tests.services.test_plans import refused
from tests.services.world import World, sha


def deployed(world: World, name: str = "analytics", **values: Any) -> Project:
    """A project that can be run: it has a deployed commit."""
    project = world.project(name, **values)
    transactions.run(lambda session: records.update_project(session, project.id, current_commit_sha=sha("first")))
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
    """Ids of the runs in our table, oldest first."""
    return [row["id"] for row in transactions.run(lambda session: records.runs_of(session, project.id))]


def test_allow_adds_run_to_run_and_airflow_holds_the_maximum(world: World) -> None:
    project = deployed(world, concurrency_policy="Allow")
    assert publishing.dag_spec(project)["max_active_job_runs"] == 16
    project = projects.update_project(world.actor(), project.id, {"max_concurrent_job_runs": 2})
    assert publishing.dag_spec(project)["max_active_job_runs"] == 2
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
    assert publishing.dag_spec(project)["max_active_job_runs"] == 1
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
    assert runs.clean_history() == 3
    # From the newest: failed, success, failed, ... so two more than three failed, one more than three succeeded.
    assert on_record(project) == [*ended[3:], queued]
    assert [state_of(run_id) for run_id in ended[:3]] == [(None, None)] * 3
    assert on_record(other) == [foreign]
    assert runs.clean_history() == 0


def test_history_follows_the_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__SUCCESSFUL_RUNS_HISTORY_LIMIT", "1")
    monkeypatch.setenv("AIRFLOW__DAGCTL__FAILED_RUNS_HISTORY_LIMIT", "0")
    project = deployed(world)
    good, bad, better = (start(world, project) for _ in range(3))
    for age, (run_id, state) in enumerate([(better, "success"), (bad, "failed"), (good, "success")]):
        end(run_id, state, minutes_ago=60 + age)
    assert runs.clean_history() == 2
    assert on_record(project) == [better]


def test_history_leaves_what_has_just_ended_to_its_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__FAILED_RUNS_HISTORY_LIMIT", "0")
    project = deployed(world)
    run_id = start(world, project)
    end(run_id, "failed", minutes_ago=1)
    assert runs.clean_history() == 0
    assert runs.clean_history(utcnow() + runs.SETTLING) == 1


def test_history_forgets_what_was_deleted_in_airflow(world: World) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import delete

    project = deployed(world)
    run_id = start(world, project)
    transactions.run(lambda session: session.execute(delete(DagRun).where(DagRun.run_id == run_id)))
    assert runs.clean_history() == 0
    assert on_record(project) == []


def test_history_does_not_touch_plans(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__SUCCESSFUL_RUNS_HISTORY_LIMIT", "0")
    step = world.explained(world.project())
    end(step.run_id, "success", minutes_ago=600)
    assert runs.clean_history() == 0
    assert state_of(step.run_id)[0] == "success"
