"""How far an execution is, in words: beside each model, and as a part of the plan page that scripts fetch while a step runs."""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_provider.plan_output.parts import ModelResult, Progress, Tally
from dagctl_provider.ui.filters import counted, duration
from dagctl_provider.ui.plan_diffs import visible

MOST_NAMED = 5
"""Running models that are named; of the others there is a number."""
MOST_MARKED = 500
"""Of more models only those that run or failed are marked while a step runs; the others are when it has ended."""
_WORDS: Mapping[str, tuple[str, str]] = {
    "succeeded": ("✓", "done"),
    "failed": ("✕", "failed"),
    "running": ("↻", "running"),
    "skipped": ("⊘", "skipped"),
    "cancelled": ("■", "stopped"),
}


def elapsed(seconds: float) -> str:
    """How long something takes so far, in whole seconds, as the script goes on counting."""
    return f"{int(seconds)} s" if seconds < 60 else duration(seconds)


def result_text(result: ModelResult) -> str:
    """What became of a model: ``✓ done in 3 s, 1,200 rows``."""
    mark, word = _WORDS.get(result.status, ("", visible(result.status)))
    # What did not run took no time worth telling.
    took = f" in {duration(result.seconds)}" if result.seconds and result.status in ("succeeded", "failed") else ""
    rows = f", {counted(result.rows, 'row')}" if result.rows is not None else ""
    return f"{mark} {word}{took}{rows}".strip()


def tally_text(tally: Tally, thing: str) -> str:
    """Numbers in words: ``7 of 12 models, 1 failed, 2 skipped``."""
    more = [f"{count:,} {word}" for count, word in ((tally.failed, "failed"), (tally.skipped, "skipped")) if count]
    return ", ".join([f"{tally.succeeded:,} of {counted(tally.total, thing)}", *more])


def progress_texts(progress: Progress) -> tuple[str, ...]:
    """What there is to say in numbers; nothing before it is known how much there is to do."""
    tallies = ((progress.models, "model"), (progress.tests, "test"))
    return tuple(tally_text(tally, thing) for tally, thing in tallies if tally.total)


def marked(results: Mapping[str, ModelResult]) -> list[tuple[str, str, str]]:
    """Name, state and text of each model to be marked while a step runs."""
    few = len(results) <= MOST_MARKED
    return [
        (visible(name), result.status, result_text(result))
        for name, result in results.items()
        if few or result.status in ("running", "failed")
    ]


def bar(progress: Progress) -> list[dict[str, object]]:
    """The parts of the bar, one after the other: what they mean, where each begins and how long it is, in models and tests."""
    parts, start = [], 0
    for kind in ("succeeded", "failed", "skipped", "running"):
        length = sum(getattr(tally, kind) for tally in (progress.models, progress.tests))
        if length:
            parts.append({"kind": kind, "start": start, "length": length})
        start += length
    return parts
