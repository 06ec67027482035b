"""Turns what people answer in Airflow's Required Actions into decisions, through the same checks as every other door."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from dagctl_provider.domain.answers import Answer
from dagctl_provider.domain.doors import Door
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.evaluations import still_missing
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.wire.decisions import RECORDED, Refusal
from dagctl_provider.orchestration import approvals
from dagctl_provider.services import members, plans
from dagctl_provider.services.lifecycle import letters, steps
from dagctl_provider.services.results import PlanApprovalRecorded
from dagctl_provider.store import answers as answer_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow

log = logging.getLogger(__name__)

DOOR: Door = "required_actions"
# Less than the waiting task has, so that it hears of the refusal.
_PATIENCE = timedelta(seconds=60)


def handle_answers() -> int:
    """Decide for every pending plan that a person answered.

    A refused answer is told to the waiting task, which then waits again. An answer that comes before its explain step is
    known to have ended is kept for the next look; one to a plan that waits no more is dropped.

    :return: How many answers were handled.
    """
    handled = 0
    for answer, step in transactions.run(answer_rows.unjudged_answers):
        if step is not None and step.status == "running":
            continue
        if step is not None and step.status == "pending":
            if not _judged(step, answer):
                continue
            handled += 1
        transactions.run(partial(answer_rows.delete_answer, answer_id=answer.id))
    return handled


def _judged(step: PlanStep, answer: Answer) -> bool:
    """Decide or refuse; false when something is broken that may be mended at the next look."""
    try:
        actor = members.actor_by_airflow_id(answer.user_id, step.organization_id)
        if actor is None:
            raise DagctlError("forbidden", "This auth manager cannot look up the user who answered; decide over REST instead.")
        comment = transactions.run(partial(approvals.comment_with, answer=answer))
        if steps.APPROVE_OPTION in answer.chosen_options:
            outcome = plans.approve(actor, step.id, door=DOOR, comment=comment)
            if isinstance(outcome, PlanApprovalRecorded):
                _tell(step, answer, RECORDED, still_missing(outcome.evaluation.missing))
        else:
            plans.reject(actor, step.id, door=DOOR, comment=comment)
    except DagctlError as error:
        _tell(step, answer, error.code, error.detail)
    except Exception:
        log.exception("The answer to plan %s could not be handled", step.id)
        if utcnow() - answer.responded_at < _PATIENCE:
            return False
        _tell(step, answer, "internal_error", "The answer could not be handled; see the API server's log.")
    return True


def _tell(step: PlanStep, answer: Answer, code: str, detail: str) -> None:
    """Tell the waiting task why it goes on waiting."""
    log.info("Answer of %s to plan %s decides nothing: %s", answer.user_name, step.id, code)
    refusal = Refusal(responded_at=answer.responded_at, code=code, detail=detail)
    transactions.run(lambda session: letters.leave(session, step, refusal))
