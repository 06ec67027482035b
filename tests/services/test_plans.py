"""Plans through the services on a real PostgreSQL, with the real generated Dags."""

from __future__ import annotations

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services import plans, projects
from dagctl_provider.services.results import PlanApproved, PlanAutoDiscarded
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import transactions
from tests.services.world import World, sha


def refused(code: str) -> pytest.RaisesExc[DagctlError]:
    """Expect a refusal with this code."""
    return pytest.RaisesExc(DagctlError, check=lambda error: error.code == code)


def test_a_plan_goes_from_commit_to_completed(world: World) -> None:
    project = world.project()
    created = plans.create_plan(world.actor(), project.id)
    assert created.outcome == "created"
    step = created.step
    assert step is not None
    assert (step.status, step.plan_type, step.to_commit_sha) == ("running", "explain", sha("first"))
    assert world.task(step, "explain") is not None, "the Dag run exists at once because the Dag was parsed"

    explain = world.finish_explain(step)
    assert explain.status == "pending"
    assert explain.digest == "sha256:1"

    approved = plans.approve(world.actor("developer", "bob"), explain.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert approved.explain.status == "approved"
    assert approved.execute.status == "running"
    assert world.decision(explain) == {
        "decision": "approved",
        "digest": "sha256:1",
        "decided_by": "bob",
        "execution_plan_id": approved.execute.id,
        "job_name": approved.execute.job_name,
    }

    done = world.finish_execute(approved.execute)
    assert done.status == "completed"
    assert projects.get_project(world.actor(), project.id).current_commit_sha == sha("first")
    group = plans.get_group(world.actor(), explain.group_id)
    assert [step.status for step in group.steps] == ["approved", "completed"]
    assert group.current_status == "completed"
    assert plans.create_plan(world.actor(), project.id).outcome == "already_deployed"
    assert [row.decision for row in plans.decisions(world.actor(), explain.group_id)] == ["approved"]


def test_a_commit_has_one_plan(world: World) -> None:
    project = world.project()
    first = plans.create_plan(world.actor(), project.id)
    again = plans.create_plan(world.actor(), project.id)
    assert again.outcome == "existing_plan"
    assert first.step is not None
    assert again.step is not None
    assert (again.step.id, again.current_status) == (first.step.id, "running")


def test_a_rejected_commit_may_be_planned_again_by_hand(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    assert plans.reject(world.actor(), step.id, door="rest", comment="no").status == "rejected"
    assert world.decision(step)["decision"] == "rejected"  # type: ignore[index]
    assert plans.create_plan(world.actor(), project.id).outcome == "created"


def test_approval_of_a_moved_head_discards(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    world.head = "second"
    answer = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(answer, PlanAutoDiscarded)
    assert (answer.expected_commit, answer.current_commit) == (sha("first"), sha("second"))
    stored = plans.get_plan(world.actor(), step.id)
    assert stored.status == "rejected"
    assert stored.plan_output is not None
    assert stored.plan_output["auto_discarded"] is True
    assert plans.count_pending(world.actor(), project.id) == 0


def test_a_newer_commit_discards_the_pending_plan(world: World) -> None:
    project = world.project()
    old = world.explained(project)
    world.head = "second"
    plans.create_plan(world.actor(), project.id)
    assert plans.get_plan(world.actor(), old.id).auto_discarded


def test_a_newer_commit_stops_the_running_explain(world: World) -> None:
    project = world.project()
    old = plans.create_plan(world.actor(), project.id).step
    assert old is not None
    world.head = "second"
    plans.create_plan(world.actor(), project.id)
    assert plans.get_plan(world.actor(), old.id).status == "cancelled"
    assert str(world.task(old, "explain").state) in ("skipped", "failed")


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "retry", "delete"])
def test_illegal_verbs_name_the_state_and_what_is_allowed(world: World, verb: str) -> None:
    project = world.project()
    step = world.explained(project)
    plans.reject(world.actor(), step.id, door="rest")
    with pytest.raises(DagctlError) as caught:
        getattr(plans, verb)(world.actor(), step.id, door="rest")
    assert caught.value.code == "wrong_state"
    assert caught.value.extra["current_status"] == "rejected"
    assert caught.value.extra["allowed"] == []
    assert plans.get_plan(world.actor(), step.id).status == "rejected"


def test_cancel_of_a_running_explain(world: World) -> None:
    project = world.project()
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    world.end_task(step, "explain", "running")
    assert plans.cancel(world.actor(), step.id, door="rest").status == "cancelled"
    assert str(world.task(step, "explain").state) == "failed"
    assert str(world.task(step, "execute").state) == "skipped"


def test_cancel_of_an_approved_plan_withdraws_the_approval(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert plans.cancel(world.actor(), step.id, door="rest").status == "cancelled"
    assert plans.get_plan(world.actor(), approved.execute.id).status == "cancelled"
    assert world.decision(step)["decision"] == "cancelled"  # type: ignore[index]
    with refused("wrong_state"):
        plans.retry(world.actor(), approved.execute.id, door="rest")


def test_three_retries_and_no_more(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    execute = world.finish_execute(
        approved.execute, "failed", error={"code": "warehouse_refused", "message": "no", "hint": "ask"}
    )
    assert (execute.status, execute.error_code, execute.error_message) == ("failed", "warehouse_refused", "no")
    for attempt in (2, 3, 4):
        again = plans.retry(world.actor(), execute.id, door="rest")
        assert (again.status, again.attempt, again.retry_of) == ("running", attempt, execute.id)
        assert world.decision(step)["execution_plan_id"] == again.id  # type: ignore[index]
        assert world.task(step, "execute").state is None, "the task is cleared"
        execute = world.finish_execute(again, "failed")
    with refused("retries_exhausted"):
        plans.retry(world.actor(), execute.id, door="rest")
    assert plans.create_plan(world.actor(), project.id).outcome == "created", "an exhausted group no longer stands for the commit"


def test_retry_is_refused_when_head_moved_and_nothing_changes(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    execute = world.finish_execute(approved.execute, "failed")
    world.head = "second"
    with pytest.raises(DagctlError) as caught:
        plans.retry(world.actor(), execute.id, door="rest")
    assert caught.value.code == "head_moved"
    assert caught.value.extra["current_commit"] == sha("second")[:7]
    assert len(plans.get_group(world.actor(), step.group_id).steps) == 2


def test_an_old_result_is_not_taken_for_a_new_execution(world: World) -> None:
    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    failed = world.finish_execute(approved.execute, "failed", error={"code": "old_error", "message": "old"})
    again = plans.retry(world.actor(), failed.id, door="rest")
    world.end_task(again, "execute", "failed", None, tries=2)
    assert reconcile.settle(again).error_code == "task_failed"


def test_delete_removes_a_pending_plan_and_keeps_the_record(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    plans.delete(world.actor(), step.id, door="rest")
    with refused("not_found"):
        plans.get_plan(world.actor(), step.id)
    assert world.decision(step)["decision"] == "deleted"  # type: ignore[index]
    assert transactions.run(lambda session: decision_rows.was_deleted(session, project.id, sha("first")))


def test_auto_apply_goes_straight_to_approved(world: World) -> None:
    project = world.project(auto_apply=True)
    step = world.explained(project)
    assert step.status == "approved"
    assert step.decided_by == "auto_apply"
    group = plans.get_group(world.actor(), step.group_id)
    assert [(s.plan_type, s.status) for s in group.steps] == [("explain", "approved"), ("execute", "running")]


def test_auto_apply_waits_for_a_running_execution(world: World) -> None:
    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    projects.update_project(world.actor(), project.id, {"auto_apply": True})
    world.head = "second"
    step = world.explained(project, "sha256:2")
    assert step.status == "running"
    world.finish_execute(approved.execute, "failed")
    assert reconcile.settle(step).status == "approved"


@pytest.mark.parametrize("auto_apply", [True, False])
def test_what_was_explained_while_another_plan_was_applied_is_discarded(world: World, auto_apply: bool) -> None:
    """It was explained against a state that is not deployed any more; an execution would find that it drifted."""
    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    projects.update_project(world.actor(), project.id, {"auto_apply": auto_apply})
    world.head = "second"
    second = plans.create_plan(world.actor(), project.id).step
    assert second is not None
    world.finish_execute(approved.execute)
    settled = world.finish_explain(second, "sha256:2")
    assert (settled.status, settled.auto_discarded, settled.digest) == ("rejected", True, "sha256:2")
    assert world.decision(second)["decision"] == "discarded"  # type: ignore[index]
    again = plans.create_plan(world.actor(), project.id)
    assert (again.outcome, again.step and again.step.from_commit_sha) == ("created", sha("first"))


def test_one_execution_at_a_time(world: World) -> None:
    project = world.project()
    plans.approve(world.actor(), world.explained(project).id, door="rest")
    world.head = "second"
    second = world.explained(project, "sha256:2")
    with refused("execution_in_progress"):
        plans.approve(world.actor(), second.id, door="rest")
    assert plans.get_plan(world.actor(), second.id).status == "pending"


def test_a_plan_explained_against_an_older_state_is_discarded(world: World) -> None:
    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.head = "second"
    second = world.explained(project, "sha256:2")
    world.finish_execute(approved.execute)
    assert plans.get_plan(world.actor(), second.id).auto_discarded


def test_a_deleted_dag_run_ends_the_plan(world: World) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import delete

    project = world.project()
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    transactions.run(lambda session: session.execute(delete(DagRun).where(DagRun.run_id == step.run_id)))
    assert reconcile.reconcile_all() == 1
    assert plans.get_plan(world.actor(), step.id).error_code == "run_lost"


def test_a_lost_approval_task_is_healed(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.end_task(step, "await_approval", "failed")
    world.end_task(step, "execute", "upstream_failed")
    assert reconcile.settle(approved.execute).status == "running"
    assert world.task(step, "await_approval").state is None
    assert world.task(step, "execute").state is None


def test_a_plan_made_before_the_dag_is_parsed_waits_and_starts(world: World) -> None:
    from dagctl_provider.services.turns import dispatching

    project = projects.create_project(world.actor(), {"name": "new", "repository_url": "https://example.com/acme/new"})
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    assert world.task(step, "explain") is None
    assert dispatching.dispatch_waiting_plans() == 1
    world.parse(project)
    assert dispatching.dispatch_waiting_plans() == 0
    assert world.task(step, "explain") is not None


def test_other_organizations_do_not_exist(world: World) -> None:
    from dagctl_provider.services import organizations

    project = world.project()
    step = world.explained(project)
    stranger = World(organizations.ensure_organization("other")).actor()
    for ask in (
        lambda: plans.get_plan(stranger, step.id),
        lambda: plans.get_group(stranger, step.group_id),
        lambda: plans.approve(stranger, step.id, door="rest"),
        lambda: plans.reject(stranger, step.id, door="rest"),
        lambda: plans.list_plans(stranger, project.id),
        lambda: plans.create_plan(stranger, project.id),
        lambda: projects.get_project(stranger, project.id),
        lambda: projects.delete_project(stranger, project.id),
    ):
        with refused("not_found"):
            ask()


def test_readers_cannot_decide(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    reader = world.actor("reader")
    for ask in (plans.approve, plans.reject, plans.cancel, plans.delete):
        with refused("forbidden"):
            ask(reader, step.id, door="rest")
    assert plans.get_plan(reader, step.id).status == "pending"


def test_paging_and_filter(world: World) -> None:
    project = world.project()
    for number in range(5):
        world.head = f"commit-{number}"
        plans.create_plan(world.actor(), project.id)
    page = plans.list_plans(world.actor(), project.id, page=2, limit=2)
    assert (page.total, page.total_pages, len(page.items)) == (5, 3, 2)
    assert plans.list_plans(world.actor(), project.id, status="running").total == 1
    assert plans.list_plans(world.actor(), project.id, page=9).items == ()
