"""How long a page of a project's plans takes on a large database, beside what Airflow's own API takes.

1,000 projects with 1,000 plan steps each, on PostgreSQL, read over HTTP from a real API server whose controller ticks and polls
as it does by default. Rows lie in the order in which time would have written them, so each row of a page is on another disk page.
Every explain step has about 2 KB of plan output and every step about 0.6 KB of settings, which lists do not show and must not pay
for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import Verdict, await_value, connect, fresh_stack, machine, median, percentile, run, table
from demo.repository import Repository
from demo.stack import Stack

LIMIT = 25
VERSION = "0.236.4"
SLICES = 4
WINDOWS = 9

_PROJECTS = """
INSERT INTO dagctl_project (id, organization_id, name, name_key, project_type, repository_url, branch, settings, dag_id,
  deployed, deployed_at, current_environment, latest_commit_sha, created_at, updated_at)
SELECT 'proj_' || lpad(p::text, 8, '0'), %(organization)s, 'project-' || p, 'project-' || p, 'sqlmesh', %(url)s, 'main',
  %(settings)s::json, 'dagctl__project-' || p || '__' || lpad(p::text, 8, '0'), true, now(), 'prod', %(head)s,
  now(), now()
FROM generate_series(1, %(projects)s) p
"""

_DEPLOYMENTS = """
INSERT INTO dagctl_deployment (project_id, environment, ref, commit_sha, tool_version, deployed_at)
SELECT id, 'prod', branch, %(head)s, %(version)s, now() FROM dagctl_project WHERE name_key LIKE 'project-%%'
"""

_JOBS = """
INSERT INTO dagctl_job (id, project_id, default_of, name, name_key, command, enabled, dag_id, settings, created_at, updated_at)
SELECT replace(id, 'proj_', 'job_'), id, id, 'scheduled-run', 'scheduled-run', 'run', true, dag_id || '__run', '{}', now(), now()
FROM dagctl_project WHERE name_key LIKE 'project-%%'
"""

# Steps 1 .. n-2 are groups of an explain and its execution; then a rejected explain, then one that is pending.
_STEPS = """
INSERT INTO dagctl_plan_step (id, group_id, plan_type, organization_id, project_id, active_key, ref, environment, from_commit_sha,
  to_commit_sha, commit_message, commit_author, committed_at, commits_behind, status, job_name, triggered_by, settings,
  plan_output, digest, tool_plan_id, attempt, try_number, dag_id, run_id, dispatched_at, started_at, finished_at, decided_at,
  decided_by, created_at, updated_at)
SELECT 'plan_' || substr(md5(n || '/' || p), 1, 20), 'plangroup_' || substr(md5('g' || g || '/' || p), 1, 20), plan_type,
  %(organization)s, project_id, CASE WHEN status IN ('pending', 'approved') THEN 'explain:' || project_id || ':' || sha
  || ':prod' END, 'main', 'prod',
  md5('x' || g || '/' || p) || '00000000', sha, 'Take discounts off the revenue of order ' || g,
  'Ada Example', at, 1, status, 'project-' || p || '-plan-' || plan_type || '-20260428-100000', 'git_polling', %(settings)s::json,
  CASE WHEN plan_type = 'explain' THEN json_build_object('explain_completed', true, 'modelsModified', 1, 'models', (SELECT
    json_agg(json_build_object('name', 'marts.model_' || m, 'change', 'directly_modified', 'category', 'breaking', 'before',
    md5(m || sha), 'after', md5(sha || m), 'diff', '@@ -1,3 +1,3 @@ SELECT order_id, customer_id, ' || md5(m || 'd' || n)
    || ' FROM staging.orders')) FROM generate_series(1, 7) m)) END,
  'sha256:' || md5('d' || g || '/' || p) || md5('e' || g || '/' || p), md5('t' || g || '/' || p), 1, 1,
  'dagctl__' || project_id, 'plangroup_' || substr(md5('g' || g || '/' || p), 1, 20), at, at, at, at, 'ada', at, at
FROM (SELECT n, p, 'proj_' || lpad(p::text, 8, '0') AS project_id, (n + 1) / 2 + CASE WHEN n = %(steps)s THEN 1 ELSE 0 END AS g,
  CASE WHEN n < %(steps)s AND n %% 2 = 0 THEN 'execute' ELSE 'explain' END AS plan_type,
  CASE WHEN n = %(steps)s THEN 'pending' WHEN n = %(steps)s - 1 THEN 'rejected' WHEN n %% 2 = 1 THEN 'approved'
    WHEN n %% 20 = 0 THEN 'failed' ELSE 'completed' END AS status,
  md5('c' || (n + 1) / 2 + CASE WHEN n = %(steps)s THEN 1 ELSE 0 END || '/' || p) || '11111111' AS sha,
  timestamptz '2026-01-01' + n * interval '4 hours' + p * interval '7 seconds' AS at
  FROM generate_series(%(first)s, %(last)s) n, generate_series(1, %(projects)s) p) AS numbered
ORDER BY n, p
"""

_EVENTS = """
INSERT INTO log (dttm, event, owner, owner_display_name, extra)
SELECT timestamptz '2026-01-01' + n * interval '1 minute', 'cli_task_run', 'airflow', 'airflow',
  '{"host_name": "worker", "full_command": "airflow tasks run"}'
FROM generate_series(1, %(steps)s) n
"""


def load(stack: Stack, access: dict[str, str], url: str, head: str, projects: int, steps: int) -> str:
    """Fill the tables.

    :return: What was made, for people.
    """
    # The version that is deployed, or every project would be planned anew; the rest is about what a step's request holds.
    settings = json.dumps({"sqlmesh_version": VERSION, "notes": {f"setting_{n}": "x" * 20 for n in range(16)}})
    values = {
        "organization": access["organization_id"],
        "url": url,
        "head": head,
        "projects": projects,
        "steps": steps,
        "settings": settings,
        "version": VERSION,
    }
    connection = connect(stack)
    with connection.cursor() as cursor, stack.terminal.waiting(f"{projects} projects x {steps} plan steps") as waiting:
        # First what the steps refer to, then the steps, oldest first as time would have it.
        for statement in (_PROJECTS, _DEPLOYMENTS, _JOBS):
            cursor.execute(statement, values)
        for first in range(1, steps + 1, 25):
            cursor.execute(_STEPS, {**values, "first": first, "last": min(first + 24, steps)})
            waiting.tick(f"{min(first + 24, steps)} of {steps} steps each")
        cursor.execute(_EVENTS, values)
        waiting.tick("vacuum")
        # What autovacuum would have done long ago on a table that grew over months.
        cursor.execute("VACUUM ANALYZE dagctl_plan_step")
        cursor.execute("VACUUM ANALYZE log")
        cursor.execute(
            "SELECT count(*) AS steps, pg_size_pretty(pg_table_size('dagctl_plan_step')) AS heap,"
            " pg_size_pretty(pg_indexes_size('dagctl_plan_step')) AS indexes, avg(length(plan_output::text))::int AS output,"
            " avg(length(settings::text))::int AS settings FROM dagctl_plan_step"
        )
        row = dict(cursor.fetchone())
    connection.close()
    return (
        f"{row['steps']:,} steps, table {row['heap']}, indexes {row['indexes']},"
        f" plan_output {row['output']} bytes (explain steps), settings {row['settings']} bytes"
    )


@dataclass
class Cell:
    """One kind of request.

    :param path: Makes the path of the next request.
    :param wrong: Says what is wrong with an answer, if anything.
    """

    name: str
    path: Callable[[random.Random], str]
    headers: dict[str, str]
    wrong: Callable[[Any], str | None]
    seconds: dict[int, list[float]] = field(default_factory=dict)
    elapsed: dict[int, float] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)


def cells(stack: Stack, access: dict[str, str], projects: int, steps: int) -> list[Cell]:
    """The requests that are compared."""
    ours = {"Authorization": f"Bearer {access['token']}", "X-Organization-ID": access["organization_id"]}
    airflow = stack.airflow_login()
    last = -(-steps // LIMIT)

    def page(number: int) -> Cell:
        def path(dice: random.Random) -> str:
            return f"/api/v1/projects/proj_{dice.randint(1, projects):08}/plans?page={number}&limit={LIMIT}"

        return Cell(f"plans, page {number} of {last}", path, ours, lambda answer: _wrong_page(answer, number, last, steps))

    def pending(dice: random.Random) -> str:
        return f"/api/v1/projects/proj_{dice.randint(1, projects):08}/plans?status=pending&limit={LIMIT}"

    def one_pending(answer: Any) -> str | None:
        found = [plan["status"] for plan in answer["plans"]]
        return None if found == ["pending"] and answer["total"] == 1 else f"status=pending answered {found}"

    def events(dice: random.Random) -> str:
        return f"/api/v2/eventLogs?limit={LIMIT}&offset={LIMIT * dice.randrange(last)}"

    def some_events(answer: Any) -> str | None:
        return None if len(answer["event_logs"]) == LIMIT else f"{len(answer['event_logs'])} events"

    return [
        page(1),
        page(max(last // 2, 1)),
        page(last),
        Cell("plans, status=pending", pending, ours, one_pending),
        Cell("Airflow /api/v2/eventLogs", events, airflow, some_events),
        Cell("Airflow /api/v2/version", lambda dice: "/api/v2/version", {}, lambda answer: None),
    ]


def _wrong_page(answer: Any, number: int, last: int, steps: int) -> str | None:
    plans = answer["plans"]
    expected = min(LIMIT, steps - (number - 1) * LIMIT)
    facts = (len(plans), answer["total"], answer["total_pages"], answer["page"])
    if facts != (expected, steps, last, number):
        return f"page {number} answered {facts}"
    if [plan["created_at"] for plan in plans] != sorted((plan["created_at"] for plan in plans), reverse=True):
        return f"page {number} is not newest first"
    if len({plan["project_id"] for plan in plans}) != 1:
        return f"page {number} mixes projects"
    return None


async def measure(base_url: str, cell: Cell, clients: int, requests: int, seed: int) -> None:
    """Ask ``requests`` times with ``clients`` at a time, each on a connection of its own that stays open."""
    left = iter(range(requests))
    dice = random.Random(seed)
    seconds = cell.seconds.setdefault(clients, [])

    async def client() -> None:
        async with httpx.AsyncClient(base_url=base_url, headers=cell.headers, timeout=60) as http:
            await http.get("/api/v2/version")
            ready.release()
            await go.wait()
            for _ in left:
                path = cell.path(dice)
                started = time.perf_counter()
                answer = await http.get(path)
                seconds.append(time.perf_counter() - started)
                wrong = f"status {answer.status_code}" if answer.status_code != 200 else cell.wrong(answer.json())
                if wrong:
                    cell.mistakes.append(wrong)

    ready, go = asyncio.Semaphore(0), asyncio.Event()
    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    for _ in tasks:
        await ready.acquire()
    began = time.perf_counter()
    go.set()
    await asyncio.gather(*tasks)
    cell.elapsed[clients] = cell.elapsed.get(clients, 0.0) + time.perf_counter() - began


_LOGGED = re.compile(r"^@(\d+)@ LOG:  (?:statement|execute [^:]*): (.*(?:\n\t.*)*)", re.MULTILINE)
_DATA = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@contextmanager
def logged_statements(stack: Stack) -> Iterator[Callable[[], list[tuple[int, str]]]]:
    """Has the server log every statement; gives a function that returns those since its last call, with their session."""
    connection = connect(stack, superuser=True)
    log = stack.processes.log_of("postgres")
    position = log.stat().st_size

    def set_logging(value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET log_line_prefix = '@%p@ '")
            cursor.execute(f"ALTER SYSTEM SET log_statement = '{value}'")
            cursor.execute("SELECT pg_reload_conf()")

    def since() -> list[tuple[int, str]]:
        nonlocal position
        with log.open("rb") as file:
            file.seek(position)
            text = file.read()
        position += len(text)
        return [(int(match[1]), match[2].strip()) for match in _LOGGED.finditer(text.decode(errors="replace"))]

    def is_logging() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 AS logging_is_on")
        return any("logging_is_on" in text for _, text in since())

    set_logging("all")
    try:
        await_value(is_logging, 30, "statement logging")
        yield since
    finally:
        set_logging("none")
        connection.close()


def shape(statement: str) -> str:
    """A statement without its values."""
    return re.sub(r"'(?:[^']|'')*'|\b\d+\b", "?", statement)


def count_statements(logged: list[tuple[int, str]], background: set[str], requests: int) -> tuple[float, float]:
    """Statements and transactions per request, without those that are also sent while nobody asks."""
    statements, transactions, counted = 0, 0, set()
    for session, text in logged:
        if text.upper().startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            counted.discard(session)
        elif text.upper().startswith(_DATA) and shape(text) not in background:
            statements += 1
            if session not in counted:
                counted.add(session)
                transactions += 1
    return statements / requests, transactions / requests


def statements_per_request(stack: Stack, found: list[Cell], requests: int) -> dict[str, tuple[float, float]]:
    """What each kind of request costs in SQL, as the server's log has it."""
    counts = {}
    with logged_statements(stack) as since, httpx.Client(base_url=stack.base_url, timeout=60) as http:
        background: set[str] = set()
        ticks = 0
        # The controller's own statements, from a few of its turns with nobody asking.
        while ticks < 5:
            for _, text in since():
                background.add(shape(text))
                ticks += "dagctl_project_run" in text
            time.sleep(0.05)
        for cell in found:
            dice, windows = random.Random(0), []
            for _ in range(WINDOWS):
                since()
                for _ in range(requests // WINDOWS):
                    http.get(cell.path(dice), headers=cell.headers).raise_for_status()
                windows.append(count_statements(since(), background, requests // WINDOWS))
            # The middle one, since a poll that comes in between is no statement of the request.
            counts[cell.name] = median(window[0] for window in windows), median(window[1] for window in windows)
    return counts


def polled(stack: Stack) -> Callable[[], bool]:
    """Whether the controller's first look at the new projects' remote is over."""
    connection = connect(stack)

    def look() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) AS left FROM dagctl_project WHERE last_synced_at IS NULL")
            return bool(cursor.fetchone()["left"] == 0)

    return look


def main(options: argparse.Namespace) -> int:
    """Load, measure, print."""
    about = machine()
    verdict = Verdict()
    with fresh_stack("plans_list", {"AIRFLOW__DAGCTL__POLLING_INTERVAL": "60"}) as stack:
        # A list needs neither; without them nothing but the API server and its controller is measured.
        stack.stop_components(["scheduler", "dag-processor"])
        repository = Repository(Path(stack.home) / "repository")
        head = repository.create()
        access = json.loads(stack.access_file.read_text())
        loaded = load(stack, access, repository.url, head, options.projects, options.steps)
        with stack.terminal.waiting("The controller's first look at all projects"):
            await_value(polled(stack), 300, "The first poll", every=0.5)
        found = cells(stack, access, options.projects, options.steps)
        for cell in found:
            asyncio.run(measure(stack.base_url, cell, 8, 40, seed=0))
            cell.seconds.clear()
            cell.elapsed.clear()
        with stack.terminal.waiting(f"{options.requests} requests of each kind at 1 and at 8 clients") as waiting:
            # In slices, so that a busy moment of the machine does not hit one kind only.
            for number in range(SLICES):
                for clients in (1, 8):
                    for cell in found:
                        waiting.tick(f"{number + 1} of {SLICES}, {clients} client(s), {cell.name}")
                        asyncio.run(measure(stack.base_url, cell, clients, options.requests // SLICES, seed=number))
        with stack.terminal.waiting("Statements per request"):
            counts = statements_per_request(stack, found, 5 * WINDOWS)
    print(f"\nplans_list: {about}\n{loaded}; limit {LIMIT}, {options.requests} requests per number\n")
    print(report(found, counts))
    for cell in found:
        verdict.require(not cell.mistakes, f"{cell.name}: {len(cell.mistakes)} wrong answers, first: {cell.mistakes[:1]}")
        if cell.name.startswith("plans"):
            verdict.require(counts[cell.name][0] <= 6, f"{cell.name}: {counts[cell.name][0]:.1f} statements per request")
    print()
    return verdict.tell()


def report(found: list[Cell], counts: dict[str, tuple[float, float]]) -> str:
    """The table; ratios are against Airflow's list of events in the same run."""
    peer = next(cell for cell in found if "eventLogs" in cell.name)
    rows = []
    for cell in found:
        for clients, seconds in cell.seconds.items():
            p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
            ratio = p50 / percentile(peer.seconds[clients], 0.5)
            rate = len(seconds) / cell.elapsed[clients]
            rows.append([cell.name, clients, p50 * 1000, p99 * 1000, rate, ratio, *counts[cell.name]])
    head = ["request", "clients", "p50 ms", "p99 ms", "requests/s", "p50 / eventLogs", "statements", "transactions"]
    return table(head, rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.plans_list", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--projects", type=int, default=1000)
    made.add_argument("--steps", type=int, default=1000, help="plan steps per project, at least 100 (default 1000)")
    made.add_argument("--requests", type=int, default=1000, help="per kind and number of clients (default 1000)")
    made.add_argument("--quick", action="store_true", help="50 projects x 100 steps, 100 requests: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--projects", "50", "--steps", "100", "--requests", "100"]
    run(main, parser())
