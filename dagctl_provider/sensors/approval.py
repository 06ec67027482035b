"""The approval gate: passes or skips by the recorded decision, and parks only while there is none.

Airflow 3.3 can lose an answer given in the first seconds after a task parks: its API says 200, then the scheduler fails the
task over a stale event. Here an answer in Airflow is only a request. The decision is an XCom of the explain task, which nothing
clears, so whatever happens to this task, its next try finds it.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator

from dagctl_provider.domain.names import ANSWER_KEY, DECISION_KEY, EXPLAIN, RESULT_KEY

_ANSWER_WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.5


class AnswerPending(AirflowException):  # type: ignore[misc]
    """The answer given in Airflow has not been judged yet; another try looks again."""


class PlanApprovalSensor(ApprovalOperator):  # type: ignore[misc]
    """Waits until somebody decides for the plan of this run, on the page, over REST or in Required Actions."""

    ui_color = "#fce5b0"
    # Subject and body are made from the plan when the task runs; model names and messages must not be rendered.
    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"subject": "Plan", **kwargs})

    def execute(self, context: Any) -> Any:
        """Pass, skip, or park."""
        decision = self._decision(context)
        if decision is not None:
            return self._obey(decision)
        # Here, since Dags are parsed far more often than a plan waits.
        from dagctl_provider.plan_output.markdown import describe

        explained = context["ti"].xcom_pull(task_ids=EXPLAIN, key=RESULT_KEY) or {}
        conf = (context["dag_run"].conf or {}).get("dagctl") or {}
        self.subject, self.body = describe(conf, explained.get("plan_output"))
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Resume: by the decision, or, when a person answered in Airflow, once that answer has been judged."""
        answered_at = event.get("responded_at")
        deadline = time.monotonic() + _ANSWER_WAIT_SECONDS
        while time.monotonic() < deadline:
            decision = self._decision(context)
            if decision is not None:
                return self._obey(decision)
            refusal = context["ti"].xcom_pull(task_ids=EXPLAIN, key=ANSWER_KEY)
            if refusal and _same_moment(refusal.get("responded_at"), answered_at):
                self.log.warning("The answer was refused: %s", refusal.get("detail"))
                return self.execute(context)
            time.sleep(_POLL_SECONDS)
        raise AnswerPending("The answer has not been judged yet; is the dagctl controller in the API server running?")

    def _decision(self, context: Any) -> dict[str, Any] | None:
        value = context["ti"].xcom_pull(task_ids=EXPLAIN, key=DECISION_KEY)
        return value if isinstance(value, dict) and value.get("decision") else None

    def _obey(self, decision: dict[str, Any]) -> dict[str, Any]:
        by = decision.get("decided_by", "somebody")
        if decision["decision"] != "approved":
            raise AirflowSkipException(f"The plan was {decision['decision']} by {by}; nothing is executed.")
        self.log.info("The plan was approved by %s", by)
        return decision


def _same_moment(text: Any, moment: Any) -> bool:
    if not isinstance(text, str) or moment is None:
        return False
    other = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    return datetime.fromisoformat(text) == other
