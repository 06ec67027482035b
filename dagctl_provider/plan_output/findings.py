"""What a reviewer should know before deciding, what matters most first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.tools import Tool
from dagctl_provider.plan_output.parts import Finding, ModelChange, Severity
from dagctl_provider.plan_output.reading import counted, spoken
from dagctl_provider.plan_output.shape import ExplainOutput

LONG_LOAD = timedelta(days=30)
"""From here on a load is worth a warning of its own."""

_SEVERITIES = ("danger", "warning", "info")


@dataclass(frozen=True)
class _Plan:
    """What findings are found in."""

    explain: PlanStep
    project: Project
    output: ExplainOutput
    models: Sequence[ModelChange]

    @property
    def tool(self) -> Tool:
        return self.project.tool


def findings_of(explain: PlanStep, output: ExplainOutput, project: Project, models: Sequence[ModelChange]) -> tuple[Finding, ...]:
    """All findings of a plan whose changes are known; none before that.

    :param output: What the explain found.
    :param models: Of the plan.
    """
    plan = _Plan(explain, project, output, models)
    found = list(_failed_tests(plan))
    if output.explain_completed is True:
        for look in _LOOKS:
            found += look(plan)
    return tuple(sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity)))


def _names(models: Iterable[ModelChange]) -> tuple[str, ...]:
    return tuple(model.name for model in models)


def _failed_tests(plan: _Plan) -> Iterator[Finding]:
    tests = plan.output.tests
    if tests and tests.failed:
        detail = "\n".join(tests.names[:50]) or tests.output
        yield Finding("danger", "tests_failed", f"{counted(tests.failed, 'unit test')} failed.", detail=detail)


def _moved_head(plan: _Plan) -> Iterator[Finding]:
    latest = plan.project.latest_commit_sha
    if plan.explain.status == "pending" and latest and latest != plan.explain.to_commit_sha:
        yield Finding(
            "danger",
            "head_moved",
            f"The branch {plan.project.branch} has moved on to {short_sha(latest)}. Approving now executes nothing: "
            "the plan is discarded, and the newest commit has to be planned.",
        )


def _contracts(plan: _Plan) -> Iterator[Finding]:
    broken = plan.output.contracts_broken
    if broken:
        lines = [f"{row.model}: {row.problem}" for row in broken[:50]]
        names = tuple(dict.fromkeys(str(row.model) for row in broken))
        title = f"{counted(len(names), 'enforced contract')} {'is' if len(names) == 1 else 'are'} broken."
        yield Finding("danger", "contracts_broken", title, names, "\n".join(lines))


def _breaking(plan: _Plan) -> Iterator[Finding]:
    found = [model for model in plan.models if model.mark == "breaking"]
    if found:
        downstream = sum(model.mark == "downstream" for model in plan.models)
        after = f" {counted(downstream, 'downstream model')} {'follows' if downstream == 1 else 'follow'}." if downstream else ""
        verb = "change is" if len(found) == 1 else "changes are"
        yield Finding("danger", "breaking", f"{len(found):,} {verb} breaking.{after}", _names(found))


def _removed(plan: _Plan) -> Iterator[Finding]:
    removed = {model.name for model in plan.models if model.mark == "removed"}
    if not removed:
        return
    stays = "" if plan.tool.drops_removed else f" {plan.tool.label} drops nothing: what they left stays in the warehouse."
    verb = "model is" if len(removed) == 1 else "models are"
    names = tuple(model.name for model in plan.models if model.name in removed)
    yield Finding("danger", "removed", f"{len(removed):,} {verb} removed.{stays}", names)
    readers = [model for model in plan.models if model.mark != "removed" and removed.intersection(model.parents)]
    if readers:
        verb = "still reads" if len(readers) == 1 else "still read"
        yield Finding("danger", "removed_is_read", f"{counted(len(readers), 'model')} {verb} a removed one.", _names(readers))


def _columns_removed(plan: _Plan) -> Iterator[Finding]:
    found = [model for model in plan.models if model.columns_removed and model.mark != "removed"]
    if found:
        gone = sum(len(model.columns_removed) for model in found)
        lines = [f"{model.name}: {', '.join(model.columns_removed)}" for model in found[:50]]
        title = f"{counted(gone, 'column')} {'goes' if gone == 1 else 'go'} away in {counted(len(found), 'model')}."
        yield Finding("danger", "columns_removed", title, _names(found), "\n".join(lines))


def _column_impact(plan: _Plan) -> Iterator[Finding]:
    lines = []
    for row in plan.output.column_impact:
        if readers := row.read_by:
            shown = ", ".join(readers[:10]) + (f" and {len(readers) - 10:,} more" if len(readers) > 10 else "")
            lines.append(f"{row.model}.{row.column} ({row.change}) is read by {shown}")
    if lines:
        title = f"{counted(len(lines), 'changed column')} {'is' if len(lines) == 1 else 'are'} read elsewhere."
        yield Finding("warning", "column_impact", title, detail="\n".join(lines[:50]))


def _everything(plan: _Plan) -> Iterator[Finding]:
    selection = plan.output.selection
    if selection and selection.mode == "full":
        reason = selection.reason
        # Where nothing is deployed yet there is nothing that could be lost.
        severity: Severity = "danger" if plan.explain.from_commit_sha else "info"
        yield Finding(severity, "full_rebuild", "Everything is built anew." + (f" {_sentence(reason)}" if reason else ""))


def _long_loads(plan: _Plan) -> Iterator[Finding]:
    found = sorted((model for model in plan.models if model.load >= LONG_LOAD), key=lambda model: model.load, reverse=True)
    if found:
        verb = "loads" if len(found) == 1 else "load"
        most = "up to " if found[0].load != found[-1].load else ""
        title = f"{counted(len(found), 'model')} {verb} {most}{spoken(found[0].load)} anew."
        yield Finding("warning", "full_rebuild", title, _names(found))


def _migration(plan: _Plan) -> Iterator[Finding]:
    if migration := plan.output.state_migration:
        title = (
            f"Executing also migrates {plan.tool.label}'s state from {migration.before or 'an older version'} "
            f"to {migration.after or 'a newer one'}. There is no way back."
        )
        yield Finding("danger", "state_migration", title)


def _new_environment(plan: _Plan) -> Iterator[Finding]:
    if plan.output.is_new_environment:
        name = plan.output.environment or "the environment"
        yield Finding("info", "new_environment", f"The environment {name} is new: everything in it is made for the first time.")


def _forward_only(plan: _Plan) -> Iterator[Finding]:
    found = [model for model in plan.models if model.category in ("forward_only", "indirect_forward_only")]
    if found:
        title = f"{counted(len(found), 'model')} forward only: rows that exist stay as the old code made them."
        yield Finding("warning", "forward_only", title, _names(found))


def _restatements(plan: _Plan) -> Iterator[Finding]:
    if names := plan.output.restatements:
        yield Finding(
            "warning", "restatements", f"{counted(len(names), 'model')} {'is' if len(names) == 1 else 'are'} restated.", names
        )


def _missing_tests(plan: _Plan) -> Iterator[Finding]:
    if not any(model.mark in ("breaking", "changed", "added") for model in plan.models):
        return
    if plan.explain.settings.get("run_tests") is False:
        yield Finding("warning", "no_tests", "Tests are switched off in the project's settings.")
    elif plan.tool.tested_in == "execute":
        if plan.output.tests_to_run == ():
            yield Finding("warning", "no_tests", "No test checks what this commit changes.")
    elif not (plan.output.tests and plan.output.tests.run):
        yield Finding("warning", "no_tests", "The project has no unit tests.")


def _reported(plan: _Plan) -> Iterator[Finding]:
    for warning in dict.fromkeys(plan.output.warnings):
        head, _, rest = warning.partition("\n")
        yield Finding("warning", "reported", head[:400], detail=rest.strip() or (warning if len(head) > 400 else None))


def _hidden(plan: _Plan) -> Iterator[Finding]:
    found = [model for model in plan.models if model.hidden_characters]
    if found:
        title = f"The code of {counted(len(found), 'model')} holds characters that do not show; the diff names them."
        yield Finding("danger", "hidden_characters", title, _names(found))


def _truncated(plan: _Plan) -> Iterator[Finding]:
    found = [model for model in plan.models if model.diff_truncated]
    if found:
        verb = "is" if len(found) == 1 else "are"
        title = f"{counted(len(found), 'diff')} {verb} too long to be kept whole: read the rest in git."
        yield Finding("warning", "truncated", title, _names(found))


def _surroundings(plan: _Plan) -> Iterator[Finding]:
    if detail := plan.output.requirements_diff:
        yield Finding("warning", "requirements_diff", "The Python requirements of the project change.", detail=detail)
    if detail := plan.output.packages_diff:
        yield Finding("warning", "packages_diff", "The Python packages that the project runs with change.", detail=detail)
    if detail := plan.output.environment_statements_diff:
        title = "Statements that run before or after all models change."
        yield Finding("warning", "environment_statements_diff", title, detail=detail)


def _not_known(plan: _Plan) -> Iterator[Finding]:
    if missing := plan.output.column_impact_missing:
        yield Finding("info", "column_impact_missing", f"Who reads changed columns is not known. {_sentence(missing)}")
    compiled = plan.output.compiled
    if compiled and compiled.available is False:
        reason = compiled.reason
        title = "Diffs show the code as written, not as compiled." + (f" {_sentence(reason)}" if reason else "")
        yield Finding("info", "not_compiled", title)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


_LOOKS = (
    _moved_head,
    _hidden,
    _contracts,
    _removed,
    _breaking,
    _columns_removed,
    _everything,
    _migration,
    _long_loads,
    _missing_tests,
    _column_impact,
    _restatements,
    _forward_only,
    _reported,
    _surroundings,
    _truncated,
    _new_environment,
    _not_known,
)
