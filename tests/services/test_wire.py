"""What the API server writes for Dag processor and workers, word for word: a worker of another version has to read it, too.

The order of keys and the nulls are part of it. Ids and times stand as names here, since each test has its own.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest

from dagctl_provider.domain.answers import Answer
from dagctl_provider.domain.names import GRANT_TASK
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.proofs import verified
from dagctl_provider.domain.wire.decisions import about
from dagctl_provider.domain.wire.grants import Grant
from dagctl_provider.orchestration import runs
from dagctl_provider.services import plans, projects
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import answers, reconcile
from dagctl_provider.store import transactions
from tests.services.world import World, runs_do, sha

FIRST, SECOND = sha("first"), sha("second")
DEPLOYED_FILE = "bWFuaWZlc3Q="

SQLMESH = {
    "git_auth_method": "ssh",
    "git_secret_ref": "deploy_key",
    "git_path": "warehouse",
    "sqlmesh_environment": "prod_eu",
    "sqlmesh_version": "0.236.4",
    "use_managed_state_database": False,
    "cpu_limit": "4000m",
    "run_schedule": "@hourly",
    "concurrency_policy": "Replace",
}
DBT = {"project_type": "dbt", "dbt_version": "1.10.13", "dbt_target": "prod", "python_version": "3.11", "run_tests": False}
POD = {"cpu_request": "500m", "cpu_limit": "2000m", "memory_request": "1Gi", "memory_limit": "4Gi"}

DAG_SPECS: dict[str, dict[str, Any]] = {
    "sqlmesh": {
        "project_id": "PROJECT",
        "organization_id": "ORGANIZATION",
        "name": "Shop EU",
        "slug": "shop-eu",
        "project_type": "sqlmesh",
        "environment": "prod_eu",
        "dag_id": "DAG",
        "max_active_job_runs": 2,
        "place": "environment prod_eu",
        "airflow_may_retry": True,
    },
    "dbt": {
        "project_id": "PROJECT",
        "organization_id": "ORGANIZATION",
        "name": "Shop EU",
        "slug": "shop-eu",
        "project_type": "dbt",
        "environment": "prod",
        "dag_id": "DAG",
        "max_active_job_runs": 16,
        "place": "environment prod",
        "airflow_may_retry": False,
    },
}
SCHEDULED = {"sqlmesh": {"schedule": "@hourly"}, "dbt": {}}
CONFS: dict[str, dict[str, Any]] = {
    "sqlmesh": {
        "tool": "sqlmesh",
        "tool_version": "0.236.4",
        "python_version": None,
        "deployed_tool_version": None,
        "repository_url": "https://example.com/acme/shop",
        "branch": "main",
        "commit_sha": FIRST,
        "git_path": "warehouse",
        "git_auth_method": "ssh",
        "git_secret_ref": "deploy_key",
        "environment": "prod_eu",
        "run_tests": True,
        "project_id": "PROJECT",
        "project_name": "Shop EU",
        "plan_group_id": "GROUP",
        "step_id": "EXPLAIN",
        "state_connection_id": None,
        "unstable": "exclude",
        "resources": {**POD, "cpu_limit": "4000m"},
        "job_name": "shop-eu-plan-explain-TIME",
        "commit_message": f"Commit {FIRST[:7]}",
        "commit_author": "Ada",
    },
    "dbt": {
        "tool": "dbt",
        "tool_version": "1.10.13",
        "python_version": "3.11",
        "deployed_tool_version": None,
        "repository_url": "https://example.com/acme/shop",
        "branch": "main",
        "commit_sha": FIRST,
        "git_path": "",
        "git_auth_method": "none",
        "git_secret_ref": None,
        "environment": "prod",
        "run_tests": False,
        "project_id": "PROJECT",
        "project_name": "Shop EU",
        "plan_group_id": "GROUP",
        "step_id": "EXPLAIN",
        "state_connection_id": None,
        "unstable": "exclude",
        "resources": POD,
        "job_name": "shop-eu-plan-explain-TIME",
        "commit_message": f"Commit {FIRST[:7]}",
        "commit_author": "Ada",
    },
}
RUNS: dict[str, dict[str, Any]] = {
    "sqlmesh": {
        "tool": "sqlmesh",
        "tool_version": "0.236.4",
        "python_version": None,
        "deployed_tool_version": "0.236.4",
        "repository_url": "https://example.com/acme/shop",
        "branch": "main",
        "commit_sha": FIRST,
        "git_path": "warehouse",
        "git_auth_method": "ssh",
        "git_secret_ref": "deploy_key",
        "environment": "prod_eu",
        "run_tests": True,
        "project_id": "PROJECT",
        "project_name": "Shop EU",
        "state_connection_id": None,
        "unstable": "exclude",
        "resources": {**POD, "cpu_limit": "4000m"},
    },
    "dbt": {
        "tool": "dbt",
        "tool_version": "1.10.13",
        "python_version": "3.11",
        "deployed_tool_version": "1.10.13",
        "repository_url": "https://example.com/acme/shop",
        "branch": "main",
        "commit_sha": FIRST,
        "git_path": "",
        "git_auth_method": "none",
        "git_secret_ref": None,
        "environment": "prod",
        "run_tests": False,
        "project_id": "PROJECT",
        "project_name": "Shop EU",
        "state_connection_id": None,
        "unstable": "exclude",
        "resources": POD,
    },
}


def project_of(world: World, tool: str) -> Project:
    return world.project("Shop EU", **(DBT if tool == "dbt" else SQLMESH))


def variable(key: str) -> str:
    """The text of a Variable."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    return transactions.run(lambda session: session.execute(select(Variable).where(Variable.key == key)).scalar_one().get_val())


class Letters:
    """What was handed to Airflow, as text: PostgreSQL keeps no order of keys."""

    def __init__(self) -> None:
        self._confs: dict[tuple[str, str], str] = {}
        self._xcoms: dict[tuple[str, str, str, str], str] = {}

    def conf(self, dag_id: str, run_id: str) -> str:
        return self._confs[dag_id, run_id]

    def xcom(self, step: PlanStep, key: str, task_id: str = "explain") -> str:
        return self._xcoms[step.dag_id, step.run_id, task_id, key]

    def told(self, step: PlanStep, key: str) -> Any:
        """What the API server said to the tasks of a run, which is signed."""
        return self._verified(step, about(key, step.dag_id, step.run_id), "explain", key)

    def said(self, step: PlanStep, key: str) -> str:
        """The same, as text."""
        return json.dumps(self.told(step, key), sort_keys=True)

    def grant(self, step: PlanStep) -> Grant:
        """What lets the step run."""
        return Grant.from_json(self._verified(step, "grant", GRANT_TASK[step.plan_type], "grant"))

    def _verified(self, step: PlanStep, about: str, task_id: str, key: str) -> Any:
        return verified(transactions.run(keys.public_keys), about, json.loads(self.xcom(step, key, task_id)))


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    found, trigger, write = Letters(), runs.trigger_run, runs.write_xcom

    def trigger_run(session: Any, dag_id: str, run_id: str, conf: Any, user: Any) -> None:
        found._confs[dag_id, run_id] = json.dumps(conf)
        trigger(session, dag_id, run_id, conf, user)

    def write_xcom(session: Any, dag_id: str, run_id: str, task_id: str, key: str, value: Any) -> bool:
        found._xcoms[dag_id, run_id, task_id, key] = json.dumps(value)
        return write(session, dag_id, run_id, task_id, key, value)

    monkeypatch.setattr(runs, "trigger_run", trigger_run)
    monkeypatch.setattr(runs, "write_xcom", write_xcom)
    return found


def named(text: str, project: Project, **ids: str) -> str:
    """The text with names in place of ids and times."""
    known = {"PROJECT": project.id, "ORGANIZATION": project.organization_id, "DAG": project.dag_id, **ids}
    for name, value in known.items():
        text = text.replace(f'"{value}"', f'"{name}"')
    return re.sub(r"-\d{8}-\d{6}\"", '-TIME"', text)


def explained(world: World, project: Project) -> PlanStep:
    return world.explained(projects.get_project(world.actor(), project.id))


@pytest.mark.parametrize("tool", ["sqlmesh", "dbt"])
def test_a_new_project(world: World, tool: str) -> None:
    project = project_of(world, tool)
    assert named(variable(project.dag_id), project) == json.dumps(DAG_SPECS[tool], indent=2)
    index = named(variable("dagctl__index"), project)
    assert index == json.dumps({"PROJECT": DAG_SPECS[tool]}, indent=2)


@pytest.mark.parametrize("tool", ["sqlmesh", "dbt"])
def test_from_a_plan_to_what_its_project_runs(world: World, letters: Letters, tool: str) -> None:
    project = project_of(world, tool)
    explain = explained(world, project)
    conf = letters.conf(explain.dag_id, explain.run_id)
    assert named(conf, project, GROUP=explain.group_id, EXPLAIN=explain.id) == json.dumps({"dagctl": CONFS[tool]})
    grant = letters.grant(explain)
    assert (grant.step_id, grant.kind, grant.task_id, grant.inputs) == (explain.id, "explain", "explain", "")
    assert grant.try_id == str(world.task(explain, "explain").id)
    assert grant.request == json.loads(conf)["dagctl"]

    approved = plans.approve(world.actor(), explain.id, door="rest")
    assert isinstance(approved, PlanApproved)
    decision = {
        "decision": "approved",
        "digest": "sha256:1",
        "decided_by": "ada",
        "execution_plan_id": "EXECUTE",
        "job_name": "shop-eu-plan-execute-TIME",
    }
    assert named(letters.said(explain, "decision"), project, EXECUTE=approved.execute.id) == json.dumps(decision, sort_keys=True)
    grant = letters.grant(approved.execute)
    assert grant.try_id == str(world.task(explain, "execute").id)
    bound = {"step_id": approved.execute.id, "job_name": approved.execute.job_name, "expected_digest": "sha256:1"}
    assert grant.request == {**json.loads(conf)["dagctl"], **bound, "explained_plan_id": "tool-1"}

    left = {"artifacts": {"step_id": approved.execute.id, "artifacts": {"deployed": DEPLOYED_FILE}}}
    world.finish_execute(approved.execute, xcoms=left)
    assert named(json.dumps(runs_do(project)), project) == json.dumps(RUNS[tool])
    assert named(variable(project.dag_id), project) == json.dumps({**DAG_SPECS[tool], **SCHEDULED[tool]}, indent=2)
    index = named(variable("dagctl__index"), project)
    assert index == json.dumps({"PROJECT": {**DAG_SPECS[tool], **SCHEDULED[tool]}}, indent=2)

    world.head = "second"
    second = plans.create_plan(world.actor(), project.id).step
    assert second is not None
    assert letters.xcom(second, "inputs", "execute") == json.dumps({"deployed": DEPLOYED_FILE})
    later = json.loads(letters.conf(second.dag_id, second.run_id))["dagctl"]
    wanted = {
        **CONFS[tool],
        "deployed_tool_version": CONFS[tool]["tool_version"],
        "commit_sha": SECOND,
        "commit_message": f"Commit {SECOND[:7]}",
    }
    assert named(json.dumps(later), project, GROUP=second.group_id, EXPLAIN=second.id) == json.dumps(wanted)

    run = projects.run_project(world.actor(), project.id)
    assert json.loads(letters.conf(project.run_dag_id, run.run_id)) == {"dagctl": {"job_name": run.job_name}}


def test_packages_of_a_project_and_of_what_is_deployed(world: World, letters: Letters) -> None:
    project = world.project("Shop EU", **SQLMESH, python_requirements=["faker>=30"])
    parts = {
        "package:python": "3.11",
        "package:faker": "30.1",
        "package:sqlmesh": "0.236.4",
        "model:a": "1",
        "tool": "sqlmesh 0.236.4",
    }
    explain = world.explained(project, digest_parts=parts)
    conf = json.loads(letters.conf(explain.dag_id, explain.run_id))["dagctl"]
    assert conf["requirements"] == ["faker>=30"]
    assert "deployed_packages" not in conf, "nothing is deployed yet"
    approved = plans.approve(world.actor(), explain.id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)

    # Whatever the project asks for from now on, what is deployed runs with what it was deployed with.
    projects.update_project(world.actor(), project.id, {"python_requirements": ["faker>=31", "six"]})
    run = runs_do(project)
    packages = {"faker": "30.1", "sqlmesh": "0.236.4"}
    assert (run["requirements"], run["deployed_packages"]) == (["faker>=30"], packages)
    world.head = "second"
    second = plans.create_plan(world.actor(), project.id).step
    assert second is not None
    conf = json.loads(letters.conf(second.dag_id, second.run_id))["dagctl"]
    assert (conf["requirements"], conf["deployed_packages"]) == (["faker>=31", "six"], packages)


def test_what_was_deployed_without_packages_runs_without_them(world: World) -> None:
    project = project_of(world, "sqlmesh")
    approved = plans.approve(world.actor(), explained(world, project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    projects.update_project(world.actor(), project.id, {"python_requirements": ["six"]})
    assert "requirements" not in runs_do(project)


@pytest.mark.parametrize(
    ("digest", "told"), [("sha256:1", "sha256:1"), (None, None)], ids=["with a digest", "of a runner that told none"]
)
def test_decisions_against_a_plan(world: World, letters: Letters, digest: Any, told: Any) -> None:
    project = project_of(world, "sqlmesh")
    rejected = world.explained(project, digest)
    plans.reject(world.actor(), rejected.id, door="rest")
    assert letters.told(rejected, "decision") == {"decision": "rejected", "digest": told, "decided_by": "ada"}

    world.head = "second"
    deleted = world.explained(project, digest)
    plans.delete(world.actor(), deleted.id, door="rest")
    assert letters.told(deleted, "decision") == {"decision": "deleted", "digest": told, "decided_by": "ada"}

    world.head = "third"
    discarded = world.explained(project, digest)
    world.head = "fourth"
    cancelled = plans.create_plan(world.actor(), project.id).step
    assert cancelled is not None
    superseded = {"decision": "discarded", "digest": told, "decided_by": "newer_commit"}
    assert letters.told(discarded, "decision") == superseded
    plans.cancel(world.actor(), cancelled.id, door="rest")
    assert letters.told(cancelled, "decision") == {"decision": "cancelled", "decided_by": "ada"}


def test_a_refused_answer(world: World, letters: Letters) -> None:
    step = world.explained(project_of(world, "sqlmesh"))
    at = datetime(2026, 4, 28, 10, 0, 0, 250, tzinfo=timezone.utc)
    answer = Answer(1, step.dag_id, step.run_id, "7", "eve", ["Approve"], at)
    answers._tell(step, answer, "forbidden", "Not you.")
    refusal = {"responded_at": "2026-04-28T10:00:00.000250+00:00", "code": "forbidden", "detail": "Not you."}
    assert letters.told(step, "answer") == refusal


def test_a_retry_is_told_what_is_finished(world: World, letters: Letters) -> None:
    project = project_of(world, "dbt")
    approved = plans.approve(world.actor(), explained(world, project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    progress = {"step_id": approved.execute.id, "stage": None, "expected": {}, "models": [], "succeeded": ["model.shop.b"]}
    models = [{"unique_id": "model.shop.a", "status": "succeeded"}, {"unique_id": "model.shop.c", "status": "failed"}]
    world.finish_execute(approved.execute, "failed", xcoms={"progress": progress}, models=models)
    again = plans.retry(world.actor(), approved.execute.id, door="rest")
    inputs = json.loads(letters.xcom(again, "inputs"))
    assert list(inputs) == ["progress"]
    told = {"digest": "sha256:1", "succeeded": ["model.shop.a", "model.shop.b"], "touched": ["model.shop.a", "model.shop.c"]}
    assert gzip.decompress(base64.b64decode(inputs["progress"])).decode() == json.dumps(told)
    decision = letters.told(again, "decision")
    assert decision.keys() == {"decision", "digest", "decided_by", "execution_plan_id", "job_name"}
    assert (decision["execution_plan_id"], decision["job_name"]) == (again.id, again.job_name)


@pytest.mark.parametrize("broken", [{"error": "boom"}, {"error": ["x"]}, {"error": {"code": 5}, "plan_output": ["x"]}])
def test_a_step_ends_whatever_its_result_looks_like(world: World, broken: dict[str, Any]) -> None:
    """Anybody with rights in Airflow may write an XCom; the controller would otherwise look at it again for ever."""
    step = plans.create_plan(world.actor(), project_of(world, "sqlmesh").id).step
    assert step is not None
    world.end_task(step, "explain", "failed", {"outcome": "failed", "step_id": step.id, **broken})
    ended = reconcile.settle(step)
    assert (ended.status, ended.error_code) == ("failed", "task_failed")
