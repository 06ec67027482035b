"""Explain, execute and run for dbt: the order in which things happen, and why that order is safe."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.digests import MOMENT, UNSTABLE, digest_of, drift, excused, hash_of
from dagctl_common.frames import Answer, do
from dagctl_common.inputs import input_warnings
from dagctl_common.jobs import Command, Job
from dagctl_common.locks import lock_file

from dagctl_dbt.artifacts import Deployed, pack_deployed, read_deployed, write_state
from dagctl_dbt.attempts import Done, ProgressFile
from dagctl_dbt.batches import Batches, microbatch_models
from dagctl_dbt.builds import Build
from dagctl_dbt.columns import ColumnReport, compare_columns
from dagctl_dbt.comparing import same_with_both, unaffected_of, unaffected_parts
from dagctl_dbt.compiling import compile_again, compile_nodes, only_reads
from dagctl_dbt.differ import compare
from dagctl_dbt.differ_facts import collect
from dagctl_dbt.differ_types import ADDED, DIRECT, INDIRECT, REMOVED, Manifest, name_of, project_of
from dagctl_dbt.digests import WORDS, Sources, digest_parts, warehouse_of
from dagctl_dbt.failures import cause, failure_of, judge, node_failure
from dagctl_dbt.guards import Guard
from dagctl_dbt.jobs import command_line
from dagctl_dbt.journals import Step
from dagctl_dbt.leftovers import Leftovers, rows_of, warnings
from dagctl_dbt.moments import Moment, shifted_clock
from dagctl_dbt.outputs import Plan, add_columns, add_diffs, describe, summary
from dagctl_dbt.packages import install_packages
from dagctl_dbt.pointers import refuse_pointers, refuse_seed_pointers
from dagctl_dbt.refreshing import check_touched, refresh, refreshed
from dagctl_dbt.selection import NONE, select
from dagctl_dbt.selectors import default_selector, warnings_of_selector
from dagctl_dbt.states import refuse_foreign
from dagctl_dbt.volatiles import PARTS, at_moment, by_chance, compute_again, mark_unstable, unstable_parts, volatiles
from dagctl_dbt.warehouses import sweep

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.task.build import BuildTask

COMPILE_SECONDS = 15.0
COLUMN_SECONDS = 5.0


def main(job: Job) -> int:
    """Do the job and write the answer.

    :param job: The request and what the outer program prepared.
    """
    code = do(Step(job), _load_tool, _COMMANDS, judge)
    # Threads that wait for the warehouse must not keep the step.
    os._exit(code)


def _load_tool(_step: Step) -> None:
    try:
        import dbt.cli.main  # noqa: F401
    except ImportError as error:
        raise StepFailed("tool_install_failed", f"dbt cannot be imported: {error}") from error


def _plan(step: Step, build: Build, task: BuildTask, deployed: Deployed) -> Plan:
    """What the commit changes, from the manifest that dbt has just written."""
    with step.channel.stage("plan"):
        manifest = json.loads(step.hide((build.target / "manifest.json").read_text(encoding="utf-8")))
        # dbt 1.5 does not tell; it is what names are shortened by.
        manifest["metadata"].setdefault("project_name", task.config.project_name)
        project = Path(step.job["project"])
        packages = project / task.config.packages_install_path
        installed = sorted(path for path in packages.iterdir() if path.is_dir()) if packages.is_dir() else []
        facts = collect(manifest, project, installed, target=task.config.target_name, given=step.job.get("vars"))
        refuse_foreign(deployed.manifest, manifest)
        default = default_selector(task)
        if default is not None:
            facts = replace(facts, outside=default.left_out(manifest))
        leftovers = Leftovers.read(step.job["inputs"].get("leftovers"))
        anew = refreshed(step.job.get("full_refresh") or (), manifest, leftovers)
        changes = compare(
            deployed.manifest, manifest, old_facts=deployed.facts, new_facts=facts, leftovers=leftovers, anew=frozenset(anew),
            unaffected=deployed.unaffected,
        )  # fmt: skip
        changes.warnings += [*warnings_of_selector(default, changes, manifest), *warnings(changes, manifest, leftovers)]
        selection = select(changes, manifest, step.job["run_tests"], default.nodes if default else None)
        check_touched(anew, selection.nodes, manifest)
        removed = [change.unique_id for change in changes.of(REMOVED)]
        sources = Sources(manifest, facts, task.manifest, task.config, deployed.identity, leftovers.identity, sorted(anew))
        parts = digest_parts(step, sources, selection.nodes, removed, build.moment)
        parts.update(unaffected_parts(sorted(deployed.unaffected)))
        warehouse = warehouse_of(step, task.config.credentials)
    return Plan(
        manifest, facts, deployed.manifest, deployed.facts, changes, selection, parts, warehouse, leftovers, anew,
        given=step.job.get("vars") or {},
    )  # fmt: skip


def explain(step: Step) -> Answer:
    """Work out what the commit would change; nothing is written, and the warehouse is asked for extras only."""
    deployed = read_deployed(step)
    refuse_pointers(step)
    install_packages(step)
    answer: Answer = {}

    def decide(task: BuildTask) -> set[str]:
        with only_reads(task) as guard:
            plan = _settled(step, build, task, deployed, guard)
            refuse_seed_pointers(step, plan.manifest)
            answer.update(_explained(step, build, task, plan, guard))
        return set()

    build = Build(step, decide, Moment(step.job))
    with step.channel.stage("parse"):
        result = build.invoke(quiet=True, partial_parse=True)
    if build.failure or not answer:
        raise build.failure or failure_of(step, result.exception, build.decided)
    return answer


def _settled(step: Step, build: Build, task: BuildTask, deployed: Deployed, guard: Guard) -> Plan:
    """The plan, once it is known which variables matter that may be read under any name."""
    plan = _plan(step, build, task, deployed)
    if not plan.changes.unsure:
        return plan
    with step.channel.stage("compare"):
        same = same_with_both(step, task, guard, plan.changes.unsure, (plan.old_facts, plan.facts), COMPILE_SECONDS)
    return _plan(step, build, task, replace(deployed, unaffected=frozenset(same))) if same else plan


def _explained(step: Step, build: Build, task: BuildTask, plan: Plan, guard: Guard) -> Answer:
    _prove(step, build, plan)
    output = describe(plan)
    with step.channel.stage("compile"):
        wanted = [change.unique_id for kind in (DIRECT, ADDED, INDIRECT) for change in plan.changes.of(kind)]
        compilation = compile_nodes(step, task, wanted, COMPILE_SECONDS, guard)
        output["compiled"] = {"available": compilation.reason is None, "reason": compilation.reason}
        if compilation.reason is None:
            del output["compiled"]["reason"]
        add_diffs(output, plan, compilation.code)
        if compilation.asked:
            output["asked"] = sorted(_name(plan, key) for key in compilation.asked)
            plan.parts.update(_rendered(plan, {key: compilation.code[key] for key in compilation.asked}))
            _prove_rendered(step, task, plan, output, compilation.asked)
    with step.channel.stage("columns"):
        add_columns(output, _columns(step, plan, compilation.code))
    output["warnings"] += input_warnings(step)
    step.channel.line(summary(output))
    for text in output["warnings"]:
        step.channel.line(f"warning: {text}")
    return {"plan_output": output, "digest": digest_of(plan.parts), "tool_plan_id": uuid.uuid4().hex}


def _name(plan: Plan, key: str) -> str:
    return name_of(plan.manifest["nodes"][key], project_of(plan.manifest))


def _rendered(plan: Plan, code: dict[str, str]) -> dict[str, str]:
    """Parts for the SQL that was made from what the warehouse answered."""
    return {f"rendered:{_name(plan, key)}": hash_of(text) for key, text in code.items()}


def _prove(step: Step, build: Build, plan: Plan) -> None:
    """Compute the plan a second time where it may come out differently, and name what does."""
    moving = volatiles(plan.manifest, plan.facts)
    if moving:
        # What is kept of this parse would be of an older moment in the next explain.
        build.keeps_parsed = False
    plan.changes.warnings += at_moment(moving)
    if not any(row.by_chance for row in moving):
        return
    given = {part: value for part, value in plan.parts.items() if part == MOMENT or part.startswith("unaffected:")}
    again = compute_again(step, given)
    files = {row.part: row.file for row in moving}
    names = unstable_parts(plan.parts, again) if again is not None else [row.part for row in moving if row.by_chance]
    plan.unstable = mark_unstable(step, plan.parts, names, files)


def _prove_rendered(step: Step, task: BuildTask, plan: Plan, output: dict[str, Any], asked: set[str]) -> None:
    """The same for SQL from query results that also asks the clock."""
    moving = by_chance(plan.manifest, plan.facts, asked)
    if not moving:
        return
    with shifted_clock():
        again = _rendered(plan, compile_again(step, task, moving))
    first = {part: plan.parts[part] for part in again}
    files = {f"rendered:{_name(plan, key)}": str(plan.manifest["nodes"][key].get("original_file_path")) for key in moving}
    rows = mark_unstable(step, plan.parts, unstable_parts(first, again), files)
    if rows:
        output["unstable"] = [*output.get("unstable", []), *rows]


def compute_parts(step: Step) -> Answer:
    """The parts of the plan alone, with a clock that is ahead: the other process of :func:`compute_again`."""
    deployed = _approved_state(step)
    found: dict[str, str] = {}

    def decide(task: BuildTask) -> set[str]:
        with only_reads(task):
            found.update(_plan(step, build, task, deployed).parts)
        return set()

    build = Build(step, decide, Moment(step.job))
    with shifted_clock():
        build.invoke(quiet=True, partial_parse=False)
    if build.failure or not found:
        raise build.failure or StepFailed("plan_failed", "The project could not be parsed a second time.")
    return {"parts": found}


def _columns(step: Step, plan: Plan, code: dict[str, str]) -> ColumnReport:
    """Columns are an addition: whatever SQL a parser stumbles over, the plan stands."""
    try:
        return compare_columns(
            plan.changes, plan.old, plan.manifest, code, old_facts=plan.old_facts, new_facts=plan.facts, seconds=COLUMN_SECONDS
        )
    except Exception as error:
        step.trace(error)
        return ColumnReport(missing=f"the columns could not be compared ({type(error).__name__})")


def execute(step: Step) -> Answer:
    """Build exactly what was approved, and no node that an earlier attempt has built."""
    deployed = _approved_state(step)
    plan_id = step.job["explained_plan_id"]
    if deployed.note.get("plan_id") == plan_id:
        step.channel.line("this plan has been applied already; nothing to do")
        return {"already_applied": True, "digest": step.job["expected_digest"], "tool_plan_id": plan_id}
    _lock(step)
    install_packages(step)
    progress = ProgressFile(step)
    progress.tidy()
    before = progress.read()
    done, batches = set(before.succeeded), Batches(before.batches)
    plans: list[Plan] = []

    def decide(task: BuildTask) -> set[str]:
        plan = _plan(step, build, task, deployed)
        _check_digest(step, build, plan)
        _check_rendered(step, build, task, plan, done)
        sweep(step, task.config)
        plans.append(plan)
        step.journal.leaves = lambda touched: rows_of(plan.manifest, [*before.touched, *before.succeeded, *touched])
        step.journal.on_change = lambda: progress.write(before.with_more(step.journal, batches))
        build.runs_hooks = plan.selection.mode != NONE
        return _remaining(step, task, plan, before, batches)

    build = Build(step, decide, Moment(step.job))
    with step.channel.stage("build"), batches.watched(step.journal.batch, step.journal.over):
        result = build.invoke(quiet=False, partial_parse=False, state=_state_for_defer(step, deployed))
    step.journal.settle(getattr(result.result, "results", None) or [])
    _refuse_failure(step, build, result)
    plan = plans[0]
    remaining = set(plan.selection.nodes) - done
    final = _check_run(build, remaining)
    artifact = pack_deployed(step, plan.manifest, plan.facts, deployed, final, plan.selection.nodes)
    return {
        "already_applied": False, "digest": step.job["expected_digest"], "tool_plan_id": plan_id,
        "artifacts": {"deployed": artifact},
    }  # fmt: skip


def _approved_state(step: Step) -> Deployed:
    """The deployed state, with what the approved plan found out about the commit by compiling it."""
    return replace(read_deployed(step), unaffected=unaffected_of(step.job["expected_digest_parts"]))


def _check_digest(step: Step, build: Build, plan: Plan) -> None:
    """Compare what needs no warehouse; SQL from query results is taken for what it was until then."""
    expected = step.job["expected_digest_parts"] or {}
    plan.parts = excused(expected, {**plan.parts, **_asked(expected)})
    _refuse_drift(step, build, plan)


def _refuse_drift(step: Step, build: Build, plan: Plan) -> None:
    if digest_of(plan.parts) == step.job["expected_digest"]:
        return
    build.forget_parsed()
    output = describe(plan)
    raise drift(step.job["expected_digest_parts"], plan.parts, WORDS, summary(output), output)


def _asked(expected: Mapping[str, str]) -> dict[str, str]:
    return {part: value for part, value in expected.items() if part.startswith("rendered:")}


def _check_rendered(step: Step, build: Build, task: BuildTask, plan: Plan, done: set[str]) -> None:
    """Compile again what was compiled from query results, and compare; before the first statement that is no read.

    What this plan has built already, in an earlier attempt, may have changed the answers.
    """
    asked = _asked(step.job["expected_digest_parts"] or {})
    names = {part.partition(":")[2] for part, value in asked.items() if value != UNSTABLE}
    if not names or done & set(plan.selection.nodes):
        return
    nodes = [key for key in plan.manifest["nodes"] if key.startswith(("model.", "snapshot.")) and _name(plan, key) in names]
    with step.channel.stage("compile"):
        plan.parts.update(_rendered(plan, compile_again(step, task, nodes)))
    _refuse_drift(step, build, plan)


def _remaining(step: Step, task: BuildTask, plan: Plan, before: Done, batches: Batches) -> set[str]:
    """What is left to run."""
    nodes, done = set(plan.selection.nodes), set(before.succeeded)
    everything = {**plan.manifest["nodes"], **(plan.manifest.get("unit_tests") or {}), **(plan.manifest.get("functions") or {})}
    step.journal.expect({key: name_of(everything[key], project_of(plan.manifest)) for key in nodes})
    if done & nodes:
        step.channel.line(f"{len(done & nodes)} of {len(nodes)} nodes succeeded in an earlier attempt and are left out")
    step.journal.in_batches = microbatch_models(task)
    # A table that an earlier attempt may have made, and of which nobody knows how far it came, is no start for an increment.
    added = plan.changes.ids(ADDED).intersection(before.touched) - done
    refresh(task, {*plan.anew, *(key for key in added if plan.manifest["nodes"].get(key, {}).get("resource_type") == "model")})
    for key, (missing, every) in batches.resume(task, nodes - done).items():
        step.channel.line(f"{step.journal.names[key]}: {missing} of {every} batches are missing and are run")
    return nodes - done


def _state_for_defer(step: Step, deployed: Deployed) -> Path | None:
    """Where the deployed manifest is, if this dbt can read it: a newer version's manifest crashes an older dbt."""
    metadata = (deployed.manifest or {}).get("metadata") or {}
    if deployed.manifest is None:
        return None
    if _minor(str(metadata.get("dbt_version"))) > _minor(step.job["tool_version"]):
        step.channel.line(
            f"deployed by dbt {metadata.get('dbt_version')}, whose state this dbt cannot read: building without --defer"
        )
        return None
    return write_state(deployed, Path(step.job["scratch"]) / "state")


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _refuse_failure(step: Step, build: Build, result: dbtRunnerResult) -> None:
    """Raise what went wrong, if anything did."""
    if build.failure:
        raise build.failure
    step.canceller.check()
    failed = step.journal.failed()
    if failed:
        raise node_failure(step, failed)
    if not result.success:
        # Hooks at the start and the end of a build are no nodes of the journal.
        for row in getattr(result.result, "results", None) or []:
            if str(row.status) in ("error", "fail"):
                # dbt 1.5 does not say which hook it was.
                name = row.node.name if hasattr(row, "node") else "A hook of the project"
                raise StepFailed("apply_failed", f"{name}: {cause(step, row.message)}")
        raise failure_of(step, result.exception, build.decided)


def _check_run(build: Build, expected: set[str]) -> Manifest | None:
    """Compare what dbt says it ran with what it was to run.

    :return: The manifest that dbt wrote after the build.
    :raises StepFailed: ``apply_failed``.
    """
    results = json.loads((build.target / "run_results.json").read_text(encoding="utf-8"))["results"]
    # on-run-start and on-run-end belong to every build and stand among the results from dbt 1.9 on.
    ran = {row["unique_id"] for row in results if not row["unique_id"].startswith("operation.")}
    if ran != expected:
        raise StepFailed("apply_failed", f"dbt ran other nodes than approved: {', '.join(sorted(ran ^ expected)[:5])}")
    return json.loads((build.target / "manifest.json").read_text(encoding="utf-8")) if expected else None


def run(step: Step) -> Answer:
    """Build all of the deployed commit, as ``dbt build`` does it, or do what the job says."""
    _lock(step)
    install_packages(step)
    batches, command = Batches(), step.job.get("job_command")
    line = command_line(command)
    step.journal.runs_nodes = line.verb.runs
    step.journal.retried = (command["text"] if command else "run") if line.verb.runs else None

    def decide(task: BuildTask) -> set[str] | None:
        step.journal.in_batches = microbatch_models(task)
        sweep(step, task.config)
        return _retried(step, task, command)

    build = Build(step, decide, line=line)
    tests = step.job["run_tests"] or command is not None
    with step.channel.stage("build"), batches.watched(step.journal.batch, step.journal.over):
        result = build.invoke(quiet=False, partial_parse=False, tests=tests)
    step.journal.settle(getattr(result.result, "results", None) or [])
    _refuse_failure(step, build, result)
    return {}


def _retried(step: Step, task: BuildTask, command: Command | None) -> set[str] | None:
    """What a retry runs: of what is left, what the deployed commit still has."""
    nodes = command["nodes"] if command else None
    if nodes is None:
        return None
    known = {*task.manifest.nodes, *getattr(task.manifest, "unit_tests", ()), *getattr(task.manifest, "functions", ())}
    found = known.intersection(nodes)
    if len(found) < len(nodes):
        step.channel.line(f"{len(nodes) - len(found)} of {len(nodes)} nodes are not part of the project any more")
    if not found:
        raise StepFailed("nothing_to_retry", "Nothing of what did not succeed the last time is part of the project any more.")
    return found


def _sweep_only(step: Step) -> Answer:
    """dbt has to parse before it knows the warehouse; what was parsed before helps."""

    def decide(task: BuildTask) -> set[str]:
        sweep(step, task.config)
        return set()

    Build(step, decide).invoke(quiet=True, partial_parse=True)
    return {}


def _lock(step: Step) -> None:
    """Become the project's only writer on this machine; in the cluster, the one-slot pool of the Dag sees to that.

    Given back by the end of the process: nobody else may write while dbt's threads still run.
    """
    with step.channel.stage("lock"):
        lock_file(step, "writer")


_COMMANDS: dict[str, Callable[[Step], Answer]] = {
    "explain": explain, "execute": execute, "run": run, "sweep": _sweep_only, PARTS: compute_parts,
}  # fmt: skip
