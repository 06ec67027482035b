"""Writes down, in the transaction that moves a plan, who outside is to be told of it.

So nothing is told that did not happen and nothing that happened is forgotten. The controller's turns deliver it afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache

from dagctl_provider.config import plan_address, setting
from dagctl_provider.domain.ids import new_id, short_sha
from dagctl_provider.domain.notifications import InvalidNotifiers, Target, event_of, parse_targets
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.telling import Told, tell
from dagctl_provider.services.lifecycle import deployments
from dagctl_provider.store import notifications as notification_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

_LONGEST_TEXT = 1000
_SAID: Mapping[str, str] = {
    "pending": "the plan waits for approval",
    "approved": "the plan was approved",
    "rejected": "the plan was rejected",
    "discarded": "the plan was discarded",
    "cancelled": "the plan was cancelled",
    "failed": "the plan could not be explained",
    "completed": "the plan was executed",
    "execute cancelled": "the execution was stopped",
    "execute failed": "the execution failed",
}
"""Ends of headlines, by event, or by step and event where the step makes a difference."""


@lru_cache(maxsize=4)
def _parsed(text: str) -> tuple[Target, ...]:
    try:
        return parse_targets(text)
    except InvalidNotifiers as error:
        # Nobody is told, but plans go on: the setting is no part of what they do.
        log.error("[dagctl] notifiers: %s; nobody is notified before it is corrected", error)
        return ()


def targets() -> tuple[Target, ...]:
    """Who wants to hear, as ``[dagctl] notifiers`` says now. What it says wrongly is logged once, and nobody hears."""
    return _parsed(str(setting("notifiers")))


def note(session: Session, step: PlanStep, comment: str | None = None) -> None:
    """Write down who is to be told that a step has the status it has.

    :param step: As it was just stored.
    :param comment: What the person who decided said.
    """
    event = event_of(step.plan_type, step.status, step.auto_discarded)
    if event is None or not targets():
        return
    project = project_rows.get_project(session, step.project_id)
    wanting = [target for target in targets() if project is not None and target.wants(event, project.name)]
    if project is None or not wanting:
        return
    steps = plan_rows.group_steps(session, step.group_id)
    # What was executed to its end is about to be put on record.
    deployed = step.to_commit_sha if event == "completed" else deployments.commit_in(session, project, step.environment)
    payload = describe(event, new_id("evt_"), project, step, tell(steps, project, deployed), comment)
    for target in wanting:
        notification_rows.insert_notification(session, id=new_id("ntf_"), target=target.name, event=event, payload=payload)


def describe(
    event: str, event_id: str, project: Project, step: PlanStep, told: Told, comment: str | None = None
) -> dict[str, object]:
    """What is told about an event; docs/notifications.md says what each member means. Members without a value are absent.

    :param told: What is said of the plan.
    """
    message = (step.commit_message or "").strip().partition("\n")[0]
    said = _SAID.get(f"{step.plan_type} {event}") or _SAID[event]
    members = {
        "event_id": event_id,
        "event": event,
        "occurred_at": utcnow().isoformat(),
        "organization_id": step.organization_id,
        "project_id": project.id,
        "project_name": project.name,
        "id": step.id,
        "plan_id": step.group_id,
        "plan_type": step.plan_type,
        "status": step.status,
        "to_commit_sha": step.to_commit_sha,
        "from_commit_sha": step.from_commit_sha,
        "commit_message": message[:_LONGEST_TEXT],
        "commit_author": step.commit_author,
        "environment": told.output.environment,
        "subject": f"{project.name} {short_sha(step.to_commit_sha)}: {said}",
        "summary": told.summary,
        "counts": told.figures.to_json() if told.output.explain_completed else None,
        "decided_by": step.decided_by,
        "comment": comment[:_LONGEST_TEXT] if comment else None,
        "auto_discarded": True if step.auto_discarded else None,
        "attempt": step.attempt if step.plan_type == "execute" else None,
        "error_code": step.error_code,
        "error_message": (step.error_message or "")[:_LONGEST_TEXT],
        "dag_id": step.dag_id,
        "run_id": step.run_id,
        "url": plan_address(step.group_id),
    }
    return {name: value for name, value in members.items() if value not in (None, "")}
