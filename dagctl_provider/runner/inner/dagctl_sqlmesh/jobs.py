"""What a job does with SQLMesh: each of its commands by the function that SQLMesh's own command line calls.

Signatures grew over the versions. What a version lacks was refused when the text was read, so what is left is which name a
parameter has; options that nobody gave are left to SQLMesh.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.frames import Answer
from dagctl_common.jobs import Command

from dagctl_sqlmesh.failures import chain, model_failure
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.planning import recorded_environment
from dagctl_sqlmesh.printing import draw_tables
from dagctl_sqlmesh.projects import supports
from dagctl_sqlmesh.testing import refuse_failed_tests, run_tests

if TYPE_CHECKING:
    from sqlmesh.core.context import Context

RUN: Command = {"verb": "run", "options": {}, "arguments": [], "nodes": None, "text": "run"}
"""What is due: the job that every project has."""

Locked = tuple[str, bool]
"""Name of a lock, and whether other shared holders are welcome."""


def _run(step: Step, context: Context, command: Command) -> Answer:
    """Process what is due on the deployed models, as they stand in the state."""
    options = dict(command["options"])
    if "select_model" in options:
        options["select_models"] = options.pop("select_model")
    completed = context.run(step.job["environment"], **options)
    # Older versions answer with a truth value, newer ones with an enum whose every member is true.
    if getattr(completed, "is_failure", not completed):
        raise model_failure(step) or StepFailed("apply_failed", (step.journal.errors or ["The run failed."])[0])
    return {}


def _janitor(_step: Step, context: Context, command: Command) -> Answer:
    context.run_janitor(bool(command["options"].get("ignore_ttl")))
    return {}


def _invalidate(_step: Step, context: Context, command: Command) -> Answer:
    name = command["arguments"][0]
    if recorded_environment(context, name) is None:
        raise StepFailed("environment_not_found", f"Environment {name!r} has not been deployed, or is gone already.")
    context.invalidate_environment(name, sync=bool(command["options"].get("sync")))
    return {}


def _test(step: Step, context: Context, command: Command) -> Answer:
    options, test = command["options"], context.test
    chosen: dict[str, Any] = {"match_patterns": options.get("match") or None, "tests": command["arguments"] or None}
    if options.get("verbose"):
        chosen.update(_verbose(test))
    if "select_model" in options:
        chosen["model_names"] = context._new_selector().expand_model_selections(options["select_model"])
    if supports(test, "raise_on_unknown_paths"):
        chosen["raise_on_unknown_paths"] = True
    tests = run_tests(step, context, **chosen)
    answer: Answer = {"tests": tests}
    refuse_failed_tests(tests, answer)
    return answer


def _verbose(test: Callable[..., object]) -> Mapping[str, object]:
    if not supports(test, "verbosity"):
        return {"verbose": True}
    # An enum that has moved between modules; the default is one of its members.
    return {"verbosity": type(inspect.signature(test).parameters["verbosity"].default).VERBOSE}


def _audit(step: Step, context: Context, command: Command) -> Answer:
    """Audits of all models or some; SQLMesh tells of those that failed in newer versions only, so they are counted here."""
    options: Mapping[str, Any] = command["options"]
    failed: list[Any] = []
    evaluator: Any = context.snapshot_evaluator
    original = evaluator.audit
    draw_tables(step, context)

    def counted(*args: Any, **kwargs: Any) -> list[Any]:
        results = list(original(*args, **kwargs))
        failed.extend(result for result in results if result.count and not result.skipped)
        return results

    evaluator.audit = counted
    try:
        models = options.get("model") or None
        context.audit(options.get("start"), options.get("end"), models=models, execution_time=options.get("execution_time"))
    finally:
        del evaluator.audit
    if failed:
        names = [f"audit {result.audit.name} of {result.model.name if result.model else 'no model'}" for result in failed]
        more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
        raise StepFailed("audit_failed", f"{names[0]} found {failed[0].count} bad row(s){more}")
    step.channel.line("all audits passed")
    return {}


def _check_intervals(step: Step, context: Context, command: Command) -> Answer:
    options: Mapping[str, Any] = command["options"]
    draw_tables(step, context)
    found = context.check_intervals(
        step.job["environment"], bool(options.get("no_signals")), options.get("select_model") or (), options.get("start"),
        options.get("end"),
    )  # fmt: skip
    context.console.show_intervals(found)
    return {}


def _table_diff(step: Step, context: Context, command: Command) -> Answer:
    source, _, target = command["arguments"][0].partition(":")
    model = command["arguments"][1:2]
    options: dict[str, Any] = {"show_sample": False, **command["options"]}
    options.update({name: int(options[name]) for name in ("limit", "decimals") if name in options})
    selected = options.pop("select_model", None)
    if model and selected:
        raise StepFailed("command_failed", "'--select-model' and a model exclude each other.")
    if supports(context.table_diff, "select_models"):
        options["select_models"] = model or selected
    elif model:
        options["model_or_snapshot"] = model[0]
    draw_tables(step, context)
    context.table_diff(source=source, target=target, **options)
    return {}


def _lint(step: Step, context: Context, command: Command) -> Answer:
    draw_tables(step, context)
    try:
        context.lint_models(command["options"].get("models") or None)
    except Exception as error:
        if any(type(link).__name__ == "LinterError" for link in chain(error)):
            raise StepFailed("lint_failed", "The project's linter found errors; the log names them.") from error
        raise
    step.channel.line("the linter found no errors")
    return {}


def _environments(step: Step, context: Context, _command: Command) -> Answer:
    draw_tables(step, context)
    context.print_environment_names()
    return {}


@dataclass(frozen=True)
class Verb:
    """A command of a job.

    :param do: Does it.
    :param loads: Whether it needs the models of the commit rather than those that are deployed.
    :param writes: Whether it changes the project's environment, and so is its only writer.
    :param clears: Whether it removes what no environment names, which a plan on its way to one may have just made.
    """

    do: Callable[[Step, Context, Command], Answer]
    loads: bool = False
    writes: bool = False
    clears: Callable[[Command], bool] = lambda command: False


VERBS: Mapping[str, Verb] = {
    "run": Verb(_run, writes=True),
    "janitor": Verb(_janitor, clears=lambda command: True),
    "invalidate": Verb(_invalidate, clears=lambda command: bool(command["options"].get("sync"))),
    "test": Verb(_test, loads=True),
    "audit": Verb(_audit, loads=True),
    "check_intervals": Verb(_check_intervals, loads=True),
    "table_diff": Verb(_table_diff, loads=True),
    "lint": Verb(_lint, loads=True),
    "environments": Verb(_environments),
}


def locks_of(step: Step, command: Command) -> list[Locked]:
    """What a job holds while it works: the environment first, then the state, as everybody does.

    :param command: What the job does.
    """
    verb = VERBS[command["verb"]]
    ended = command["verb"] == "invalidate"
    name = command["arguments"][0] if ended else step.job["environment"]
    return [(f"environment:{name}", not (verb.writes or ended)), ("state", not verb.clears(command))]
