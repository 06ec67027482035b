"""What `make demo` and `make serve` do, step by step, with the stack up."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from dagctl_provider.domain.names import PAGES
from dagctl_provider.domain.tools import tool_of
from dagctl_provider.plan_output.models import models_of
from dagctl_provider.plan_output.parts import MARK_TITLES, ModelChange
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.plan_output.summaries import load_text
from demo.client import Client
from demo.options import DemoError
from demo.processes import write_private
from demo.repository import Repository
from demo.samples import Sample
from demo.stack import USERNAME, Stack
from demo.terminal import Terminal
from demo.warehouse import Table, Warehouse, require_revenue, revenue_by_city

PROJECT = "analytics"
_JOB = "nightly"
_MODELS = 12
_STEP_SECONDS = 300.0
_DETECTION_SECONDS = 180.0


class Show:
    """The sample project in a running stack.

    :param stack: The stack, healthy.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.terminal: Terminal = stack.terminal
        access = json.loads((stack.home / "access.json").read_text())
        self.organization_id: str = access["organization_id"]
        self.token: str = access["token"]
        self.client = Client(stack.base_url, self.token, self.organization_id)
        self.sample: Sample = stack.sample
        self.repository = Repository(stack.home / "repository", self.sample)
        self.warehouse_path = stack.home / "warehouse.duckdb"
        self._warehouse: Warehouse | None = None

    @property
    def warehouse(self) -> Warehouse:
        """The sample's warehouse."""
        if self._warehouse is None:
            self._warehouse = Warehouse(self.warehouse_path, self.stack.tool_python())
        return self._warehouse

    # The parts of the show

    def make_project(self) -> str:
        """Repository, the connection with what the project's steps may know, and the project itself.

        :return: Id of the project.
        """
        self.terminal.heading(f"A {self.sample.label} project in a git repository")
        sha = self.repository.create()
        self.terminal.done(f"{self.repository.path} at {sha[:7]}, with {self.sample.contents}")
        self._make_connection()
        self.terminal.done(f"Airflow connection dagctl_{PROJECT}: tells the steps of this project where the warehouse is")
        body = {
            "name": PROJECT,
            "description": "What the shop sold",
            "project_type": self.sample.kind,
            "repository_url": self.repository.url,
            "branch": "main",
            "run_tests": True,
            **self.sample.project,
        }
        project = self.client.request("POST", "/projects", body)
        facts = [str(project["id"]), f"{self.sample.label} {project[f'{self.sample.kind}_version']}"]
        facts += ["a state database of its own"] if project.get("use_managed_state_database") else []
        self.terminal.done(f"POST /api/v1/projects: {', '.join(facts)}, deployed")
        return str(project["id"])

    def write_information(self, project_id: str) -> None:
        """Write ``demo.json``: all that a client needs, readable by its owner only."""
        information = {
            "kind": self.sample.kind,
            "base_url": self.stack.base_url,
            "organization_id": self.organization_id,
            "token": self.token,
            "project_id": project_id,
            "repository_path": str(self.repository.path),
            "warehouse_path": str(self.warehouse_path),
            "username": USERNAME,
            "password": self.stack.secrets()["admin_password"],
        }
        write_private(self.stack.information_file, json.dumps(information, indent=2) + "\n")

    def _make_connection(self) -> None:
        extra = json.dumps({"env": {"WAREHOUSE_PATH": str(self.warehouse_path)}})
        body = {"connection_id": f"dagctl_{PROJECT}", "conn_type": "dagctl", "extra": extra}
        answer = httpx.post(
            f"{self.stack.base_url}/api/v2/connections", json=body, headers=self.stack.airflow_login(), timeout=60
        )
        if answer.is_error:
            raise DemoError(f"Airflow refused the connection: {answer.text[:300]}", "This is a bug.")

    def first_plan(self, project_id: str) -> None:
        """Explain, approve and execute the first commit."""
        self.terminal.heading("The first plan")
        made = self.client.request("POST", f"/projects/{project_id}/plans")
        plan = self._explained(str(made["plan_id"]))
        self._summarise(plan, diff=False)
        self._approve(plan)
        self._executed(plan)
        found = {str(city): float(revenue) for city, revenue in self.warehouse.query(self.sample.before).rows}
        require_revenue(found, revenue_by_city(self.repository.path / "seeds", discounts=False))

    def second_commit(self) -> str:
        """A commit that changes one model and adds another.

        :return: Full id of the commit.
        """
        self.terminal.heading("A colleague commits")
        sha = self.repository.change()
        self.terminal.done(f"git commit: {sha[:7]} on main")
        for line in self.repository.stat():
            self.terminal.detail(line.strip())
        return sha

    def detected_plan(self, project_id: str, sha: str) -> dict[str, Any]:
        """Wait until the commit has been found and explained, and show what it would do."""
        self.terminal.heading("The plan makes itself")
        deadline = time.monotonic() + _DETECTION_SECONDS
        with self.terminal.waiting("The commit is found by polling") as waiting:
            while True:
                found = [
                    plan
                    for plan in self.client.plans(project_id)
                    if plan["plan_type"] == "explain" and plan["to_commit_sha"] == sha[:7]
                ]
                if found:
                    break
                if time.monotonic() > deadline:
                    raise DemoError(
                        "The new commit was not found by polling.", f"See {self.stack.processes.log_of('api-server')}"
                    )
                waiting.tick()
                time.sleep(0.3)
        if found[0]["triggered_by"] != "git_polling":
            raise DemoError(f"The plan was made by {found[0]['triggered_by']}, not by polling.", "This is a bug.")
        plan = self._explained(str(found[0]["id"]))
        self._summarise(plan, diff=True)
        output = plan["plan_output"]
        wanted = dict(self.sample.wanted)
        seen = {key: sorted(output.get(key) or []) for key in wanted}
        if seen != wanted or output["modelsAdded"] != 1:
            raise DemoError(f"The plan shows {seen} instead of {wanted}.", "This is a bug.")
        return plan

    def approve(self, plan: Mapping[str, Any]) -> None:
        """Approve over REST, as ONCE=1 does."""
        self.terminal.heading("Approved by itself (ONCE=1)")
        self._approve(plan)

    def wait_for_decision(self, plan: Mapping[str, Any]) -> bool:
        """Tell how to decide, and wait for it however long it takes.

        :return: Whether the plan was approved.
        """
        line, style = self.terminal.line, self.terminal.style
        required, password = f"{self.stack.base_url}/required_actions", self.stack.secrets()["admin_password"]
        self.terminal.heading("Your turn: approve it, or reject it")
        line()
        line(f"  {style('On its page', 'bold')}  {style(self._page(plan), 'cyan')}")
        line(f"  {style('In Airflow', 'bold')}   {style(required, 'cyan')}, Required Actions")
        line(f"               user {style(USERNAME, 'bold')}, password {style(password, 'bold')}")
        line()
        line(f"  {style('Over REST', 'bold')}    {self.client.approve_command(str(plan['id']))}")
        line()
        with self.terminal.waiting("A decision (Ctrl-C ends the demo)") as waiting:
            while (now := self.client.plan(str(plan["id"])))["status"] == "pending":
                waiting.tick()
                time.sleep(0.5)
            waiting.text = f"{now['status']} by {now.get('decided_by', 'nobody')}"
        return bool(now["status"] == "approved")

    def second_execution(self, plan: Mapping[str, Any]) -> None:
        """Follow the execution and show the new rows."""
        self._executed(plan)
        self.terminal.heading(f"New in the warehouse: {self.sample.added_model}")
        table = self.warehouse.query(self.sample.after)
        for line in table.lines():
            self.terminal.detail(line)
        found = {str(row[0]): float(row[3]) for row in table.rows}
        require_revenue(found, revenue_by_city(self.repository.path / "seeds", discounts=True))
        before = sum(revenue_by_city(self.repository.path / "seeds", discounts=False).values())
        self.terminal.done(
            f"Revenue is {sum(found.values()):,.2f} now, and was {before:,.2f}: the same as counted from the seed files by hand"
        )

    def job_run(self, project_id: str) -> None:
        """Make a job, run it once, and say what the models of the project took."""
        self.terminal.heading("A job of its own, and what took how long")
        body = {"name": _JOB, "command": self.sample.job, "schedule": "30 6 * * *"}
        job = self.client.request("POST", f"/projects/{project_id}/jobs", body)
        self.terminal.done(f"POST /api/v1/projects/{project_id}/jobs: {job['id']}, '{job['command']}', each day at 06:30")
        started = self.client.request("POST", f"/jobs/{job['id']}/run")
        run = self._ended(str(started["job_run_id"]))
        if run["status"] != "success":
            raise DemoError(f"Run {run['id']} ended as {run['status']}: {run.get('error_message')}", "Its log says more.")
        page = f"{self.stack.base_url}{PAGES}/projects/{project_id}"
        self.terminal.line(f"  {self.terminal.style(page + '/runs/' + str(run['id']), 'cyan')}")
        answer = self.client.request("GET", f"/projects/{project_id}/model-executions/stats?days=1&limit={_MODELS}")
        for line in model_times(answer["model_stats"]).lines():
            self.terminal.detail(line)
        self.terminal.done(f"What each model took, by plans and runs together; slowest and slower ones: {page}/models")

    def _ended(self, run_id: str) -> dict[str, Any]:
        with self.terminal.waiting(f"Run {run_id}") as waiting:
            deadline = time.monotonic() + _STEP_SECONDS
            while (run := self.client.request("GET", f"/runs/{run_id}"))["status"] in ("pending", "running"):
                if time.monotonic() > deadline:
                    raise DemoError(f"Run {run_id} is still {run['status']}.", "See the scheduler's log.")
                waiting.tick()
                time.sleep(0.5)
            waiting.text = f"Run {run_id}: {run['status']}"
        return run

    # Helpers

    def _approve(self, plan: Mapping[str, Any]) -> None:
        answer = self.client.request("POST", f"/plans/{plan['id']}/approve")
        if "execution_plan_id" not in answer:
            raise DemoError(f"The approval was not taken: {answer.get('message')}", str(answer.get("reason") or "See the plan."))
        self.terminal.done(f"POST /api/v1/plans/{plan['id']}/approve: {answer['message']}")

    def _explained(self, plan_id: str) -> dict[str, Any]:
        plan = self._follow("Explain", plan_id)
        if plan["status"] != "pending":
            raise _failed(plan)
        return plan

    def _executed(self, plan: Mapping[str, Any]) -> None:
        execution = [step for step in self.client.steps(str(plan["plan_id"])) if step["plan_type"] == "execute"][-1]
        finished = self._follow("Execute", str(execution["id"]))
        if finished["status"] != "completed":
            raise _failed(finished)

    def _follow(self, what: str, plan_id: str) -> dict[str, Any]:
        with self.terminal.waiting(f"{what} {plan_id}") as waiting:
            plan = self.client.follow(
                plan_id,
                _STEP_SECONDS,
                self._show_log,
                waiting.tick,
            )
            waiting.text = f"{what} {plan_id}: {plan['status']}"
        return plan

    def _show_log(self, lines: list[str]) -> None:
        for line in lines:
            self.terminal.detail(self.terminal.style(line, "dim"))

    def _summarise(self, plan: Mapping[str, Any], diff: bool) -> None:
        """The plan in the words of its page, whose address comes first."""
        style = self.terminal.style
        commit = f"{plan.get('from_commit_sha', 'nothing')} -> {plan['to_commit_sha']}"
        self.terminal.line()
        self.terminal.line(f"  {style(self._page(plan), 'cyan')}")
        self.terminal.line(f"  {style(commit, 'bold')}  {plan.get('commit_message', '').splitlines()[0]}")
        for line in summary_lines(plan):
            self.terminal.line(f"  {line}")
        if not diff:
            return
        output = explained(plan["plan_output"])
        diffs = {model.name: model.diff or "" for model in output.models}
        for model in models_of(output, tool_of(self.sample.kind)):
            self._show_model(model, diffs[model.name])
        for warning in output.warnings:
            self.terminal.line()
            self.terminal.line(f"  {style('!', 'yellow', 'bold')} {warning}")
        self.terminal.line()

    def _page(self, plan: Mapping[str, Any]) -> str:
        return f"{self.stack.base_url}{PAGES}/plans/{plan['plan_id']}"

    def _show_model(self, model: ModelChange, diff: str) -> None:
        style = self.terminal.style
        mark, colour = {"added": ("+", "green"), "removed": ("-", "red")}.get(model.mark, ("~", "yellow"))
        self.terminal.line()
        self.terminal.line(f"  {style(f'{mark} {model.name}', colour, 'bold')}  {model_facts(model, self.sample.kind)}")
        if model.mark == "added":
            return
        for line in diff.splitlines():
            self.terminal.line(f"      {style(line, {'+': 'green', '-': 'red'}.get(line[:1], 'dim'))}")


def model_times(models: Sequence[Mapping[str, Any]]) -> Table:
    """What models took, as a table."""
    rows = [
        [one["model_name"], one["total_executions"], _seconds(one.get("avg_duration")), _seconds(one["total_duration"])]
        for one in models
    ]
    return Table(["model", "ran", "average", "together"], rows)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


def summary_lines(plan: Mapping[str, Any]) -> list[str]:
    """What the API says of a plan, and exactly what a dbt execute will run."""
    output = plan["plan_output"]
    lines = [f"environment {output['environment']}: {plan['summary']}"]
    selection = output.get("selection") or {}
    if selection:
        lines.append(" ".join(["dbt build", *selection.get("arguments", [])]))
    return lines


def model_facts(model: ModelChange, kind: str) -> str:
    """What a line says of a model beside its name, in the words of the page."""
    facts = (
        MARK_TITLES[model.mark].lower(),
        model.about,
        load_text(model, tool_of(kind).loading, "now"),
        ", ".join(model.intervals),
    )
    return ", ".join(filter(None, facts))


def _failed(plan: Mapping[str, Any]) -> DemoError:
    error = plan.get("error") or {}
    return DemoError(
        f"The {plan['plan_type']} step {plan['id']} is {plan['status']}: {error.get('message', 'no reason given')}",
        str(error.get("hint") or "Read its log above."),
    )
