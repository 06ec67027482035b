"""The plan in one sentence, and in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services.plan_view import reading
from dagctl_provider.services.plan_view.parts import Mark, ModelChange
from dagctl_provider.services.plan_view.reading import counted, spoken

_COUNTS: tuple[tuple[str, tuple[Mark, ...]], ...] = (
    ("Changed", ("changed", "breaking")),
    ("Breaking", ("breaking",)),
    ("Added", ("added",)),
    ("Removed", ("removed",)),
    ("Downstream", ("downstream",)),
    ("Only metadata", ("metadata",)),
)

_COME_AND_GO: tuple[Mark, ...] = ("added", "removed")


def sentence(explain: PlanStep, models: Sequence[ModelChange]) -> str:
    """What the commit does to the warehouse, in one sentence.

    :param explain: The explain step.
    :param models: All models of the plan.
    """
    if explain.status == "running":
        return "What this commit would change is being worked out."
    output = explain.plan_output or {}
    if output.get("explain_completed") is not True:
        return {
            "failed": "What this commit would change could not be worked out.",
            "cancelled": "This plan was cancelled before it was known what the commit would change.",
        }.get(explain.status, "Nothing is known about what this commit would change.")
    clauses = [*_clauses(models, "selection" in output), *_of_selection(output)]
    if not clauses:
        return "Nothing changes: the commit leaves every model as it is."
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _clauses(models: Sequence[ModelChange], is_dbt: bool) -> Iterable[str]:
    changed, downstream = _of(models, "changed", "breaking"), _of(models, "downstream")
    if changed:
        breaking = len(_of(changed, "breaking"))
        verb = "changes" if len(changed) == 1 else "change"
        text = f"{counted(len(changed), 'model')} {verb}"
        if breaking:
            text += ", and breaks what reads it" if len(changed) == 1 else f", {breaking:,} of them breaking"
        yield text + _loading(changed)
    for mark in _COME_AND_GO:
        if found := _of(models, mark):
            noun = counted(len(found), "model") if not changed else f"{len(found):,}"
            yield f"{noun} {'is' if len(found) == 1 else 'are'} {mark}" + _loading(found)
            changed = changed or found
    if downstream:
        yield f"{len(downstream):,} downstream {_rebuild(downstream, is_dbt)}"
    if found := _of(models, "metadata"):
        yield f"{counted(len(found), 'model')} {'changes' if len(found) == 1 else 'change'} only in metadata"
    if found := _of(models, "load"):
        yield f"{counted(len(found), 'unchanged model')} {'loads' if len(found) == 1 else 'load'} {_longest(found)}"


def _of(models: Iterable[ModelChange], *marks: Mark) -> list[ModelChange]:
    return [model for model in models if model.mark in marks]


def _loading(models: Sequence[ModelChange]) -> str:
    return f", loading {_longest(models)}" if any(model.load for model in models) else ""


def _rebuild(models: Sequence[ModelChange], is_dbt: bool) -> str:
    loads = [model for model in models if model.load]
    if is_dbt:
        return "is rebuilt" if len(models) == 1 else "are rebuilt"
    if not loads:
        return "is affected" if len(models) == 1 else "are affected"
    verb = "rebuilds" if len(models) == 1 else "rebuild"
    return f"{verb} {_longest(loads)}"


def _longest(models: Sequence[ModelChange]) -> str:
    loads = {model.load for model in models if model.load}
    return ("up to " if len(loads) > 1 else "") + spoken(max(loads, default=timedelta()))


def _of_selection(output: Mapping[str, Any]) -> Iterable[str]:
    """What ``dbt build`` will run, where the plan is one of dbt."""
    selection = reading.mapping(output.get("selection"))
    models, tests = reading.number(selection.get("models")), reading.number(selection.get("tests"))
    if models or tests:
        things = [counted(models, "model")] * bool(models) + [counted(tests, "test")] * bool(tests)
        everything = "everything is built anew: " if selection.get("mode") == "full" else ""
        yield f"{everything}{' and '.join(things)} {'runs' if models + tests == 1 else 'run'}"


def counts(output: Mapping[str, Any], models: Sequence[ModelChange]) -> tuple[tuple[str, int], ...]:
    """Label and number of what there is."""
    found = [(label, sum(model.mark in marks for model in models)) for label, marks in _COUNTS]
    selection = reading.mapping(output.get("selection"))
    found.append(("To rebuild" if selection else "To load", reading.number(output.get("modelsNeedingBackfill"))))
    found.append(("Tests to run", reading.number(selection.get("tests"))))
    return tuple((label, count) for label, count in found if count)
