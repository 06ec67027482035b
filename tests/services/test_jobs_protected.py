"""What a job may not be a way around: the allowlist of an environment, and who may set variables."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import jobs, projects, protections
from tests.services import staff
from tests.services.test_runs import deployed
from tests.services.world import World

NIGHTLY: dict[str, Any] = {"name": "nightly", "command": "sqlmesh run --ignore-cron", "schedule": "0 2 * * *"}
CLOSED = {"windows": [{"kind": "deny", "from": "2000-01-01", "time_zone": "UTC"}]}


@pytest.fixture
def project(world: World) -> Project:
    return deployed(world)


@pytest.fixture
def ada(world: World) -> Actor:
    return staff.member(world.organization_id, "Ada", "owner")


@pytest.fixture
def grace(world: World) -> Actor:
    return staff.member(world.organization_id, "Grace")


def protect(ada: Actor, **values: Any) -> None:
    """Only Ada may change production."""
    protections.create_protection(ada, {"environment_name": "prod", "excepted_user_ids": ["user_ada"], **values})


def code(call: Any) -> str:
    with pytest.raises(DagctlError) as refused:
        call()
    return refused.value.code


def test_who_may_not_change_an_environment_cannot_have_jobs_do_it(project: Project, ada: Actor, grace: Actor) -> None:
    own = jobs.create_job(grace, project.id, NIGHTLY)
    protect(ada)
    assert code(lambda: jobs.create_job(grace, project.id, {**NIGHTLY, "name": "other"})) == "environment_protected"
    for change in ({"command": "sqlmesh run"}, {"schedule": "0 3 * * *"}, {"enabled": True}, {"time_zone": "Europe/Berlin"}):
        assert code(lambda change=change: jobs.update_job(grace, own.job.id, change)) == "environment_protected", change
    assert not jobs.update_job(grace, own.job.id, {"enabled": False}).job.enabled, "to stop something needs nobody"
    assert code(lambda: jobs.update_job(grace, own.job.id, {"enabled": True})) == "environment_protected"
    assert code(lambda: jobs.run_job(grace, own.job.id)) == "environment_protected"
    assert jobs.update_job(ada, own.job.id, {"enabled": True, "command": "sqlmesh run"}).job.enabled
    assert [shown.job.name for shown in jobs.list_jobs(ada, project.id)] == ["scheduled-run", "nightly"]


def test_the_schedule_of_a_project_is_asked_like_that_of_a_job(project: Project, ada: Actor, world: World) -> None:
    admin = staff.member(world.organization_id, "Edith", "admin")
    protect(ada)
    assert code(lambda: projects.update_project(admin, project.id, {"run_schedule": "@hourly"})) == "environment_protected"
    projects.update_project(ada, project.id, {"run_schedule": "@hourly"})
    projects.update_project(admin, project.id, {"run_schedule": "@hourly", "description": "as it was"})
    assert "run_schedule" not in projects.update_project(admin, project.id, {"run_schedule": None}).settings


def test_a_schedule_may_be_set_while_the_environment_is_closed(project: Project, ada: Actor) -> None:
    protect(ada, rules=CLOSED)
    made = jobs.create_job(ada, project.id, NIGHTLY)
    assert made.job.schedule == "0 2 * * *"
    assert code(lambda: jobs.run_job(ada, made.job.id)) == "outside_window"


def test_variables_of_a_job_are_set_by_who_keeps_the_secrets(project: Project, ada: Actor, grace: Actor) -> None:
    other = {**NIGHTLY, "environment": {"SCHEMA": "elsewhere"}}
    assert code(lambda: jobs.create_job(grace, project.id, other)) == "forbidden"
    made = jobs.create_job(ada, project.id, other)
    assert code(lambda: jobs.update_job(grace, made.job.id, {"environment": {"SCHEMA": "there"}})) == "forbidden"
    assert code(lambda: jobs.update_job(grace, made.job.id, {"environment": {"SCHEMA": "elsewhere", "A": "1"}})) == "forbidden"
    jobs.update_job(grace, made.job.id, {"description": "runs at night"})
    assert jobs.update_job(grace, made.job.id, {"environment": None}).job.environment == {}
