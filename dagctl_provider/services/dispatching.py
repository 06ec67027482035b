"""Hands stored plans and runs to Airflow once it knows their Dags. A request that has to wait is never lost."""

from __future__ import annotations

import logging

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.orchestration import dags, runs
from dagctl_provider.services import publishing, steps, transactions
from dagctl_provider.store import records
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)


def dispatch_waiting_plans() -> int:
    """Start each explain step that Airflow does not have yet, where it can be started.

    :return: How many still wait for their Dag.
    """

    def work(session: Session) -> tuple[list[PlanStep], frozenset[str]]:
        waiting = [step for step in records.steps_in(session, ["running"]) if step.dispatched_at is None]
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
        return [run["id"] for run in records.undispatched_runs(session)]

    return sum(not dispatch_run(run_id) for run_id in transactions.run(work))


def dispatch_run(run_id: str) -> bool:
    """Start one requested project run if Airflow is ready for it."""

    def work(session: Session) -> bool:
        run = records.get_run(session, run_id)
        if run is None or run["dispatched_at"] is not None:
            return True
        if not dags.is_ready(session, run["dag_id"]):
            publishing.ask_for_parsing(session)
            return False
        # The note comes first: it waits for whoever is taking the run back, and then finds nothing to start.
        if records.mark_run_dispatched(session, run_id):
            runs.trigger_run(session, run["dag_id"], run["run_id"], {"dagctl": run["settings"]}, run["triggered_by"])
        return True

    try:
        return transactions.run(work)
    except Exception:
        log.warning("Run %s is stored; the controller will start it", run_id, exc_info=True)
        return False
