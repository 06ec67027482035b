"""A plan as a request to decide: one line, and a body in Markdown for Airflow's Required Actions.

Its texts come from the repository, so all of them are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dagctl_provider.plan_output import coverage, reading
from dagctl_provider.plan_output.shape import ExplainOutput, PlannedModel, Selection

_MAX_MODELS = 50
_MAX_WARNINGS = 20
_MAX_DIFF_CHARACTERS = 20_000
_LOOK_FIRST = ("directly_modified", "removed", "added", "indirectly_modified", "metadata")
"""Changes in the order in which they deserve a look. Somebody who reads this has no list to sort or to filter, and only the first
models have room: what was written by hand comes before what follows from it."""
_WITH_DIFF = ("directly_modified", "removed")
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-!|~"})


def describe(conf: Mapping[str, object], output: object) -> tuple[str, str]:
    """Subject and Markdown body of the request in Required Actions.

    :param conf: The runner request of the run.
    :param output: The explain step's plan_output.
    """
    plan, commit = reading.explained(output), str(conf.get("commit_sha", ""))[:7]
    counts = f"{plan.added} added, {plan.modified} modified, {plan.removed} removed"
    subject = f"{conf.get('project_name', 'Plan')} {commit} to {plan.environment or ''}: {counts}"
    models = sorted(plan.models, key=lambda model: (_order(model), model.name))
    parts = [
        _commit_line(conf, commit),
        "\n".join(_model_line(model) for model in models[:_MAX_MODELS]),
        f"{plan.backfill} model(s) need backfill.",
        _selection_line(plan.selection),
        "\n".join(f"- **Warning:** {_escaped(text)}" for text in (*_uncovered(plan), *plan.warnings[:_MAX_WARNINGS])),
        *_diffs(models),
    ]
    return subject, "\n\n".join(part for part in parts if part)


def _order(model: PlannedModel) -> int:
    return _LOOK_FIRST.index(model.change) if model.change in _LOOK_FIRST else len(_LOOK_FIRST)


def _commit_line(conf: Mapping[str, object], commit: str) -> str:
    message, author = conf.get("commit_message"), conf.get("commit_author")
    return " ".join(filter(None, (commit, _escaped(message) if message else "", f"({_escaped(author)})" if author else "")))


def _model_line(model: PlannedModel) -> str:
    words = [word.replace("_", " ") for word in (model.change, model.category) if word]
    return f"- {_escaped(model.name)}: {_escaped(', '.join(words))}"


def _selection_line(selection: Selection | None) -> str:
    """What an execute of dbt will run."""
    if selection is None:
        return ""
    return f"{len(selection.nodes)} node(s) will run." + (f" {_escaped(selection.reason)}" if selection.reason else "")


def _uncovered(plan: ExplainOutput) -> Iterator[str]:
    """What the approval cannot cover, and what it rests on."""
    if title := coverage.unstable_title(plan):
        yield title
        yield from coverage.unstable_lines(plan)[:_MAX_WARNINGS]
    if title := coverage.asked_title(plan):
        yield title


def _diffs(models: Sequence[PlannedModel]) -> Iterator[str]:
    """The SQL of what changed directly, each in a fence longer than any in the text, so that nothing gets out of it."""
    left = _MAX_DIFF_CHARACTERS
    for model in models:
        diff = (model.diff or "").strip()
        if model.change not in _WITH_DIFF or not diff:
            continue
        if len(diff) > left:
            yield "The other diffs are too long to be shown here; see GET /api/v1/plans."
            return
        left -= len(diff)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", diff)), default=0))
        yield f"{_escaped(model.name)}\n\n{fence}diff\n{diff}\n{fence}"


def _escaped(text: object) -> str:
    return " ".join(str(text).split()).translate(_MARKDOWN)[:300]
