"""Plans to look at, as records around the outputs of :mod:`tests.plan_output.outputs`. Used by tests and by the benchmark."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from tests.plan_output.outputs import DIFF, HOSTILE, NOW, dbt_output, hostile_output, large_output, small_output, span

__all__ = ["DIFF", "HOSTILE", "NOW", "dbt_output", "hostile_output", "large_output", "small_output", "span"]

DEPLOYED = "a1b2c3d" + "0" * 33
COMMIT = "f6e5d4c" + "0" * 33
NEWER = "9e8f7a6" + "0" * 33
GROUP = "plangroup_0001"

PROJECT = Project(
    id="proj_0001",
    organization_id="org-0001",
    name="analytics",
    project_type="sqlmesh",
    repository_url="https://github.com/acme/analytics",
    branch="main",
    settings={"sqlmesh_environment": "prod", "sqlmesh_version": "0.236.4", "run_tests": True},
    dag_id="dagctl__analytics",
    deployed=True,
    created_at=NOW - timedelta(days=90),
    updated_at=NOW - timedelta(days=2),
    current_commit_sha=DEPLOYED,
    latest_commit_sha=COMMIT,
)

EXPLAIN = PlanStep(
    id="plan_0001",
    group_id=GROUP,
    plan_type="explain",
    organization_id="org-0001",
    project_id="proj_0001",
    from_commit_sha=DEPLOYED,
    to_commit_sha=COMMIT,
    commit_message="Take discounts off the revenue of an order\n\nFinance counts revenue after discounts.\nRefs: FIN-231",
    commit_author="Ada Lovelace",
    committed_at=NOW - timedelta(hours=1),
    commits_behind=2,
    status="pending",
    job_name="analytics-plan-explain-20260428-100000",
    dag_id="dagctl__analytics",
    run_id=GROUP,
    settings={"tool_version": "0.236.4", "run_tests": True},
    triggered_by="git_polling",
    created_at=NOW - timedelta(minutes=30),
    started_at=NOW - timedelta(minutes=29, seconds=55),
    updated_at=NOW - timedelta(minutes=29, seconds=20),
    digest="sha256:" + "4f" * 32,
    tool_plan_id="tool-1",
    try_number=1,
)
EXECUTE = replace(
    EXPLAIN,
    id="plan_0002",
    plan_type="execute",
    status="running",
    plan_output=None,
    job_name="analytics-plan-execute-20260428-100500",
    created_at=NOW - timedelta(minutes=5),
    started_at=NOW - timedelta(minutes=4, seconds=57),
    updated_at=NOW - timedelta(minutes=5),
)


def explained(output: dict[str, Any], **changes: Any) -> PlanStep:
    """The explain step with an output."""
    return replace(EXPLAIN, plan_output=output, **changes)


def decision(kind: str, minutes_ago: float = 5.0, **values: Any) -> DecisionRecord:
    """An entry of the record of decisions."""
    made = DecisionRecord(
        id="dec_1",
        group_id=GROUP,
        step_id="plan_0001",
        project_id=PROJECT.id,
        commit_sha=COMMIT,
        decision=kind,
        actor_kind="user",
        actor_id="7",
        actor_name="Grace Hopper",
        door="page",
        created_at=NOW - timedelta(minutes=minutes_ago),
    )
    return replace(made, **values)
