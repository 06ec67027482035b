"""What a reviewer should know before deciding, what matters most first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.tools import Tool
from dagctl_provider.plan_output.coverage import asked_title, unstable_lines, unstable_title
from dagctl_provider.plan_output.destructive import to_allow
from dagctl_provider.plan_output.parts import Finding, ModelChange, Severity
from dagctl_provider.plan_output.reading import counted, executed, spoken
from dagctl_provider.plan_output.shape import Destructive, ExplainOutput

LONG_LOAD = timedelta(days=30)
"""From here on a load is worth a warning of its own."""

_SEVERITIES = ("danger", "warning", "info")


@dataclass(frozen=True)
class Occasion:
    """What is known of a plan beside its output.

    :param commit: The one it is for.
    :param pending: Whether it waits for a decision.
    :param run_tests: Whether the project's tests are run.
    :param first: Whether nothing was deployed before.
    :param branch: With ``latest``, its newest commit as far as known.
    :param auto_apply: Whether plans of the project are approved without a person.
    :param warnings: What came up while it was executed.
    """

    tool: Tool
    commit: str = ""
    pending: bool = True
    run_tests: bool = True
    first: bool = False
    branch: str = ""
    latest: str | None = None
    auto_apply: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, steps: Sequence[PlanStep], project: Project) -> Occasion:
        """That of a stored plan.

        :param steps: Of its group, explain first.
        """
        explain = steps[0]
        return cls(
            tool=project.tool,
            commit=explain.to_commit_sha,
            pending=explain.status == "pending",
            run_tests=explain.settings.get("run_tests") is not False,
            first=explain.from_commit_sha is None,
            branch=project.branch,
            latest=project.latest_commit_sha,
            auto_apply=bool(project.settings.get("auto_apply")),
            warnings=tuple(text for step in steps[1:] for text in executed(step.plan_output).warnings),
        )


@dataclass(frozen=True)
class _Plan:
    """What findings are found in."""

    occasion: Occasion
    output: ExplainOutput
    models: Sequence[ModelChange]

    @property
    def tool(self) -> Tool:
        return self.occasion.tool


def findings_of(occasion: Occasion, output: ExplainOutput, models: Sequence[ModelChange]) -> tuple[Finding, ...]:
    """All findings of a plan whose changes are known; none before that.

    :param output: What the explain found.
    :param models: Of the plan.
    """
    plan = _Plan(occasion, output, models)
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
    latest = plan.occasion.latest
    if plan.occasion.pending and latest and latest != plan.occasion.commit:
        yield Finding(
            "danger",
            "head_moved",
            f"The branch {plan.occasion.branch} has moved on to {short_sha(latest)}. Approving now executes nothing: "
            "the plan is discarded, and the newest commit has to be planned.",
        )


def _contracts(plan: _Plan) -> Iterator[Finding]:
    broken = plan.output.contracts_broken
    if broken:
        lines = [f"{row.model}: {row.problem}" for row in broken[:50]]
        names = tuple(dict.fromkeys(str(row.model) for row in broken))
        title = f"{counted(len(names), 'enforced contract')} {'is' if len(names) == 1 else 'are'} broken."
        yield Finding("danger", "contracts_broken", title, names, "\n".join(lines))


def _destructive(plan: _Plan) -> Iterator[Finding]:
    """What has to be allowed by name stands alone; what the models' own policies let pass is worth knowing."""
    if to_name := to_allow(plan.output):
        names = tuple(row.name for row in to_name)
        one = len(names) == 1
        title = f"{counted(len(names), 'model')} {'changes its table' if one else 'change their tables'} destructively."
        title += f" An approval has to name {'it' if one else 'them'}."
        if plan.occasion.pending and plan.occasion.auto_apply:
            title += " So the plan waits for a person, although the project applies plans by itself."
        rows = [row for row in plan.output.destructive if row.policy == "error"]
        yield Finding("danger", "destructive", title, names, "\n".join(map(_destructive_line, rows[:50])))
    if passing := [row for row in plan.output.destructive if row.policy != "error"]:
        names = tuple(dict.fromkeys(row.name for row in passing))
        verb = "changes the table it has" if len(names) == 1 else "change the tables they have"
        severity: Severity = "warning" if any(row.kind != "additive" for row in passing) else "info"
        title = f"{counted(len(names), 'model')} {verb}, as {'its' if len(names) == 1 else 'their'} own policy allows."
        yield Finding(severity, "table_changes", title, names, "\n".join(map(_destructive_line, passing[:50])))


def _destructive_line(row: Destructive) -> str:
    about = f"{row.name}: {', '.join(row.columns)}" if row.columns else row.name
    return "\n".join(
        [f"{about} ({row.kind})" if row.kind else about, *(f"  {text}" for text in (*row.statements, *row.remedies))]
    )


def _removed(plan: _Plan) -> Iterator[Finding]:
    removed = tuple(model.name for model in plan.models if model.mark == "removed")
    if not removed:
        return
    one = len(removed) == 1
    left = "its table or view stays" if one else "their tables and views stay"
    stays = "" if plan.tool.drops_removed else f" {plan.tool.label} drops nothing: {left} in the warehouse."
    told = "\n".join(text for text in plan.output.warnings if _is_about(text, removed))
    yield Finding(
        "warning", "removed", f"{counted(len(removed), 'model')} {'is' if one else 'are'} removed.{stays}", removed, told or None
    )
    gone = set(removed)
    readers = [model for model in plan.models if model.mark != "removed" and gone.intersection(model.parents)]
    if readers:
        verb = "still reads" if len(readers) == 1 else "still read"
        yield Finding("danger", "removed_is_read", f"{counted(len(readers), 'model')} {verb} a removed one.", _names(readers))


def _is_about(warning: str, removed: Sequence[str]) -> bool:
    """Whether a warning of the tool says of a removed model what became of it, which the finding on removed ones says, too."""
    return any(warning.startswith(f"{name} is ") for name in removed)


def _columns_removed(plan: _Plan) -> Iterator[Finding]:
    """Red when it is known that something reads them still."""
    found = [model for model in plan.models if model.columns_removed and model.mark != "removed"]
    if found:
        gone = sum(len(model.columns_removed) for model in found)
        lines = [f"{model.name}: {', '.join(model.columns_removed)}" for model in found[:50]]
        title = f"{counted(gone, 'column')} {'goes' if gone == 1 else 'go'} away in {counted(len(found), 'model')}."
        yield Finding("warning", "columns_removed", title, _names(found), "\n".join(lines))


def _column_impact(plan: _Plan) -> Iterator[Finding]:
    """Who reads a column that goes loses it; who reads one that changes may not mind."""
    looks: tuple[tuple[bool, Severity, str], ...] = ((True, "danger", "removed"), (False, "warning", "changed"))
    for gone, severity, word in looks:
        rows = [row for row in plan.output.column_impact if row.read_by and (row.change == "removed") == gone]
        lines = []
        for row in rows:
            shown = ", ".join(row.read_by[:10]) + (f" and {len(row.read_by) - 10:,} more" if len(row.read_by) > 10 else "")
            lines.append(f"{row.model}.{row.column} ({row.change}) is read by {shown}")
        if lines:
            still = " still" if gone else ""
            title = f"{counted(len(lines), f'{word} column')} {'is' if len(lines) == 1 else 'are'}{still} read elsewhere."
            yield Finding(severity, "column_impact", title, detail="\n".join(lines[:50]))


def _everything(plan: _Plan) -> Iterator[Finding]:
    selection = plan.output.selection
    if selection and selection.mode == "full":
        reason = f" {_sentence(selection.reason)}" if selection.reason else ""
        # Where nothing is deployed yet there is nothing that could be lost.
        if plan.occasion.first:
            yield Finding("info", "full_rebuild", f"Everything is {plan.tool.loading.done}.{reason}")
        else:
            yield Finding("warning", "full_rebuild", f"Everything is {plan.tool.loading.done} anew.{reason}")


def _long_loads(plan: _Plan) -> Iterator[Finding]:
    """What is new has nothing yet; what is there is computed anew."""
    looks = ((True, "new model", "info", ""), (False, "model", "warning", " anew"))
    for new, noun, severity, anew in looks:
        found = [model for model in plan.models if model.load >= LONG_LOAD and (model.mark == "added") == new]
        found.sort(key=lambda model: model.load, reverse=True)
        if found:
            verb = "is" if len(found) == 1 else "are"
            most = "up to " if found[0].load != found[-1].load else ""
            title = f"{counted(len(found), noun)} {verb} {plan.tool.loading.done}{anew}: {most}{spoken(found[0].load)}."
            yield Finding(cast("Severity", severity), "long_load", title, _names(found))


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
    previews = set(plan.output.previews)
    if names := tuple(name for name in plan.output.restatements if name not in previews):
        title = f"{counted(len(names), 'model')} {'is' if len(names) == 1 else 'are'} restated."
        yield Finding("warning", "restatements", title, names)


def _previews(plan: _Plan) -> Iterator[Finding]:
    if names := plan.output.previews:
        one = len(names) == 1
        title = (
            f"The backfill of {counted(len(names), 'model')} is only a preview of a forward-only change: "
            f"{'its' if one else 'their'} rows in production stay, and what is deployed there is not restated."
        )
        yield Finding("info", "previews", title, names)


def _assumed(plan: _Plan) -> Iterator[Finding]:
    if names := plan.output.assumed:
        one = len(names) == 1
        title = (
            f"{counted(len(names), 'change')} {'was' if one else 'were'} assumed to be breaking, since categorization is off: "
            f"{'its' if one else 'their'} readers are {plan.tool.loading.done} too, whether they need it or not."
        )
        yield Finding("info", "assumed", title, names)


def _leftovers(plan: _Plan) -> Iterator[Finding]:
    if rows := plan.output.leftovers:
        names = tuple(dict.fromkeys(row.name for row in rows))
        title = f"A failed plan left {counted(len(names), 'model')}; this plan sets {'it' if len(names) == 1 else 'them'} right."
        lines = [
            f"{row.name}: {row.what or 'built by another commit'}" + (f" ({short_sha(row.commit)})" if row.commit else "")
            for row in rows[:50]
        ]
        yield Finding("warning", "leftovers", title, names, "\n".join(lines))


def _made_anew(plan: _Plan) -> Iterator[Finding]:
    if rows := plan.output.full_refresh:
        title = f"{counted(len(rows), 'model')} {'is' if len(rows) == 1 else 'are'} made from scratch, with all rows."
        why = {"leftover": "rows of code that is not deployed are in it"}
        lines = [f"{row.name}: {why.get(row.why or '', 'asked for with the plan')}" for row in rows[:50]]
        yield Finding("warning", "full_refresh", title, tuple(row.name for row in rows), "\n".join(lines))


def _variables(plan: _Plan) -> Iterator[Finding]:
    if given := plan.output.vars:
        kept = "it" if len(given) == 1 else "them"
        title = f"The plan sets {counted(len(given), 'variable')}; later plans and runs keep {kept}."
        yield Finding("info", "vars", title, detail="\n".join(f"{name}: {value}" for name, value in sorted(given.items())[:50]))


def _execute_warnings(plan: _Plan) -> Iterator[Finding]:
    if texts := tuple(dict.fromkeys(plan.occasion.warnings)):
        title = f"{counted(len(texts), 'warning')} came up while it was executed, which stopped nothing."
        yield Finding("warning", "execute_warnings", title, detail="\n".join(texts[:50]))


def _missing_tests(plan: _Plan) -> Iterator[Finding]:
    if not any(model.mark in ("changed", "added") for model in plan.models):
        return
    if not plan.occasion.run_tests:
        yield Finding("warning", "no_tests", "Tests are switched off in the project's settings.")
    elif plan.tool.tested_in == "execute":
        if plan.output.tests_to_run == ():
            yield Finding("warning", "no_tests", "No test checks what this commit changes.")
    elif not (plan.output.tests and plan.output.tests.run):
        yield Finding("warning", "no_tests", "The project has no unit tests.")


def _reported(plan: _Plan) -> Iterator[Finding]:
    removed = [model.name for model in plan.models if model.mark == "removed"]
    for warning in dict.fromkeys(plan.output.warnings):
        if _is_about(warning, removed):
            continue
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


def _unstable(plan: _Plan) -> Iterator[Finding]:
    if title := unstable_title(plan.output):
        yield Finding("warning", "unstable", title, detail="\n".join(unstable_lines(plan.output)))


def _asked(plan: _Plan) -> Iterator[Finding]:
    if title := asked_title(plan.output):
        yield Finding("info", "asked", title, plan.output.asked)


def _surroundings(plan: _Plan) -> Iterator[Finding]:
    if detail := plan.output.requirements_diff:
        yield Finding("warning", "requirements_diff", "The Python requirements of the project change.", detail=detail)
    if detail := plan.output.packages_diff:
        yield Finding("warning", "packages_diff", "The Python packages that the tool runs with change.", detail=detail)
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
    _destructive,
    _contracts,
    _removed,
    _columns_removed,
    _everything,
    _migration,
    _long_loads,
    _missing_tests,
    _column_impact,
    _restatements,
    _forward_only,
    _leftovers,
    _made_anew,
    _variables,
    _execute_warnings,
    _unstable,
    _reported,
    _surroundings,
    _truncated,
    _new_environment,
    _previews,
    _assumed,
    _asked,
    _not_known,
)
