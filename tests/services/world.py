"""Stands in for what the services deal with: a git remote whose HEAD a test moves, and an Airflow whose tasks a test ends.

The tables, the Dags, their serialised form and every statement are real; only the processes are missing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.domain.gateways import NO_GATEWAYS, Gateways
from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.proofs import Place, sealed, verified
from dagctl_provider.domain.wire.decisions import about
from dagctl_provider.git.commits import CommitFacts
from dagctl_provider.orchestration import runs
from dagctl_provider.services import organizations, plans, projects
from dagctl_provider.services.lifecycle import keys, publishing
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow


def sha(name: str) -> str:
    """A full commit id made from a word."""
    return hashlib.sha1(name.encode()).hexdigest()


def deploy_commit(project: Project, commit: str, **noted: Any) -> None:
    """Let a commit be the deployed one without a plan for it.

    :param noted: Other columns of the project's row.
    """
    environment = project.target.environment
    deployment = Deployment(project.id, environment, project.branch, commit, utcnow())

    def work(session: Any) -> None:
        deployment_rows.put_deployment(session, deployment)
        project_rows.update_project(session, project.id, current_environment=environment, **noted)

    transactions.run(work)


def as_left(session: Any, step: PlanStep, task_id: str, key: str, letter: dict[str, Any]) -> dict[str, Any]:
    """A letter as the worker of the task's present try leaves it."""
    state = runs.task_states(session, [(step.dag_id, step.run_id)])[step.dag_id, step.run_id, task_id]
    return sealed(keys.seal_key(session), Place(step.dag_id, step.run_id, task_id, key, state.try_id), letter)


def runs_do(project: Project) -> dict[str, Any]:
    """What a run of the project's deployed state is granted to do."""

    def work(session: Any) -> dict[str, Any]:
        current = project_rows.get_project(session, project.id)
        assert current is not None
        found = publishing.run_request(session, current)
        return found.to_json() if found is not None else {}

    return transactions.run(work)


@dataclass
class World:
    """One organization, a git remote and an Airflow.

    :param head: The word of the commit at the branch HEAD.
    """

    organization_id: str
    head: str = "first"
    git_calls: list[str] = field(default_factory=list)

    def actor(self, role: Any = "owner", name: str = "ada") -> Actor:
        """Somebody with a role in the organization."""
        return Actor("token", f"tok_{name}", name, self.organization_id, permissions_of(role), role=role)

    def project(self, name: str = "analytics", **values: Any) -> Project:
        """A project, created the usual way and parsed by Airflow."""
        made = projects.create_project(self.actor(), {"name": name, "repository_url": "https://example.com/acme/shop", **values})
        self.parse(made)
        return made

    def parse(self, project: Project) -> None:
        """What the Dag processor does: build the project's Dags and store them."""
        from airflow.dag_processing.collection import update_dag_parsing_results_in_db
        from airflow.models.dagbundle import DagBundleModel
        from airflow.serialization.serialized_objects import LazyDeserializedDAG

        from dagctl_provider.dag_factory import plan_dag, run_dags

        jobs = transactions.run(lambda session: job_rows.list_jobs(session, [project.id])[project.id])
        spec = publishing.dag_spec(project, jobs)
        dags = []
        for dag in (plan_dag(spec), *run_dags(spec)):
            dag.fileloc = str(Path(__file__).parents[2] / "dags" / "dagctl_dags.py")
            dag.relative_fileloc = "dagctl_dags.py"
            dags.append(LazyDeserializedDAG.from_dag(dag))

        def work(session: Any) -> None:
            if session.get(DagBundleModel, "dags-folder") is None:
                session.add(DagBundleModel(name="dags-folder"))
                session.flush()
            update_dag_parsing_results_in_db(
                "dags-folder", None, dags, import_errors={}, parse_duration=None, warnings=set(), session=session
            )

        transactions.run(work)

    def task(self, step: PlanStep, task_id: str) -> Any:
        """The task instance of a step's run, detached."""
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import select

        def work(session: Any) -> Any:
            query = select(TaskInstance).where(
                TaskInstance.dag_id == step.dag_id, TaskInstance.run_id == step.run_id, TaskInstance.task_id == task_id
            )
            task = session.execute(query).scalars().first()
            if task is not None:
                session.expunge(task)
            return task

        return transactions.run(work)

    def begin(self, step: PlanStep) -> None:
        """Let the task of a step start."""
        self.begin_task(step.dag_id, step.run_id, step.task_id)

    def begin_task(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Let a task start."""
        from airflow.models.taskinstance import TaskInstance
        from sqlalchemy import update

        key = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
        started = {"state": "running", "start_date": utcnow()}
        transactions.run(lambda session: session.execute(update(TaskInstance).where(*key).values(**started)))

    def end_task(
        self,
        step: PlanStep,
        task_id: str,
        state: str,
        result: dict[str, Any] | None = None,
        tries: int = 1,
        xcoms: dict[str, Any] | None = None,
    ) -> None:
        """What a worker does at the end of a task: leave a result, and a state.

        :param xcoms: What it leaves besides the result, by key.
        """
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel
        from sqlalchemy import case, update

        def work(session: Any) -> None:
            left = {**(xcoms or {}), **({"result": result} if result is not None else {})}
            for key, value in left.items():
                value = as_left(session, step, task_id, key, value)
                XComModel.set(key=key, value=value, dag_id=step.dag_id, run_id=step.run_id, task_id=task_id, session=session)
            # Since Airflow 3.4 the next try is there, with its number, as soon as its task is cleared.
            number = case((TaskInstance.try_number > tries, TaskInstance.try_number), else_=tries)
            session.execute(
                update(TaskInstance)
                .where(TaskInstance.dag_id == step.dag_id, TaskInstance.run_id == step.run_id, TaskInstance.task_id == task_id)
                .values(state=state, try_number=number, start_date=utcnow(), end_date=utcnow())
            )

        transactions.run(work)

    def explained(self, project: Project, digest: str = "sha256:1", **output: Any) -> PlanStep:
        """A plan for HEAD whose explain step has succeeded."""
        created = plans.create_plan(self.actor(), project.id)
        assert created.step is not None
        return self.finish_explain(created.step, digest, **output)

    def finish_explain(self, step: PlanStep, digest: str = "sha256:1", **output: Any) -> PlanStep:
        """Let the explain task of ``step`` succeed and settle it."""
        result = {
            "outcome": "succeeded",
            "step_id": step.id,
            "digest": digest,
            "tool_plan_id": "tool-1",
            "plan_output": {"modelsAdded": 1, "explain_completed": True, **output},
        }
        self.end_task(step, "explain", "success", result)
        return reconcile.settle(step)

    def finish_execute(
        self, step: PlanStep, state: str = "success", xcoms: dict[str, Any] | None = None, **result: Any
    ) -> PlanStep:
        """Let the execute task of ``step`` end and settle it."""
        outcome = "succeeded" if state == "success" else "failed"
        self.end_task(step, "execute", state, {"outcome": outcome, "step_id": step.id, **result}, xcoms=xcoms)
        return reconcile.settle(step)

    def decision(self, step: PlanStep, key: str = "decision", task_id: str = "explain") -> dict[str, Any] | None:
        """What the waiting task would find."""
        from airflow.models.xcom import XComModel
        from sqlalchemy import select

        def work(session: Any) -> dict[str, Any] | None:
            query = select(XComModel).where(
                XComModel.dag_id == step.dag_id,
                XComModel.run_id == step.run_id,
                XComModel.key == key,
                XComModel.task_id == task_id,
            )
            row = session.execute(query).scalars().first()
            found = XComModel.deserialize_value(row) if row is not None else None
            if found is None or "signature" not in found:
                return found
            return verified(keys.public_keys(session), about(key, step.dag_id, step.run_id), found)

        return transactions.run(work)


@pytest.fixture
def world(database: None, monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh world."""
    made = World(organizations.ensure_organization("acme"))

    def head_of(project: Project) -> str:
        made.git_calls.append("head")
        return sha(made.head)

    def facts_of(project: Project, commit: str, base: str | None) -> CommitFacts:
        made.git_calls.append("facts")
        return CommitFacts(
            sha=commit,
            message=f"Commit {commit[:7]}",
            full_message=f"Commit {commit[:7]}",
            author_name="Ada",
            committed_at=datetime(2026, 4, 28, 10, 0, tzinfo=timezone.utc),
            commits_behind=None if base is None else 1,
        )

    monkeypatch.setattr(repositories, "head_of", head_of)
    monkeypatch.setattr(repositories, "facts_of", facts_of)
    declared = Gateways(("local",), "local", "config.yaml")
    monkeypatch.setattr(
        repositories, "gateways_of", lambda project, commit: declared if project.tool.find_gateways else NO_GATEWAYS
    )
    return made
