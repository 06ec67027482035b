"""Whether approvals get lost or doubled, and how long until the execution starts, at every delay and through both doors.

Plans of tiny SQLMesh projects are approved 0 to 10 s after they became pending: half over REST, half in Airflow's own Required
Actions. In the same run a bare Dag of three tasks that do nothing, with Airflow's own ApprovalOperator, is answered as many
times at the same delays. An approval is lost when nothing is executed although the answer was 200; it is doubled when there is
more than one execute step, more than one try of the execute task, or more than one trace in the warehouse.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import Database, Verdict, await_value, fresh_stack, machine, median, percentile, run, spread, table
from benchmarks.common_projects import CONFIG, Project, Repository, client_of, make_project
from demo.options import REPOSITORY_ROOT
from demo.stack import Stack
from demo.warehouse import Warehouse

REST, ACTIONS, BARE = "REST", "Required Actions", "bare Dag, ApprovalOperator"
LONGEST_DELAY = 10.0
SECONDS = 300.0

BARE_DAG = '''"""What Airflow does by itself: three tasks that do nothing, the middle one waits for a person."""

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task


@dag(dag_id="bare", schedule=None, catchup=False, is_paused_upon_creation=False, max_active_runs=16)
def bare():
    @task
    def explain():
        pass

    @task
    def execute():
        pass

    explain() >> ApprovalOperator(task_id="await_approval", subject="Go on?") >> execute()


bare()
'''

# Leaves one row each time the model is built, whatever becomes of the plan; the number differs in each commit.
MODEL = """MODEL (name bench.counted, kind FULL);
CREATE TABLE IF NOT EXISTS main.ledger (number INT);
INSERT INTO main.ledger VALUES ({number});
SELECT {number}::INT AS number
"""


@dataclass
class Approval:
    """One approval and what became of it.

    :param delay: Seconds between seeing that an answer is wanted and giving it.
    """

    door: str
    delay: float
    sent_at: float = 0.0
    dag_id: str = ""
    run_id: str = ""
    started_at: float | None = None
    gate_ended_at: float | None = None
    queued_at: float | None = None
    gate_tries: int = 0
    executions: int = 0
    succeeded: bool = False
    traces: int | None = None
    note: str = ""

    @property
    def lost(self) -> bool:
        """Answered, but nothing was executed to its end."""
        return not self.succeeded

    @property
    def doubled(self) -> bool:
        """Executed more than once."""
        return self.executions > 1 or (self.traces or 0) > 1


@dataclass
class Bench:
    """What the lanes share."""

    stack: Stack
    headers: dict[str, str]
    approvals: list[Approval] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def patch(self, http: httpx.Client, approval: Approval) -> None:
        """Answer in Required Actions as soon as Airflow takes an answer; only the answer that was taken counts."""
        path = f"/api/v2/dags/{approval.dag_id}/dagRuns/{approval.run_id}/taskInstances/await_approval/-1/hitlDetails"

        def answered() -> bool:
            approval.sent_at = time.time()
            answer = http.patch(path, json={"chosen_options": ["Approve"]}, headers=self.headers)
            if answer.status_code not in (200, 404):
                raise RuntimeError(f"Required Actions answered {answer.status_code}: {answer.text[:300]}")
            return answer.status_code == 200

        await_value(answered, SECONDS, f"The request for input of {approval.run_id}")

    def watch(self, database: Database, approval: Approval) -> None:
        """Wait until the execute task has started, or the run has ended without."""

        def started() -> bool:
            row = database.row(
                "SELECT r.state, t.start_date FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"
                " WHERE r.dag_id = %s AND r.run_id = %s AND t.task_id = 'execute'",
                approval.dag_id,
                approval.run_id,
            )
            if row is None:
                return False
            approval.started_at = _seconds(row["start_date"])
            return approval.started_at is not None or row["state"] in ("failed", "success")

        await_value(started, SECONDS, f"The execution of {approval.run_id}")

    def account(self, database: Database, approval: Approval) -> None:
        """Note what Airflow knows of the run's tasks, all tries included."""
        key = (approval.dag_id, approval.run_id)
        tasks = {
            row["task_id"]: row for row in database.rows("SELECT * FROM task_instance WHERE dag_id = %s AND run_id = %s", *key)
        }
        earlier = database.rows(
            "SELECT task_id FROM task_instance_history WHERE dag_id = %s AND run_id = %s AND start_date IS NOT NULL", *key
        )
        gate, execute = tasks["await_approval"], tasks["execute"]
        approval.gate_tries = gate["try_number"]
        approval.gate_ended_at, approval.queued_at = _seconds(gate["end_date"]), _seconds(execute["queued_dttm"])
        approval.executions = (execute["start_date"] is not None) + sum(row["task_id"] == "execute" for row in earlier)
        if approval.door == BARE:
            approval.succeeded = execute["state"] == "success"


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def plan_lane(bench: Bench, work: queue.SimpleQueue[Approval], project: Project) -> None:
    """Approve one plan of a project after the other."""
    client, database, number = client_of(bench.stack), Database(bench.stack), 0
    with httpx.Client(base_url=bench.stack.base_url, timeout=60) as http:
        while (approval := _next(work)) is not None:
            number += 1
            project.repository.commit({"models/counted.sql": MODEL.format(number=number)}, f"Number {number}")
            made = client.request("POST", f"/projects/{project.id}/plans")
            step = await_value(lambda id=made["plan_id"]: _settled(client, id), SECONDS, "The explain")
            if step["status"] != "pending":
                raise RuntimeError(f"The explain step is {step['status']}: {step.get('error')}")
            row = database.row("SELECT dag_id, run_id FROM dagctl_plan_step WHERE id = %s", step["id"])
            assert row is not None
            approval.dag_id, approval.run_id = row["dag_id"], row["run_id"]
            time.sleep(approval.delay)
            if approval.door == REST:
                approval.sent_at = time.time()
                answer = client.request("POST", f"/plans/{step['id']}/approve")
                if "execution_plan_id" not in answer:
                    raise RuntimeError(f"The approval was answered with {answer}")
            else:
                bench.patch(http, approval)
            _follow(_execute_plan, bench, database, approval)


def _execute_plan(bench: Bench, database: Database, approval: Approval) -> None:
    bench.watch(database, approval)

    def finished() -> list[dict[str, Any]]:
        rows = database.rows("SELECT status FROM dagctl_plan_step WHERE group_id = %s AND plan_type = 'execute'", approval.run_id)
        return rows if rows and all(row["status"] != "running" for row in rows) else []

    steps = await_value(finished, SECONDS, f"The end of {approval.run_id}")
    bench.account(database, approval)
    approval.succeeded = [step["status"] for step in steps] == ["completed"]
    approval.executions = max(approval.executions, len(steps))
    approval.note = f"execute: {', '.join(step['status'] for step in steps)}"


def _follow(watch: Callable[[Bench, Database, Approval], None], bench: Bench, database: Database, approval: Approval) -> None:
    """What does not come to an end in time is lost, and told as such."""
    try:
        watch(bench, database, approval)
    except TimeoutError as error:
        approval.note = str(error)


def _settled(client: Any, plan_id: str) -> dict[str, Any] | None:
    plan = client.plan(plan_id)
    return plan if plan["status"] != "running" else None


def bare_lane(bench: Bench, work: queue.SimpleQueue[Approval], name: str) -> None:
    """Answer one run of the bare Dag after the other."""
    database, number = Database(bench.stack), 0
    with httpx.Client(base_url=bench.stack.base_url, timeout=60, headers=bench.headers) as http:
        while (approval := _next(work)) is not None:
            number += 1
            approval.dag_id, approval.run_id = "bare", f"{name}_{number}"
            http.post("/api/v2/dags/bare/dagRuns", json={"dag_run_id": approval.run_id, "logical_date": None}).raise_for_status()
            await_value(lambda run_id=approval.run_id: _parked(database, run_id), SECONDS, "The waiting task")
            time.sleep(approval.delay)
            bench.patch(http, approval)
            _follow(_end_of_bare, bench, database, approval)


def _parked(database: Database, run_id: str) -> bool:
    row = database.row(
        "SELECT state FROM task_instance WHERE dag_id = 'bare' AND run_id = %s AND task_id = 'await_approval'", run_id
    )
    if row is not None and row["state"] in ("failed", "success"):
        raise RuntimeError(f"await_approval of {run_id} is {row['state']} before anybody answered")
    return row is not None and row["state"] == "awaiting_input"


def _end_of_bare(bench: Bench, database: Database, approval: Approval) -> None:
    bench.watch(database, approval)

    def ended() -> bool:
        row = database.row("SELECT state FROM dag_run WHERE dag_id = 'bare' AND run_id = %s", approval.run_id)
        return row is not None and row["state"] in ("failed", "success")

    await_value(ended, SECONDS, f"The end of {approval.run_id}")
    bench.account(database, approval)


def _next(work: queue.SimpleQueue[Approval]) -> Approval | None:
    try:
        return work.get_nowait()
    except queue.Empty:
        return None


def draw(number: int, seed: int) -> tuple[list[Approval], list[Approval]]:
    """The approvals of our plans and of the bare Dag, each at the same delays, in an order that is the same every time."""
    delays = spread(number, LONGEST_DELAY)
    plans = [Approval(ACTIONS if index % 2 else REST, delay) for index, delay in enumerate(delays)]
    bare = [Approval(BARE, delay) for delay in delays]
    dice = random.Random(seed)
    dice.shuffle(plans)
    dice.shuffle(bare)
    return plans, bare


def prepare(home: Path) -> None:
    """Put both Dag files where this Airflow looks."""
    (home / "dags").mkdir()
    shutil.copy(REPOSITORY_ROOT / "dags" / "dagctl_dags.py", home / "dags")
    (home / "dags" / "bare.py").write_text(BARE_DAG)


def approve_all(stack: Stack, options: argparse.Namespace) -> list[Approval]:
    """Run all lanes to their end."""
    client = client_of(stack)
    projects = []
    for lane in range(options.lanes):
        repository = Repository(stack.home / "repositories" / f"lane-{lane}")
        repository.commit({"config.yaml": CONFIG, "models/counted.sql": MODEL.format(number=0)}, "Nothing yet")
        projects.append(make_project(stack, client, repository))
    plans, bare = draw(options.approvals, options.seed)
    bench = Bench(stack, stack.airflow_login(), [*plans, *bare])
    database = Database(stack)
    wanted = {"bare", *(row["dag_id"] for row in database.rows("SELECT dag_id FROM dagctl_project"))}
    with stack.terminal.waiting("All Dags are parsed"):
        await_value(
            lambda: wanted <= {row["dag_id"] for row in database.rows("SELECT dag_id FROM serialized_dag")}, SECONDS, "Parsing"
        )
    work, bare_work = _queue(plans), _queue(bare)
    lanes = [_thread(bench, plan_lane, work, project) for project in projects]
    lanes += [_thread(bench, bare_lane, bare_work, f"lane{lane}") for lane in range(options.bare_lanes)]
    with stack.terminal.waiting(f"{len(plans)} approvals, and {len(bare)} of the bare Dag") as waiting:
        while any(lane.is_alive() for lane in lanes):
            waiting.tick(f"{len(plans) - work.qsize()} and {len(bare) - bare_work.qsize()} begun")
            lanes[0].join(1) if lanes[0].is_alive() else next(lane for lane in [*lanes[1:], lanes[0]]).join(0.5)
    if bench.errors:
        raise RuntimeError("; ".join(bench.errors))
    with stack.terminal.waiting("Traces in the warehouses"):
        count_traces(stack, database, projects, plans)
    return bench.approvals


def _queue(approvals: list[Approval]) -> queue.SimpleQueue[Approval]:
    work: queue.SimpleQueue[Approval] = queue.SimpleQueue()
    for approval in approvals:
        work.put(approval)
    return work


def _thread(bench: Bench, target: Callable[..., None], *arguments: Any) -> threading.Thread:
    def guarded() -> None:
        try:
            target(bench, *arguments)
        except Exception as error:
            bench.errors.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    return thread


def count_traces(stack: Stack, database: Database, projects: list[Project], plans: list[Approval]) -> None:
    """How often each approved commit was built in its warehouse."""
    python = stack.tool_python()
    traces: dict[str, Counter[int]] = {}
    for project in projects:
        row = database.row("SELECT dag_id FROM dagctl_project WHERE id = %s", project.id)
        assert row is not None
        found = Warehouse(project.warehouse, python).query("SELECT number FROM main.ledger").rows
        traces[row["dag_id"]] = Counter(int(number) for (number,) in found)
    for approval in plans:
        step = database.row(
            "SELECT commit_message FROM dagctl_plan_step WHERE group_id = %s AND plan_type = 'explain'", approval.run_id
        )
        if step is not None:
            approval.traces = traces[approval.dag_id][int(step["commit_message"].split()[-1])]


def main(options: argparse.Namespace) -> int:
    """Approve, count, print."""
    about = machine()
    parallelism = options.parallelism
    settings = {
        "AIRFLOW__CORE__DAGS_FOLDER": "{home}/dags",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        # Every commit is planned by a request here; the poller would only compete for the machine.
        "AIRFLOW__DAGCTL__POLLING_INTERVAL": "3600",
    }
    started = time.monotonic()
    with fresh_stack("approval", settings, prepare) as stack:
        approvals = approve_all(stack, options)
    print(
        f"\napproval: {about}\nLocalExecutor, parallelism {parallelism}; {options.lanes} projects and {options.bare_lanes} runs"
        f" of the bare Dag at a time; delays 0 to {LONGEST_DELAY:.0f} s; {time.monotonic() - started:.0f} s in all,"
        f" load afterwards {os.getloadavg()[0]:.1f}\n"
    )
    print(report(approvals))
    tell_losses(approvals)
    verdict = Verdict()
    ours = [approval for approval in approvals if approval.door != BARE]
    verdict.require(not any(approval.lost for approval in ours), "an approval was lost")
    verdict.require(not any(approval.doubled for approval in ours), "an approval was executed twice")
    verdict.require(all(approval.traces == 1 for approval in ours), "an approved commit has not left exactly one trace")
    print()
    return verdict.tell()


def report(approvals: list[Approval]) -> str:
    """One row per door. Seconds count from sending the answer to the start of the execute task."""
    rows = []
    for door in (REST, ACTIONS, BARE):
        own = [approval for approval in approvals if approval.door == door]
        seconds = [a.started_at - a.sent_at for a in own if a.started_at is not None]
        gate = [a.gate_ended_at - a.sent_at for a in own if a.gate_ended_at is not None and a.started_at is not None]
        queued = [a.started_at - a.queued_at for a in own if a.queued_at is not None and a.started_at is not None]
        raced = sum(a.gate_tries > 1 for a in own)
        row = [door, len(own), sum(a.lost for a in own), sum(a.doubled for a in own), raced]
        rows.append([*row, *_figures(seconds), _median(gate), _median(queued)])
    head = ["door", "approvals", "lost", "doubled", "gate tried again", "start median s", "p90", "worst"]
    return table([*head, "of it gate", "of it queued"], rows)


def _figures(seconds: list[float]) -> list[float | None]:
    return [percentile(seconds, share) for share in (0.5, 0.9, 1.0)] if seconds else [None, None, None]


def _median(seconds: list[float]) -> float | None:
    return median(seconds) if seconds else None


def tell_losses(approvals: list[Approval]) -> None:
    """The delays at which something went wrong."""
    for door in (REST, ACTIONS, BARE):
        bad = [a for a in approvals if a.door == door and (a.lost or a.doubled)]
        if bad:
            delays = ", ".join(f"{a.delay:.1f}" for a in sorted(bad, key=lambda a: a.delay))
            print(f"\n{door}: lost or doubled at delays of {delays} s")
            for approval in bad if door != BARE else []:
                print(f"  {approval}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.approval", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--approvals", type=int, default=60, help="of our plans, and as many of the bare Dag (default 60)")
    made.add_argument("--lanes", type=int, default=4, help="projects at a time (default 4)")
    made.add_argument("--bare-lanes", type=int, default=2, help="runs of the bare Dag at a time (default 2)")
    made.add_argument("--parallelism", type=int, default=8, help="of the LocalExecutor (default 8)")
    made.add_argument("--seed", type=int, default=1, help="of the order of the delays (default 1)")
    made.add_argument("--quick", action="store_true", help="6 approvals: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--approvals", "6", "--lanes", "2", "--bare-lanes", "1"]
    run(main, parser())
