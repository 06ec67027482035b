"""Writes down, in the transaction that ends a run, who outside is to be told of it: what its job says, and nobody else.

Delivered like what is told of plans (:mod:`~dagctl_provider.services.lifecycle.telling`).
"""

from __future__ import annotations

from dagctl_provider.config import run_address
from dagctl_provider.domain.executions import Execution
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.notifications import SLACK
from dagctl_provider.domain.projects import Project
from dagctl_provider.services.lifecycle.telling import targets
from dagctl_provider.store import notifications as notification_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store.session import Session, utcnow

_LONGEST_TEXT = 1000


def note(session: Session, project: Project, job: Job | None, execution: Execution) -> None:
    """Write down who is to be told that a run has ended.

    :param job: ``None`` where it was deleted meanwhile: then nobody is told.
    :param execution: As it was just stored, with its final status.
    """
    if job is None:
        return
    event = "run_succeeded" if execution.status == "success" else "run_failed"
    hearing = _hearing(project, job, event)
    if not hearing:
        return
    run = run_rows.get_run(session, execution.id)
    payload = describe(event, new_id("evt_"), project, job, execution)
    # Where it is in Airflow; one that was taken back before it began is nowhere.
    payload |= {"dag_id": run.dag_id, "run_id": run.run_id} if run is not None else {}
    for target in hearing:
        channel = {"slack_channel": job.settings["slack_channel"]} if target == SLACK else {}
        told = {**payload, **channel}
        notification_rows.insert_notification(session, id=new_id("ntf_"), target=target, event=event, payload=told)


def _hearing(project: Project, job: Job, event: str) -> list[str]:
    """Names of those who are told."""
    found = []
    alert = "slack_alert_on_success" if event == "run_succeeded" else "slack_alerts_enabled"
    if job.settings.get("slack_channel") and job.value(alert):
        found.append(SLACK)
    if job.value("webhook_enabled"):
        found += [target.name for target in targets() if target.wants(event, project.name)]
    return found


def describe(event: str, event_id: str, project: Project, job: Job, execution: Execution) -> dict[str, object]:
    """What is told about a run; docs/notifications.md says what each member means. Members without a value are absent."""
    how = "succeeded" if event == "run_succeeded" else "was cancelled" if execution.error_code == "cancelled" else "failed"
    counts = {name: getattr(execution, name) for name in ("models_total", "models_succeeded", "models_failed", "models_skipped")}
    members = {
        "event_id": event_id,
        "event": event,
        "occurred_at": utcnow().isoformat(),
        "organization_id": project.organization_id,
        "project_id": project.id,
        "project_name": project.name,
        "id": execution.id,
        "job_id": job.id,
        "job": job.name,
        "job_name": execution.job_name,
        "status": execution.status,
        "command": execution.command,
        "environment": execution.environment,
        "commit_sha": execution.commit_sha,
        "triggered_by": execution.triggered_by,
        "duration_seconds": execution.duration_seconds,
        "subject": f"{project.name}, job {job.name}: the run {how}",
        "summary": _summary(execution),
        "error_code": execution.error_code,
        "error_message": (execution.error_message or "")[:_LONGEST_TEXT],
        "url": run_address(project.id, execution.id),
        **(counts if execution.models_total else {}),
    }
    return {name: value for name, value in members.items() if value not in (None, "")}


def _summary(execution: Execution) -> str:
    """What became of its models, in one sentence; nothing where there were none."""
    if not execution.models_total:
        return ""
    parts = [f"{execution.models_succeeded} of {execution.models_total} models succeeded"]
    parts += [
        f"{count} {word}" for word, count in (("failed", execution.models_failed), ("skipped", execution.models_skipped)) if count
    ]
    return ", ".join(parts) + "."
