"""The approval gate: passes or skips by the recorded decision, and parks only while there is none.

Airflow 3.3 can lose an answer given in the first seconds after a task parks: its API says 200, then the scheduler fails the
task over a stale event. Here an answer in Airflow is only a request. The decision is an XCom of the explain task, which nothing
clears, so whatever happens to this task, its next try finds it.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from dagctl_provider.config import plan_address
from dagctl_provider.domain import wire
from dagctl_provider.domain.doors import MAX_COMMENT
from dagctl_provider.domain.names import ANSWER_KEY, COMMENT_PARAM, DECISION_KEY, EXPLAIN, RESULT_KEY
from dagctl_provider.domain.proofs import ProofError
from dagctl_provider.hooks.letters import granted_request, left_by, said_to

if TYPE_CHECKING:
    from airflow.sdk import Context

_ANSWER_WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.5
_ALTERED = (
    "What was explained cannot be shown here: it was not left in Airflow by dagctl as it lies there now. See the plan's page."
)
_WHAT_FOR = "Stays with the decision. If you reject, say why: the author of the commit reads it on the plan's page."


class AnswerPending(AirflowException):
    """The answer given in Airflow has not been judged yet; another try looks again."""


class PlanApprovalSensor(ApprovalOperator):
    """Waits until somebody decides for the plan of this run, on the page, over REST or in Required Actions."""

    ui_color = "#fce5b0"
    # Subject and body are made from the plan when the task runs; model names and messages must not be rendered.
    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        # Airflow's form cannot ask for it only where somebody rejects, so it is never required there.
        words = Param(None, type=["null", "string"], maxLength=MAX_COMMENT, title="Comment", description=_WHAT_FOR)
        super().__init__(**{"subject": "Plan", "params": {COMMENT_PARAM: words}, **kwargs})

    def execute(self, context: Context) -> Any:
        """Pass, skip, or park."""
        letter = self._letter(context)
        return self._obey(letter) if letter is not None else self._ask(context)

    def _ask(self, context: Context, refusal: wire.decisions.Refusal | None = None) -> Any:
        """Show the plan and park.

        :param refusal: Why the answer before was not taken, or was not enough.
        """
        # Here, since Dags are parsed far more often than a plan waits.
        from dagctl_provider.plan_output.markdown import describe, said_before

        explained = wire.reports.Result.read(left_by(context, EXPLAIN, RESULT_KEY)) or wire.reports.Result()
        asked, address = granted_request(context, EXPLAIN), plan_address(str(context["dag_run"].run_id))
        self.subject, self.body = describe(asked or {}, explained.plan_output, address, said_before(refusal))
        if asked is None or explained.plan_output is None:
            self.body = f"**{_ALTERED}**\n\n{self.body}"
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Resume: by the decision, or, when a person answered in Airflow, once that answer has been judged."""
        answered_at = _moment(event.get("responded_at"))
        deadline = time.monotonic() + _ANSWER_WAIT_SECONDS
        while time.monotonic() < deadline:
            letter = self._letter(context)
            if letter is not None:
                return self._obey(letter)
            refusal = wire.decisions.Refusal.read(self._said(context, ANSWER_KEY))
            if refusal is not None and refusal.responded_at == answered_at:
                self.log.warning("The answer decides nothing (%s): %s", refusal.code, refusal.detail)
                return self._ask(context, refusal)
            time.sleep(_POLL_SECONDS)
        raise AnswerPending("The answer has not been judged yet; is the dagctl controller in the API server running?")

    def _letter(self, context: Context) -> tuple[wire.decisions.Decision, Any] | None:
        """The decision, and as it was left: that is the task's own result, which people see in Airflow."""
        found = self._said(context, DECISION_KEY)
        decision = wire.decisions.Decision.read(found)
        return (decision, found) if decision is not None else None

    def _said(self, context: Context, key: str) -> dict[str, Any] | None:
        """What dagctl's API server said; what others left in its place is nothing."""
        try:
            return said_to(context, key)
        except ProofError as error:
            self.log.warning("What lies with %s as its %s is not believed: %s", EXPLAIN, key, error)
            return None

    def _obey(self, letter: tuple[wire.decisions.Decision, Any]) -> Any:
        decision, found = letter
        by = decision.decided_by or "somebody"
        if not decision.approves:
            raise AirflowSkipException(f"The plan was {decision.decision} by {by}; nothing is executed.")
        self.log.info("The plan was approved by %s", by)
        return found


def _moment(value: object) -> datetime | None:
    """A time that Airflow tells as such or as text."""
    return value if value is None or isinstance(value, datetime) else datetime.fromisoformat(str(value))
