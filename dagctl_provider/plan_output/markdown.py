"""A plan as a request to decide: one line, and a body in Markdown for Airflow's Required Actions.

Its texts come from the repository, so all of them are escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dagctl_provider.domain.tools import DEFAULT_TOOL, Tool, tool_of
from dagctl_provider.domain.wire.decisions import RECORDED, Refusal
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.figures import Figures, figures_of
from dagctl_provider.plan_output.findings import Occasion, findings_of
from dagctl_provider.plan_output.models import models_of
from dagctl_provider.plan_output.parts import Finding, Mark, ModelChange
from dagctl_provider.plan_output.shape import ExplainOutput, PlannedModel, ReportedTests
from dagctl_provider.plan_output.summaries import counts, load_text, told

_MAX_MODELS = 50
_MAX_FINDINGS = 30
_MAX_LINES = 20
_MAX_DIFF_CHARACTERS = 20_000
_LOOK_FIRST: tuple[Mark, ...] = (
    "changed",
    "removed",
    "added",
    "downstream",
    "load",
    "metadata",
    "reader",
    "follower",
    "unchanged",
)
"""Lists in the order in which they deserve a look. Somebody who reads this has no list to sort or to filter, and only the first
models have room: what was written by hand comes before what follows from it."""
_SAID: Mapping[Mark, str] = {
    "changed": "changed",
    "removed": "removed",
    "added": "new",
    "downstream": "downstream",
    "load": "not changed",
    "metadata": "only metadata",
    "reader": "only reads what changes",
    "follower": "metadata of what it reads",
    "unchanged": "not changed",
}
_SEVERITIES: Mapping[str, str] = {"danger": "Danger", "warning": "Warning", "info": "Note"}
_WITH_DIFF = ("directly_modified", "removed")
_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-!|~"})


def said_before(refusal: Refusal | None) -> tuple[str, str] | None:
    """What became of an answer that decided nothing."""
    if refusal is None:
        return None
    recorded = refusal.code == RECORDED
    return "The last approval is recorded." if recorded else "The last answer was refused.", refusal.detail or ""


def describe(
    conf: Mapping[str, object], output: object, address: str = "", before: tuple[str, str] | None = None
) -> tuple[str, str]:
    """Subject and Markdown body of the request in Required Actions.

    :param conf: The runner request of the run.
    :param output: The explain step's plan_output.
    :param address: Of the plan's page.
    :param before: What became of the answer that somebody gave before: what to say first, and why.
    """
    plan, commit = reading.explained(output), str(conf.get("commit_sha", ""))[:7]
    tool = tool_of(str(conf.get("tool") or DEFAULT_TOOL))
    figures, found = figures_of(plan), models_of(plan, tool)
    subject = f"{conf.get('project_name', 'Plan')} {commit} to {plan.environment or ''}: {_in_short(figures, tool)}"
    models = sorted(found, key=lambda model: (_LOOK_FIRST.index(model.mark), model.name))
    numbers = ", ".join(f"{count.label}: **{count.number:,}**" for count in counts(plan, tool))
    findings = findings_of(Occasion(tool, commit, run_tests=conf.get("run_tests") is not False), plan, found)
    parts = [
        f"[Open the plan's page]({address}): every model, its diff, the log." if address else "",
        f"**{before[0]}** {_escaped(before[1], 2000)}" if before else "",
        _escaped(told(plan, found, tool), 1000),
        numbers,
        _escaped(tests_text(plan.tests)),
        _commit_line(conf, commit),
        "\n".join(map(_finding_lines, findings[:_MAX_FINDINGS])),
        "\n".join(_model_line(model, tool) for model in models[:_MAX_MODELS]),
        f"and {len(models) - _MAX_MODELS:,} more models" if len(models) > _MAX_MODELS else "",
        *_diffs(_as_listed(plan, models)),
    ]
    return subject, "\n\n".join(part for part in parts if part)


def tests_text(tests: ReportedTests | None) -> str:
    """What became of the unit tests of an explain; empty where none ran."""
    if tests is None or not tests.run:
        return ""
    if tests.failed:
        return f"{tests.failed:,} of {reading.counted(tests.run, 'unit test')} failed."
    return f"{reading.counted(tests.run, 'unit test')} passed."


def _in_short(figures: Figures, tool: Tool) -> str:
    return (
        f"{figures.added} added, {figures.changed} changed, {figures.removed} removed, {figures.backfill} to {tool.loading.verb}"
    )


def _as_listed(plan: ExplainOutput, models: Sequence[ModelChange]) -> list[PlannedModel]:
    by_name = {model.name: model for model in plan.models}
    return [by_name[model.name] for model in models]


def _commit_line(conf: Mapping[str, object], commit: str) -> str:
    message, author = conf.get("commit_message"), conf.get("commit_author")
    return " ".join(filter(None, (commit, _escaped(message) if message else "", f"({_escaped(author)})" if author else "")))


def _model_line(model: ModelChange, tool: Tool) -> str:
    """One model: what it is marked as, what its category means, and what is computed of it, from when to when."""
    words = [_SAID[model.mark], model.about, load_text(model, tool.loading, "now")]
    if model.loads and model.intervals:
        words.append(", ".join(model.intervals[:3]) + (" and more" if len(model.intervals) > 3 else ""))
    return f"- {_escaped(model.name)}: {_escaped(', '.join(filter(None, words)))}"


def _finding_lines(finding: Finding) -> str:
    """What a reviewer should know, with the lines under it that name what it is about."""
    lines = [f"- **{_SEVERITIES[finding.severity]}:** {_escaped(finding.title, 500)}"]
    detail = finding.detail.splitlines() if finding.detail else [", ".join(finding.models[:10])] if finding.models else []
    lines += [f"  - {_escaped(line)}" for line in detail[:_MAX_LINES]]
    return "\n".join(lines + ([f"  - and {len(detail) - _MAX_LINES:,} more lines"] if len(detail) > _MAX_LINES else []))


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


def _escaped(text: object, most: int = 300) -> str:
    return " ".join(str(text).split())[:most].translate(_MARKDOWN)
