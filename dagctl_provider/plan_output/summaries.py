"""The plan in one sentence, and in numbers: whoever tells of a plan takes both from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.tools import Loading, Tool
from dagctl_provider.plan_output import destructive
from dagctl_provider.plan_output.figures import Figures, figures_of
from dagctl_provider.plan_output.parts import MARK_TITLES, Count, Mark, ModelChange, Mood
from dagctl_provider.plan_output.reading import counted, spoken
from dagctl_provider.plan_output.shape import ExplainOutput

Forms = Mapping[Mood, tuple[str, str]]
"""A verb in each mood: of one, of several."""
_BE: Forms = {"now": ("is", "are"), "would": ("would be", "would be"), "done": ("was", "were")}
_BE_NOT: Forms = {"now": ("is not", "are not"), "would": ("would not be",) * 2, "done": ("was not", "were not")}
_CHANGE: Forms = {"now": ("changes", "change"), "would": ("would change", "would change"), "done": ("changed", "changed")}
_READ: Forms = {"now": ("only reads", "only read"), "would": ("would only read", "would only read"), "done": ("only read",) * 2}
_RUN: Forms = {"now": ("runs", "run"), "would": ("would run", "would run"), "done": ("ran", "ran")}
UNKNOWN = "What this commit would change could not be worked out."


def sentence(explain: PlanStep, output: ExplainOutput, models: Sequence[ModelChange], tool: Tool, mood: Mood = "now") -> str:
    """What the commit does to the warehouse, in one sentence.

    :param explain: The explain step.
    :param output: What it found.
    :param models: All models of the plan.
    :param tool: The project's, for its words.
    :param mood: Whether it does so, would have, or did.
    """
    if explain.status == "running":
        return "What this commit would change is being worked out."
    if output.explain_completed is not True:
        return {
            "failed": UNKNOWN,
            "cancelled": "This plan was cancelled before it was known what the commit would change.",
        }.get(explain.status, "Nothing is known about what this commit would change.")
    return told(output, models, tool, mood)


def told(output: ExplainOutput, models: Sequence[ModelChange], tool: Tool, mood: Mood = "now") -> str:
    """The same of a plan whose changes are known."""
    figures = figures_of(output)
    changes = list(_changes(figures, tool.loading, mood))
    work = list(_work(figures, output, models, tool.loading, mood))
    if not changes and not work:
        return "Nothing changes: the commit leaves every model as it is."
    if not work:
        work = [f"nothing {_BE[mood][0]} {tool.loading.done}"]
    text = "; ".join([*changes, *work, *_more(output, mood)])
    return f"{text[0].upper()}{text[1:]}."


def _form(forms: Forms, mood: Mood, number: int) -> str:
    return forms[mood][number != 1]


def _changes(figures: Figures, loading: Loading, mood: Mood) -> Iterator[str]:
    """What is not as deployed any more, and what that means to what reads it."""
    edited = [
        f"{{}} {_form(forms, mood, number)}{word}"
        for number, forms, word in (
            (figures.changed, _CHANGE, ""),
            (figures.added, _BE, " added"),
            (figures.removed, _BE, " removed"),
        )
        if number
    ]
    numbers = [number for number in (figures.changed, figures.added, figures.removed) if number]
    if edited:
        texts = [counted(numbers[0], "model"), *(f"{number:,}" for number in numbers[1:])]
        yield _and([clause.format(text) for clause, text in zip(edited, texts, strict=True)])
    if number := figures.downstream:
        yield f"{counted(number, 'model')} downstream {_form(_BE, mood, number)} {loading.done} too"
    if number := figures.readers:
        what = "it" if figures.changed + figures.added + figures.removed == 1 else "them"
        noun = counted(number, "model")
        yield f"{noun} {_form(_READ, mood, number)} {what} and {_form(_BE_NOT, mood, number)} {loading.done}"
    yield from _metadata(figures, mood)


def _metadata(figures: Figures, mood: Mood) -> Iterator[str]:
    followers = f"{figures.followers:,} more because of what {'it reads' if figures.followers == 1 else 'they read'}"
    if number := figures.metadata:
        text = f"{counted(number, 'model')} {_form(_CHANGE, mood, number)} only in metadata"
        yield f"{text}, {followers}" if figures.followers else text
    elif number := figures.followers:
        yield f"{counted(number, 'model')} {_form(_CHANGE, mood, number)} only in metadata, because of what they read"


def _work(figures: Figures, output: ExplainOutput, models: Sequence[ModelChange], loading: Loading, mood: Mood) -> Iterator[str]:
    """What is computed, and which tests run."""
    if number := figures.unchanged:
        span = _span(models) if number == figures.backfill else ""
        yield f"{counted(number, 'unchanged model')} {_form(_BE, mood, number)} {loading.done}{span}"
    tests = f"{counted(figures.tests, 'test')} {_form(_RUN, mood, figures.tests)}" if figures.tests else ""
    number = figures.backfill
    if not number or number == figures.unchanged:
        yield from filter(None, [tests])
        return
    in_all = " in all" if figures.downstream or figures.unchanged else ""
    built = f"{counted(number, 'model')} {_form(_BE, mood, number)} {loading.done}{in_all}{_span(models)}"
    everything = output.selection is not None and output.selection.mode == "full"
    yield _and([built, tests] if tests else [built]) + (", which is everything" if everything else "")


def _span(models: Sequence[ModelChange]) -> str:
    """How much data that is, where a model is computed by spans."""
    loads = {model.load for model in models if model.loads and model.load}
    most = max(loads, default=timedelta())
    return f", {'up to ' if len(loads) > 1 else ''}{spoken(most)}" if loads else ""


def _more(output: ExplainOutput, mood: Mood) -> Iterator[str]:
    """What is not like in any other plan."""
    if number := len(output.previews):
        what = "a preview of a forward-only change" if number == 1 else "previews of forward-only changes"
        yield f"{number:,} of them {_form(_BE, mood, number)} only {what}"
    if number := len(set(destructive.must_be_named(output))):
        verb = "changes a table" if number == 1 else "change tables"
        yield f"{counted(number, 'model')} {verb} destructively and {'has' if number == 1 else 'have'} to be allowed by name"
    if number := len({left.name for left in output.leftovers}):
        yield f"{counted(number, 'model')} that a failed plan left {_form(_BE, mood, number)} set right"


def _and(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def load_word(loading: Loading, mood: Mood) -> str:
    """What stands after a number of models that are computed: ``to backfill``, ``would be backfilled``, ``backfilled``."""
    return {"now": f"to {loading.verb}", "would": f"would be {loading.done}", "done": loading.done}[mood]


def load_text(model: ModelChange, loading: Loading, mood: Mood) -> str:
    """What is computed of one model: ``to backfill: 14 days``; empty when nothing is.

    :param mood: Of the plan. What an execution did with this very model counts more.
    """
    if not model.loads:
        return ""
    done = mood == "done" or (model.result is not None and model.result.status == "succeeded")
    word = load_word(loading, "done" if done else mood)
    what = "the whole model" if model.whole else spoken(model.load) if model.load else ""
    return f"{word}: {what}" if what else word


def titles(loading: Loading, mood: Mood) -> dict[Mark, str]:
    """What lists of models are called, by mark."""
    be = "would be " if mood == "would" else ""
    return {
        **MARK_TITLES,
        "downstream": f"Downstream, {be}{loading.done} too",
        "reader": f"Only read what changes, not {loading.done}",
        "load": f"Not changed, {be}{loading.done}",
    }


def counts(output: ExplainOutput, tool: Tool, mood: Mood = "now") -> tuple[Count, ...]:
    """What there is, in numbers: the models by mark, as they are listed, then what is done with them; nothing that is zero."""
    figures, named = figures_of(output), titles(tool.loading, mood)
    by_mark: tuple[tuple[Mark, int], ...] = (
        ("removed", figures.removed),
        ("changed", figures.changed),
        ("added", figures.added),
        ("downstream", figures.downstream),
        ("load", figures.unchanged),
        ("metadata", figures.metadata),
        ("reader", figures.readers),
        ("follower", figures.followers),
    )
    found = [Count(named[mark], number, mark) for mark, number in by_mark]
    found.append(Count(load_word(tool.loading, mood).capitalize(), figures.backfill))
    found.append(Count({"now": "Tests to run", "would": "Tests that would run", "done": "Tests"}[mood], figures.tests))
    return tuple(count for count in found if count.number)
