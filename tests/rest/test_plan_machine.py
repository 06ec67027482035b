"""A model-based test of the plan state machine: random requests through the REST door, on PostgreSQL, with Airflow's tasks ending
as they please in between. After every step the invariants that people rely on are checked in the tables.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from dagctl_provider.domain.plans import MAX_RETRIES, PlanStep, allowed_verbs
from dagctl_provider.services import projects
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import tables, transactions
from tests.api import conformance
from tests.services.world import World, sha

pytestmark = pytest.mark.slow

_names = itertools.count()


class PlanMachine(RuleBasedStateMachine):
    """One project, one Airflow, any order of events."""

    world: World
    app: Flask
    headers: dict[str, str]

    reached: Counter[str] = Counter()

    steps = Bundle("steps")

    @initialize(target=steps, begins=st.sampled_from(["nothing", "pending", "executing", "failed"]))
    def start(self, begins: str) -> Any:
        """Begin at any point of a plan's life, so that every point gets its share of the walk."""
        self.world.head = "commit-0"
        self.project = self.world.project(f"project {next(_names)}")
        self.client = self.app.test_client()
        self.commits = 0
        self.deployed: str | None = None
        if begins == "nothing":
            return multiple()
        plan_id = self.create()
        self.airflow_advances(True)
        if begins != "pending":
            self.post_verb(plan_id, "approve")
        if begins == "failed":
            self.airflow_advances(False)
        return plan_id

    def ask(self, method: str, path: str) -> Any:
        answer = self.client.open(f"/api/v1{path}", method=method, headers=self.headers)
        assert answer.status_code < 500, answer.text
        conformance.check(method, f"/api/v1{path}", answer)
        self.reached[f"{path.rsplit('/', 1)[-1] if method == 'POST' else method} {answer.status_code}"] += 1
        return answer

    def all_steps(self) -> list[PlanStep]:
        def work(session: Any) -> list[PlanStep]:
            c = tables.plan_step.c
            ids = session.execute(select(c.id).where(c.project_id == self.project.id).order_by(c.created_at)).scalars()
            return [step for step in (plan_rows.get_step(session, identifier) for identifier in ids) if step is not None]

        return transactions.run(work)

    def step_of(self, plan_id: str) -> PlanStep | None:
        return transactions.run(lambda session: plan_rows.get_step(session, plan_id))

    @rule()
    def push(self) -> None:
        self.commits += 1
        self.world.head = f"commit-{self.commits}"

    @rule(target=steps)
    def anybody_creates(self) -> Any:
        return self.create()

    def create(self) -> Any:
        answer = self.ask("POST", f"/projects/{self.project.id}/plans")
        body = answer.get_json()
        if body["status"] == "already_deployed":
            assert self.deployed == sha(self.world.head)
            return multiple()
        assert answer.status_code == (201 if body["status"] == "running" and "initial_status" in body else 200)
        return str(body["plan_id"])

    @rule(plan_id=steps, verb=st.sampled_from(["approve", "reject", "cancel", "retry"]), target=steps)
    def any_verb(self, plan_id: str, verb: str) -> str:
        return self.post_verb(plan_id, verb)

    def post_verb(self, plan_id: str, verb: str) -> str:
        before = self.step_of(plan_id)
        said = self.ask("GET", f"/plans/{plan_id}").get_json().get("allowed_verbs")
        answer = self.ask("POST", f"/plans/{plan_id}/{verb}")
        if before is None:
            assert answer.status_code == 404
            return plan_id
        if verb not in said:
            assert answer.status_code == 409
            assert answer.get_json()["code"] in ("wrong_state", "retries_exhausted", "head_moved")
            assert answer.get_json().get("allowed", said) == said
        elif verb == "cancel":
            assert answer.status_code == 200, "what is said to be accepted is accepted"
        if answer.status_code == 409:
            after = self.step_of(plan_id)
            assert after is not None
            assert after.status == before.status, "a refused verb changes nothing"
        return str(answer.get_json().get("execution_plan_id") or plan_id)

    @rule(good=st.sampled_from([True, True, True, False]))
    def the_newest_step_ends(self, good: bool) -> None:
        self.airflow_advances(good)

    def airflow_advances(self, good: bool) -> None:
        """The newest running step ends and is noticed: the usual course of things, so that plans get far."""
        running = [step for step in self.all_steps() if step.status == "running"]
        if running:
            self.task_ends(running[-1].id, good)
            self.tick()

    @rule(choice=st.integers(0, 5), target=steps)
    def decide_on_the_newest(self, choice: int) -> Any:
        """What people mostly do: look at the newest step and do something that it allows."""
        steps = self.all_steps()
        usual = {"pending": ["reject", "approve", "approve"], "failed": ["retry"], "cancelled": ["retry"]}
        verbs = usual.get(steps[-1].status, []) if steps else []
        return self.post_verb(steps[-1].id, verbs[choice % len(verbs)]) if verbs else multiple()

    @rule(plan_id=consumes(steps))
    def delete(self, plan_id: str) -> None:
        before = self.step_of(plan_id)
        answer = self.ask("DELETE", f"/plans/{plan_id}")
        allowed = before is not None and "delete" in allowed_verbs(before.plan_type, before.status)
        assert answer.status_code == (200 if allowed else 404 if before is None else 409)

    @rule(plan_id=steps, good=st.booleans())
    def any_task_ends(self, plan_id: str, good: bool) -> None:
        self.task_ends(plan_id, good)

    def task_ends(self, plan_id: str, good: bool) -> None:
        """A worker finishes the task behind a step, whether the step still waits for it or not."""
        step = self.step_of(plan_id)
        if step is None or step.dispatched_at is None or step.status != "running":
            return
        result = {"step_id": step.id, "outcome": "succeeded" if good else "failed", "digest": f"sha256:{step.group_id}"}
        self.world.end_task(step, step.plan_type, "success" if good else "failed", {**result, "plan_output": {"modelsAdded": 1}})

    @rule(plan_id=steps, task_id=st.sampled_from(["await_approval", "execute"]))
    def airflow_trips(self, plan_id: str, task_id: str) -> None:
        """Airflow fails a task that nobody touched."""
        step = self.step_of(plan_id)
        if step is not None and step.dispatched_at is not None and self.world.task(step, task_id) is not None:
            state = "failed" if task_id == "await_approval" else "upstream_failed"
            self.world.end_task(step, task_id, state)

    @rule()
    def controller_ticks(self) -> None:
        self.tick()

    def tick(self) -> None:
        reconcile.reconcile_all()
        current = projects.get_project(self.world.actor(), self.project.id).current_commit_sha
        if current != self.deployed:
            done = [s for s in self.all_steps() if s.plan_type == "execute" and s.status == "completed"]
            assert current in {step.to_commit_sha for step in done}, "only a completed execution moves the deployed commit"
            self.deployed = current

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "project"):
            return
        steps = self.all_steps()
        executions = [step for step in steps if step.plan_type == "execute"]
        assert sum(step.status == "running" for step in executions) <= 1, "at most one execution of a project runs"
        explains = {step.group_id: step for step in steps if step.plan_type == "explain"}
        for step in executions:
            decisions = transactions.run(lambda session, group=step.group_id: decision_rows.list_decisions(session, group))
            approved = [row for row in decisions if row.decision == "approved" and row.digest == step.digest]
            assert approved, "nothing is executed without an approval of that digest"
            assert step.digest == explains[step.group_id].digest
            if step.status == "running":
                assert explains[step.group_id].status == "approved"
        for group in explains:
            assert sum(step.group_id == group for step in executions) <= 1 + MAX_RETRIES
        waiting = [s.to_commit_sha for s in steps if s.plan_type == "explain" and s.status in ("running", "pending")]
        assert len(waiting) == len(set(waiting)), "a commit has one plan"


def test_the_plan_state_machine(world: World, app: Flask, headers: dict[str, str]) -> None:
    PlanMachine.world, PlanMachine.app, PlanMachine.headers = world, app, headers
    run_state_machine_as_test(
        PlanMachine,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            # The same walk on every run: the assertion below is about this walk, and a failure is one that everybody sees.
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(sorted(PlanMachine.reached.items()))
    wanted = {f"{verb} {status}" for verb in ("approve", "reject", "cancel", "retry") for status in (200, 409)}
    assert wanted <= set(PlanMachine.reached), "the walk must get everywhere, or the invariants say nothing"
