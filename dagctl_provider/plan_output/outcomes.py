"""What production is now, after a plan has come to its end, however it did: one or two sentences in the past tense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.plans import PlanStep, Status, current_status, newest, stands_for_commit
from dagctl_provider.domain.tools import Tool
from dagctl_provider.plan_output.figures import figures_of
from dagctl_provider.plan_output.marks import Marker
from dagctl_provider.plan_output.parts import Mood
from dagctl_provider.plan_output.reading import counted, executed
from dagctl_provider.plan_output.shape import ExplainOutput, ModelRow
from dagctl_provider.runner.errors import STEP_ERRORS

MOST_NAMED = 10
_NODES = ("model", "seed", "snapshot", "function")
_NO_NODE = ("test", "unit_test")


@dataclass(frozen=True)
class Ended:
    """A plan and what stands around it.

    :param steps: Of its group, explain first.
    :param output: What the explain found.
    :param place: What the environment is called.
    :param deployed: The commit that is on record for the environment now.
    :param rows: What the newest execution did, as far as its task told, where no result says so.
    """

    steps: Sequence[PlanStep]
    output: ExplainOutput
    tool: Tool
    place: str
    deployed: str | None
    rows: Sequence[ModelRow] = ()

    @property
    def explain(self) -> PlanStep:
        """The step that worked it out."""
        return self.steps[0]

    @property
    def last(self) -> PlanStep:
        """The step that speaks for it."""
        return newest(self.steps)

    @property
    def is_past(self) -> bool:
        """Whether another plan has been executed since, so that what this one left tells nothing of today."""
        return self.deployed != self.explain.from_commit_sha


def mood_of(steps: Sequence[PlanStep]) -> Mood:
    """How a plan is to be told: what was not executed to its end would have done what it says."""
    return mood_in(current_status(steps))


def mood_in(status: Status) -> Mood:
    """The same by the status of the group."""
    return "done" if status == "completed" else "would" if status in ("rejected", "cancelled", "failed") else "now"


def outcome(plan: Ended) -> str:
    """What production is now; empty while the plan is not over."""
    mood = mood_of(plan.steps)
    if mood == "now":
        return ""
    if mood == "done":
        return _published(plan)
    if plan.last.plan_type == "explain" or _wrote_nothing(plan.last):
        return _nothing(plan)
    if plan.is_past:
        return _past(plan)
    return _not_told(plan) if _is_not_told(plan) else _after_failure(plan)


def _shows(plan: Ended) -> str:
    if plan.deployed is None:
        return f"nothing is deployed in {plan.place}"
    return f"{plan.place} {'now' if plan.is_past else 'still'} shows {short_sha(plan.deployed)}"


def _nothing(plan: Ended) -> str:
    return f"Nothing was {'published' if plan.tool.publishes_at_end else plan.tool.loading.done}: {_shows(plan)}."


def _published(plan: Ended) -> str:
    sha, warnings = plan.explain.to_commit_sha, executed(plan.last.plan_output).warnings
    said = f"{plan.place} shows {short_sha(sha)} now."
    if plan.deployed not in (None, sha):
        said = f"{short_sha(sha)} was executed; {plan.place} shows {short_sha(str(plan.deployed))} now."
    return said + (f" {counted(len(warnings), 'warning')} came up, which stopped nothing." if warnings else "")


def _wrote_nothing(step: PlanStep) -> bool:
    """Whether an execution ended for a reason that is found before the first statement."""
    known = STEP_ERRORS.get(step.error_code or "")
    return known is not None and known.exit_code in (2, 3) and len(executed(step.plan_output).models) == 0 and step.attempt == 1


def _past(plan: Ended) -> str:
    """What came of it once, and what another plan has made of that."""
    built, failed = len(_built(plan)), len(_failed(plan))
    ends = [f"{counted(built, 'model')} {'was' if built == 1 else 'were'} {plan.tool.loading.done}"] * bool(built)
    ends += [f"{failed:,} failed"] * bool(failed)
    came = f" ({', '.join(ends)})" if ends else ""
    return f"This plan was not executed to its end{came}. Since then another plan was, and {_shows(plan)}."


def _is_not_told(plan: Ended) -> bool:
    """Whether an execution began and nobody knows how far it came: no result, and no word of its task on any model."""
    step = plan.last
    return step.started_at is not None and step.error_code not in STEP_ERRORS and not _rows(plan, step)


def _not_told(plan: Ended) -> str:
    way = "A retry" if _can_be_retried(plan) else "The next plan"
    return f"The execution ended without a word on what it had done. {_record(plan)}. {way} brings it to a known state."


def _record(plan: Ended) -> str:
    return (
        f"On record in {plan.place} is {short_sha(plan.deployed)}" if plan.deployed else f"Nothing is on record in {plan.place}"
    )


def _after_failure(plan: Ended) -> str:
    built, failed = _built(plan), _failed(plan)
    if not plan.tool.publishes_at_end:
        return _mix(plan, built, failed)
    total = max(figures_of(plan.output).backfill, len({*built, *failed}))
    if len(built) >= total:
        return _unsure(plan, len(built))
    return " ".join([_nothing(plan), *_kept(plan, built, failed, total), *_in_place(plan, built)])


def _unsure(plan: Ended, built: int) -> str:
    """All rows were there: it ended while views were moved to them, or right before or after that."""
    rows = f"All {counted(built, 'model')} {'is' if built == 1 else 'are'} {plan.tool.loading.done}. " if built > 1 else ""
    if built == 1:
        rows = f"The 1 model is {plan.tool.loading.done}. "
    record = f"{short_sha(plan.deployed)} is on record" if plan.deployed else "nothing is on record"
    return (
        f"{rows}It is not known how much of {short_sha(plan.explain.to_commit_sha)} was published in {plan.place}, "
        f"where {record}; "
        f"{'a retry' if _can_be_retried(plan) else 'the next plan'} finishes it."
    )


def _kept(plan: Ended, built: Sequence[str], failed: Sequence[str], total: int) -> Iterator[str]:
    idle = total - len({*built, *failed})
    ends = ", ".join([f"{len(failed):,} failed"] * bool(failed) + [f"{idle:,} did not run"] * (failed != [] and idle > 0))
    done = plan.tool.loading.done
    if built:
        kept = "the retry" if _can_be_retried(plan) else "the next plan"
        verb = "is" if len(built) == 1 else "are"
        yield f"{len(built):,} of {counted(total, 'model')} {verb} {done} and kept for {kept}{'; ' + ends if ends else ''}."
    elif total:
        yield f"None of {counted(total, 'model')} {'was' if total == 1 else 'were'} {done}{'; ' + ends if ends else ''}."


def _in_place(plan: Ended, built: Sequence[str]) -> Iterator[str]:
    """Tables that readers see are written themselves where the code changes forward only, or where only rows are missing."""
    marker, previews = Marker(plan.output), set(plan.output.previews)
    own = {
        model.name
        for model in plan.output.models
        if (marker.mark(model) == "load" or (model.category or "").endswith("forward_only")) and model.name not in previews
    }
    if found := [name for name in built if name in own]:
        verb = "keeps its table and already has" if len(found) == 1 else "keep their tables and already have"
        yield f"{counted(len(found), 'model')} of these {verb} the new rows there: {_list(found)}."


def _mix(plan: Ended, built: Sequence[str], failed: Sequence[str]) -> str:
    if not built:
        return _nothing(plan) + (f" {counted(len(failed), 'model')} failed." if failed else "")
    verb, sha = "was" if len(built) == 1 else "were", short_sha(plan.explain.to_commit_sha)
    rest = f"the rest is as {short_sha(plan.deployed)} has it" if plan.deployed else "the rest is not there"
    way = "A retry goes on, or the next plan sets" if _can_be_retried(plan) else "The next plan sets"
    return (
        f"{plan.place} shows a mix: {counted(len(built), 'node')} {verb} already {plan.tool.loading.done} with {sha}: "
        f"{_list(built)}; "
        f"{rest}{f', and {len(failed):,} failed' if failed else ''}. {way} {'it' if len(built) == 1 else 'them'} right."
    )


def _can_be_retried(plan: Ended) -> bool:
    return stands_for_commit(plan.steps)


def _list(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _built(plan: Ended) -> list[str]:
    """What any execution of the group has finished, each once."""
    found: dict[str, None] = {}
    for step in plan.steps[1:]:
        told = executed(step.plan_output)
        found |= dict.fromkeys(_node_name(each) for each in told.already_succeeded if each.partition(".")[0] in _NODES)
        found |= dict.fromkeys(row.name for row in _rows(plan, step) if row.status == "succeeded")
    return list(found)


def _failed(plan: Ended) -> list[str]:
    """What failed in the last execution."""
    return list(dict.fromkeys(row.name for row in _rows(plan, plan.last) if row.status == "failed"))


def _rows(plan: Ended, step: PlanStep) -> Sequence[ModelRow]:
    rows: Sequence[ModelRow] = executed(step.plan_output).models
    if not rows and step.id == plan.last.id:
        rows = plan.rows
    return [row for row in rows if row.kind not in _NO_NODE]


def _node_name(unique_id: str) -> str:
    """The name in a unique id of dbt: ``model.shop.orders``, and of a version of a model ``model.shop.orders.v2``."""
    return ".".join(unique_id.split(".")[2:]) or unique_id
