"""What is done: projects are made from repositories, planned, approved, executed, run, changed and deleted, over REST and pages.

No task runs. When a step is to end, what its worker would leave is written into Airflow's tables.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from tests.compare.believing import as_left
from tests.compare.doors import Answers, Door
from tests.compare.reading import API, PAGES
from tests.compare.rows import RESULTS
from tests.plan_output.outputs import NOW, dbt_output, small_output

# How long a page may show what it knew before.
_STALE_SECONDS = 0.6
_FILES = {
    "sqlmesh": {
        "config.yaml": "gateways: {local: {connection: {type: duckdb}}}\ndefault_gateway: local\n",
        "models/a.sql": "MODEL (name shop.a); SELECT 1 AS a\n",
    },
    "dbt": {
        "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\n",
        "models/a.sql": "SELECT 1 AS a\n",
    },
}
_WRITTEN = {
    "dagctl_plan_step": "created_at id",
    "dagctl_decision": "created_at step_id decision",
    "dagctl_notification": "created_at event target",
    "dagctl_project_run": "created_at id",
    "dagctl_project": "created_at id",
    "dagctl_artifact": "sha256",
}


def make_repository(folder: Path, kind: str) -> str:
    """A repository whose commits have the same ids each time; its address."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "First commit", _FILES[kind])
    return f"file://{folder}"


def commit(folder: Path, message: str, files: dict[str, str]) -> str:
    """Make a commit; its id."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", message)
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *words: str) -> str:
    who = {"NAME": "Ada", "EMAIL": "ada@example.com", "DATE": NOW.isoformat()}
    names = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **names, **nowhere}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


class Story:
    """A project from its first commit on.

    :param door: Where it is asked.
    :param folder: Of its repository.
    :param tick: Lets the clock go on by a second.
    :param parse: Does what the Dag processor does.
    """

    def __init__(self, door: Door, folder: Path, kind: str, tick: Callable[[], None], parse: Callable[[], None]) -> None:
        self._door = door
        self._folder = folder
        self._kind = kind
        self._tick = tick
        self._parse = parse
        self.project = ""

    def begin(self) -> None:
        """Make the repository and the project."""
        url = make_repository(self._folder, self._kind)
        settings = {"description": "Made by the story", "memory_limit": "4Gi", "run_schedule": "@daily"}
        body = {"name": f"Story {self._kind}", "project_type": self._kind, "repository_url": url, **settings}
        self.project = self.rest("POST", "/projects", json=body)["id"]
        self._parse()

    def rest(self, method: str, path: str, **body: Any) -> Any:
        """Ask over REST, a second after what was asked before."""
        self._tick()
        return self._door.ask(f"story {self._kind}", method, f"{API}{path}", "program", **body).json()

    def page(self, method: str, path: str, **body: Any) -> Any:
        """Ask as a browser does; what is shown is what is true by then."""
        self._tick()
        time.sleep(_STALE_SECONDS)
        headers = {"Sec-Fetch-Site": "same-origin"}
        return self._door.ask(f"story {self._kind}", method, f"{PAGES}{path}", "admin", headers, **body)

    def explained(self, output: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A new plan whose explain has ended."""
        identifier = str(self.rest("POST", f"/projects/{self.project}/plans")["plan_id"])
        result = {"outcome": "succeeded", "digest": "sha256:1", "tool_plan_id": "tool-1", "plan_output": output, **more}
        self._end(identifier, "explain", "success", result)
        found: dict[str, Any] = self.rest("GET", f"/plans/{identifier}")
        return found

    def executed(self, group: str, state: str, **result: Any) -> dict[str, Any]:
        """The newest execution of a plan, ended."""
        step = self.rest("GET", f"/plans/group/{group}/steps")["steps"][-1]
        outcome = {"success": "succeeded"}.get(state, "failed")
        self._end(step["id"], "execute", state, {"outcome": outcome, "models": RESULTS, **result})
        found: dict[str, Any] = self.rest("GET", f"/plans/{step['id']}")
        return found

    def _end(self, step_id: str, task_id: str, state: str, result: dict[str, Any]) -> None:
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.xcom import XComModel

        place = _place_of(step_id)
        left = as_left({**result, "step_id": step_id}, place, task_id)
        with _session() as session:
            XComModel.set(key="result", value=left, task_id=task_id, session=session, **place)
            task = update(TaskInstance).where(
                TaskInstance.dag_id == place["dag_id"], TaskInstance.run_id == place["run_id"], TaskInstance.task_id == task_id
            )
            session.execute(task.values(state=state, try_number=1, start_date=NOW, end_date=NOW))
        take_turn()


def take_turn() -> None:
    """What the controller does all the time, once. It looks for no commits and delivers nothing."""
    from dagctl_provider.controller.runtime import Controller

    Controller("compare").tick()


@contextmanager
def _session() -> Iterator[Any]:
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        yield session


def _place_of(step_id: str) -> dict[str, str]:
    from sqlalchemy import text

    with _session() as session:
        row = session.execute(text("SELECT dag_id, run_id FROM dagctl_plan_step WHERE id = :id"), {"id": step_id}).one()
    return {"dag_id": row.dag_id, "run_id": row.run_id}


def tell(story: Story, output: dict[str, Any]) -> None:
    """Everything that can become of plans and of a project."""
    story.begin()
    project = f"/projects/{story.project}"
    folder = story._folder
    story.rest("GET", f"{project}/sync-status")
    # The first commit is approved with a comment and deployed.
    plan = story.explained(output)
    group = plan["plan_id"]
    story.rest("POST", f"{project}/plans")
    story.page("GET", f"/plans/{group}?action=approve")
    story.rest("POST", f"/plans/{plan['id']}/approve", json={"comment": "Checked with finance."})
    story.rest("POST", f"/plans/{plan['id']}/reject")
    story.page("GET", f"/plans/{group}")
    story.executed(group, "success", timings={"apply": 3.5})
    story.page("GET", f"/plans/{group}")
    story.rest("POST", f"{project}/plans")
    story.rest("POST", f"{project}/run")
    story.rest("GET", f"{project}/runs")
    story.page("GET", f"/projects/{story.project}")
    # The second fails, is retried and stopped, and its approval withdrawn.
    commit(folder, "Second commit", {"models/b.sql": "SELECT 2 AS b\n"})
    plan = story.explained(output, digest="sha256:2")
    story.page("POST", f"/plans/{plan['plan_id']}/approve", data={"step": plan["id"], "comment": ""})
    error = {"code": "model_failed", "message": "b is <gone>", "hint": "Correct it."}
    failed = story.executed(plan["plan_id"], "failed", error=error)
    again = story.rest("POST", f"/plans/{failed['id']}/retry")
    story.page("GET", f"/plans/{plan['plan_id']}")
    story.rest("POST", f"/plans/{again['execution_plan_id']}/cancel")
    story.page("GET", f"/plans/{plan['plan_id']}")
    story.rest("POST", f"/plans/{plan['id']}/cancel")
    # The third is rejected on its page, the fourth overtaken by the fifth, which is deleted.
    commit(folder, "Third commit", {"models/b.sql": "SELECT 3 AS b\n"})
    plan = story.explained(output)
    story.page("POST", f"/plans/{plan['plan_id']}/reject", data={"step": plan["id"], "comment": ""})
    story.page("POST", f"/plans/{plan['plan_id']}/reject", data={"step": plan["id"], "comment": "Two years <again>?"})
    story.page("GET", f"/plans/{plan['plan_id']}?said=rejected")
    commit(folder, "Fourth commit\n\nWith a body.", {"models/b.sql": "SELECT 4 AS b\n"})
    plan = story.explained(output)
    commit(folder, "Fifth commit", {"models/b.sql": "SELECT 5 AS b\n"})
    story.rest("POST", f"/plans/{plan['id']}/approve")
    plan = story.explained(output)
    story.rest("GET", f"{project}/plans/pending")
    story.rest("DELETE", f"/plans/{plan['id']}")
    story.rest("GET", f"{project}/plans?limit=50")
    # The project is changed.
    story.rest("PUT", project, json={"description": None, "auto_apply": True, "concurrency_policy": "Forbid"})
    story.page("POST", f"/projects/{story.project}/edit", data={"name": "", "branch": "-x"})
    story.page("POST", "/projects/new", data={"name": "x", "project_type": "dbt", "repository_url": "nowhere"})
    story.page("POST", f"/projects/{story.project}/suspend")
    story.page("POST", f"/projects/{story.project}/resume")
    commit(folder, "Sixth commit", {"models/b.sql": "SELECT 6 AS b\n"})
    story.explained(output, digest="sha256:6")
    story.page("GET", "/projects")
    story.page("GET", "/plans")


def end(story: Story) -> None:
    """Withdraw and delete the project."""
    project = f"/projects/{story.project}"
    for step in story.rest("GET", f"{project}/plans?status=running").get("plans", []):
        story.rest("POST", f"/plans/{step['id']}/cancel")
    story.rest("DELETE", f"{project}/deploy")
    _end_runs()
    story.page("GET", f"/projects/{story.project}")
    story.rest("DELETE", f"{project}/deploy")
    story.rest("POST", f"{project}/deploy")
    story.rest("DELETE", f"{project}/deploy")
    story.rest("DELETE", project)


def _end_runs() -> None:
    """End all Dag runs that Airflow has queued."""
    from airflow.models.dagrun import DagRun

    with _session() as session:
        session.execute(update(DagRun).where(DagRun.state == "queued").values(state="success", start_date=NOW, end_date=NOW))
    take_turn()


OUTPUTS = {"sqlmesh": small_output, "dbt": dbt_output}


def write_letters(answers: Answers, name: str) -> None:
    """What now stands in tables, and in Variables, runs and XComs for Airflow's other processes."""
    from airflow.models.dagrun import DagRun
    from airflow.models.pool import Pool
    from airflow.models.variable import Variable
    from airflow.models.xcom import XComModel

    with _session() as session:
        variables = {row.key: row.get_val() for row in session.execute(select(Variable).order_by(Variable.key)).scalars()}
        runs = session.execute(select(DagRun).order_by(DagRun.id)).scalars()
        confs = {f"{run.dag_id} {run.run_id}": [str(run.state), run.conf] for run in runs if run.conf}
        query = select(XComModel).order_by(XComModel.dag_id, XComModel.run_id, XComModel.task_id, XComModel.key)
        xcoms = [
            [row.dag_id, row.run_id, row.task_id, row.key, XComModel.deserialize_value(row)]
            for row in session.execute(query).scalars()
            if row.key != "progress"
        ]
        pools = [[pool.pool, pool.slots] for pool in session.execute(select(Pool).order_by(Pool.pool)).scalars()]
    answers.write_json(f"letters/{name} variables", {key: _parsed(value) for key, value in variables.items()})
    answers.write_json(f"letters/{name} confs", confs)
    answers.write_json(f"letters/{name} xcoms", xcoms)
    answers.write_json(f"letters/{name} pools", pools)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def write_tables(answers: Answers, name: str, tables: Any) -> None:
    """What the product's tables hold, notifications among it, without what is null: of that, versions may have more or less."""
    for table, order in _WRITTEN.items():
        rows = [{key: value for key, value in row.items() if value is not None} for row in tables.rows(table, order)]
        answers.write_json(f"tables/{name} {table}", rows)
