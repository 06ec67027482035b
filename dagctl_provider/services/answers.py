"""Turns what people answer in Airflow's Required Actions into decisions, through the same checks as every other door."""

from __future__ import annotations

import logging

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import ANSWER_KEY
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.orchestration import approvals, runs
from dagctl_provider.services import plans, steps, transactions
from dagctl_provider.services.airflow_users import actor_for_airflow_user_id
from dagctl_provider.store import records
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)

DOOR = "required_actions"


def handle_answers() -> int:
    """Decide for every pending plan that a person answered.

    A refused answer is told to the waiting task, which then waits again.

    :return: How many answers were handled.
    """

    def work(session: Session) -> list[tuple[PlanStep, approvals.Answer]]:
        pending = {(step.dag_id, step.run_id): step for step in records.steps_in(session, ["pending"])}
        answers = approvals.read_answers(session, pending, steps.APPROVE_OPTION)
        found = [(pending[(answer.dag_id, answer.run_id)], answer) for answer in answers]
        return [
            (step, answer) for step, answer in found if step.answer_seen_at is None or step.answer_seen_at < answer.responded_at
        ]

    unseen = transactions.run(work)
    for step, answer in unseen:
        _handle(step, answer)
    return len(unseen)


def _handle(step: PlanStep, answer: approvals.Answer) -> None:
    try:
        actor = actor_for_airflow_user_id(answer.user_id, step.organization_id)
        if actor is None:
            raise DagctlError("forbidden", "This auth manager cannot look up the user who answered; decide over REST instead.")
        if answer.approved:
            plans.approve(actor, step.id, door=DOOR)
        else:
            plans.reject(actor, step.id, door=DOOR)
    except DagctlError as error:
        _refuse(step, answer, error)
    except Exception:
        log.exception("The answer to plan %s could not be handled", step.id)
        _refuse(step, answer, DagctlError("internal_error", "The answer could not be handled; see the API server's log."))
    plans.note_answer_seen(step.id, answer.responded_at)


def _refuse(step: PlanStep, answer: approvals.Answer, error: DagctlError) -> None:
    log.info("Answer of %s to plan %s refused: %s", answer.user_name, step.id, error.code)
    refusal = {"responded_at": answer.responded_at.isoformat(), "code": error.code, "detail": error.detail}
    transactions.run(lambda session: runs.write_decision(session, step.dag_id, step.run_id, refusal, key=ANSWER_KEY))
