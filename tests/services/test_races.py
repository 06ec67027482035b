"""Two callers at once, on PostgreSQL, many times: exactly one wins, and what the loser is told is true.

Threads stand for API servers: they share nothing but the database.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.names import PLAN_KEY_CONNECTION
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.proofs import Place, sealed
from dagctl_provider.orchestration import connections
from dagctl_provider.services import plans
from dagctl_provider.services.lifecycle import artifacts, deployments, keys, publishing, steps
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import artifacts as artifact_rows
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import session as session_module
from dagctl_provider.store import transactions
from dagctl_provider.store.session import transaction
from tests.database import someone_waits
from tests.services.world import World, sha
from tests.waiting import wait_for

ROUNDS = 200

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Let all calls start at the same moment; answers or refusals, in order."""
    # With an end, or who waits here for one that does not come could not be ended by a time limit either.
    barrier = threading.Barrier(len(calls), timeout=120)

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except DagctlError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def pending_step(project: Project, number: int) -> PlanStep:
    """A plan that waits for its decision; its Dag run is not needed to decide."""
    commit = sha("first")
    identifier, group = new_id("plan_"), new_id("plangroup_")
    return transactions.run(
        lambda session: plan_rows.insert_step(
            session,
            id=identifier,
            group_id=group,
            plan_type="explain",
            organization_id=project.organization_id,
            project_id=project.id,
            active_key=steps.explain_key(project.id, f"{commit}:{number}", project.target.environment),
            ref=project.target.ref,
            environment=project.target.environment,
            to_commit_sha=commit,
            status="pending",
            digest="sha256:1",
            settings={"tool_version": "0.236.4"},
            dag_id=project.dag_id,
            run_id=group,
        )
    )


def clear(project: Project) -> None:
    """Forget the plans of a project."""

    def work(session: Any) -> None:
        from sqlalchemy import delete

        from dagctl_provider.store.tables import plan_step

        session.execute(delete(plan_step).where(plan_step.c.project_id == project.id))

    transactions.run(work)


def executions(step: PlanStep) -> list[PlanStep]:
    """The execute steps of a step's group."""
    group = transactions.run(lambda session: plan_rows.group_steps(session, step.group_id))
    return [s for s in group if s.plan_type == "execute"]


def test_two_approves(world: World) -> None:
    project = world.project()
    for number in range(ROUNDS):
        step = pending_step(project, number)
        answers = together(
            partial(plans.approve, world.actor(name="ada"), step.id, door="rest"),
            partial(plans.approve, world.actor(name="bob"), step.id, door="rest"),
        )
        losers = [answer for answer in answers if isinstance(answer, DagctlError)]
        assert [loser.code for loser in losers] == ["wrong_state"]
        assert len(executions(step)) == 1
        assert len(plans.decisions(world.actor(), step.group_id)) == 1
        clear(project)


def test_approve_against_reject(world: World) -> None:
    project = world.project()
    for number in range(ROUNDS):
        step = pending_step(project, number)
        approved, rejected = together(
            partial(plans.approve, world.actor(), step.id, door="rest"),
            partial(plans.reject, world.actor(), step.id, door="rest"),
        )
        assert isinstance(approved, DagctlError) != isinstance(rejected, DagctlError)
        assert len(executions(step)) == (0 if isinstance(approved, DagctlError) else 1)
        clear(project)


def test_approve_against_cancel(world: World) -> None:
    """A pending plan cannot be cancelled, an approved one can: so the approval always wins, and a cancel that comes after it
    takes the execution with it."""
    project = world.project()
    for number in range(ROUNDS):
        step = pending_step(project, number)
        approved, cancelled = together(
            partial(plans.approve, world.actor(), step.id, door="rest"),
            partial(plans.cancel, world.actor(), step.id, door="rest"),
        )
        assert not isinstance(approved, DagctlError)
        (execution,) = executions(step)
        final = plans.get_plan(world.actor(), step.id).status
        if isinstance(cancelled, DagctlError):
            assert (cancelled.code, final, execution.status) == ("wrong_state", "approved", "running")
        else:
            assert (final, execution.status) == ("cancelled", "cancelled")
        clear(project)


def test_two_cancels(world: World) -> None:
    project = world.project()
    for number in range(ROUNDS):
        step = pending_step(project, number)
        plans.approve(world.actor(), step.id, door="rest")
        answers = together(
            partial(plans.cancel, world.actor(), step.id, door="rest"), partial(plans.cancel, world.actor(), step.id, door="rest")
        )
        assert sum(isinstance(answer, DagctlError) for answer in answers) == 1
        clear(project)


def test_two_retries(world: World) -> None:
    project = world.project()
    for number in range(ROUNDS // 4):
        step = pending_step(project, number)
        world.parse(project) if number == 0 else None
        transactions.run(partial(start_run, step=step))
        approved = plans.approve(world.actor(), step.id, door="rest")
        failed = world.finish_execute(approved.execute, "failed")
        answers = together(
            partial(plans.retry, world.actor(), failed.id, door="rest"),
            partial(plans.retry, world.actor(), failed.id, door="rest"),
        )
        assert sum(isinstance(answer, DagctlError) for answer in answers) == 1
        assert len(executions(step)) == 2
        clear(project)


def start_run(session: Any, step: PlanStep) -> None:
    """Give a step its Dag run."""
    from dagctl_provider.orchestration import runs

    runs.trigger_run(session, step.dag_id, step.run_id, {}, None)


def test_two_creates_for_one_commit(world: World) -> None:
    project = world.project()
    for _ in range(ROUNDS):
        answers = together(
            partial(plans.create_plan, world.actor(), project.id), partial(plans.create_plan, world.actor(), project.id)
        )
        assert sorted(answer.outcome for answer in answers) == ["created", "existing_plan"]
        assert len({answer.step.id for answer in answers}) == 1
        clear(project)


def test_two_servers_make_one_key_of_plans(world: World) -> None:
    from airflow.models.connection import Connection
    from sqlalchemy import func, select

    query = select(func.count()).where(Connection.conn_id == PLAN_KEY_CONNECTION)
    for _ in range(ROUNDS):
        transactions.run(partial(connections.delete_connection, conn_id=PLAN_KEY_CONNECTION))
        together(*(partial(transactions.run, publishing.heal) for _ in range(3)))
        assert transactions.run(lambda session: session.execute(query).scalar_one()) == 1


def sealed_as_left(step: PlanStep, letter: dict[str, Any]) -> dict[str, Any]:
    """A letter as a worker would leave it."""
    place = Place(step.dag_id, step.run_id, step.task_id, "artifacts", "try")
    return sealed(transactions.run(keys.seal_key), place, letter)


def test_states_that_two_projects_share_are_neither_lost_nor_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both apply plans at the same moments; what one gives up, the other may be taking up."""
    projects = [world.project(name) for name in ("one", "two")]
    given: dict[str, Any] = {}
    monkeypatch.setattr(artifacts.runs, "read_xcom", lambda session, dag_id, *_: given[dag_id])
    monkeypatch.setattr(artifacts.runs, "delete_xcom", lambda *_: None)

    def apply(step: PlanStep) -> dict[str, str]:
        def work(session: Any) -> dict[str, str]:
            project = project_rows.get_project(session, step.project_id, lock=True)
            assert project is not None
            return deployments.record(session, project, step).artifacts or {}

        return transactions.run(work)

    made = [pending_step(project, number) for number, project in enumerate(projects)]
    for round_ in range(40):
        for number, step in enumerate(made):
            # They change places: each takes up what the other gives up.
            content = base64.b64encode(f"state {(round_ + number) % 2}".encode()).decode()
            given[step.dag_id] = sealed_as_left(step, {"step_id": step.id, "artifacts": {"deployed": content}})
        kept = together(*(partial(apply, step) for step in made))
        named = {row["deployed"] for row in kept}
        stored = {key for key in named if transactions.run(partial(artifact_rows.get_artifact, sha256=key))}
        assert stored == named
    for project in projects:
        theirs = transactions.run(partial(deployment_rows.named_artifacts, project_id=project.id))
        transactions.run(partial(deployment_rows.delete_deployments, project_id=project.id))
        transactions.run(partial(artifacts.forget, named=theirs))
    assert not any(transactions.run(lambda session, key=key: artifact_rows.get_artifact(session, key)) for key in named)


def test_a_retry_while_the_scheduler_ends_the_run_over_the_failure(world: World) -> None:
    """The scheduler has seen the failed task and is about to end the run when the task is cleared."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select, update

    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    failed = world.finish_execute(approved.execute, "failed", error={"code": "model_failed", "message": "no"})
    this_run = (DagRun.dag_id == failed.dag_id, DagRun.run_id == failed.run_id)
    transactions.run(lambda session: session.execute(update(DagRun).where(*this_run).values(state="running")))

    with ThreadPoolExecutor(1) as pool, transaction() as scheduler:
        scheduler.execute(select(DagRun.id).where(*this_run).with_for_update(of=DagRun))
        retried = pool.submit(plans.retry, world.actor(), failed.id, door="rest")
        wait_for("the retry to wait for the run", someone_waits)
        scheduler.execute(update(DagRun).where(*this_run).values(state="failed"))
        scheduler.commit()
        assert retried.result(timeout=60).status == "running"
    state = transactions.run(lambda session: session.execute(select(DagRun.state).where(*this_run)).scalar_one())
    assert str(getattr(state, "value", state)) == "queued"


def started(world: World, name: str = "analytics") -> PlanStep:
    """An explain step that Airflow runs."""
    created = plans.create_plan(world.actor(), world.project(name).id)
    assert created.step is not None
    return created.step


def test_a_cancel_and_the_scheduler_take_their_locks_in_one_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler holds the run while it works on its tasks; a cancel must not hold these while it waits for the run."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select, update

    step = started(world)
    tries: list[str] = []
    monkeypatch.setattr(steps, "stop", lambda *them, real=steps.stop: tries.append(them[2].id) or real(*them))
    with ThreadPoolExecutor(1) as pool, transaction() as scheduler:
        scheduler.execute(select(DagRun.id).where(DagRun.run_id == step.run_id).with_for_update(of=DagRun))
        cancelled = pool.submit(plans.cancel, world.actor(), step.id, door="rest")
        wait_for("the cancel to wait for the run", someone_waits)
        scheduler.execute(update(TaskInstance).where(TaskInstance.run_id == step.run_id).values(state="scheduled"))
        scheduler.commit()
        assert cancelled.result(timeout=60).status == "cancelled"
    assert tries == [step.id], "the database need not break one of the two off"
    assert str(world.task(step, "explain").state) == "failed"


def test_a_project_that_is_held_delays_no_other(world: World) -> None:
    """By a process that was paused in the middle of a transaction, for example."""
    held, free = started(world, "held"), started(world, "free")
    waiting = {step.id: step for step in (held, free)}
    for step in waiting.values():
        world.end_task(step, "explain", "success", {"outcome": "succeeded", "step_id": step.id, "plan_output": {}})

    def turn() -> list[str]:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(reconcile.reconcile_all).result(timeout=60)
        return [plans.get_plan(world.actor(), step_id).status for step_id in waiting]

    with transaction() as session:
        project_rows.get_project(session, held.project_id, lock=True)
        assert turn() == ["running", "pending"]
    assert turn() == ["pending", "pending"]


def test_nobody_waits_for_a_held_project_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(session_module, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(transactions, "_PATIENCE_SECONDS", 0.1)
    step = pending_step(world.project(), 1)
    with transaction() as session, ThreadPoolExecutor(1) as pool:
        project_rows.get_project(session, step.project_id, lock=True)
        with pytest.raises(OperationalError, match="lock timeout"):
            pool.submit(plans.reject, world.actor(), step.id, door="rest").result(timeout=60)
    assert plans.reject(world.actor(), step.id, door="rest").status == "rejected"
