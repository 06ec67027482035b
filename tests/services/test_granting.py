"""Which try may run: the first with its decision, further ones of what is still to run, and nothing of what is over.

And what somebody wrote into Airflow in place of a worker: nothing comes of it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import GRANT_KEY, GRANT_TASK, PLAN_KEY_CONNECTION, RUN, SEAL_KEY_CONNECTION, writer_pool
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.wire.grants import Grant
from dagctl_provider.orchestration import connections, runs
from dagctl_provider.services import plans, projects, trust
from dagctl_provider.services.lifecycle import keys, publishing
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import granting, reconcile, restarts, scheduled_runs
from dagctl_provider.store import transactions
from tests.services.world import World, as_left, deploy_commit, sha


def planned(world: World, **values: Any) -> PlanStep:
    """The explain of a new project."""
    step = plans.create_plan(world.actor(), world.project(**values).id).step
    assert step is not None
    return step


def approved(world: World, **values: Any) -> PlanStep:
    """The execute of a new project's first plan."""
    done = plans.approve(world.actor(), world.finish_explain(planned(world, **values)).id, door="rest")
    assert isinstance(done, PlanApproved)
    return done.execute


def grant_of(dag_id: str, run_id: str, kind: str) -> Grant | None:
    """What a worker would find."""

    def work(session: Any) -> Grant | None:
        letter = runs.read_xcom(session, dag_id, run_id, GRANT_TASK[kind], GRANT_KEY)
        return Grant.from_json(proofs.verified(keys.public_keys(session), GRANT_KEY, letter)) if letter else None

    return transactions.run(work)


def granted_try(step: PlanStep) -> str | None:
    found = grant_of(step.dag_id, step.run_id, step.plan_type)
    return found.try_id if found is not None else None


def present_try(step: PlanStep) -> str:
    """The id of the try that Airflow would start."""
    place = (step.dag_id, step.run_id)
    return transactions.run(lambda session: runs.task_states(session, [place]))[(*place, step.task_id)].try_id


def clear(step: PlanStep) -> None:
    """What whoever clears the task does, whatever its state, and Airflow after a lost worker."""
    from airflow.models.taskinstance import TaskInstance, clear_task_instances
    from sqlalchemy import select

    def work(session: Any) -> None:
        here = (TaskInstance.dag_id == step.dag_id, TaskInstance.run_id == step.run_id, TaskInstance.task_id == step.task_id)
        clear_task_instances(list(session.execute(select(TaskInstance).where(*here)).scalars()), session)

    transactions.run(work)


def test_the_first_try_is_granted_with_the_decision(world: World) -> None:
    step = planned(world)
    assert granted_try(step) == present_try(step)
    execute = plans.approve(world.actor(), world.finish_explain(step).id, door="rest")
    assert isinstance(execute, PlanApproved)
    assert granted_try(execute.execute) == present_try(execute.execute)


@pytest.mark.parametrize("make", [planned, approved])
def test_a_further_try_of_what_is_to_run_is_granted(world: World, make: Any) -> None:
    step = make(world)
    assert granting.grant_all() == 0, "it has its grant"
    world.begin(step)
    reconcile.reconcile_all()
    clear(step)
    assert granted_try(step) != present_try(step)
    assert granting.grant_all() == 1
    assert granted_try(step) == present_try(step)


def test_of_a_tool_that_would_begin_again_only_what_had_not_begun(world: World) -> None:
    step = approved(world, project_type="dbt")
    clear(step)
    assert granting.grant_all() == 1
    world.begin(step)
    reconcile.reconcile_all()
    clear(step)
    assert granting.grant_all() == 0
    assert granted_try(step) != present_try(step)


def test_what_is_over_is_granted_to_nobody(world: World) -> None:
    step = planned(world)
    explained = world.finish_explain(step)
    clear(explained)
    assert granting.grant_all() == 0
    plans.reject(world.actor(), explained.id, door="rest")
    clear(explained)
    assert granting.grant_all() == 0
    assert granted_try(explained) != present_try(explained)


def test_a_retry_is_granted_anew(world: World) -> None:
    step = approved(world)
    before = granted_try(step)
    world.finish_execute(step, "failed")
    again = plans.retry(world.actor(), step.id, door="rest")
    assert before != granted_try(again) == present_try(again)


def test_a_key_that_was_rotated_at_once_signs_all_anew(world: World) -> None:
    step = planned(world)
    first = trust.public_texts()
    assert trust.public_texts() == first, "asking makes no other key"
    second = trust.rotate()
    assert trust.public_texts() == [second, *first]
    assert granting.grant_all() == 0
    third = trust.rotate(at_once=True)
    assert trust.public_texts() == [third]
    assert granting.grant_all() == 1
    assert granted_try(step) == present_try(step)


def test_the_private_half_is_encrypted_and_goes_with_the_key(world: World) -> None:
    from sqlalchemy import select

    from dagctl_provider.store.tables import secret

    world.project()
    trust.rotate()
    rows = transactions.run(lambda session: session.execute(select(secret)).all())
    signing = [row for row in rows if row.public is not None]
    assert [row.content is None for row in sorted(signing, key=lambda row: row.retired_at is None)] == [True, False]
    assert all(row.content.startswith("gAAAA") for row in rows if row.content is not None), "Fernet's own mark"


def connection(conn_id: str, password: str | None = None) -> str | None:
    """What a connection holds, after somebody has put something else there."""

    def work(session: Any) -> str | None:
        if password is not None:
            connections.write_key(session, conn_id, password)
        return connections.read_key(session, conn_id)

    return transactions.run(work)


def test_a_key_that_somebody_else_chose_seals_nothing(world: World) -> None:
    """Not even one that stood there before dagctl made its own."""
    assert connection(SEAL_KEY_CONNECTION, "known") == "known"
    step = planned(world)
    made = connection(SEAL_KEY_CONNECTION)
    assert made not in (None, "known")
    assert connection(SEAL_KEY_CONNECTION, "known again") == "known again"
    clear(step)
    assert granting.grant_all() == 1
    assert connection(SEAL_KEY_CONNECTION) == made, "it is put right whenever something is granted"
    assert connection(PLAN_KEY_CONNECTION, "known") == "known"
    transactions.run(publishing.heal)
    assert connection(PLAN_KEY_CONNECTION) not in (None, "known", made)


# Runs of what is deployed


def started(world: World, project: Any) -> str:
    """A run whose task has started."""
    run = projects.run_project(world.actor(), project.id)
    world.begin_task(project.run_dag_id, run.run_id, RUN)
    return run.run_id


def test_a_run_is_granted_once_it_has_started_and_does_what_is_deployed_then(world: World) -> None:
    project = world.project()
    deploy_commit(project, sha("first"))
    run = projects.run_project(world.actor(), project.id)
    assert granting.grant_all() == 0, "what lies with the task is cleared when it starts"
    deploy_commit(project, sha("second"))
    world.begin_task(project.run_dag_id, run.run_id, RUN)
    assert granting.grant_all() == 1
    found = grant_of(project.run_dag_id, run.run_id, "run")
    assert found is not None
    assert (found.step_id, found.request["commit_sha"], found.request["step_id"]) == (run.run_id, sha("second"), run.run_id)
    assert found.request["job_name"] == run.job_name


def test_a_run_of_a_suspended_project_hears_why_not_and_one_that_had_begun_goes_on(world: World) -> None:
    project = world.project()
    deploy_commit(project, sha("first"))
    early, late = started(world, project), projects.run_project(world.actor(), project.id).run_id
    granting.grant_all()
    projects.update_project(world.actor(), project.id, {"suspended": True})
    transactions.run(partial(runs.clear_tasks, dag_id=project.run_dag_id, run_id=early, task_ids=(RUN,)))
    for run_id in (early, late):
        world.begin_task(project.run_dag_id, run_id, RUN)
    assert granting.grant_all() == 2
    found = {run_id: grant_of(project.run_dag_id, run_id, "run") for run_id in (early, late)}
    assert [grant.refusal["code"] if grant and grant.refusal else None for grant in found.values()] == [None, "project_suspended"]


def test_a_run_that_somebody_started_in_airflow_is_granted_what_is_deployed_whatever_its_conf_says(world: World) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.utils.types import DagRunTriggeredByType

    project = world.project()
    deploy_commit(project, sha("first"))
    conf = {"dagctl": {"repository_url": "file:///etc", "commit_sha": "b" * 40, "step_id": "x"}}
    by = DagRunTriggeredByType.REST_API
    transactions.run(
        lambda session: trigger_dag(project.run_dag_id, triggered_by=by, run_id="by_hand", conf=conf, session=session)
    )
    scheduled_runs.follow()
    world.begin_task(project.run_dag_id, "by_hand", RUN)
    assert granting.grant_all() == 1
    found = grant_of(project.run_dag_id, "by_hand", "run")
    assert found is not None
    assert found.request["commit_sha"] == sha("first")
    assert found.request["repository_url"] == project.repository_url


def test_a_run_of_a_backfill_hears_that_it_is_not_to_run(world: World) -> None:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import update

    project = world.project()
    deploy_commit(project, sha("first"))
    by = DagRunTriggeredByType.BACKFILL

    def start(session: Any) -> None:
        trigger_dag(project.run_dag_id, triggered_by=by, run_id="again_1", session=session)
        session.flush()
        session.execute(update(DagRun).where(DagRun.run_id == "again_1").values(run_type=DagRunType.BACKFILL_JOB))

    transactions.run(start)
    scheduled_runs.follow()
    world.begin_task(project.run_dag_id, "again_1", RUN)
    assert granting.grant_all() == 1
    assert granting.grant_all() == 0, "once"
    found = grant_of(project.run_dag_id, "again_1", "run")
    assert found is not None
    assert found.refusal is not None
    assert (found.refusal["code"], found.request) == ("run_not_granted", {})


def test_a_larger_writer_pool_gets_its_one_slot_back(world: World) -> None:
    from airflow.models.pool import Pool
    from sqlalchemy import select, update

    name = writer_pool(world.project().dag_id)
    transactions.run(lambda session: session.execute(update(Pool).where(Pool.pool == name).values(slots=9)))
    granting.grant_all()
    assert transactions.run(lambda session: session.execute(select(Pool.slots).where(Pool.pool == name)).scalar_one()) == 1


# What others leave in place of a worker


@pytest.mark.parametrize("key", ["result", "progress", "artifacts"])
def test_what_was_not_left_by_the_worker_counts_as_absent(world: World, key: str) -> None:
    step = approved(world, project_type="dbt")
    rows = [{"unique_id": "model.shop.a", "status": "succeeded"}]
    genuine = {
        "result": {"outcome": "failed", "step_id": step.id, "models": rows},
        "progress": {"step_id": step.id, "succeeded": ["model.shop.a"], "models": rows},
        "artifacts": {"step_id": step.id, "artifacts": {"deployed": "YQ=="}},
    }[key]

    def forge(session: Any) -> None:
        letter = as_left(session, step, "execute", key, {"step_id": step.id})
        runs.write_xcom(
            session, step.dag_id, step.run_id, "execute", key, {**genuine, "seal": letter["seal"], "try_id": letter["try_id"]}
        )

    world.end_task(step, "execute", "success" if key == "artifacts" else "failed")
    transactions.run(forge)
    ended = reconcile.settle(step)
    assert (ended.status, ended.error_code) == ("failed", "task_failed")
    assert "already_succeeded" not in (ended.plan_output or {})


def test_a_result_of_an_earlier_try_is_none_of_this_one(world: World) -> None:
    step = planned(world)
    result = {"outcome": "succeeded", "step_id": step.id, "digest": "sha256:old", "plan_output": {"explain_completed": True}}
    earlier = transactions.run(lambda session: as_left(session, step, "explain", "result", result))
    clear(step)
    world.end_task(step, "explain", "success")
    transactions.run(lambda session: runs.write_xcom(session, step.dag_id, step.run_id, "explain", "result", earlier))
    assert reconcile.settle(step).status == "failed"


# Explains that are killed


def kill(world: World, step: PlanStep) -> None:
    """Let Airflow give an explain up."""
    state = transactions.run(lambda session: runs.task_states(session, [(step.dag_id, step.run_id)]))
    world.end_task(step, "explain", "failed", tries=state[step.dag_id, step.run_id, "explain"].max_tries + 1)


def test_an_explain_that_was_killed_starts_anew_as_often_as_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarts, "_LONGEST_PAUSE", restarts.timedelta(0))
    step = planned(world)
    seen = {present_try(step)}
    for _ in range(restarts.MOST):
        kill(world, step)
        assert reconcile.settle(step).status == "running"
        assert granted_try(step) == present_try(step) not in seen
        seen.add(present_try(step))
    kill(world, step)
    ended = reconcile.settle(step)
    assert (ended.status, ended.error_code) == ("failed", "task_failed")


def test_it_rests_before_it_starts_anew(world: World) -> None:
    step = planned(world)
    kill(world, step)
    before = present_try(step)
    assert reconcile.settle(step).status == "running"
    assert present_try(step) == before
    pauses = [restarts.pause(done).total_seconds() for done in range(restarts.MOST)]
    assert pauses == [2, 4, 8, 16, 32, *[60] * 7]


def test_an_explain_that_somebody_marked_as_failed_or_that_said_why_does_not(world: World) -> None:
    step = planned(world)
    world.end_task(step, "explain", "failed")
    assert reconcile.settle(step).status == "failed"
    world.head = "second"
    step = planned(world, name="another")
    world.end_task(step, "explain", "failed", {"outcome": "failed", "step_id": step.id, "error": {"code": "x"}}, tries=2)
    assert reconcile.settle(step).error_code == "x"
