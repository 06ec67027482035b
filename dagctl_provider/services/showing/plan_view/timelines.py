"""The history of a plan group: what ran, how long, and who decided what through which door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.domain.plans import MAX_RETRIES, PlanStep
from dagctl_provider.plan_output.reading import executed
from dagctl_provider.services.showing.plan_view.parts import Event

_DECISIONS: Mapping[str, tuple[str, str]] = {
    "approved": ("Approved", "good"),
    "approval_given": ("Approval given", "good"),
    "rejected": ("Rejected", "bad"),
    "discarded": ("Discarded", "bad"),
    "cancelled": ("Cancelled", "bad"),
    "retried": ("Retry asked for", "plain"),
    "deleted": ("Deleted", "bad"),
}
_ENDS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("explain", "failed"): ("Explain failed", "bad"),
    ("explain", "cancelled"): ("Explain stopped", "bad"),
    ("execute", "completed"): ("Executed", "good"),
    ("execute", "failed"): ("Execution failed", "bad"),
    ("execute", "cancelled"): ("Execution stopped", "bad"),
}
_STOPPED = ("Explain stopped", "Execution stopped")
_AT_ONCE = timedelta(seconds=2)
"""Two records of one transaction are no further apart."""
_AUTHORS: Mapping[str, str] = {"manual": "asked for by hand", "git_polling": "found in git"}


def timeline(steps: Sequence[PlanStep], decisions: Sequence[DecisionRecord], explained_at: datetime | None) -> tuple[Event, ...]:
    """All events of a group, oldest first.

    :param steps: Explain first.
    :param decisions: The record of decisions.
    :param explained_at: When the explain task ended, as Airflow has it.
    """
    events = [*_planned(steps[0]), *_explain(steps[0], explained_at)]
    for execute in steps[1:]:
        events += _execute(execute)
    events = list(_once(events, decisions))
    events += [_decision(row, steps) for row in _acts(decisions)]
    # What still goes on stands last: it may be from the same moment as the decision that began it.
    return tuple(sorted(events, key=lambda event: (event.running, event.at)))


def _planned(explain: PlanStep) -> Iterator[Event]:
    how = _AUTHORS.get(explain.triggered_by or "")
    who = None if how else explain.triggered_by
    yield Event(explain.created_at, "Planned" + (f", {how}" if how else ""), "plain", who)


def _explain(step: PlanStep, explained_at: datetime | None) -> Iterator[Event]:
    if step.status == "running":
        if step.started_at is None:
            yield Event(step.created_at, "Waiting for a worker to explain it", "waiting", running=True, step=step)
        else:
            yield Event(step.started_at, "Explain is running", "busy", running=True, step=step)
        return
    title, tone = _ENDS.get(("explain", step.status), ("Explained", "good"))
    # Decisions also end an explain step; only its task says when the work itself was over.
    ended = explained_at or (step.finished_at if title != "Explained" else None)
    yield Event(ended or step.started_at or step.created_at, title, tone, seconds=_span(step.started_at, ended), step=step)
    if step.status == "pending":
        yield Event(ended or step.updated_at, "Waiting for a decision", "waiting", running=True)


def _execute(step: PlanStep) -> Iterator[Event]:
    attempt = f" (attempt {step.attempt} of {1 + MAX_RETRIES})" if step.attempt > 1 else ""
    if step.status == "running":
        if step.started_at is None:
            yield Event(step.created_at, f"Waiting for a worker to execute it{attempt}", "waiting", running=True, step=step)
        else:
            yield Event(step.started_at, f"Executing{attempt}", "busy", running=True, step=step)
        return
    title, tone = _ENDS.get(("execute", step.status), ("Executed", "plain"))
    ended = step.finished_at or step.updated_at
    yield Event(ended, title + attempt, tone, seconds=_span(step.started_at, ended), step=step)


def _once(events: Iterable[Event], decisions: Sequence[DecisionRecord]) -> Iterator[Event]:
    """Leave out the end of a step that somebody stopped: the decision says so, and who it was."""
    stopped = {row.step_id for row in decisions if row.decision == "cancelled"}
    for event in events:
        if not (event.title.startswith(_STOPPED) and event.step is not None and event.step.id in stopped):
            yield event


def _acts(decisions: Sequence[DecisionRecord]) -> Iterator[DecisionRecord]:
    """One entry for each act: an approval that is withdrawn while its plan is executed stops two steps at once."""
    for at, row in enumerate(decisions):
        follows = decisions[at + 1] if at + 1 < len(decisions) else None
        if follows is None or not _is_one_act(row, follows):
            yield row


def _is_one_act(first: DecisionRecord, second: DecisionRecord) -> bool:
    same = (first.decision, first.actor_kind, first.actor_id, first.door) == (
        second.decision,
        second.actor_kind,
        second.actor_id,
        second.door,
    )
    return same and first.decision == "cancelled" and second.created_at - first.created_at < _AT_ONCE


def _decision(made: DecisionRecord, steps: Sequence[PlanStep]) -> Event:
    title, tone = ("Approval kept", "good") if made.is_kept else _DECISIONS.get(made.decision, (made.decision, "plain"))
    names = executed(steps[1].plan_output).allow_destructive if made.decision == "approved" and len(steps) > 1 else ()
    if made.decision == "approved" and (made.evaluation or {}).get("override_reason"):
        title = "Approved against the rules"
    note = f"Destructive changes allowed: {', '.join(names)}" if names else None
    step = next((step for step in steps if step.id == made.step_id), None) if made.decision == "cancelled" else None
    return Event(made.created_at, title, tone, made.actor_name, made.door, _words(made), note, step=step)


def _words(made: DecisionRecord) -> str | None:
    """What was said with a decision: of one against the rules, why."""
    reason = (made.evaluation or {}).get("override_reason")
    return reason if isinstance(reason, str) else made.comment


def _span(start: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - start).total_seconds()) if start and end else None
