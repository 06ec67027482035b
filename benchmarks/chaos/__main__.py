"""Everything of an Airflow is killed (``kill -9``) at random while plans are made, decided and applied; then all is counted.

API servers, schedulers, the Dag processor, workers, runners and PostgreSQL go, one every few seconds, and are started again at
once. Meanwhile several projects have commits: applied by themselves, approved by two clients at once, rejected, cancelled, left
waiting. When the time is over nothing more is killed, and when everything is quiet: is every plan over or waiting, is none lost,
was each commit applied at most once, and none that nobody approved? How often a commit was applied is said by its warehouse.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import psycopg2

from benchmarks.chaos.invariants import STANDING, Found, examine
from benchmarks.chaos.kills import Processes, note
from benchmarks.chaos.lanes import AUTO, Commit, Door, Lane, begun, shared_out
from benchmarks.common import Database, Verdict, await_value, fresh_stack, machine, run, table
from benchmarks.common_projects import client_of, make_project, rows_if_there
from demo.stack import Stack

_SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__DAGCTL__POLLING_INTERVAL": "3600",
    # So that a worker that was killed is missed in a minute rather than five.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",
}


def make_lanes(stack: Stack, door: Door, options: argparse.Namespace) -> list[Lane]:
    """A project for each lane, and its commits spread over the time."""
    client, seconds, lanes = client_of(stack), options.minutes * 60, []
    for number, wanted in enumerate(shared_out(options.plans, options.projects, options.seed)):
        name = f"lane{number}"
        repository = begun(stack.home / "repositories" / name, f"{name}-0")
        project = make_project(stack, client, repository, suspended=True, auto_apply=wanted[:1] == [AUTO])
        commits = [Commit(name, f"{name}-{index}", what) for index, what in enumerate(wanted, 1)]
        lanes.append(Lane(project, door, commits, [time.monotonic() + seconds * i / len(wanted) for i in range(len(wanted))]))
    database = Database(stack)
    query = "SELECT COUNT(*) AS number FROM dag WHERE dag_id LIKE 'dagctl!_!_%%' ESCAPE '!' AND NOT is_stale"
    await_value(lambda: (database.row(query) or {})["number"] == 2 * len(lanes), 240, "All Dags")
    database.close()
    return lanes


def kill_for(processes: Processes, options: argparse.Namespace, stack: Stack) -> None:
    """Kill something every few seconds until the time is over."""
    dice, ends, ended = random.Random(options.seed), time.monotonic() + options.minutes * 60, threading.Event()
    following = time.monotonic() + options.interval
    while following < ends:
        ended.wait(max(0.0, following - time.monotonic()))
        victim = processes.kill_one(dice)
        note(stack.home / "logs" / "kills.jsonl", killed=victim)
        print(f"  killed: {victim}", file=sys.stderr, flush=True)
        following = max(following + options.interval, time.monotonic())


def await_quiet(stack: Stack, lanes: list[threading.Thread], door: Door, minutes: float) -> float:
    """Wait until the lanes are through and nothing is going on, for some minutes at most; seconds that it took."""
    started = time.monotonic()
    deadline = started + minutes * 60
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))
    try:
        await_value(lambda: not _going_on(stack), max(1.0, deadline - time.monotonic()), "Quiet", every=1.0)
    except TimeoutError:
        print("It did not become quiet.", file=sys.stderr)
    door.given_up.set()
    for lane in lanes:
        lane.join(60)
    return time.monotonic() - started


def _going_on(stack: Stack) -> bool:
    try:
        database = Database(stack)
    except psycopg2.OperationalError:
        return True
    try:
        steps = database.rows("SELECT plan_type, status FROM dagctl_plan_step")
        # An explain that was approved is over, whatever its execution does.
        return any(step["status"] not in (*STANDING, "approved") for step in steps)
    finally:
        database.close()


def count_applied(stack: Stack, lanes: list[Lane]) -> Counter[str]:
    """Labels in all warehouses."""
    found: Counter[str] = Counter()
    python = stack.tool_python()
    for lane in lanes:
        found.update(str(label) for (label,) in rows_if_there(lane.project.warehouse, python, "applied", "label"))
    return found


def report(stack: Stack, lanes: list[Lane], door: Door, processes: Processes, quiet: float) -> int:
    """Print what happened and what holds.

    :return: Exit code.
    """
    commits, database = [commit for lane in lanes for commit in lane.commits], Database(stack)
    steps = database.rows("SELECT * FROM dagctl_plan_step ORDER BY created_at")
    decisions = database.rows("SELECT * FROM dagctl_decision")
    database.close()
    applied = count_applied(stack, lanes)
    print(table(["process", "killed", "fell by itself"], _of_processes(processes)))
    print(f"\nQuiet after {quiet:.0f} s. REST: {_said(door)}\n")
    print(table(["commit", "wanted", "steps", "explains failed", "executes failed", "approvals", "applied", "note"],
                [_of_commit(commit, steps, applied) for commit in commits]))  # fmt: skip
    verdict, found = Verdict(), examine(commits, steps, decisions, applied)
    print(f"\n{_failures(steps)}")
    return _tell(verdict, found, door)


def _of_processes(processes: Processes) -> list[list[Any]]:
    names = sorted({*processes.kills, *processes.fallen})
    rows = [[name, processes.kills[name], processes.fallen[name]] for name in names]
    return [*rows, ["all", sum(processes.kills.values()), sum(processes.fallen.values())]]


def _said(door: Door) -> str:
    said = ", ".join(f"{status}: {number}" for status, number in sorted(door.answers.items()))
    return f"{said}; no answer: {door.unanswered}"


def _of_commit(commit: Commit, steps: list[dict[str, Any]], applied: Counter[str]) -> list[Any]:
    own = " ".join(f"{step['plan_type']}:{step['status']}" for step in steps if step["to_commit_sha"] == commit.sha)
    approvals = "+".join(map(str, commit.approvals)) or None
    failed = [commit.explains_failed, commit.executes_failed]
    return [commit.label, commit.wanted, own or "-", *failed, approvals, applied[commit.label], commit.note]


def _failures(steps: list[dict[str, Any]]) -> str:
    """Steps that failed for their worker was killed once too often; people plan or retry them again."""
    failed = Counter((step["plan_type"], step["error_code"]) for step in steps if step["status"] == "failed")
    said = ", ".join(f"{kind} {code}: {number}" for (kind, code), number in sorted(failed.items(), key=str))
    return f"Failed steps, expected where a step is killed more often than it is tried again: {said or 'none'}"


def _tell(verdict: Verdict, found: Found, door: Door) -> int:
    for what, broken in found.lines():
        print(f"{len(broken)} {what}")
        verdict.require(not broken, f"{what}: {'; '.join(broken)}")
    print(f"{len(door.wrong)} answers of 5xx other than 503\n")
    verdict.require(not door.wrong, "answers of 5xx other than 503:\n  " + "\n  ".join(door.wrong[:20]))
    return verdict.tell()


def main(options: argparse.Namespace) -> int:
    """Kill, wait, print."""
    about = machine()
    with fresh_stack("chaos", _SETTINGS) as stack:
        processes = Processes(stack, options.api_servers, options.schedulers)
        door = Door(processes.addresses, client_of(stack).headers)
        lanes = make_lanes(stack, door, options)
        processes.start_missing()
        processes.supervise()
        threads = [threading.Thread(target=lane.run, daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            kill_for(processes, options, stack)
            quiet = await_quiet(stack, threads, door, options.quiet_minutes)
        finally:
            door.given_up.set()
            processes.end()
        print(f"\nchaos: {about}; {options.minutes:g} minutes, every {options.interval:g} s, seed {options.seed}\n")
        code = report(stack, lanes, door, processes, quiet)
        if code:
            # The logs are wanted now, and a folder is removed only when nothing failed.
            raise SystemExit(code)
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--minutes", type=float, default=10, help="of killing (default 10)")
    made.add_argument("--interval", type=float, default=10, help="seconds from one kill to the next (default 10)")
    made.add_argument("--plans", type=int, default=20, help="commits of all projects together (default 20)")
    made.add_argument("--projects", type=int, default=5, help="of them (default 5)")
    made.add_argument("--seed", type=int, default=1, help="of what is killed and decided (default 1)")
    made.add_argument("--api-servers", type=int, default=1, help="how many (default 1)")
    made.add_argument("--schedulers", type=int, default=1, help="how many (default 1)")
    made.add_argument("--quiet-minutes", type=float, default=15, help="to wait for quiet at most (default 15)")
    made.add_argument("--quick", action="store_true", help="2 minutes, 6 plans: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--minutes", "2", "--plans", "6", "--projects", "3"]
    run(main, parser())
