"""The default job of a project: made with it, kept in step with its schedule, named by its runs, and never there twice."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import projects
from dagctl_provider.services.lifecycle import jobs
from dagctl_provider.services.showing import overview
from dagctl_provider.services.turns import scheduled_runs
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import transaction, utcnow
from tests.services.test_plans import refused
from tests.services.test_runs import by_itself, deployed, start
from tests.services.world import World


def stored(project: Project) -> Project:
    """The project as it is now."""
    return transactions.run(lambda session: project_rows.get_project(session, project.id)) or pytest.fail("it is gone")


def settings_in_the_row(project: Project) -> dict[str, Any]:
    """What stands in the project's own row."""
    c = tables.project.c
    return transactions.run(lambda session: session.execute(select(c.settings).where(c.id == project.id)).scalar_one())


def test_a_project_gets_its_default_job_with_it(world: World) -> None:
    job = world.project(run_schedule="0 6 * * *").job
    assert job is not None
    assert job.id.startswith("job_")
    assert (job.name, job.command, job.schedule, job.enabled, job.settings) == ("scheduled-run", "run", "0 6 * * *", True, {})
    assert job.dag_id.endswith("__run")


def test_the_schedule_is_the_jobs_and_is_shown_with_the_project(world: World) -> None:
    project = world.project(run_schedule="0 6 * * *")
    assert project.settings["run_schedule"] == "0 6 * * *"
    assert "run_schedule" not in settings_in_the_row(project)
    changed = projects.update_project(world.actor(), project.id, {"run_schedule": "@daily", "suspended": True})
    assert changed.job is not None
    assert (changed.job.schedule, changed.settings["run_schedule"]) == ("@daily", "@daily")
    assert "run_schedule" not in settings_in_the_row(project)
    kept = projects.update_project(world.actor(), project.id, {"suspended": False})
    assert kept.job == changed.job, "what does not change leaves the job alone"
    emptied = projects.update_project(world.actor(), project.id, {"run_schedule": None})
    assert emptied.job is not None
    assert emptied.job.schedule is None
    assert "run_schedule" not in emptied.settings


def test_runs_name_their_job_whoever_started_them(world: World) -> None:
    project = deployed(world)
    start(world, project)
    by_itself(project)
    scheduled_runs.follow()
    found = transactions.run(lambda session: run_rows.runs_of(session, project.id))
    assert project.job is not None
    assert [run.job_id for run in found] == [project.job.id] * 2
    assert overview.place_of_run(world.actor(), project.run_dag_id, found[1].run_id) == (None, project.id)


def test_a_project_that_lost_its_default_job_gets_one_when_it_is_needed(world: World) -> None:
    project = deployed(world)
    transactions.run(lambda session: job_rows.delete_jobs(session, project.id))
    assert stored(project).job is None
    assert stored(project).run_dag_id == project.run_dag_id
    run = start(world, project)
    job = stored(project).job
    assert job is not None
    assert (job.dag_id, job.name) == (project.run_dag_id, "scheduled-run")
    assert [row.job_id for row in transactions.run(lambda session: run_rows.get_runs(session, [run]))] == [job.id]


def test_no_project_has_two_default_jobs_nor_two_of_one_name(world: World) -> None:
    project, now = world.project(), utcnow()

    def add(name: str, default: bool) -> None:
        job = Job(new_id("job_"), project.id, name, "run", f"dagctl__{name}", now, now)
        # Not a use case, which would take a key that is taken for a lost race and try again.
        with transaction() as session:
            job_rows.insert_job(session, job, default=default)

    with pytest.raises(IntegrityError):
        add("second", default=True)
    with pytest.raises(IntegrityError):
        add("Scheduled-Run", default=False)
    add("second", default=False)
    assert transactions.run(lambda session: jobs.default_job(session, stored(project))) == project.job


def test_jobs_go_with_their_project(world: World) -> None:
    project = world.project(run_schedule="@daily")
    start(world, deployed(world, "other"))
    projects.delete_project(world.actor(), project.id)
    c = tables.job.c
    left = transactions.run(lambda session: session.execute(select(func.count()).where(c.project_id == project.id)).scalar_one())
    assert left == 0
    with refused("not_found"):
        projects.get_project(world.actor(), project.id)


def test_runs_go_with_their_job(world: World) -> None:
    project = deployed(world)
    start(world, project)
    transactions.run(lambda session: session.execute(delete(tables.job).where(tables.job.c.project_id == project.id)))
    assert transactions.run(lambda session: run_rows.runs_of(session, project.id)) == []
