"""Explain, execute and run: the order in which things happen, and why that order is safe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.digests import digest_of, drift, early_drift, excused, hashes_of
from dagctl_common.frames import Answer, do
from dagctl_common.inputs import input_warnings
from dagctl_common.jobs import Job

from dagctl_sqlmesh.adopting import refuse_foreign
from dagctl_sqlmesh.consoles import watch_intervals
from dagctl_sqlmesh.descriptions import describe
from dagctl_sqlmesh.digests import WORDS
from dagctl_sqlmesh.failures import failure_of, reason_of
from dagctl_sqlmesh.jobs import RUN, VERBS, locks_of
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.leftovers import leaves, rows_left
from dagctl_sqlmesh.locks import Locks
from dagctl_sqlmesh.mending import Mend, find_mends, mend_all, subtract, told_mends, unpublished
from dagctl_sqlmesh.naming import Names
from dagctl_sqlmesh.parts import compare_again, early_parts, plan_parts, refuse_unstable
from dagctl_sqlmesh.planning import build_approved, build_plan, recorded_environment
from dagctl_sqlmesh.projects import ignored_files, load_configs, make_context
from dagctl_sqlmesh.states import (
    await_state_file,
    migrate,
    migrated_copy,
    needed_migration,
    remember_state_address,
    state_versions,
)
from dagctl_sqlmesh.sweeping import sweep
from dagctl_sqlmesh.testing import TestReport, refuse_failed_tests, run_tests
from dagctl_sqlmesh.twice import load_again
from dagctl_sqlmesh.warehouses import refuse_fleeting_models, state_fields

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.environment import Environment
    from sqlmesh.core.plan import Plan


def main(job: Job) -> int:
    """Do the job and write the answer.

    :param job: The request and what the outer program prepared.
    """
    return do(Step(job), _load_tool, _COMMANDS, failure_of)


def _load_tool(step: Step) -> None:
    import sqlmesh  # noqa: F401

    # What is left of the project's own modules would be no part of the next checkout.
    sys.dont_write_bytecode = True
    step.canceller.watch_connections()
    step.journal.reason = lambda error: reason_of(step, error)
    watch_intervals(step.journal)
    if step.job["command"] in ("explain", "execute"):
        step.watch.begin()
        step.guard.install()
        step.canceller.on_open = step.guard.opened


def _open(step: Step) -> Context:
    """A context with config and state, but without models: enough to look at the state's version."""
    with step.guard.free():
        with step.channel.stage("config"):
            configs = load_configs(step)
            context = make_context(step, configs)
        with step.channel.stage("state"):
            await_state_file(step, context)
            remember_state_address(step, context)
            # Planning may happen on a copy of the state; what counts is where the state itself is.
            step.state = state_fields(step, context)
    return context


def _on_empty_state(step: Step) -> Context:
    """A context for an environment whose state nobody has made yet, with one in memory: planning makes no tables."""
    with step.guard.free(), step.channel.stage("state"):
        context = make_context(step, load_configs(step, empty_state=True))
        with step.journal.unheard():
            # It would advise against a state in DuckDB, which this one is none of.
            _ = context.state_sync
    return context


def explain(step: Step) -> Answer:
    """Work out what the commit would change."""
    context = _open(step)
    with step.channel.stage("state"), step.guard.free():
        migration = needed_migration(context)
        empty = state_versions(context) is None
        if not empty and migration is None:
            _ = context.state_sync
    if empty:
        context = _on_empty_state(step)
    if migration is None:
        return _explained(step, context, None)
    step.channel.line(f"the state is at SQLMesh {migration['from']}; planning on a copy that is migrated to {migration['to']}")
    with contextlib.ExitStack() as stack:
        with step.channel.stage("migrate"), step.guard.free():
            copy = stack.enter_context(migrated_copy(step, context))
        return _explained(step, copy, migration)


def _explained(step: Step, context: Context, migration: dict[str, str] | None) -> Answer:
    step.guard.arm(context)
    _load(step, context)
    again = load_again(step, context)
    with step.guard.free():
        tests = _run_tests(step, context)
    for text in [*input_warnings(step), *ignored_files(step)]:
        step.journal.warn(text)
    with step.channel.stage("plan"):
        plan = build_plan(step, context)
        refuse_foreign(step, plan)
        mends = find_mends(context, plan.snapshots.values(), rows_left(step))
        subtract(mends)
        found = plan_parts(step, context, plan, migration)
        output = {key: value for key, value in describe(step, context, plan).items() if value is not None}
    step.watch.check()
    step.guard.disarm()
    with step.channel.stage("again"):
        parts, differing = compare_again(step, context, again, found.parts)
    output.update(
        found.output(step), digest_parts=parts, **({"tests": tests} if tests else {}),
        **({"unstable": differing} if differing else {}), **({"state_migration": migration} if migration else {}),
        **_told_leftovers(step, context, plan, mends),
    )  # fmt: skip
    answer = {"plan_output": output, "digest": digest_of(parts), "tool_plan_id": plan.plan_id}
    step.channel.line(_summary(output))
    refuse_unstable(step, differing, answer)
    refuse_failed_tests(tests, answer)
    return answer


def _told_leftovers(step: Step, context: Context, plan: Plan, mends: list[Mend]) -> Answer:
    """What the plan mends of earlier ones, and what it would itself leave if its execute vanished."""
    left = leaves(step, context, plan)
    told: Answer = {"leftovers": told_mends(mends), "has_changes": True} if mends else {}
    return {**told, **({"leaves": left} if left else {})}


def _summary(output: Mapping[str, Any]) -> str:
    return (
        f"plan for {output['environment']}: {output['modelsAdded']} added, {output['modelsModified']} modified, "
        f"{output['modelsRemoved']} removed, {len(output['metadata_modified'])} metadata only, "
        f"{output['modelsNeedingBackfill']} to backfill"
    )


def _load(step: Step, context: Context) -> None:
    from sqlmesh.core.snapshot import evaluator

    # SQLMesh remembers the project's own kinds by name. A second load in this process makes their classes anew, and what it
    # remembers then are classes that nobody can find any more.
    evaluator._custom_materialization_type_cache = None
    with step.channel.stage("load"):
        try:
            context.load()
        finally:
            # What the guard refused comes out of SQLMesh as an error of its own.
            step.watch.check()
    known = [*context.models, *getattr(context, "standalone_audits", {})]
    step.journal.names = Names(known)
    refuse_fleeting_models(step, context)
    step.channel.line(f"{len(context.models)} models loaded")


def _run_tests(step: Step, context: Context) -> TestReport | None:
    return run_tests(step, context) if step.job["run_tests"] else None


def execute(step: Step) -> Answer:
    """Apply exactly what was approved, at most once."""
    context = _open(step)
    with _locks(step, context) as locks, contextlib.ExitStack() as held:
        with step.channel.stage("lock"):
            migration = _lock_writer(step, context, locks, held)
        _refuse_other_inputs(step, context)
        sweep(step, context)
        if state_versions(context) is None:
            # The state's first tables are a write as well: whatever has drifted has to show before it.
            _check(step, _on_empty_state(step), None)
        if migration:
            _check_on_copy(step, context, migration)
            with step.channel.stage("migrate"):
                step.canceller.interruptible = False
                step.channel.line(f"migrating the state from SQLMesh {migration['from']} to {migration['to']}")
                migrate(context)
                step.canceller.interruptible = True
            context = _open(step)
        return _apply_approved(step, context)


def _refuse_other_inputs(step: Step, context: Context) -> None:
    """Stop before anything is planned when the step was given something else than the explain."""
    failure = early_drift(step.job["expected_digest_parts"], early_parts(step, context), WORDS)
    if failure is not None:
        raise failure


def _lock_writer(step: Step, context: Context, locks: Locks, held: contextlib.ExitStack) -> dict[str, str] | None:
    """Become the environment's only writer; for a migration, the whole state's."""
    held.enter_context(locks.hold(f"environment:{step.job['environment']}"))
    with locks.hold("state", shared=True):
        migration = needed_migration(context)
    held.enter_context(locks.hold("state", shared=migration is None))
    return needed_migration(context) if migration else None


def _check_on_copy(step: Step, context: Context, migration: dict[str, str]) -> None:
    """A drift must show before the first write, and the migration is one."""
    with contextlib.ExitStack() as stack:
        with step.channel.stage("migrate"):
            copy = stack.enter_context(migrated_copy(step, context))
        _check(step, copy, migration)


def _check(step: Step, copy: Context, migration: dict[str, str] | None) -> None:
    _load(step, copy)
    with step.channel.stage("plan"):
        _check_digest(step, copy, build_approved(step, copy), migration)


def _apply_approved(step: Step, context: Context) -> Answer:
    plan_id = step.job["explained_plan_id"]
    with step.channel.stage("state"):
        recorded = recorded_environment(context, step.job["environment"])
    ours = recorded is not None and recorded.plan_id == plan_id
    if recorded is not None and ours and recorded.finalized_ts:
        step.channel.line("this plan has been applied already; nothing to do")
        _unpublish(context, recorded)
        return {"already_applied": True, "digest": step.job["expected_digest"], "tool_plan_id": plan_id}
    _load(step, context)
    tests = _run_tests(step, context)
    refuse_failed_tests(tests, {"plan_output": {"tests": tests}})
    with step.channel.stage("plan"):
        plan = build_approved(step, context)
        _check_digest(step, context, plan, None, ours)
        # From here on there is no way back to what was.
        step.journal.left = leaves(step, context, plan)
        plan = _mended(step, context, plan)
        # Before anything reads the environment of the plan, which remembers the id it was made with.
        plan = plan.copy(update={"plan_id": plan_id})
    with step.channel.stage("apply"):
        step.canceller.check()
        step.canceller.interruptible = False
        step.journal.applying()
        context.apply(plan, circuit_breaker=step.canceller.is_set)
        _unpublish(context, recorded)
    step.journal.left = []
    return {"already_applied": False, "digest": step.job["expected_digest"], "tool_plan_id": plan_id}


def _mended(step: Step, context: Context, plan: Plan) -> Plan:
    """Set right what failed plans left, and plan once more with it."""
    mends = find_mends(context, plan.snapshots.values(), rows_left(step))
    if not mends:
        return plan
    mend_all(step, context, mends, plan.snapshots)
    return build_plan(step, context)


def _unpublish(context: Context, before: Environment | None) -> None:
    """Drop views that an attempt which did not come to its end should have dropped."""
    if before is None:
        return
    now = context.state_reader.get_environment(before.name)
    gone = unpublished(context, before, [info.name for info in now.promoted_snapshots]) if now is not None else []
    if gone and now is not None:
        context.snapshot_evaluator.demote(gone, now.naming_info)


def _check_digest(step: Step, context: Context, plan: Plan, migration: dict[str, str] | None, ours: bool = False) -> None:
    """Compare with the approved digest.

    A plan approved together with a migration stays approved when somebody else's plan has migrated the state meanwhile. Where an
    earlier attempt has recorded the environment, what it stood on was compared before that.

    :param ours: Whether the environment was recorded by an earlier attempt of this plan.
    """
    expected = step.job["expected_digest_parts"]
    parts = excused(expected, plan_parts(step, context, plan, migration).parts)
    if ours:
        parts.update({name: value for name, value in (expected or {}).items() if name in ("base", "leftovers")})
    migrated = hashes_of({"migration": step.job["tool_version"]})
    alternatives = [parts] if migration else [parts, {**parts, **migrated}]
    if step.job["expected_digest"] in [digest_of(candidate) for candidate in alternatives]:
        return
    # Describing touches what the copy of the plan must not have cached; there will be no copy.
    output = {key: value for key, value in describe(step, context, plan).items() if value is not None}
    raise drift(expected, parts, WORDS, _summary(output), output, tool_plan_id=plan.plan_id)


def run(step: Step) -> Answer:
    """Do what the job says: without a command, process what is due on the deployed models, as they stand in the state."""
    command = step.job.get("job_command") or RUN
    verb = VERBS[command["verb"]]
    context = _open(step)
    with _locks(step, context) as locks, contextlib.ExitStack() as held:
        with step.channel.stage("lock"):
            for name, shared in locks_of(step, command):
                held.enter_context(locks.hold(name, shared=shared))
        with step.channel.stage("state"):
            recorded = _deployed(step, context)
            if verb.writes:
                _refuse_unfinished(recorded)
        step.journal.names = Names(info.name for info in recorded.snapshots)
        if verb.writes:
            sweep(step, context)
            _mend_for_run(step, context, recorded)
        if verb.loads:
            _load(step, context)
        with step.channel.stage("run" if verb.writes else "job"):
            step.journal.applying()
            answer = verb.do(step, context, command)
    return {"tool_plan_id": recorded.plan_id, **answer}


def _refuse_unfinished(recorded: Environment) -> None:
    """SQLMesh would wait for hours: for a plan that ended long ago, as nobody else has the lock.

    :raises StepFailed: ``environment_unfinished``.
    """
    if not recorded.finalized_ts:
        text = f"Environment {recorded.name!r} is half published: plan {recorded.plan_id} did not come to its end."
        raise StepFailed("environment_unfinished", text)


def _mend_for_run(step: Step, context: Context, recorded: Environment) -> None:
    """A run must not take for loaded what code loaded that was never deployed."""
    rows = rows_left(step)
    if rows:
        snapshots = context.state_sync.get_snapshots(recorded.snapshots)
        mend_all(step, context, find_mends(context, snapshots.values(), rows), snapshots)


def _deployed(step: Step, context: Context) -> Environment:
    """What is deployed, in a state that this SQLMesh can read."""
    versions = state_versions(context)
    if versions is not None and needed_migration(context):
        raise StepFailed("state_behind", f"The state was written by SQLMesh {versions.sqlmesh_version}.")
    recorded = None if versions is None else recorded_environment(context, step.job["environment"])
    if recorded is None:
        raise StepFailed("environment_not_found", f"Environment {step.job['environment']!r} has not been deployed yet.")
    return recorded


def _sweep_only(step: Step) -> Answer:
    sweep(step, make_context(step, load_configs(step)))
    return {}


@contextlib.contextmanager
def _locks(step: Step, context: Context) -> Iterator[Locks]:
    with step.channel.stage("lock"):
        locks = Locks(step, context)
    with contextlib.closing(locks):
        yield locks


_COMMANDS: dict[str, Callable[[Step], Answer]] = {"explain": explain, "execute": execute, "run": run, "sweep": _sweep_only}
