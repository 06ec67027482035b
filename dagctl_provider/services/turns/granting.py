"""Lets further tries run: of steps that are still to run and that Airflow starts anew, and of runs of what is deployed.

The first try of a plan's step is granted together with the decision for it. A further one is Airflow's, after a lost worker, or
somebody's who cleared the task; either way it does what was decided and nothing else. A step that is over gets nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from dagctl_provider.domain.names import RUN
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.runs import ProjectRun, run_step_id
from dagctl_provider.orchestration import dags, runs, schedules
from dagctl_provider.orchestration.runs import FINISHED, TaskState
from dagctl_provider.services.lifecycle import grants
from dagctl_provider.store import grants as grant_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.grants import Given
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)


def grant_all() -> int:
    """Give each step and each run under way a grant for the try that is to run, where it has none.

    :return: How many were given.
    """
    if transactions.run(dags.mend_pools):
        log.warning("Somebody changed the slots of a writer pool; it has its one slot again")
    given = 0
    for work in transactions.run(_lacking):
        try:
            given += transactions.run(work)
        except Exception:
            # One step that cannot be granted must not keep the others waiting.
            log.exception("A step could not be granted; it is tried again")
    return given


def _lacking(session: Session) -> list[Callable[[Session], bool]]:
    """What is to be granted, each as a transaction of its own, since each holds its project."""
    steps = [step for step in plan_rows.steps_in(session, ["running"]) if step.dispatched_at is not None]
    under_way = {(dag_id, run_id) for dag_id, _, run_id in (key.partition("/") for key in schedules.unfinished_runs(session))}
    found = {(run.dag_id, run.run_id): run for run in run_rows.runs_at(session, under_way)}
    states = runs.task_states(session, [*((step.dag_id, step.run_id) for step in steps), *under_way])
    names = {place: found[place].id if place in found else run_step_id(*place) for place in under_way}
    given = grant_rows.grants_of(session, [*(step.id for step in steps), *names.values()])
    work: list[Callable[[Session], bool]] = []
    for step in steps:
        state = states.get((step.dag_id, step.run_id, step.task_id))
        if state is not None and state.state not in FINISHED and _lacks(state, given.get(step.id)):
            work.append(partial(_grant_step, step=step))
    for place, name in sorted(names.items()):
        state = states.get((*place, RUN))
        if state is not None and state.state == "running" and _lacks(state, given.get(name)):
            known = found.get(place)
            work.append(partial(_grant_run, run=known) if known is not None else partial(_refuse_run, state=state))
    return work


def _lacks(state: TaskState, given: Given | None) -> bool:
    return given is None or given.try_id != state.try_id or given.expires_at - utcnow() < grants.VALID / 2


def _grant_step(session: Session, step: PlanStep) -> bool:
    project = project_rows.get_project(session, step.project_id, lock=True, wait=False)
    current = plan_rows.get_step(session, step.id)
    if project is None or current is None or current.status != "running" or current.dispatched_at is None:
        return False
    state = runs.task_states(session, [(step.dag_id, step.run_id)]).get((step.dag_id, step.run_id, step.task_id))
    given = grant_rows.grants_of(session, [step.id]).get(step.id)
    if state is None or not _lacks(state, given):
        return False
    again = given is not None and given.try_id != state.try_id
    if again and current.plan_type == "execute" and current.started_at is not None and not project.tool.airflow_may_retry:
        # Whoever cleared it: what an execute of this tool began, only dagctl may begin again.
        return False
    grants.give(session, project, current)
    return True


def _grant_run(session: Session, run: ProjectRun) -> bool:
    project = project_rows.get_project(session, run.project_id, lock=True, wait=False)
    state = runs.task_states(session, [(run.dag_id, run.run_id)]).get((run.dag_id, run.run_id, RUN))
    if project is None or state is None or state.state != "running":
        return False
    if not _lacks(state, grant_rows.grants_of(session, [run.id]).get(run.id)):
        return False
    grants.give_run(session, project, run, state)
    return True


def _refuse_run(session: Session, state: TaskState) -> bool:
    """Others that are not on record yet will be at the next look."""
    if not schedules.is_backfilled(session, state.dag_id, state.run_id):
        return False
    grants.refuse_run(session, state)
    return True
