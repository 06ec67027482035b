"""How much longer a commit takes in the product than the same explain and execute run by hand, and where the time goes.

A generated SQLMesh project (DuckDB) is changed again and again: one model, with a few below it. The product finds each commit
by polling, explains it, is asked to approve it, and executes it. In turns with that, the same runner is started by hand with the
same request on a twin: the same files and the same tool environment, with a repository, state database and warehouse of its own.
The first commit, which makes all models, comes before the measurement.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.common import Database, Verdict, await_value, connect, fresh_stack, machine, median, run, table
from benchmarks.common_projects import CONFIG, Project, Repository, client_of, make_project
from demo.client import Client
from demo.options import REPOSITORY_ROOT
from demo.stack import Stack

RATIO, HOPS = 1.25, 3.0
SECONDS = 900.0
TWIN_PASSWORD = "twin"
PARTS = (
    "detection / request",
    "dispatch / gate",
    "Airflow scheduling",
    "task start",
    "task around runner",
    "runner",
    "settle",
)


def models(number: int, changes: Mapping[int, int] | None = None) -> dict[str, str]:
    """The files of a project: a tenth of the models make rows, each other one reads a model above it.

    :param changes: Version of the models that differ from the first commit.
    """
    files = {"config.yaml": CONFIG}
    for index in range(number):
        version = (changes or {}).get(index, 0)
        kind = "FULL" if index % 3 else "VIEW"
        if index < sources(number):
            body = "SELECT i AS id, i % 7 AS part, i * 1.5 AS amount FROM RANGE(1000) AS numbers(i)"
        else:
            body = f"SELECT id, part, amount + {version} AS amount FROM bench.m{parent(index, number):04}"
        files[f"models/m{index:04}.sql"] = f"MODEL (name bench.m{index:04}, kind {kind});\n{body}\n"
    return files


def sources(number: int) -> int:
    """How many of the models read no other."""
    return max(number // 10, 1)


def parent(index: int, number: int) -> int:
    """The model that model ``index`` reads."""
    return max((index - sources(number)) // 2, 0)


def changed_model(round_number: int, number: int) -> int:
    """The model that a round changes: one in the middle, so that a few read it."""
    first = sources(number) + number // 8
    return min(first + round_number % max(number // 8, 1), number - 1)


@dataclass
class Step:
    """One explain or execute in the product, beside the same by hand.

    :param parts: Seconds by part; together they are ``total``.
    """

    total: float
    parts: dict[str, float]
    by_hand: float = 0.0


@dataclass
class Size:
    """All that was measured with one number of models."""

    models: int
    explains: list[Step] = field(default_factory=list)
    executes: list[Step] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


# By hand


class Twin:
    """Runs the runner by hand, as the process launcher would start it.

    :param stack: Whose tool environment and database server it uses.
    :param repository: Its own.
    :param settings: The request of the project's own steps.
    """

    def __init__(self, stack: Stack, repository: Repository, settings: Mapping[str, Any]) -> None:
        self.repository = repository
        self._folder = stack.home / "by-hand" / repository.path.name
        self._folder.mkdir(parents=True)
        self._request = {**settings, "repository_url": repository.url, "project_id": repository.path.name, "attempt": 1}
        self._count = 0
        database = repository.path.name.replace("-", "_")
        _make_database(stack, database)
        secrets = self._folder / "secrets"
        secrets.mkdir(mode=0o700)
        state = {"type": "postgres", "host": "127.0.0.1", "port": stack.secrets()["postgres_port"], "database": database}
        state.update(user=database, password=TWIN_PASSWORD)
        (secrets / "state_connection.json").write_text(json.dumps(state))
        (secrets / "env.json").write_text(json.dumps({"WAREHOUSE_PATH": str(stack.home / f"{database}.duckdb")}))
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TZ") if key in os.environ}
        self._environment = {
            **kept,
            "DAGCTL_ENVIRONMENTS_DIR": str(stack.cache / "environments"),
            "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1",
            "DAGCTL_CACHE_DIR": str(stack.cache / "tools"),
            "PYTHONPATH": str(REPOSITORY_ROOT),
            "PYTHONUNBUFFERED": "1",
        }

    def apply(self, commit: str) -> tuple[float, float, dict[str, Any]]:
        """Explain a commit and execute the plan.

        :return: Seconds of both, and the plan_output.
        """
        explain, explained = self._run("explain", {"commit_sha": commit})
        more = {"expected_digest": explained["digest"], "explained_plan_id": explained["tool_plan_id"], "commit_sha": commit}
        execute, _ = self._run("execute", more)
        return explain, execute, explained["plan_output"]

    def _run(self, command: str, more: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        self._count += 1
        place = self._folder / f"{self._count:03}-{command}"
        place.mkdir(parents=True)
        (place / "request.json").write_text(json.dumps({**self._request, **more, "step_id": place.name}))
        arguments = [sys.executable, "-m", "dagctl_provider.runner", command, "--request", str(place / "request.json")]
        arguments += ["--result", str(place / "result.json"), "--events", str(place / "events.jsonl")]
        arguments += ["--secrets", str(self._folder / "secrets")]
        with (place / "log").open("wb") as log:
            started = time.monotonic()
            done = subprocess.run(
                arguments, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False
            )
            seconds = time.monotonic() - started
        if done.returncode != 0:
            raise RuntimeError(f"{command} by hand failed:\n{(place / 'log').read_text()[-2000:]}")
        return seconds, json.loads((place / "result.json").read_text())


def _make_database(stack: Stack, name: str) -> None:
    connection = connect(stack, superuser=True)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{TWIN_PASSWORD}'")
        cursor.execute(f"CREATE DATABASE {name} OWNER {name}")
    connection.close()


# In the product


@dataclass
class Product:
    """One project in the stack, watched through the database that it writes."""

    stack: Stack
    client: Client
    database: Database
    project: Project

    def apply(self, files: Mapping[str, str], message: str) -> tuple[Step, Step, dict[str, Any]]:
        """Commit, wait for the plan, approve it, wait for its end.

        :return: Both steps, and the plan_output.
        """
        commit = self.project.repository.commit(files, message)
        committed_at = time.time()
        explain = self._await_step(
            "project_id = %s AND to_commit_sha = %s AND plan_type = 'explain'", self.project.id, commit, wanted="pending"
        )
        pending_at = explain["updated_at"].timestamp()
        sent_at = time.time()
        answer = self.client.request("POST", f"/plans/{explain['id']}/approve")
        if "execution_plan_id" not in answer:
            raise RuntimeError(f"The approval was answered with {answer}")
        execute = self._await_step("id = %s", answer["execution_plan_id"], wanted="completed")
        decided = self._step("id = %s", explain["id"])
        assert decided is not None
        return (
            self._explain_parts(explain, committed_at, pending_at),
            self._execute_parts(execute, sent_at, decided["decided_at"].timestamp()),
            explain["plan_output"],
        )

    def _step(self, condition: str, *values: Any) -> dict[str, Any] | None:
        return self.database.row(f"SELECT * FROM dagctl_plan_step WHERE {condition}", *values)

    def _await_step(self, condition: str, *values: Any, wanted: str) -> dict[str, Any]:
        def settled() -> dict[str, Any] | None:
            row = self._step(condition, *values)
            return row if row is not None and row["status"] != "running" else None

        step = await_value(settled, SECONDS, f"A step that is {wanted}")
        if step["status"] != wanted:
            raise RuntimeError(f"The {step['plan_type']} is {step['status']}: {step['error_message']}")
        return step

    def _tasks(self, step: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        rows = self.database.rows(
            "SELECT task_id, queued_dttm, start_date, end_date FROM task_instance WHERE dag_id = %s AND run_id = %s",
            step["dag_id"],
            step["run_id"],
        )
        return {row["task_id"]: row for row in rows}

    def _runner_seconds(self, step: Mapping[str, Any], task_id: str) -> float:
        row = self.database.row(
            "SELECT value FROM xcom WHERE dag_id = %s AND run_id = %s AND task_id = %s AND key = 'result'",
            step["dag_id"],
            step["run_id"],
            task_id,
        )
        assert row is not None
        value = json.loads(row["value"]) if isinstance(row["value"], str) else row["value"]
        return float(value["timings"]["total"])

    def _explain_parts(self, step: Mapping[str, Any], committed_at: float, pending_at: float) -> Step:
        dag_run = self.database.row(
            "SELECT queued_at FROM dag_run WHERE dag_id = %s AND run_id = %s", step["dag_id"], step["run_id"]
        )
        assert dag_run is not None
        made, queued = step["created_at"].timestamp(), dag_run["queued_at"].timestamp()
        return self._step_parts(step, "explain", [committed_at, made, queued], pending_at)

    def _execute_parts(self, step: Mapping[str, Any], sent_at: float, decided_at: float) -> Step:
        gate_end = self._tasks(step)["await_approval"]["end_date"].timestamp()
        return self._step_parts(step, "execute", [sent_at, decided_at, gate_end], step["finished_at"].timestamp())

    def _step_parts(self, step: Mapping[str, Any], task_id: str, first: list[float], ended_at: float) -> Step:
        task = self._tasks(step)[task_id]
        runner = self._runner_seconds(step, task_id)
        moments = [*first, *(task[name].timestamp() for name in ("queued_dttm", "start_date", "end_date")), ended_at]
        spans = [after - before for before, after in itertools.pairwise(moments)]
        parts = dict(zip(PARTS, [*spans[:4], spans[4] - runner, runner, spans[5]], strict=True))
        return Step(moments[-1] - moments[0], parts)


def measure(stack: Stack, number: int, rounds: int) -> Size:
    """All rounds of one size."""
    size = Size(number)
    files = models(number)
    ours = Repository(stack.home / "repositories" / f"models-{number}")
    twins = Repository(stack.home / "repositories" / f"twin-{number}")
    ours.commit({"config.yaml": CONFIG}, "Nothing yet")
    client, database = client_of(stack), Database(stack)
    project = make_project(stack, client, ours)
    product = Product(stack, client, database, project)
    with stack.terminal.waiting(f"{number} models: the first commit, in the product and by hand"):
        product.apply(files, "All models")
        row = database.row("SELECT settings FROM dagctl_plan_step WHERE project_id = %s LIMIT 1", project.id)
        assert row is not None
        twin = Twin(stack, twins, row["settings"])
        twin.apply(twins.commit(files, "All models"))
    for round_number in range(rounds):
        message = f"Change {round_number + 1}"
        changed = models(number, {changed_model(round_number, number): round_number + 1})
        with stack.terminal.waiting(f"{number} models: round {round_number + 1} of {rounds}"):
            # In turns who goes first, so that a machine that gets slower or faster favours nobody.
            if round_number % 2:
                by_hand = twin.apply(twins.commit(changed, message))
                explain, execute, output = product.apply(changed, message)
            else:
                explain, execute, output = product.apply(changed, message)
                by_hand = twin.apply(twins.commit(changed, message))
        explain.by_hand, execute.by_hand = by_hand[:2]
        size.explains.append(explain)
        size.executes.append(execute)
        _compare(size, message, output, by_hand[2])
    return size


def _compare(size: Size, message: str, ours: Mapping[str, Any], by_hand: Mapping[str, Any]) -> None:
    """Both must have found the same change, and a real one."""
    keys = ("modelsAdded", "modelsModified", "modelsRemoved", "modelsNeedingBackfill")
    found, expected = ([output.get(key) for key in keys] for output in (ours, by_hand))
    if found != expected or not ours.get("modelsModified"):
        size.mistakes.append(f"{size.models} models, {message}: {found} in the product, {expected} by hand")


def report(sizes: list[Size]) -> str:
    """Medians over the rounds, one column per size and step."""
    columns = [
        (f"{size.models}: {name}", steps)
        for size in sizes
        for name, steps in (("commit -> pending", size.explains), ("approve -> completed", size.executes))
    ]
    rows: list[list[Any]] = [
        [f"  {part}", *(median(step.parts[part] for step in steps) for _, steps in columns)] for part in PARTS
    ]
    rows.append(["product", *(median(step.total for step in steps) for _, steps in columns)])
    rows.append(["by hand", *(median(step.by_hand for step in steps) for _, steps in columns)])
    rows.append(["ratio", *(median(step.total / step.by_hand for step in steps) for _, steps in columns)])
    beyond = [median(step.total - RATIO * step.by_hand for step in steps) for _, steps in columns]
    rows.append([f"product - {RATIO} x by hand", *beyond])
    rows.append([f"at most {HOPS:.0f} s", *("yes" if value <= HOPS else "no" for value in beyond)])
    return table(["seconds (medians)", *(name for name, _ in columns)], rows)


def main(options: argparse.Namespace) -> int:
    """Measure all sizes, print."""
    about = machine()
    settings = {"AIRFLOW__DAGCTL__POLLING_INTERVAL": str(options.polling_interval)}
    with fresh_stack("overhead", settings) as stack:
        sizes = [measure(stack, number, options.rounds) for number in options.models]
    print(f"\noverhead: {about}\n{options.rounds} changes per size; polling every {options.polling_interval:g} s\n")
    print(report(sizes))
    verdict = Verdict()
    for size in sizes:
        verdict.require(not size.mistakes, "; ".join(size.mistakes))
        verdict.require(len(size.executes) == options.rounds, f"{size.models} models: rounds are missing")
    print()
    return verdict.tell()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--models", type=int, nargs="+", default=[20, 200], help="sizes of the project (default 20 200)")
    made.add_argument("--rounds", type=int, default=5, help="changes per size (default 5)")
    made.add_argument("--polling-interval", type=float, default=1.0, help="[dagctl] polling_interval in seconds (default 1)")
    made.add_argument("--quick", action="store_true", help="10 models, one change: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--models", "10", "--rounds", "1"]
    run(main, parser())
