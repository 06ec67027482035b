"""The approval gate: passes or skips by the recorded decision, and parks only while there is none.

Airflow 3.3 can lose an answer given in the first seconds after a task parks: its API says 200, then the scheduler fails the
task over a stale event. Here an answer in Airflow is only a request. The decision is an XCom of the explain task, which nothing
clears, so whatever happens to this task, its next try finds it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from airflow.providers.standard.operators.hitl import ApprovalOperator

from dagctl_provider.domain import wire
from dagctl_provider.domain.names import ANSWER_KEY, DECISION_KEY, EXPLAIN, RESULT_KEY

_ANSWER_WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.5
_MAX_MODELS = 50
_MAX_WARNINGS = 20
_MAX_DIFF_CHARACTERS = 20_000
_COUNTS = (("modelsAdded", "added"), ("modelsModified", "modified"), ("modelsRemoved", "removed"))
# What deserves a look first.
_CHANGES = ("directly_modified", "removed", "added", "indirectly_modified", "metadata")
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-!|~"})


class AnswerPending(AirflowException):
    """The answer given in Airflow has not been judged yet; another try looks again."""


class PlanApprovalSensor(ApprovalOperator):
    """Waits until somebody decides for the plan of this run, on the page, over REST or in Required Actions."""

    ui_color = "#fce5b0"
    # Subject and body are made from the plan when the task runs; model names and messages must not be rendered.
    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"subject": "Plan", **kwargs})

    def execute(self, context: Any) -> Any:
        """Pass, skip, or park."""
        letter = self._letter(context)
        if letter is not None:
            return self._obey(letter)
        explained = wire.reports.Result.read(context["ti"].xcom_pull(task_ids=EXPLAIN, key=RESULT_KEY)) or wire.reports.Result()
        conf = wire.requests.from_conf(context["dag_run"].conf) or {}
        self.subject, self.body = describe(conf, dict(explained.plan_output or {}))
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Resume: by the decision, or, when a person answered in Airflow, once that answer has been judged."""
        answered_at = _moment(event.get("responded_at"))
        deadline = time.monotonic() + _ANSWER_WAIT_SECONDS
        while time.monotonic() < deadline:
            letter = self._letter(context)
            if letter is not None:
                return self._obey(letter)
            refusal = wire.decisions.Refusal.read(context["ti"].xcom_pull(task_ids=EXPLAIN, key=ANSWER_KEY))
            if refusal is not None and refusal.responded_at == answered_at:
                self.log.warning("The answer was refused: %s", refusal.detail)
                return self.execute(context)
            time.sleep(_POLL_SECONDS)
        raise AnswerPending("The answer has not been judged yet; is the dagctl controller in the API server running?")

    def _letter(self, context: Any) -> tuple[wire.decisions.Decision, Any] | None:
        """The decision, and as it was found: that is the task's own result, which people see in Airflow."""
        found = context["ti"].xcom_pull(task_ids=EXPLAIN, key=DECISION_KEY)
        decision = wire.decisions.Decision.read(found)
        return (decision, found) if decision is not None else None

    def _obey(self, letter: tuple[wire.decisions.Decision, Any]) -> Any:
        decision, found = letter
        by = decision.decided_by or "somebody"
        if not decision.approves:
            raise AirflowSkipException(f"The plan was {decision.decision} by {by}; nothing is executed.")
        self.log.info("The plan was approved by %s", by)
        return found


def _moment(value: Any) -> datetime | None:
    """A time that Airflow tells as such or as text."""
    return value if value is None or isinstance(value, datetime) else datetime.fromisoformat(str(value))


def describe(conf: dict[str, Any], output: dict[str, Any]) -> tuple[str, str]:
    """Subject and Markdown body of the request in Required Actions.

    :param conf: The runner request of the run.
    :param output: The explain step's plan_output. Its texts come from the repository and are escaped.
    """
    counts = ", ".join(f"{output.get(key, 0)} {word}" for key, word in _COUNTS)
    commit = str(conf.get("commit_sha", ""))[:7]
    subject = f"{conf.get('project_name', 'Plan')} {commit} to {output.get('environment', '')}: {counts}"
    models = sorted(output.get("models") or [], key=lambda model: (_order(model), str(model.get("name"))))
    parts = [
        _commit_line(conf, commit),
        "\n".join(_model_line(model) for model in models[:_MAX_MODELS]),
        f"{output.get('modelsNeedingBackfill', 0)} model(s) need backfill.",
        _selection_line(output.get("selection") or {}),
        "\n".join(f"- **Warning:** {_escaped(text)}" for text in (output.get("warnings") or [])[:_MAX_WARNINGS]),
        *_diffs(models),
    ]
    return subject, "\n\n".join(part for part in parts if part)


def _order(model: dict[str, Any]) -> int:
    change = model.get("change")
    return _CHANGES.index(change) if change in _CHANGES else len(_CHANGES)


def _commit_line(conf: dict[str, Any], commit: str) -> str:
    message, author = conf.get("commit_message"), conf.get("commit_author")
    return " ".join(filter(None, (commit, _escaped(message) if message else "", f"({_escaped(author)})" if author else "")))


def _model_line(model: dict[str, Any]) -> str:
    words = [str(model[key]).replace("_", " ") for key in ("change", "category") if model.get(key)]
    return f"- {_escaped(model.get('name'))}: {_escaped(', '.join(words))}"


def _selection_line(selection: dict[str, Any]) -> str:
    """What an execute of dbt will run."""
    if not selection:
        return ""
    reason = selection.get("reason")
    return f"{len(selection.get('nodes') or [])} node(s) will run." + (f" {_escaped(reason)}" if reason else "")


def _diffs(models: list[dict[str, Any]]) -> Iterator[str]:
    """The SQL of what changed directly, each in a fence longer than any in the text, so that nothing gets out of it."""
    left = _MAX_DIFF_CHARACTERS
    for model in models:
        diff = str(model.get("diff") or "").strip()
        if model.get("change") not in ("directly_modified", "removed") or not diff:
            continue
        if len(diff) > left:
            yield "The other diffs are too long to be shown here; see GET /api/v1/plans."
            return
        left -= len(diff)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", diff)), default=0))
        yield f"{_escaped(model.get('name'))}\n\n{fence}diff\n{diff}\n{fence}"


def _escaped(text: Any) -> str:
    return " ".join(str(text).split()).translate(_MARKDOWN)[:300]
