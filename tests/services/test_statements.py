"""What the controller asks the database in a turn: as many statements for three things as for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagctl_provider.pods import live_pods as cluster
from dagctl_provider.pods.live_pods import LivePod
from dagctl_provider.services import plans
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import answers, detection, dispatching, reconcile, stray_pods
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow
from tests.services.test_overview import counted_queries
from tests.services.world import World, sha

pytestmark = pytest.mark.slow


def statements(work: Callable[[], Any]) -> int:
    """How many statements a piece of work sends, once it has been done before."""
    work()
    with counted_queries() as sent:
        work()
    return len(sent)


def test_plans_that_wait_for_their_dag(world: World) -> None:
    found = []
    for name in ("one", "two", "three"):
        project = world.project(name)
        unparse(project.dag_id)
        plans.create_plan(world.actor(), project.id)
        found.append(statements(dispatching.dispatch_waiting_plans))
    assert found[0] == found[2]


def unparse(dag_id: str) -> None:
    """Let Airflow not know a Dag yet."""
    from airflow.models.dag import DagModel
    from sqlalchemy import update

    transactions.run(lambda session: session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_stale=True)))


def test_steps_that_run(world: World) -> None:
    found = []
    for name in ("one", "two", "three"):
        plans.create_plan(world.actor(), world.project(name).id)
        found.append(statements(reconcile.reconcile_all))
    assert found[0] == found[2]


def test_projects_of_one_remote(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "heads_of", lambda wanted, workers: [(key, sha(world.head)) for key in wanted])

    found = []
    for name in ("one", "two", "three"):
        world.project(name)
        found.append(statements(detection.Poller(clock=iter(range(0, 1000, 100)).__next__).poll))
    assert found == [found[0], found[0] + 2, found[0] + 4], "noted at once; each is asked for its plans in two statements"


def test_pods_of_the_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    alive: list[LivePod] = []
    monkeypatch.setattr(cluster, "live_pods", lambda selector, patience: alive)
    found = []
    for name in ("one", "two", "three"):
        created = plans.create_plan(world.actor(), world.project(name).id)
        assert created.step is not None
        alive.append(LivePod(f"pod-{name}", name, created.step.id, going=False))
        found.append(statements(stray_pods.sweep))
    assert found[0] == found[2]


def test_an_answer_is_found_by_an_index(world: World) -> None:
    """The table of plans is the one that grows; the tick must not read all of it because somebody answered."""
    from sqlalchemy import insert, text

    from dagctl_provider.store import answers as answer_rows
    from dagctl_provider.store import tables
    from dagctl_provider.store.session import transaction

    step = world.explained(world.project())
    row = {"dag_id": step.dag_id, "run_id": step.run_id, "user_id": "1", "user_name": "ada", "chosen_options": ["Approve"]}
    with transaction() as session:
        session.execute(insert(tables.answer).values(responded_at=utcnow(), **row))
        session.execute(text("SET LOCAL enable_seqscan = off"))
        with counted_queries() as sent:
            ((_, found),) = answer_rows.unjudged_answers(session)
        assert found == step
        plan = "\n".join(session.execute(text("EXPLAIN " + sent[0].replace("%(plan_type_1)s", "'explain'"))).scalars())
    assert "idx_dagctl_plan_step_group_id" in plan


def test_a_turn_with_nothing_to_do(world: World) -> None:
    """Every two seconds, whatever was done before: these are the statements of an idle deployment."""
    approved = plans.approve(world.actor(), world.explained(world.project()).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    parts = (
        dispatching.dispatch_waiting_plans,
        dispatching.dispatch_waiting_runs,
        reconcile.reconcile_all,
        reconcile.wake_decided,
        answers.handle_answers,
    )
    assert [statements(part) for part in parts] == [1, 1, 1, 1, 1]
