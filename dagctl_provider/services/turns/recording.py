"""Brings executions in line with what Airflow and the plans say, and records their models once they are over.

Settling one is a single transaction under its project's lock, and only the first to end an execution records its models: it may
be done twice, in two processes, and be killed at any line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from dagctl_provider.config import setting
from dagctl_provider.domain.executions import FINISHED, Execution, ExecutionStatus, day_of, ended_as, execution_id
from dagctl_provider.domain.names import EXPLAIN, RUN
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.domain.wire.reports import Result
from dagctl_provider.orchestration import runs, schedules
from dagctl_provider.orchestration.runs import TaskState
from dagctl_provider.plan_output.reading import mapping, texts
from dagctl_provider.plan_output.recorded import counted, recorded, storable
from dagctl_provider.services.lifecycle import letters, run_telling
from dagctl_provider.services.lifecycle import recording as lifecycle_recording
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import recording as recording_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

RUN_LOST = "The Dag run was deleted or ended in Airflow before this run had a result."
NO_RESULT = "The run ended in Airflow without a result; its log says how far it got."
_SKIPPED = "The task was skipped in Airflow."
_UNDER_WAY = ("queued", "running")
_AT_ONCE = 100
_OLD_AT_ONCE = 20
_CLEANED_AT_ONCE = 25
_LOOK_SECONDS = 30.0
_LONGEST_ERROR, _LONGEST_CODE, _LONGEST_POD, _MOST_REMAINING = 4000, 64, 80, 10_000

Work = Callable[[Session], bool]


@dataclass(frozen=True)
class _End:
    """How an execution ended, and what is to be recorded of it.

    :param models: As its runner reported them.
    """

    status: ExecutionStatus
    start_time: datetime | None = None
    end_time: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    pod_name: str | None = None
    models: object = ()
    remaining: tuple[str, ...] | None = None


class Recorder:
    """The turn. All that is not on record yet is looked for now and then, what is under way in each turn."""

    def __init__(self) -> None:
        self._look_at = 0.0

    def turn(self) -> int:
        """Settle what has news.

        :return: How many executions changed.
        """
        everything = time.monotonic() >= self._look_at
        news = transactions.run(partial(_news, everything=everything))
        changed = sum(_done(work) for work in news)
        # There may be more where as many were found as are taken at once.
        self._look_at = time.monotonic() + _LOOK_SECONDS if everything and changed < _AT_ONCE else self._look_at
        return changed


def record_all() -> int:
    """Settle all that has news, as one turn that looks at everything."""
    return Recorder().turn()


def _done(work: Work) -> bool:
    try:
        return transactions.run(work)
    except Exception:
        # One that cannot be settled must not keep the others waiting.
        log.exception("An execution could not be recorded; it is tried again")
        return False


def _news(session: Session, everything: bool) -> list[Work]:
    """What is to be done, each as a transaction of its own, since each holds its project."""
    since = kept_since()
    work: list[Work] = []
    statuses = (None,) if everything else ("running",)
    for status in statuses:
        steps = recording_rows.unrecorded_steps(session, since, _AT_ONCE, status)
        work += [partial(_take_step, step_id=step_id) for step_id in steps]
    if everything:
        lacking = recording_rows.unrecorded_runs(session, since, _AT_ONCE)
        work += [partial(_take_run, run_id=run_id) for run_id in lacking]
    unfinished = execution_rows.unfinished_executions(session)
    if of_jobs := [one for one in unfinished if one.step_id is None]:
        work += _news_of_runs(session, of_jobs)
    if of_plans := [one for one in unfinished if one.step_id is not None]:
        work += _news_of_steps(session, of_plans)
    return work + _begun_anew(session)


def kept_since(now: datetime | None = None) -> datetime | None:
    """From when on executions are kept; ``None``: all are.

    :param now: The present, for tests.
    """
    days = setting("metrics_retention_days")
    return (now or utcnow()) - timedelta(days=days) if days > 0 else None


def _news_of_runs(session: Session, executions: list[Execution]) -> list[Work]:
    known = {run.id: run for run in run_rows.get_runs(session, [one.id for one in executions])}
    places = [(run.dag_id, run.run_id) for run in known.values() if run.dispatched_at is not None]
    tasks, existing = runs.task_states(session, places), runs.existing_runs(session, places)
    found: list[Work] = []
    for execution in executions:
        run = known.get(execution.id)
        place = (run.dag_id, run.run_id) if run is not None else ("", "")
        if _differs(execution, run, tasks.get((*place, RUN)), existing.get(place)):
            found.append(partial(settle_run, run_id=execution.id))
    return found


def _differs(execution: Execution, run: ProjectRun | None, task: TaskState | None, state: str | None) -> bool:
    """Whether settling a run could change it; told from what all of them were asked for together."""
    if run is None:
        return True
    if run.dispatched_at is None:
        return False
    if state not in _UNDER_WAY or (task is not None and task.state in runs.FINISHED):
        return True
    return _under_way(execution, task) != execution


def _under_way(execution: Execution, task: TaskState | None) -> Execution:
    """A run that is not over, as its task says."""
    if task is None or task.state not in ("running", "deferred"):
        return execution
    return replace(execution, status="running", start_time=task.start_date or execution.start_time)


def _news_of_steps(session: Session, executions: list[Execution]) -> list[Work]:
    states = plan_rows.step_states(session, [one.step_id for one in executions if one.step_id is not None])
    begun = plan_rows.begun_steps(session, list(states))
    found: list[Work] = []
    for execution in executions:
        status = states[execution.step_id][0] if execution.step_id in states else None
        if status != "running" or (execution.status == "pending" and execution.step_id in begun):
            found.append(partial(settle_step, step_id=execution.step_id or ""))
    return found


def _begun_anew(session: Session) -> list[Work]:
    """Runs that are over here and that somebody lets run once more in Airflow."""
    places = [(dag_id, run_id) for dag_id, _, run_id in (key.partition("/") for key in schedules.unfinished_runs(session))]
    if not places:
        return []
    known = run_rows.runs_at(session, places)
    over = {one.id for one in execution_rows.get_executions(session, [run.id for run in known]) if one.status in FINISHED}
    tasks = runs.task_states(session, [(run.dag_id, run.run_id) for run in known if run.id in over])
    return [partial(_begin_anew, run_id=run.id) for run in known if run.id in over and _runs_again(run, tasks)]


def _runs_again(run: ProjectRun, tasks: dict[tuple[str, str, str], TaskState]) -> bool:
    task = tasks.get((run.dag_id, run.run_id, RUN))
    return task is not None and task.state not in runs.FINISHED


def _begin_anew(session: Session, run_id: str) -> bool:
    held = _held(session, run_id)
    run = run_rows.get_run(session, run_id)
    if held is None or run is None or held[1].status not in FINISHED:
        return False
    if not _runs_again(run, runs.task_states(session, [(run.dag_id, run.run_id)])):
        return False
    return lifecycle_recording.begin_anew(session, held[1])


def _held(session: Session, identifier: str) -> tuple[Project, Execution] | None:
    """An execution as it is, while its project is held; a project that somebody is changing is looked at in the next turn."""
    seen = execution_rows.get_execution(session, identifier)
    project = project_rows.get_project(session, seen.project_id, lock=True, wait=False) if seen is not None else None
    execution = execution_rows.get_execution(session, identifier) if project is not None else None
    return (project, execution) if project is not None and execution is not None else None


def settle_run(session: Session, run_id: str, tell: bool = True) -> bool:
    """Bring one run in line with its task.

    :param tell: Whether those are told who want to hear that it has ended.
    :return: Whether that changed anything.
    """
    held = _held(session, run_id)
    if held is None or held[1].status in FINISHED:
        return False
    project, execution = held
    run = run_rows.get_run(session, run_id)
    if run is None:
        return _end(session, project, execution, _End("error", error_code="run_lost", error_message=RUN_LOST), tell)
    if run.dispatched_at is None:
        return False
    place = (run.dag_id, run.run_id)
    task, state = runs.task_states(session, [place]).get((*place, RUN)), runs.existing_runs(session, [place]).get(place)
    if state in _UNDER_WAY and (task is None or task.state not in runs.FINISHED):
        now = _under_way(execution, task)
        return now != execution and execution_rows.change_execution(session, run_id, status=now.status, start_time=now.start_time)
    return _end(session, project, execution, _end_of_run(session, run, task), tell)


def _end_of_run(session: Session, run: ProjectRun, task: TaskState | None) -> _End:
    result = letters.result_of(session, run, task.try_id) if task is not None else None
    start, end = (task.start_date, task.end_date) if task is not None else (None, None)
    if result is not None:
        return _end_by(result, start, end)
    if task is None or task.state not in ("success", "failed", "skipped"):
        return _End("error", start, end, error_code="run_lost", error_message=RUN_LOST)
    if task.state == "skipped":
        return _End("error", error_code="task_skipped", error_message=_SKIPPED)
    return _End("error", start, end, error_code="task_failed", error_message=NO_RESULT)


def _end_by(result: Result, start: datetime | None, end: datetime | None) -> _End:
    failure = result.failure
    told = result.models if result.models is not None else mapping(result.plan_output).get("models")
    remaining = texts(result.remaining)[:_MOST_REMAINING] if result.remaining is not None else None
    succeeded = result.outcome == "succeeded"
    return _End(
        ended_as(result.outcome, failure.code, _computed(told)),
        start,
        end,
        error_code=None if succeeded else failure.code or "task_failed",
        error_message=None if succeeded else failure.message or NO_RESULT,
        pod_name=result.pod_name,
        models=told,
        remaining=remaining,
    )


def _computed(models: object) -> int:
    return sum(mapping(row).get("status") == "succeeded" for row in models) if isinstance(models, list) else 0


def _end(session: Session, project: Project, execution: Execution, end: _End, tell: bool) -> bool:
    """Record an end: the execution, its models and the sums of their days, or nothing where somebody was faster."""
    now = utcnow()
    end_time = end.end_time or (now if execution.step_id is None else None)
    start_time = end.start_time or execution.start_time
    over = replace(
        execution,
        status=end.status,
        start_time=start_time,
        end_time=end_time,
        duration_seconds=_between(start_time, end_time),
        error_code=storable(end.error_code, _LONGEST_CODE),
        error_message=storable(end.error_message, _LONGEST_ERROR),
        pod_name=storable(end.pod_name, _LONGEST_POD),
        updated_at=now,
    )
    models = recorded(end.models, over, now)
    over = counted(over, models)
    values = {name: getattr(over, name) for name in _ENDING}
    remaining = None if end.remaining is None else [text for text in (storable(one, 500) for one in end.remaining) if text]
    if not execution_rows.finish_execution(session, execution.id, **values, remaining=remaining):
        return False
    execution_rows.insert_models(session, models)
    execution_rows.add_to_days(session, models)
    if tell and execution.step_id is None:
        job = job_rows.get_job(session, execution.job_id) if execution.job_id is not None else None
        run_telling.note(session, project, job, over)
    return True


_ENDING = (
    "status", "start_time", "end_time", "duration_seconds", "error_code", "error_message", "pod_name",
    "models_total", "models_succeeded", "models_failed", "models_skipped",
)  # fmt: skip


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return max((end - start).total_seconds(), 0.0) if start is not None and end is not None else None


def settle_step(session: Session, step_id: str) -> bool:
    """Bring the execution of a plan's step in line with the step.

    :return: Whether that changed anything.
    """
    held = _held(session, execution_id(step_id))
    if held is None or held[1].status in FINISHED:
        return False
    project, execution = held
    step = plan_rows.get_step(session, step_id)
    if step is None:
        # Only an explain that has succeeded and waits for a decision can be deleted.
        return _end(session, project, execution, _End("success"), tell=False)
    if step.status == "running":
        if step.started_at is None or execution.status == "running":
            return False
        return execution_rows.change_execution(session, execution.id, status="running", start_time=step.started_at)
    return _end(session, project, execution, _end_of_step(session, step), tell=False)


def _end_of_step(session: Session, step: PlanStep) -> _End:
    told = mapping(step.plan_output).get("models") if step.plan_type == "execute" else ()
    status = _status_of(step, _computed(told))
    return _End(
        status,
        start_time=step.started_at,
        end_time=_end_time(session, step),
        error_code=None if status == "success" else step.error_code or ("cancelled" if step.status == "cancelled" else None),
        error_message=None if status == "success" else step.error_message or f"The step was {step.status}.",
        pod_name=step.pod_name,
        models=told,
    )


def _status_of(step: PlanStep, computed: int) -> ExecutionStatus:
    """An explain that found something has succeeded, whatever became of the plan afterwards."""
    if step.status == "failed":
        return ended_as("failed", step.error_code, computed)
    if step.plan_type == EXPLAIN:
        return "success" if step.digest is not None or step.status != "cancelled" else "error"
    return "error" if step.status == "cancelled" else "success"


def _end_time(session: Session, step: PlanStep) -> datetime | None:
    """When the task of a step ended.

    Where Airflow has forgotten it, or does the next step in its place, an execute ended when that was noted; an explain is
    noted as finished only with the decision, so then nobody knows.
    """
    place = (step.dag_id, step.run_id)
    task = runs.task_states(session, [place]).get((*place, step.task_id))
    if task is not None and task.end_date is not None and step.started_at is not None and task.start_date == step.started_at:
        return task.end_date
    return step.finished_at if step.plan_type != EXPLAIN or step.status == "failed" else None


def _take_step(session: Session, step_id: str) -> bool:
    """Put a step of a plan on record, as far as it is."""
    step = plan_rows.get_step(session, step_id)
    project = project_rows.get_project(session, step.project_id, lock=True, wait=False) if step is not None else None
    if step is None or project is None or execution_rows.get_execution(session, execution_id(step_id)) is not None:
        return False
    execution_rows.insert_execution(session, _as_execution(step))
    settle_step(session, step_id)
    return True


def _as_execution(step: PlanStep) -> Execution:
    return Execution(
        id=execution_id(step.id),
        project_id=step.project_id,
        job_type="plan",
        job_name=step.job_name or f"plan-{step.plan_type}",
        status="pending",
        triggered_by=step.triggered_by or "dagctl",
        created_at=step.created_at,
        updated_at=utcnow(),
        step_id=step.id,
        plan_id=step.group_id,
        command=step.plan_type,
        environment=step.environment or None,
        commit_sha=step.to_commit_sha,
        attempt=step.attempt,
    )


def _take_run(session: Session, run_id: str) -> bool:
    """Put a run on record that was there before there was such a record. Nobody is told of what ended long ago."""
    run = run_rows.get_run(session, run_id)
    project = project_rows.get_project(session, run.project_id, lock=True, wait=False) if run is not None else None
    job = job_rows.get_job(session, run.job_id) if run is not None else None
    if run is None or project is None or job is None or execution_rows.get_execution(session, run_id) is not None:
        return False
    scheduled = schedules.is_scheduled(session, run.dag_id, run.run_id)
    lifecycle_recording.note_run(session, project, job, run, run.dag_id if scheduled else None)
    settle_run(session, run_id, tell=False)
    return True


def clean(now: datetime | None = None) -> int:
    """Remove what is older than the metrics are kept, a bounded part at a time.

    :param now: The present, for tests.
    :return: How many executions were removed.
    """
    before = kept_since(now)
    if before is None:
        return 0
    gone = 0
    for _ in range(_CLEANED_AT_ONCE):
        removed = transactions.run(lambda session: recording_rows.forget_executions(session, before, _OLD_AT_ONCE))
        days = transactions.run(lambda session: recording_rows.forget_days(session, day_of(before)))
        gone += removed
        if not removed and not days:
            break
    return gone
