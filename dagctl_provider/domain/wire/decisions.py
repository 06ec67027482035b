"""What was decided for a plan, as the tasks that wait for it find it, and why an answer given in Airflow was refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from dagctl_provider.domain.wire.records import Record

RECORDED = "approval_recorded"
"""The code of an answer that approved, and is not enough by itself."""


def about(key: str, dag_id: str, run_id: str) -> str:
    """What such a letter is signed as, so that it means nothing with another run.

    :param key: Of its XCom.
    """
    return f"{key} for {dag_id}/{run_id}"


@dataclass(frozen=True, kw_only=True)
class Decision(Record):
    """The decision for the plan of a run.

    :param decision: ``approved``; anything else ends the run without executing.
    :param digest: What was decided on.
    :param execution_plan_id: The step that executes an approved plan.
    :param job_name: Of that step.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"execution_plan_id", "job_name"})

    decision: str
    digest: str | None = None
    decided_by: str | None = None
    execution_plan_id: str | None = None
    job_name: str | None = None

    @property
    def approves(self) -> bool:
        """Whether the plan is to be executed."""
        return self.decision == "approved"

    def to_json(self) -> dict[str, Any]:
        """The letter. Whoever cancels has judged no digest, so that key is absent then."""
        letter = super().to_json()
        return {key: value for key, value in letter.items() if key != "digest" or self.decision != "cancelled"}

    @classmethod
    def read(cls, letter: object) -> Decision | None:
        """The decision in a letter; ``None`` when it names none."""
        found = super().read(letter)
        return found if found is not None and found.decision else None


@dataclass(frozen=True, kw_only=True)
class Refusal(Record):
    """Why an answer given in Required Actions was not taken as a decision, or not as one that is enough.

    :param responded_at: When the answer was given; tells it from earlier ones.
    """

    responded_at: datetime
    code: str | None = None
    detail: str | None = None
