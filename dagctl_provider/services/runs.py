"""One run: its log, and its end before its time (Jobs API document)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.executions import FINISHED, Execution
from dagctl_provider.domain.names import POD_KEY, RUN
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.reports import PodSeen
from dagctl_provider.orchestration import runs as airflow_runs
from dagctl_provider.services.lifecycle import auditing, letters, lookups, run_telling, runs, step_logs
from dagctl_provider.services.outside import pods, waiting
from dagctl_provider.services.results import RunLogs
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

_UNFINISHED = ("queued", "running")
_ENDING = ("status", "start_time", "end_time", "duration_seconds", "error_code", "error_message")
_LONGEST_NAME = 300


def get_logs(actor: Actor, run_id: str) -> RunLogs:
    """The log of a run, of a job or of a plan's step: live while it runs, from Airflow's store afterwards.

    Of a run that Airflow has forgotten there is none any more.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    actor.require("read")
    found = transactions.run(lambda session: _with_pod(session, lookups.visible_run(session, actor, run_id)[1]))
    # It may be on a machine that does not answer, so a place to wait is taken first.
    with waiting.reading_log():
        return RunLogs(found, transactions.run(lambda session: _log(session, found)))


def _with_pod(session: Session, execution: Execution) -> Execution:
    """The run with its pod's name, which is on its record only once the run has reported."""
    run = run_rows.get_run(session, execution.id)
    if execution.pod_name or run is None:
        return execution
    seen = letters.told_by(session, PodSeen, run, POD_KEY)
    return replace(execution, pod_name=seen.pod_name) if seen is not None else execution


def _log(session: Session, execution: Execution) -> str:
    if execution.step_id is not None:
        step = plan_rows.get_step(session, execution.step_id)
        return step_logs.of_step(session, step) if step is not None else ""
    run = run_rows.get_run(session, execution.id)
    return step_logs.of_run(session, run) if run is not None else ""


def cancel(actor: Actor, run_id: str) -> Execution:
    """Stop a run of a job: one that waits is taken back, one that runs is ended with its process or pod.

    :raises DagctlError: ``forbidden``, ``not_found``, ``run_over``, ``wrong_state`` for the steps of plans.
    """
    actor.require("run_project")

    def work(session: Session) -> Execution:
        project, execution = lookups.visible_run(session, actor, run_id, lock=True)
        if execution.step_id is not None:
            detail = f"Run {run_id} is a step of a plan; cancel that: POST /plans/{execution.step_id}/cancel."
            raise DagctlError("wrong_state", detail, plan_id=execution.step_id)
        if execution.status in FINISHED:
            raise DagctlError("run_over", f"Run {run_id} is over: {execution.status}.", status=execution.status)
        began = _stop(session, run_id)
        ended = _cancelled(session, actor, execution, began)
        run_telling.note(session, project, job_rows.get_job(session, execution.job_id or ""), ended)
        _on_record(session, actor, project, ended)
        return ended

    cancelled = transactions.run(work)
    # No pod is said to be cancelled that may still write; processes hear of it from Airflow (docs/api.md).
    pods.await_stopped(cancelled.id, cancelled.id)
    return cancelled


def _stop(session: Session, run_id: str) -> datetime | None:
    """End a run, or take it back.

    :return: When it began, if it did.
    :raises DagctlError: ``run_over`` where there is nothing to end any more.
    """
    run = run_rows.get_run(session, run_id)
    if run is None:
        raise DagctlError("run_over", f"Run {run_id} does not exist in Airflow any more.")
    if run.dispatched_at is None:
        run_rows.delete_run(session, run_id)
        return None
    place = (run.dag_id, run.run_id)
    if airflow_runs.existing_runs(session, [place]).get(place) not in _UNFINISHED:
        raise DagctlError("run_over", f"Run {run_id} has just ended.")
    task = airflow_runs.task_states(session, [place]).get((*place, RUN))
    runs.stop(session, *place)
    return task.start_date if task is not None else None


def _cancelled(session: Session, actor: Actor, execution: Execution, began: datetime | None) -> Execution:
    """The execution as it is once somebody has cancelled it, and so on record: what the worker still says changes nothing."""
    now, began = utcnow(), execution.start_time or began
    ended = replace(
        execution,
        status="error",
        start_time=began,
        end_time=now,
        duration_seconds=(now - began).total_seconds() if began is not None else None,
        error_code="cancelled",
        error_message=f"Cancelled by {actor.name}"[:_LONGEST_NAME],
        updated_at=now,
    )
    noted = {name: getattr(ended, name) for name in _ENDING}
    execution_rows.change_execution(session, execution.id, **noted)
    return ended


def _on_record(session: Session, actor: Actor, project: Project, execution: Execution) -> None:
    what = Subject("run", execution.id, execution.job_name, project.id)
    auditing.record(session, actor, "cancelled", what, after={"job_id": execution.job_id, "command": execution.command})
