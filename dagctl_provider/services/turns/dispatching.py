"""Hands stored plans and runs to Airflow once it knows their Dags. A request that has to wait is never lost."""

from __future__ import annotations

import logging

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.orchestration import dags
from dagctl_provider.services.lifecycle import publishing, steps
from dagctl_provider.services.lifecycle import runs as project_runs
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)


def dispatch_waiting_plans() -> int:
    """Start each explain step that Airflow does not have yet, where it can be started.

    :return: How many still wait for their Dag.
    """

    def work(session: Session) -> tuple[list[PlanStep], frozenset[str]]:
        waiting = [step for step in plan_rows.steps_in(session, ["running"]) if step.dispatched_at is None]
        return waiting, dags.ready(session, {step.dag_id for step in waiting})

    waiting, ready = transactions.run(work)
    # One transaction for each, since each holds its project.
    left = sum(step.dag_id not in ready or not _dispatch_plan(step) for step in waiting)
    if left:
        transactions.run(publishing.ask_for_parsing)
    return left


def _dispatch_plan(step: PlanStep) -> bool:
    try:
        return transactions.run(lambda session: steps.dispatch(session, step, wait=False))
    except Exception:
        # One plan that cannot be started must not keep the others waiting.
        log.exception("Plan %s could not be started; it is tried again", step.id)
        return False


def dispatch_waiting_runs() -> int:
    """Start each requested project run that Airflow does not have yet.

    :return: How many still wait for their Dag.
    """

    def work(session: Session) -> list[str]:
        return [run.id for run in run_rows.undispatched_runs(session)]

    return sum(not _dispatch_run(run_id) for run_id in transactions.run(work))


def _dispatch_run(run_id: str) -> bool:
    try:
        return transactions.run(lambda session: project_runs.dispatch(session, run_id))
    except Exception:
        # One run that cannot be started must not keep the others waiting.
        log.warning("Run %s is stored; the controller will start it", run_id, exc_info=True)
        return False
