"""A real Airflow with a real project: what a test says to it, and what it can see of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2

from demo.stack import Stack
from tests.killing import kill_workers
from tests.waiting import WAIT_SECONDS, wait_for

# The state of a task that waits for a person: the second before Airflow 3.3.
PARKED = ("awaiting_input", "deferred")


class Shop:
    """A small SQLMesh project in a git repository, on a DuckDB warehouse of its own.

    ``gate`` is a file that the model ``shop.slow`` waits for; each applied plan adds a row to ``applied``, so that applying
    twice can be seen in the warehouse.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "repository"
        self.warehouse = folder / "warehouse.duckdb"
        self.gate = folder / "gate"
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write(
            "config.yaml",
            f"""
            gateways:
              warehouse:
                connection: {{type: duckdb, database: "{self.warehouse}"}}
            default_gateway: warehouse
            model_defaults: {{dialect: duckdb, start: "2026-01-01"}}
            before_all: ["CREATE TABLE IF NOT EXISTS main.applied (moment TIMESTAMP)"]
            after_all: ["INSERT INTO main.applied SELECT current_timestamp"]
            """,
        )
        self.write("models/orders.sql", "MODEL (name shop.orders, kind FULL);\nSELECT 1 AS id, 10 AS amount\n")
        self.write("models/totals.sql", "MODEL (name shop.totals, kind FULL);\nSELECT SUM(amount) AS total FROM shop.orders\n")
        self.write(
            "tests/test_totals.yaml",
            """
            test_totals:
              model: shop.totals
              inputs: {shop.orders: [{id: 1, amount: 3}, {id: 2, amount: 4}]}
              outputs: {query: [{total: 7}]}
            """,
        )
        self.commit("Orders and totals")

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip())

    def add_slow_model(self) -> None:
        """A model that waits for the gate."""
        self.write(
            "models/slow.py",
            f'''
            import os
            import time

            import pandas as pd
            from sqlmesh import model


            @model("shop.slow", columns={{"n": "int"}}, kind="FULL")
            def execute(context, start, end, execution_time, **kwargs):
                while not os.path.exists("{self.gate}"):
                    time.sleep(0.05)
                return pd.DataFrame({{"n": [1]}})
            ''',
        )

    def open_gate(self) -> None:
        self.gate.touch()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, *arguments], cwd=self.path, check=True, capture_output=True, text=True).stdout.strip()


def _step_of(command: list[str]) -> str | None:
    """The step that a runner was started for."""
    try:
        request = Path(command[command.index("--request") + 1])
        return str(json.loads(request.read_text())["step_id"])
    except (ValueError, OSError, LookupError):
        return None


@dataclass
class Site:
    """A running stack and a client of it."""

    stack: Stack
    organization_id: str
    token: str

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}", "X-Organization-ID": self.organization_id}
        self.http = httpx.Client(base_url=f"{self.stack.base_url}/api/v1", headers=headers, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        """One request; the decoded answer.

        :param status: Expected; by default any success.
        """
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == status if status else answer.is_success, answer.text
        return answer.json()

    def project(self, name: str, shop: Shop, **values: Any) -> dict[str, Any]:
        """A project for a repository. Suspended, so that a test decides when a commit is planned, unless it says otherwise."""
        body = {"name": name, "repository_url": shop.url, "suspended": True, **values}
        return dict(self.ask("POST", "/projects", body, status=201))

    def plan(self, plan_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/plans/{plan_id}"))

    def wait(self, plan_id: str, *statuses: str, seconds: float = WAIT_SECONDS) -> dict[str, Any]:
        """Wait until a step has one of the statuses; say why when it ends otherwise."""

        def look() -> dict[str, Any] | None:
            plan = self.plan(plan_id)
            if plan["status"] in statuses:
                return plan
            final = plan["status"] in ("completed", "failed", "rejected", "cancelled")
            assert not final, f"{plan['status']} instead of {statuses}: {plan.get('error')}\n{self.log(plan_id)[-3000:]}"
            return None

        def shown() -> str:
            return f"{self.plan(plan_id)}\n{self.log(plan_id)}"

        return wait_for(f"{plan_id} to be {' or '.join(statuses)}", look, seconds=seconds, show=shown)

    def log(self, plan_id: str) -> str:
        return str(self.ask("GET", f"/plans/{plan_id}/logs")["logs"])

    def create_plan(self, project: dict[str, Any]) -> str:
        return str(self.ask("POST", f"/projects/{project['id']}/plans", status=201)["plan_id"])

    def explained(self, project: dict[str, Any]) -> dict[str, Any]:
        """A plan of HEAD that waits for its decision."""
        return self.wait(self.create_plan(project), "pending")

    def approve(self, plan: dict[str, Any]) -> str:
        """Approve; id of the execute step."""
        return str(self.ask("POST", f"/plans/{plan['id']}/approve")["execution_plan_id"])

    def deployed(self, project: dict[str, Any]) -> dict[str, Any]:
        """Plan, approve and apply HEAD."""
        return self.wait(self.approve(self.explained(project)), "completed")

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        own = self.stack.secrets()
        connection = psycopg2.connect(
            host="127.0.0.1", port=own["postgres_port"], user="airflow", password=own["airflow_password"], dbname="airflow"
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def task(self, plan: dict[str, Any], task_id: str) -> tuple[str | None, int]:
        """State and try number of a task of a plan's run."""
        rows = self.sql(
            "SELECT state, try_number FROM task_instance WHERE run_id = %s AND task_id = %s", plan["plan_id"], task_id
        )
        return rows[0] if rows else (None, 0)

    def answer_in_airflow(self, plan: dict[str, Any], option: str) -> None:
        """Answer in Required Actions, as a person does on Airflow's page, once the task waits there."""
        (dag_id,) = self.sql("SELECT DISTINCT dag_id FROM task_instance WHERE run_id = %s", plan["plan_id"])[0]
        login = self.stack.airflow_login()
        path = f"/api/v2/dags/{dag_id}/dagRuns/{plan['plan_id']}/taskInstances/await_approval/-1/hitlDetails"

        def send() -> bool:
            url = f"{self.stack.base_url}{path}"
            answer = httpx.patch(url, json={"chosen_options": [option]}, headers=login, timeout=60)
            assert answer.status_code in (200, 404), answer.text
            return answer.status_code == 200

        wait_for("the request in Required Actions", send)

    def rows(self, shop: Shop, query: str) -> list[list[Any]]:
        """Ask a warehouse, in the environment that has its driver."""
        code = "import duckdb, json, sys; c = duckdb.connect(sys.argv[1], read_only=True)\n"
        code += "print(json.dumps(c.execute(sys.argv[2]).fetchall()))"
        done = subprocess.run(
            [str(self.stack.tool_python()), "-c", code, str(shop.warehouse), query], capture_output=True, text=True, check=True
        )
        return list(json.loads(done.stdout))

    def times_applied(self, shop: Shop) -> int:
        """How often a plan was applied to the warehouse to its end."""
        return int(self.rows(shop, "SELECT COUNT(*) FROM main.applied")[0][0])

    def runner_processes(self, step_id: str | None = None) -> list[psutil.Process]:
        """The supervisors of this Airflow's running steps; tests in other processes have runners too.

        :param step_id: Only those of one step; what an earlier test has cancelled may still be ending.
        """
        found = []
        for process in psutil.process_iter():
            try:
                command = process.cmdline()
                if "dagctl_provider.runner" not in command or "--watch-stdin" not in command:
                    continue
                cache = process.environ().get("DAGCTL_CACHE_DIR", "")
            except psutil.Error:
                continue
            if self.stack.home in Path(cache).parents and step_id in (None, _step_of(command)):
                found.append(process)
        return found

    def kill_workers(self, run_id: str | None = None) -> None:
        """Kill the workers of the running steps; see :func:`tests.killing.kill_workers`.

        :param run_id: Only the workers of one run, wherever its steps run; by default those that wait for a runner.
        """
        if run_id is None:
            tasks = wait_for("the runners", self._tasks_of_runners)
        else:
            query = "SELECT pid FROM task_instance WHERE run_id = %s AND state = 'running' AND pid IS NOT NULL"
            tasks = [psutil.Process(pid) for (pid,) in wait_for("a running task", lambda: self.sql(query, run_id))]
        kill_workers(self, tasks)

    def _tasks_of_runners(self) -> list[psutil.Process]:
        tasks = []
        for runner in self.runner_processes():
            # The runner of an earlier test may end between the look at it and the question who started it.
            with contextlib.suppress(psutil.NoSuchProcess):
                tasks.append(runner.parents()[0])
        return tasks

    def picture(self) -> str:
        """What Airflow and its database look like now: for the report of a failed test."""
        queries = (
            "SELECT dag_id, run_id, task_id, state, try_number, next_method FROM task_instance ORDER BY dag_id, run_id, task_id",
            "SELECT id, project_id, status, error_message FROM dagctl_plan_step ORDER BY created_at",
            "SELECT run_id, key, value FROM xcom WHERE key IN ('decision', 'answer')",
            "SELECT pid, state, now() - xact_start, left(query, 80) FROM pg_stat_activity WHERE datname = 'airflow'",
        )
        lines = ["\t".join(map(str, row)) for query in queries for row in [(query,), *self.sql(query)]]
        for name in ("api-server", "scheduler"):
            lines += [name, self.stack.processes.tail(name)]
        return "\n".join(lines)
