"""What executes that did not end well left in the warehouse: neither what is deployed nor what was approved.

There is no table of it. It follows from the executes that failed or were cancelled since the last one that succeeded: each says
itself what it began to change; of one that vanished, all that it would have changed counts. The next explain and execute get it
as an input, and the next success ends it.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output import stored
from dagctl_provider.plan_output.reading import explained, mapping, rows
from dagctl_provider.services.lifecycle import letters
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.session import Session

LEFTOVERS = "leftovers"
_TESTS = ("test.", "unit_test.")
_ENDED_BADLY = ("failed", "cancelled")


def input_for(session: Session, step: PlanStep) -> dict[str, str]:
    """The input of a step that has to know what other plans left; for an explain, all plans.

    :param step: An explain or an execute that is about to start.
    """
    own = step.group_id if step.plan_type == "execute" else None
    return _as_input(_rows(session, step.project_id, step.environment, without=own))


def input_for_runs(session: Session, project: Project) -> dict[str, str]:
    """The input of the runs of what is deployed, for tools whose runs go by a state: it may count what was left as done."""
    if not project.tool.has_state or project.current_environment is None:
        return {}
    return _as_input(_rows(session, project.id, project.current_environment))


def _as_input(rows: list[dict[str, Any]]) -> dict[str, str]:
    if not rows:
        return {}
    content = json.dumps({"rows": rows}, sort_keys=True).encode()
    return {LEFTOVERS: base64.b64encode(gzip.compress(content, mtime=0)).decode()}


def _rows(session: Session, project_id: str, environment: str, without: str | None = None) -> list[dict[str, Any]]:
    found = []
    for execute in unsettled(session, project_id, environment):
        if execute.group_id != without:
            explain = plan_rows.group_steps(session, execute.group_id)[0]
            about = {"plan_id": str(explain.tool_plan_id), "commit": explain.to_commit_sha}
            found += [{**row, **about} for row in _left_by(session, execute, explain)]
    return found


def unsettled(session: Session, project_id: str, environment: str) -> tuple[PlanStep, ...]:
    """The executes that did not end well since the last one that did, oldest first."""
    deployment = deployment_rows.get_deployment(session, project_id, environment)
    last = plan_rows.get_step(session, deployment.step_id) if deployment is not None and deployment.step_id else None
    since = last.created_at if last is not None else deployment.deployed_at if deployment is not None else None
    steps = plan_rows.executes_since(session, project_id, environment, since)
    return tuple(step for step in steps if step.status in _ENDED_BADLY and _has_begun(step))


def _has_begun(step: PlanStep) -> bool:
    """Whether Airflow ever started the task of an execute that did not end well. Of a lost run nobody knows."""
    return step.started_at is not None or step.error_code == "run_lost"


def keep(session: Session, step: PlanStep) -> None:
    """Write down what an execute left before Airflow forgets its result: when its task is to run again.

    A cancelled execute is on record before its worker has ended.
    """
    if step.plan_type != "execute" or "left" in mapping(step.plan_output):
        return
    result = letters.result_of(session, step)
    if result is not None and result.left is not None:
        plan_rows.note_step(session, step.id, plan_output={**mapping(step.plan_output), **stored.left(result)})


def _left_by(session: Session, execute: PlanStep, explain: PlanStep) -> list[dict[str, Any]]:
    keep(session, execute)
    current = plan_rows.get_step(session, execute.id) or execute
    output = mapping(current.plan_output)
    if "left" in output:
        return [dict(row) for row in rows(output["left"]) if row.get("node")]
    return _would_leave(explain)


def _would_leave(explain: PlanStep) -> list[dict[str, Any]]:
    """All that an execute of the plan may change."""
    output = mapping(explain.plan_output)
    if "leaves" in output:
        return [dict(row) for row in rows(output["leaves"]) if row.get("node")]
    selection = explained(output).selection
    nodes = selection.nodes if selection is not None else ()
    return [{"node": node, "name": node.split(".")[-1]} for node in nodes if not node.startswith(_TESTS)]
