"""Has Airflow start an explain anew that was killed more often than Airflow tries. It only reads, so nothing is done twice.

A machine that is taken away, a scheduler that is restarted again and again: none of it says anything about the commit. Only an
explain that has used up Airflow's tries and left no result counts as killed. What somebody marks as failed in Airflow, or what a
worker refuses, has tries left.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from dagctl_provider.domain.names import APPROVAL, EXECUTE, EXPLAIN
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import runs
from dagctl_provider.orchestration.runs import TaskState
from dagctl_provider.services.lifecycle import grants
from dagctl_provider.store import grants as grant_rows
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

MOST = 12
"""How often dagctl starts one explain anew; each time Airflow tries as often as ever."""

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=2), timedelta(seconds=60)


def pause(restarts: int) -> timedelta:
    """How long an explain rests before it is started anew.

    :param restarts: How often it was by now.
    """
    return min(_FIRST_PAUSE * (1 << restarts), _LONGEST_PAUSE)


def goes_on(session: Session, project: Project, step: PlanStep, state: TaskState) -> bool:
    """Whether an explain whose task failed without a result is not over yet; started anew once it has rested.

    The caller holds the project's row.
    """
    given = grant_rows.grants_of(session, [step.id]).get(step.id)
    done = given.restarts if given is not None else 0
    if step.plan_type != "explain" or state.try_number <= state.max_tries or done >= MOST:
        return False
    if state.end_date is not None and utcnow() < state.end_date + pause(done):
        return True
    runs.clear_tasks(session, step.dag_id, step.run_id, (EXPLAIN, APPROVAL, EXECUTE))
    grants.give(session, project, step)
    log.info(
        "The explain of plan %s was killed; it starts anew (%d of %d)", step.id, grant_rows.note_restart(session, step.id), MOST
    )
    return True
