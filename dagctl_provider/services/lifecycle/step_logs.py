"""Which try of which task holds the log of a step or a run, and what stands there: live while it runs, as kept afterwards."""

from __future__ import annotations

from dagctl_provider.domain.names import RUN
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.orchestration import runs
from dagctl_provider.orchestration.logs import read_log
from dagctl_provider.store.session import Session


def of_step(session: Session, step: PlanStep) -> str:
    """The log of an explain or execute."""
    task_id, try_number = step.task_id, step.try_number
    if step.status == "running":
        state = runs.task_states(session, [(step.dag_id, step.run_id)]).get((step.dag_id, step.run_id, task_id))
        try_number = state.try_number if state is not None and state.state is not None else try_number
    return read_log(session, step.dag_id, step.run_id, task_id, try_number)


def of_run(session: Session, run: ProjectRun) -> str:
    """The log of a run's newest try; nothing before it begins."""
    state = runs.task_states(session, [(run.dag_id, run.run_id)]).get((run.dag_id, run.run_id, RUN))
    return read_log(session, run.dag_id, run.run_id, RUN, state.try_number) if state is not None else ""
