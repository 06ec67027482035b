"""The plan in one sentence, and in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output.parts import MARK_TITLES, MARKS, Count, Mark, ModelChange
from dagctl_provider.plan_output.reading import counted, spoken
from dagctl_provider.plan_output.shape import ExplainOutput, Selection

_CHANGES: tuple[Mark, ...] = tuple(mark for mark in MARKS if mark not in ("load", "unchanged"))
_COME_AND_GO: tuple[Mark, ...] = ("added", "removed")


def sentence(explain: PlanStep, output: ExplainOutput, models: Sequence[ModelChange]) -> str:
    """What the commit does to the warehouse, in one sentence.

    :param explain: The explain step.
    :param output: What it found.
    :param models: All models of the plan.
    """
    if explain.status == "running":
        return "What this commit would change is being worked out."
    if output.explain_completed is not True:
        return {
            "failed": "What this commit would change could not be worked out.",
            "cancelled": "This plan was cancelled before it was known what the commit would change.",
        }.get(explain.status, "Nothing is known about what this commit would change.")
    together = _loading_together(models)
    told = [replace(model, load=timedelta()) for model in models] if together else models
    clauses = [*_clauses(told, output.selection is not None or bool(together)), *together, *_of_selection(output.selection)]
    if not clauses:
        return "Nothing changes: the commit leaves every model as it is."
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _loading_together(models: Sequence[ModelChange]) -> list[str]:
    """One clause for all that is loaded, where every part of the sentence would say the same span again."""
    loading = [model for model in models if model.load]
    parts = {"changed" if model.mark == "breaking" else model.mark for model in loading}
    if len(parts) < 2 or "load" in parts or len({model.load for model in loading}) > 1:
        return []
    return [f"{counted(len(loading), 'model')} load {spoken(loading[0].load)}"]


def _clauses(models: Sequence[ModelChange], rebuilt: bool) -> Iterable[str]:
    """
    :param rebuilt: Whether what is downstream is rebuilt, whatever its span.
    """
    changed, downstream = _of(models, "changed", "breaking"), _of(models, "downstream")
    if changed:
        breaking = len(_of(changed, "breaking"))
        verb = "changes" if len(changed) == 1 else "change"
        text = f"{counted(len(changed), 'model')} {verb}"
        if breaking:
            share = "all" if breaking == len(changed) else f"{breaking:,}"
            text += ", and breaks what reads it" if len(changed) == 1 else f", {share} of them breaking"
        yield text + _loading(changed)
    for mark in _COME_AND_GO:
        if found := _of(models, mark):
            noun = counted(len(found), "model") if not changed else f"{len(found):,}"
            yield f"{noun} {'is' if len(found) == 1 else 'are'} {mark}" + _loading(found)
            changed = changed or found
    if downstream:
        yield f"{len(downstream):,} downstream {_rebuild(downstream, rebuilt)}"
    if found := _of(models, "metadata"):
        yield f"{counted(len(found), 'model')} {'changes' if len(found) == 1 else 'change'} only in metadata"
    if found := _of(models, "load"):
        yield f"{counted(len(found), 'unchanged model')} {'loads' if len(found) == 1 else 'load'} {_longest(found)}"


def _of(models: Iterable[ModelChange], *marks: Mark) -> list[ModelChange]:
    return [model for model in models if model.mark in marks]


def _loading(models: Sequence[ModelChange]) -> str:
    return f", loading {_longest(models)}" if any(model.load for model in models) else ""


def _rebuild(models: Sequence[ModelChange], rebuilt: bool) -> str:
    loads = [model for model in models if model.load]
    if rebuilt:
        return "is rebuilt" if len(models) == 1 else "are rebuilt"
    if not loads:
        return "is affected" if len(models) == 1 else "are affected"
    verb = "rebuilds" if len(models) == 1 else "rebuild"
    return f"{verb} {_longest(loads)}"


def _longest(models: Sequence[ModelChange]) -> str:
    loads = {model.load for model in models if model.load}
    return ("up to " if len(loads) > 1 else "") + spoken(max(loads, default=timedelta()))


def _of_selection(selection: Selection | None) -> Iterable[str]:
    """What will be built, where the tool says that beforehand."""
    if selection is None:
        return
    models, tests = len(selection.models), len(selection.tests)
    if models or tests:
        things = [counted(models, "model")] * bool(models) + [counted(tests, "test")] * bool(tests)
        everything = "everything is built anew: " if selection.mode == "full" else ""
        yield f"{everything}{' and '.join(things)} {'runs' if models + tests == 1 else 'run'}"


def counts(output: ExplainOutput, models: Sequence[ModelChange]) -> tuple[Count, ...]:
    """What there is, in numbers: the models by mark, as they are listed, then what is done with them."""
    found = [Count(MARK_TITLES[mark], len(_of(models, mark)), mark) for mark in _CHANGES]
    found.append(Count("To rebuild" if output.selection else "To load", output.backfill))
    found.append(Count("Tests to run", len(output.selection.tests) if output.selection else 0))
    return tuple(count for count in found if count.number)
