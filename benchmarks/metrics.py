"""What a page of execution metrics costs with 10,000,000 model executions rather than 10,000, and what recording costs.

Two projects in one PostgreSQL, over the same 100 days: the small one has 200 runs of 50 models, the large one 10,000 of 1,000
models. They are read over HTTP from a real API server whose controller ticks. Rows lie in the order in which time would have
written them. Each request of the large project is made beside one of the small project, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg2.extensions

from benchmarks.common import Verdict, connect, fresh_stack, machine, percentile, run, table
from benchmarks.plans_list import Cell, measure
from demo.stack import Stack

DAYS = 100
SMALL, LARGE = "proj_small", "proj_large"
SLICES = 4

_PROJECTS = """
INSERT INTO dagctl_project (id, organization_id, name, name_key, project_type, repository_url, branch, settings, dag_id,
  deployed, created_at, updated_at)
SELECT p, %(organization)s, p, p, 'sqlmesh', 'https://example.com/acme/shop', 'main', '{}', 'dagctl__' || p, false, now(), now()
FROM unnest(ARRAY['proj_small', 'proj_large']) p
"""

# One run in twelve is a plan's, one in forty failed in part; nine in ten were started by the schedule.
_RUNS = """
INSERT INTO dagctl_execution (id, project_id, job_id, job_type, job_name, cronjob_name, command, environment, status,
  triggered_by, attempt, start_time, end_time, duration_seconds, models_total, models_succeeded, models_failed, models_skipped,
  day, created_at, updated_at)
SELECT 'run_' || substr(md5(%(project)s || n), 1, 20), %(project)s, 'job_' || n %% 3,
  CASE WHEN n %% 12 = 5 THEN 'plan' ELSE 'run' END, 'shop-scheduled-run-' || to_char(at, 'YYYYMMDD-HH24MISS'),
  CASE WHEN n %% 12 <> 5 AND n %% 10 <> 0 THEN 'dagctl__shop__1f3c9a__run' END, 'run', 'prod',
  CASE WHEN n %% 40 = 7 THEN 'partial' WHEN n %% 100 = 9 THEN 'error' ELSE 'success' END, 'scheduled', 1, at + interval '4 s',
  at + interval '4 s' + seconds * interval '1 s', seconds, %(models)s, %(models)s - 3, 1, 2,
  to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), at, at + seconds * interval '1 s' + interval '5 s'
FROM (SELECT n, now() - %(days)s * interval '1 day' + (n - 0.5) * (%(days)s * interval '1 day' / %(runs)s) AS at,
  300 + (n * 7919) %% 400 AS seconds FROM generate_series(1, %(runs)s) n) numbered
ORDER BY n
"""

_MODELS = """
INSERT INTO dagctl_model_execution (id, execution_id, project_id, job_type, cronjob_name, attempt, model_name, status, start_time,
  end_time, duration_seconds, rows_processed, batches, interval_start, interval_end, error_message, created_at, updated_at)
SELECT 'mx_' || md5(e.id || m), e.id, e.project_id, e.job_type, e.cronjob_name, 1, 'marts.orders_by_region_' || m, models.status,
  begins, begins + took * interval '1 s', took, (m * 7919) %% 1000000, 1, date_trunc('day', e.created_at) - interval '1 day',
  date_trunc('day', e.created_at), CASE WHEN models.status = 'failed' THEN 'Binder Error: no column "region" in FROM clause' END,
  begins, e.updated_at
FROM dagctl_execution e, LATERAL (SELECT m, e.start_time + m * (e.duration_seconds / %(models)s) * interval '1 s' AS begins,
    0.5 + ((m * 31 + length(e.id)) %% 97) / 10.0 AS took,
    CASE hashtext(e.id || '/' || m) %% 100 WHEN 0 THEN 'failed' WHEN 1 THEN 'skipped' WHEN -1 THEN 'skipped' ELSE 'success'
    END AS status
  FROM generate_series(1, %(models)s) m) models
WHERE e.project_id = %(project)s AND e.created_at >= %(since)s AND e.created_at < %(until)s
ORDER BY e.created_at, m
"""

_DAYS = """
INSERT INTO dagctl_model_day (project_id, day, model_name, job_type, executions, succeeded, failed, skipped, duration_sum,
  duration_max, rows_processed, last_status, last_at)
SELECT project_id, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), model_name, job_type, count(*),
  count(*) FILTER (WHERE status = 'success'), count(*) FILTER (WHERE status = 'failed'),
  count(*) FILTER (WHERE status = 'skipped'), coalesce(sum(duration_seconds) FILTER (WHERE status = 'success'), 0),
  coalesce(max(duration_seconds) FILTER (WHERE status = 'success'), 0), sum(rows_processed), 'success', max(end_time)
FROM dagctl_model_execution GROUP BY 1, 2, 3, 4
"""


def load(stack: Stack, organization_id: str, sizes: dict[str, tuple[int, int]]) -> str:
    """Fill the tables.

    :param sizes: Runs and models of each project.
    :return: What was made, for people.
    """
    connection = connect(stack, superuser=True)
    with connection.cursor() as cursor, stack.terminal.waiting("Model executions") as waiting:
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(_PROJECTS, {"organization": organization_id})
        indexes = _taken_indexes(cursor)
        for project, (runs, models) in sizes.items():
            values = {"project": project, "runs": runs, "models": models, "days": DAYS}
            cursor.execute(_RUNS, values)
            for back in range(DAYS + 1, -1, -1):
                since, until = (date.today() - timedelta(days=back - more) for more in (0, 1))
                cursor.execute(_MODELS, {**values, "since": since, "until": until})
                waiting.tick(f"{project}, {DAYS - back} of {DAYS} days")
        for statement in indexes:
            waiting.tick(statement[:60])
            cursor.execute(statement)
        waiting.tick("sums by day")
        cursor.execute(_DAYS)
        for name in ("dagctl_model_execution", "dagctl_execution", "dagctl_model_day"):
            waiting.tick(f"vacuum {name}")
            cursor.execute(f"VACUUM ANALYZE {name}")
        cursor.execute("SELECT project_id, count(*) AS models FROM dagctl_model_execution GROUP BY 1 ORDER BY 2")
        counts = " and ".join(f"{row['models']:,}" for row in cursor.fetchall())
        cursor.execute(
            "SELECT pg_size_pretty(pg_table_size('dagctl_model_execution')) AS heap,"
            " pg_size_pretty(pg_indexes_size('dagctl_model_execution')) AS indexes,"
            " (SELECT count(*) FROM dagctl_model_day) AS days"
        )
        row = dict(cursor.fetchone())
    connection.close()
    return f"{counts} model executions, table {row['heap']}, indexes {row['indexes']}, {row['days']:,} sums of days"


def _taken_indexes(cursor: psycopg2.extensions.cursor) -> list[str]:
    """Drop the indexes that are faster made when all rows are there.

    :return: How to make them.
    """
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'dagctl_model_execution' AND indexname LIKE 'idx%'"
    )
    found = [(row["indexname"], row["indexdef"]) for row in cursor.fetchall()]
    for name, _ in found:
        cursor.execute(f"DROP INDEX {name}")
    return [definition for _, definition in found]


def kinds() -> Iterator[tuple[str, str, str]]:
    """The requests that are compared: name, path behind the project, member of the answer."""
    hour = (date.today() - timedelta(days=1)).isoformat()
    models, executions = "model_executions", "model-executions"
    yield "models, page 1", f"{executions}?limit=50", models
    yield "models, page 20", f"{executions}?limit=50&page=20", models
    yield "models, model_name", f"{executions}?limit=50&model_name=marts.orders_by_region_7", models
    yield "models, status=failed", f"{executions}?limit=50&status=failed", models
    yield "models, job_type=plan", f"{executions}?limit=50&job_type=plan", models
    yield "models, cronjob_name", f"{executions}?limit=50&cronjob_name=dagctl__shop__1f3c9a__run", models
    yield "models, updated_after", f"{executions}?limit=50&updated_after={hour}T00:00:00Z", models
    yield "runs, page 1, stats", "runs?limit=50", "runs"
    yield "runs, page 1", "runs?limit=50&include_stats=false", "runs"
    yield "runs, status=partial", "runs?limit=5&status=partial&include_stats=false", "runs"
    yield "daily-stats, 90 days", "runs/daily-stats?days=90", "daily_stats"
    yield "figures of models, 30 days", "model-executions/stats?days=30&limit=50", "model_stats"


def cells(access: dict[str, str]) -> dict[str, dict[str, Cell]]:
    """Each kind for each project."""
    ours = {"Authorization": f"Bearer {access['token']}", "X-Organization-ID": access["organization_id"]}
    return {
        name: {project: _cell(name, path, member, project, ours) for project in (SMALL, LARGE)} for name, path, member in kinds()
    }


def _cell(name: str, path: str, member: str, project: str, headers: dict[str, str]) -> Cell:
    def asked(dice: random.Random) -> str:
        return f"/api/v1/projects/{project}/{path}"

    def wrong(answer: Any) -> str | None:
        return None if answer[member] else f"{project}: no {member}"

    return Cell(name, asked, headers, wrong)


_RECORDING = """
import json, statistics, sys, time
from datetime import timedelta
from dagctl_provider.domain.executions import Execution
from dagctl_provider.services.turns import recording
from dagctl_provider.store import executions, projects, transactions
from dagctl_provider.store.session import utcnow
count, seconds = int(sys.argv[1]), []
for number in range(12):
    now = utcnow()
    told = [{"name": f"marts.orders_by_region_{m}", "status": "succeeded", "duration": 0.5, "rows": 10, "batches": 1,
             "started": (now - timedelta(seconds=60)).isoformat(), "ended": now.isoformat()} for m in range(count)]
    one = Execution(f"run_recorded_{number}", "proj_large", "run", "x", "pending", "ada", now, now)
    transactions.run(lambda session: executions.insert_execution(session, one))
    end = recording._End("success", now - timedelta(seconds=60), now, models=told)
    began = time.perf_counter()
    def work(session):
        project = projects.get_project(session, "proj_large", lock=True)
        assert recording._end(session, project, one, end, False)
    transactions.run(work)
    seconds.append(time.perf_counter() - began)
print(json.dumps({"first": seconds[0], "median": statistics.median(seconds), "most": max(seconds[1:])}))
"""


def recording_seconds(stack: Stack, models: int) -> dict[str, float]:
    """How long the API server's controller takes to record the models of one run, beside all that is on record."""
    command = [sys.executable, "-c", _RECORDING, str(models)]
    done = subprocess.run(command, env=stack.environment(), capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main(options: argparse.Namespace) -> int:
    """Load, measure, print."""
    about, verdict = machine(), Verdict()
    settings = {"AIRFLOW__DAGCTL__POLLING_INTERVAL": "3600"}
    with fresh_stack("metrics", settings) as stack:
        stack.stop_components(["scheduler", "dag-processor"])
        access = json.loads(stack.access_file.read_text())
        loaded = load(stack, access["organization_id"], {SMALL: (200, 50), LARGE: (options.runs, 1000)})
        found = cells(access)
        each = options.requests // SLICES
        with stack.terminal.waiting(f"{options.requests} requests of each kind") as waiting:
            for pair in found.values():
                for cell in pair.values():
                    asyncio.run(measure(stack.base_url, cell, 1, 20, seed=0))
                    cell.seconds.clear()
            for number in range(SLICES):
                for name, pair in found.items():
                    waiting.tick(f"{number + 1} of {SLICES}, {name}")
                    # In turns, so that a busy moment of the machine hits both.
                    for _ in range(each // 10):
                        for cell in pair.values():
                            asyncio.run(measure(stack.base_url, cell, 1, 10, seed=number))
        recorded = recording_seconds(stack, 1000)
    print(f"\nmetrics: {about}\n{loaded}; limit 50, {options.requests} requests per number, one client\n")
    print(report(found))
    print(f"\nRecording 1,000 models of one run: median {recorded['median']:.3f} s, most {recorded['most']:.3f} s\n")
    judge(found, verdict)
    return verdict.tell()


def report(found: dict[str, dict[str, Cell]]) -> str:
    """The table: the large project beside the small one."""
    rows = []
    for name, pair in found.items():
        small, large = pair[SMALL].seconds[1], pair[LARGE].seconds[1]
        numbers = [percentile(values, share) * 1000 for values in (small, large) for share in (0.5, 0.99)]
        rows.append([name, *numbers, numbers[2] / numbers[0], numbers[3] / numbers[1]])
    head = ["request", "small p50 ms", "small p99 ms", "large p50 ms", "large p99 ms", "ratio p50", "ratio p99"]
    return table(head, rows)


def judge(found: dict[str, dict[str, Cell]], verdict: Verdict) -> None:
    """A page costs what it costs, however many there are; 90 days take less than 50 ms."""
    for name, pair in found.items():
        for cell in pair.values():
            verdict.require(not cell.mistakes, f"{name}: {len(cell.mistakes)} wrong answers, first: {cell.mistakes[:1]}")
        small, large = (percentile(pair[project].seconds[1], 0.99) for project in (SMALL, LARGE))
        if name.startswith("models"):
            verdict.require(large / small <= 1.3, f"{name}: p99 ratio {large / small:.2f}")
        if name.startswith("daily"):
            middle = percentile(pair[LARGE].seconds[1], 0.5)
            verdict.require(middle < 0.05, f"{name}: {middle * 1000:.0f} ms")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--runs", type=int, default=10_000, help="runs of 1,000 models in the large project (default 10000)")
    made.add_argument("--requests", type=int, default=400, help="of each kind and project (default 400)")
    made.add_argument("--quick", action="store_true", help="200,000 model executions, 40 requests: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--runs", "200", "--requests", "40"]
    run(main, parser())
