"""What there is to attack: plans in every state, the connections with planted passwords, the letters of genuine runs."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from benchmarks.attacks.airflows import Person
from benchmarks.attacks.repositories import MART, Spied, mart_files
from benchmarks.common import Database, await_value
from benchmarks.common_projects import Repository, client_of
from demo.options import DemoError
from demo.stack import Stack

SECONDS = 240.0
WAITING = ("pending", "pending2", "pending3")
"""Plans that wait, each in a project of its own: most attacks are about such a plan, and take turns."""

_LETTERS = ("explain", "await_approval", "execute")
_REPORTS = ("result", "progress", "artifacts", "pod")
_FOREIGN = ("payroll_db", "dagctl_other", "git_other", "state_other")


@dataclass(frozen=True)
class Genuine:
    """A plan that dagctl made, as it was before anybody attacked it.

    :param statuses: Of its steps, by id.
    :param letters: XComs of its run as they are in the end, by task and key.
    :param seen: All XComs that its run ever had: every role may have read them.
    :param shown: What its page says, and what is asked in Required Actions.
    """

    kind: str
    project: str
    label: str
    commit: str
    explain_id: str
    dag_id: str
    run_id: str
    conf: dict[str, Any]
    statuses: dict[str, str] = field(default_factory=dict)
    letters: dict[tuple[str, str], Any] = field(default_factory=dict)
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether it is left waiting for a decision."""
        return self.kind in WAITING


class Scene:
    """One Airflow with everything in it.

    :param stack: Running.
    :param admin: Prepares, and puts right again what an attack has changed.
    """

    def __init__(self, stack: Stack, admin: Person) -> None:
        self.stack, self.admin = stack, admin
        self.client = client_of(stack)
        self.marks, self.warehouses = stack.home / "marks", stack.home / "warehouses"
        self.marks.mkdir()
        self.marks.chmod(0o1777)
        self.planted = {name: f"PLANTED-{name}-{secrets.token_hex(8)}" for name in _FOREIGN}
        self.repositories: dict[str, Spied] = {}
        self.projects: dict[str, dict[str, Any]] = {}
        self.genuine: dict[str, Genuine] = {}
        self.mart: Repository
        self.evil = Spied(stack.home / "repositories", "evil", self.warehouses / "evil.duckdb", self.marks)
        self.old_variable = ""
        self._numbers, self._local = itertools.count(1), threading.local()

    @property
    def database(self) -> Database:
        """A connection of this thread's own."""
        if not hasattr(self._local, "database"):
            self._local.database = Database(self.stack)
        made: Database = self._local.database
        return made

    # Preparing

    def prepare(self) -> None:
        """Make all plans, several projects at a time, and plant the passwords."""
        self._plant()
        for name in (*WAITING, "completed", "rejected", "cancelled", "failed", "race", "clock"):
            self._make_project(name)
        self._make_mart()
        makers: list[Callable[[], object]] = [
            partial(self.renew, kind) for kind in ("completed", *WAITING, "rejected", "cancelled", "failed")
        ]
        makers.insert(1, self._deploy_clock)
        with ThreadPoolExecutor(3) as pool:
            for done in [pool.submit(make) for make in makers]:
                done.result()

    def _plant(self) -> None:
        secret = self.planted
        database: dict[str, Any] = {"conn_type": "postgres", "host": "127.0.0.1", "port": 5432, "schema": "payroll"}
        self.connection("payroll_db", **database, login="payroll", password=secret["payroll_db"])
        self.connection("state_other", **database, login="state", password=secret["state_other"])
        self.connection("git_other", conn_type="dagctl", password=secret["git_other"])
        self.connection("dagctl_other", conn_type="dagctl", extra=json.dumps({"env": {"TOKEN": secret["dagctl_other"]}}))

    def connection(self, name: str, **fields: Any) -> None:
        """Make an Airflow connection, or make it again."""
        self.admin.ask("DELETE", f"/api/v2/connections/{name}")
        self.admin.ask("POST", "/api/v2/connections", {"connection_id": name, **fields}).raise_for_status()

    def own_connection(self, project: str) -> None:
        """The connection of a project, with a password that its own steps may know."""
        self.admin.ask("DELETE", f"/api/v2/connections/dagctl_{project}_explain")
        self.connection(f"dagctl_{project}", conn_type="dagctl", extra=json.dumps({"env": {"OWN": f"own-of-{project}"}}))

    def _make_project(self, name: str) -> None:
        spied = Spied(self.stack.home / "repositories", name, self.warehouses / f"{name}.duckdb")
        spied.commit(f"{name}-0")
        self.own_connection(name)
        body: dict[str, Any] = {"name": name, "repository_url": spied.repository.url, "suspended": name != "clock"}
        if name == "clock":
            # Airflow makes backfills of Dags with a schedule only; this one is never due while attacks are played.
            body["run_schedule"] = "0 5 1 1 *"
        self.repositories[name] = spied
        self.projects[name] = self.client.request("POST", "/projects", body)

    def _make_mart(self) -> None:
        self.mart = Repository(self.stack.home / "repositories" / MART)
        self.mart.commit(mart_files(self.warehouses, 0), "mart-0")
        self.own_connection(MART)
        body = {"name": MART, "repository_url": self.mart.url, "suspended": True, "project_type": "dbt"}
        self.projects[MART] = self.client.request("POST", "/projects", body)

    # Plans

    def planned(self, project: str, broken: bool = False) -> Genuine:
        """A new commit, and its plan that has just begun."""
        label = f"{project}-{next(self._numbers)}"
        return self._planned(project, label, self.repositories[project].commit(label, broken=broken))

    def planned_mart(self, needy: bool) -> tuple[Genuine, int]:
        """A new commit of the dbt project, its plan that has just begun, and its number.

        :param needy: Whether a model of it fails without a file.
        """
        number = next(self._numbers)
        commit = self.mart.commit(mart_files(self.warehouses, number, needy), f"{MART}-{number}")
        return self._planned(MART, f"{MART}-{number}", commit), number

    def _planned(self, project: str, label: str, commit: str) -> Genuine:
        made = self.client.request("POST", f"/projects/{self.projects[project]['id']}/plans")
        if made["status"] != "new" and "plan_id" not in made:
            raise DemoError(f"The commit {label} was not planned: {made}", "This is a bug of the benchmark.")
        step = self._row(made["plan_id"])
        run = await_value(lambda: self._run(step["group_id"]), SECONDS, f"The run of {label}")
        dag_id = str(run["dag_id"])
        return Genuine(project, project, label, commit, str(made["plan_id"]), dag_id, str(step["group_id"]), dict(run["conf"]))

    def is_intact(self, plan: Genuine) -> bool:
        """Whether a plan still is what later attacks expect to find."""
        if self.statuses(plan) != plan.statuses or _kept(self.letters(plan)) != _kept(plan.letters):
            return False
        return not plan.waits or self.task(plan.run_id, "await_approval") in ("awaiting_input", "deferred")

    def task(self, run_id: str, task_id: str) -> str | None:
        """State of a task of a run of a plan Dag; ``None`` when there is no such run."""
        row = self.database.row("SELECT state FROM task_instance WHERE run_id = %s AND task_id = %s", run_id, task_id)
        return row["state"] if row else None

    def _row(self, step_id: str) -> dict[str, Any]:
        row = self.database.row("SELECT * FROM dagctl_plan_step WHERE id = %s", step_id)
        assert row is not None
        return row

    def _run(self, run_id: str) -> dict[str, Any] | None:
        return self.database.row("SELECT dag_id, conf FROM dag_run WHERE run_id = %s AND dag_id NOT LIKE '%%__run'", run_id)

    def await_step(self, step_id: str, *wanted: str) -> None:
        """Wait until a step has one of the states.

        :raises DemoError: when it ends otherwise.
        """
        status = str(await_value(lambda: self._settled(step_id), SECONDS, f"The end of {step_id}")["status"])
        if status not in wanted:
            raise DemoError(f"{step_id} is {status} rather than {' or '.join(wanted)}", self.client.logs(step_id)[-2000:])

    def _settled(self, step_id: str) -> dict[str, Any] | None:
        row = self._row(step_id)
        return row if row["status"] != "running" else None

    def renew(self, kind: str) -> Genuine:
        """Make the plan of a kind, in the state that the kind is named for; the earlier one is history then."""
        if kind == "older":
            # There is a newer one only once there is an older one.
            return self.renew("completed")
        if kind == "completed":
            older = self._ended(self.planned("completed"), "completed")
            self.genuine["older"] = replace(older, kind="older")
        made = self._ended(self.planned(kind, broken=kind == "failed"), kind)
        self.genuine[kind] = made
        return made

    def _ended(self, plan: Genuine, kind: str) -> Genuine:
        self.await_step(plan.explain_id, "failed" if kind == "failed" else "pending")
        self.await_gate(plan)
        seen = self.letters(plan)
        if kind == "completed":
            self.await_step(self.client.request("POST", f"/plans/{plan.explain_id}/approve")["execution_plan_id"], "completed")
        elif kind == "rejected":
            self.client.request("POST", f"/plans/{plan.explain_id}/reject")
        elif kind == "cancelled":
            execute = self.client.request("POST", f"/plans/{plan.explain_id}/approve")["execution_plan_id"]
            seen |= self.letters(plan)
            self.client.request("POST", f"/plans/{execute}/cancel")
        if kind not in WAITING:
            await_value(lambda: self._over(plan.run_id), SECONDS, f"The end of the run of {plan.label}")
        letters = self.letters(plan)
        # Of a plan that was cancelled, what was seen while it was approved says more than what is there in the end.
        seen = {**letters, **seen} if kind == "cancelled" else {**seen, **letters}
        return replace(plan, statuses=self.statuses(plan), letters=letters, seen=seen, shown=self.shown(plan))

    def await_gate(self, plan: Genuine) -> None:
        """Wait until the approval is asked for, if it will be."""
        query = "SELECT state FROM task_instance WHERE run_id = %s AND task_id = 'await_approval'"
        over = ("awaiting_input", "deferred", "success", "failed", "skipped", "upstream_failed")
        await_value(
            lambda: (self.database.row(query, plan.run_id) or {}).get("state") in over, SECONDS, f"The gate of {plan.label}"
        )

    def _over(self, run_id: str) -> bool:
        row = self.database.row("SELECT state FROM dag_run WHERE run_id = %s", run_id)
        return row is not None and row["state"] in ("success", "failed")

    def _deploy_clock(self) -> None:
        """Two deployments of the project that has runs; what was published for the first one is kept."""
        for _ in range(2):
            plan = self._ended(self.planned("clock"), "completed")
            self.old_variable = self.old_variable or self.variable(plan.dag_id)
            self.genuine["clock"] = plan

    # Looking

    def variable(self, key: str) -> str:
        """An Airflow Variable."""
        return str(self.admin.ask("GET", f"/api/v2/variables/{key}").json()["value"])

    def statuses(self, plan: Genuine) -> dict[str, str]:
        """What dagctl says of the steps of a plan."""
        return {step["id"]: step["status"] for step in self.client.steps(plan.run_id)}

    def shown(self, plan: Genuine) -> dict[str, Any]:
        """What dagctl shows of a plan."""
        step = self.client.plan(plan.explain_id)
        shown = {name: step.get(name) for name in ("plan_output", "digest", "commit_message", "commit_sha")}
        path = f"/api/v2/dags/{plan.dag_id}/dagRuns/{plan.run_id}/taskInstances/await_approval/-1/hitlDetails"
        answer = self.admin.ask("GET", path)
        if plan.waits and answer.is_success:
            shown["asked"] = [answer.json()[name] for name in ("subject", "body")]
        return shown

    def letters(self, plan: Genuine) -> dict[tuple[str, str], Any]:
        """All XComs of a plan's run, as anybody reads them who may see the Dag."""
        found: dict[tuple[str, str], Any] = {}
        for task in _LETTERS:
            path = f"/api/v2/dags/{plan.dag_id}/dagRuns/{plan.run_id}/taskInstances/{task}/xcomEntries"
            for entry in self.admin.ask("GET", path).json().get("xcom_entries", []):
                value = self.admin.ask("GET", f"{path}/{entry['key']}").json()["value"]
                found[task, entry["key"]] = _plain(value)
        return found


def _kept(letters: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """The letters that no try of a task writes anew, and of the result what an approval is bound to."""
    kept = {place: value for place, value in letters.items() if place[0] != "await_approval" and place[1] not in _REPORTS}
    return {**kept, ("explain", "digest"): (letters.get(("explain", "result")) or {}).get("digest")}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
