"""An approval whose execution drifted, kept for a new plan of the same commit that comes out as the approved one.

What a person approved is a digest. When the drift is over, because a variable or the warehouse is as it was, to ask for the same
digest again would only teach people to click. Nothing was written meanwhile, and the record says whose approval it is.
"""

from __future__ import annotations

from typing import Any, cast

from dagctl_provider.domain.decisions import DecisionRecord, approval_to_keep
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep, has_drifted
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.reading import executed
from dagctl_provider.services.lifecycle import matters, protecting
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.session import Session, utcnow


def find(session: Session, project: Project, step: PlanStep, digest: str | None) -> DecisionRecord | None:
    """The approval that an explain need not wait for, in a transaction that holds the project's row.

    :param step: The explain.
    :param digest: What it came to.
    """
    last = plan_rows.newest_execution(session, project.id, step.environment)
    if digest is None or last is None or not has_drifted((last,)):
        return None
    if (last.to_commit_sha, last.digest) != (step.to_commit_sha, digest):
        return None
    # Whoever approves is asked for the head of the branch; here nobody is, so what polling saw last counts.
    if project.latest_commit_sha not in (None, step.to_commit_sha):
        return None
    rows = decision_rows.decisions_on_commit(session, project.id, step.to_commit_sha)
    return approval_to_keep(rows, last.group_id, digest, utcnow())


def allowed(session: Session, project: Project, step: PlanStep) -> tuple[str, ...]:
    """The models whose destructive changes the drifted plan's approval named.

    :param step: The explain.
    """
    last = plan_rows.newest_execution(session, project.id, step.environment)
    whole = plan_rows.get_step(session, last.id) if last is not None else None
    return executed(whole.plan_output).allow_destructive if whole is not None else ()


def is_enough(session: Session, explain: PlanStep) -> bool:
    """Whether the approvals that stand for what an explain came to are enough where it leads, and may be used now.

    :param explain: With what it came to.
    """
    try:
        verdict = protecting.kept(session, explain)
    except DagctlError:
        return False
    return verdict is None or verdict.passes


def judged(session: Session, explain: PlanStep) -> dict[str, Any] | None:
    """By which rules they were judged, for the record; ``None`` where there are none."""
    verdict = protecting.kept(session, explain)
    return verdict.to_json(matters.environment_of(explain)) if verdict is not None else None


def who_gave(approval: DecisionRecord, project: Project) -> Actor:
    """The person who approved, without any right: they may not be here any more."""
    kind = cast("Any", approval.actor_kind)
    return Actor(kind, approval.actor_id, approval.actor_name, project.organization_id)


def said_of(approval: DecisionRecord) -> str:
    """What the record says of a kept approval."""
    return f"The approval of {approval.step_id} is kept: the digest is the same."
