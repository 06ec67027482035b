"""What is left for the tasks of a plan, and what they have left: XComs, which others may write too, with proof of who wrote them.

What comes without proof counts as absent, and is said in the log.
"""

from __future__ import annotations

import logging
from typing import Protocol, TypeVar

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import ANSWER_KEY, DECISION_KEY, EXPLAIN, RESULT_KEY
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.proofs import TRY, Place, ProofError
from dagctl_provider.domain.wire.decisions import Decision, Refusal, about
from dagctl_provider.domain.wire.reports import OfStep, Result
from dagctl_provider.orchestration import runs
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)

S = TypeVar("S", bound=OfStep)


class Doing(Protocol):
    """A step of a plan, or a run: whatever a worker tells of."""

    @property
    def id(self) -> str: ...
    @property
    def dag_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...


def leave(session: Session, step: PlanStep, said: Decision | Refusal) -> bool:
    """Leave a decision, or the refusal of an answer, where the approval sensor looks for it.

    It is an XCom of the *explain* task: Airflow clears a task's XComs when the task runs again, and explain never does.

    :return: False when the Dag run does not exist (never dispatched, or deleted in Airflow).
    """
    key = DECISION_KEY if isinstance(said, Decision) else ANSWER_KEY
    letter = keys.signed(session, about(key, step.dag_id, step.run_id), said)
    return runs.write_xcom(session, step.dag_id, step.run_id, EXPLAIN, key, letter)


def decision_of(session: Session, dag_id: str, run_id: str) -> Decision | None:
    """The decision that was left for a run."""
    found = runs.read_xcom(session, dag_id, run_id, EXPLAIN, DECISION_KEY)
    try:
        return Decision.read(proofs.verified(keys.public_keys(session), about(DECISION_KEY, dag_id, run_id), found))
    except ProofError:
        return None


def told_by(session: Session, record: type[S], step: Doing, key: str, task_id: str | None = None) -> S | None:
    """What the worker of a step or a run left under a key.

    :param record: What kind of letter it is.
    :param task_id: Of the task that does the step; the step's own where it is absent.
    :return: ``None`` when there is nothing, or another step's, or nobody knows who wrote it.
    """
    place = (step.dag_id, step.run_id, task_id or step.task_id, key)
    found = runs.read_xcom(session, *place)
    letter = record.read_own(found, step.id)
    if letter is None or found is None:
        return None
    seal_key = keys.kept_seal_key(session)
    if seal_key is None or not proofs.unsealed(seal_key, Place(*place, str(found.get(TRY))), found):
        log.warning(
            "The XCom %s of task %s in run %s was not left by its worker, so it is not believed", key, place[2], step.run_id
        )
        return None
    return letter


def result_of(session: Session, step: Doing, try_id: str | None = None) -> Result | None:
    """The result of a step.

    :param try_id: The try whose result counts; any where it is absent.
    """
    result = told_by(session, Result, step, RESULT_KEY)
    return result if result is not None and try_id in (None, result.try_id) else None
