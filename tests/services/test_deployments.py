"""Where plans lead and what is deployed where, also when a project's environment changes between two plans."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.targets import UNNAMED, PlanTarget
from dagctl_provider.services import plans, projects
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.store import artifacts as artifact_rows
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import transaction
from tests.database import someone_waits
from tests.services.test_projects import variable
from tests.services.world import World, deploy_commit, runs_do, sha
from tests.waiting import wait_for


def applied(world: World, project: Project, state: str | None = None) -> PlanStep:
    """Plan HEAD, approve and execute it.

    :param state: What the execute leaves for the next explain.
    """
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    left = {"step_id": approved.execute.id, "artifacts": {"deployed": base64.b64encode((state or "").encode()).decode()}}
    return world.finish_execute(approved.execute, xcoms={"artifacts": left} if state else None)


def deployed_in(project: Project, environment: str) -> Deployment | None:
    return transactions.run(lambda session: deployment_rows.get_deployment(session, project.id, environment))


def is_deployed(project: Project, commit: str) -> bool:
    return transactions.run(lambda session: plans.is_deployed(session, project, commit))


def stored_states() -> set[bytes]:
    """What is in the table of artifacts."""
    from sqlalchemy import select

    query = select(tables.artifact.c.content)
    return {bytes(content) for content in transactions.run(lambda session: list(session.execute(query).scalars()))}


def test_both_steps_of_a_plan_name_its_target(world: World) -> None:
    project = world.project(branch="trunk", sqlmesh_environment="staging")
    step = applied(world, project)
    explain = transactions.run(lambda session: plan_rows.group_steps(session, step.group_id))[0]
    assert explain.target == step.target == PlanTarget("trunk", "staging") == project.target


def test_a_plan_keeps_the_target_it_was_made_with(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    projects.update_project(world.actor(), project.id, {"branch": "trunk", "sqlmesh_environment": "staging"})
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert approved.execute.target == PlanTarget("main", "prod")


def test_an_environment_that_nobody_named_is_an_environment(world: World) -> None:
    project = world.project(project_type="dbt")
    step = applied(world, project)
    assert step.environment == project.target.environment == UNNAMED
    found = deployed_in(project, UNNAMED)
    assert found is not None
    assert found.commit_sha == sha("first")


def test_what_is_deployed_says_how_it_came_there(world: World) -> None:
    project = world.project()
    step = applied(world, project)
    found = deployed_in(project, "prod")
    assert found is not None
    assert (found.ref, found.commit_sha, found.tool_version) == ("main", sha("first"), step.settings["tool_version"])
    assert (found.digest, found.group_id, found.step_id) == (step.digest, step.group_id, step.id)
    assert found.artifacts == {}


def test_another_environment_gets_a_row_of_its_own(world: World) -> None:
    project = world.project()
    applied(world, project)
    moved = projects.update_project(world.actor(), project.id, {"sqlmesh_environment": "staging"})
    assert (moved.current_commit_sha, moved.current_environment) == (sha("first"), "prod"), "a setting deploys nothing"
    assert variable(project.dag_id)["environment"] == "staging"
    assert runs_do(project)["environment"] == "prod", "runs go on where it is deployed"
    assert not is_deployed(moved, sha("first")), "the commit is not in staging yet"
    applied(world, moved)
    after = projects.get_project(world.actor(), project.id)
    assert (after.current_commit_sha, after.current_environment) == (sha("first"), "staging")
    assert is_deployed(after, sha("first"))
    assert runs_do(project)["environment"] == "staging"
    both = [deployed_in(project, environment) for environment in ("prod", "staging")]
    assert [found.commit_sha for found in both if found] == [sha("first")] * 2


def test_each_environment_keeps_its_state_and_the_last_one_to_go_takes_it_along(world: World) -> None:
    project = world.project(project_type="dbt", dbt_target="prod")
    applied(world, project, "one")
    world.head = "second"
    project = projects.update_project(world.actor(), project.id, {"dbt_target": "staging"})
    applied(world, project, "two")
    assert stored_states() == {b"one", b"two"}
    world.head = "third"
    project = projects.update_project(world.actor(), project.id, {"dbt_target": "prod"})
    applied(world, project, "two")
    assert stored_states() == {b"two"}, "nobody names the first any more"
    world.head = "fourth"
    applied(world, project, "four")
    assert stored_states() == {b"two", b"four"}, "staging still names it"
    projects.delete_project(world.actor(), project.id)
    assert stored_states() == set()


def test_keys_hold_the_environment(world: World) -> None:
    """One plan for a commit and one execution, in each environment; what is more is up to the services."""
    from sqlalchemy import select
    from sqlalchemy.exc import IntegrityError

    project = world.project()
    step = world.explained(project)
    c = tables.plan_step.c
    key = transactions.run(lambda session: session.execute(select(c.active_key).where(c.id == step.id)).scalar_one())
    assert key == f"explain:{project.id}:{sha('first')}:prod"
    same = {name: getattr(step, name) for name in ("group_id", "plan_type", "organization_id", "project_id", "to_commit_sha")}
    same.update(status="pending", dag_id=step.dag_id, run_id=step.run_id, settings={}, ref="main")

    def add(identifier: str, environment: str) -> None:
        other = f"explain:{project.id}:{sha('first')}:{environment}"
        with transaction() as session:
            plan_rows.insert_step(session, id=identifier, environment=environment, active_key=other, **same)

    with pytest.raises(IntegrityError):
        add("plan_again", "prod")
    add("plan_elsewhere", "staging")


def test_who_waited_for_a_project_sees_what_was_deployed_meanwhile(world: World) -> None:
    """A statement that joins sees the row that it waited for as it is, and the others as they were when it began."""
    project = world.project()
    deploy_commit(project, sha("before"))
    seen: list[Any] = []

    def read() -> None:
        with transaction() as session:
            seen.append(project_rows.get_project(session, project.id, lock=True))

    with ThreadPoolExecutor(1) as pool:
        with transaction() as session:
            held = project_rows.get_project(session, project.id, lock=True)
            assert held is not None
            waiting = pool.submit(read)
            wait_for("somebody to wait for the project", someone_waits)
            now = deployment_rows.get_deployment(session, project.id, "prod")
            assert now is not None
            deployment_rows.put_deployment(session, replace(now, commit_sha=sha("after"), artifacts={"deployed": "c" * 64}))
            project_rows.update_project(session, project.id, latest_commit_sha=sha("after"))
        waiting.result(timeout=60)
    (found,) = seen
    assert (found.latest_commit_sha, found.current_commit_sha) == (sha("after"), sha("after"))
    assert found.artifacts == {"deployed": "c" * 64}


def test_an_artifact_that_is_named_stays(world: World) -> None:
    project = world.project()
    deploy_commit(project, sha("first"))
    now = deployed_in(project, "prod")
    assert now is not None
    transactions.run(lambda session: artifact_rows.insert_artifact(session, "c" * 64, b"state"))
    named = replace(now, artifacts={"deployed": "c" * 64})
    transactions.run(lambda session: deployment_rows.put_deployment(session, named))
    transactions.run(lambda session: artifact_rows.drop_unused_artifacts(session, ["c" * 64]))
    assert stored_states() == {b"state"}
