"""The rows that pages and REST show: projects and plans in every state, written straight into the tables.

Only the columns named here are written, and of those only the ones that a version has.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, MetaData

from tests.plan_output.outputs import NOW, dbt_output, hostile_output, large_output, small_output

ORGANIZATION = "org-0001"
ELSEWHERE = "org-0002"
DEPLOYED = "a1b2c3d" + "0" * 33
COMMIT = "f6e5d4c" + "0" * 33
LATEST = "9e8f7a6" + "0" * 33


class Tables:
    """The tables of a database as they are, whatever a version has.

    :param connection: In whose transaction rows are written.
    """

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self._connection = connection
        self._metadata = MetaData()
        self._metadata.reflect(engine)

    def insert(self, table: str, **values: Any) -> None:
        """Write a row, without the columns that the table does not have; none where there is no such table."""
        found = self._metadata.tables.get(table)
        if found is None:
            return
        known = {name: _stored(value) for name, value in values.items() if name in found.columns}
        self._connection.execute(found.insert().values(**known))

    def has(self, table: str) -> bool:
        """Whether the version has such a table."""
        return table in self._metadata.tables

    def insert_airflow(self, table: str, **values: Any) -> None:
        """Write a row of Airflow's, which is the same for both versions, with the defaults that Airflow gives."""
        from airflow.models.base import Base

        self._connection.execute(Base.metadata.tables[table].insert().values(**values))

    def rows(self, table: str, order: str) -> Iterator[dict[str, Any]]:
        """All rows of a table, in order of some columns."""
        found = self._metadata.tables[table]
        columns = [found.columns[name] for name in order.split()]
        yield from (dict(row._mapping) for row in self._connection.execute(found.select().order_by(*columns)))


def _stored(value: Any) -> Any:
    """SQLite knows no time zones; Airflow stores times in UTC."""
    return value.astimezone(timezone.utc).replace(tzinfo=None) if isinstance(value, datetime) else value


def ago(**span: float) -> datetime:
    """A moment before the present of the comparison."""
    return NOW - timedelta(**span)


def _project(name: str, **values: Any) -> dict[str, Any]:
    kind = values.get("project_type", "sqlmesh")
    settings = {
        "sqlmesh": {"sqlmesh_environment": "prod", "sqlmesh_version": "0.236.4", "run_tests": True},
        "dbt": {"dbt_target": "prod", "dbt_version": "1.10.13", "python_version": "3.12", "version_strategy": "continuous"},
    }[kind]
    return {
        "id": f"proj_{name}",
        "organization_id": ORGANIZATION,
        "name": name,
        "name_key": name,
        "project_type": kind,
        "repository_url": f"https://github.com/acme/{name}",
        "branch": "main",
        "dag_id": f"dagctl__{name}",
        "deployed": True,
        "deployed_at": ago(days=89),
        "current_commit_sha": DEPLOYED,
        "latest_commit_sha": COMMIT,
        "latest_commit_message": "Take discounts off",
        "commits_behind": 2,
        "last_synced_at": ago(minutes=1),
        "created_at": ago(days=90),
        "updated_at": ago(days=2),
        **values,
        "settings": {**settings, **values.get("settings", {})},
    }


PROJECTS = (
    _project(
        "analytics",
        current_tool_version="0.236.4",
        gateways=["local", "warehouse"],
        default_gateway="local",
        settings={"run_schedule": "30 6 * * 1-5", "description": "Orders & revenue", "cpu_request": "500m"},
    ),
    _project("shop", project_type="dbt", current_tool_version="1.10.13", artifacts={"deployed": "ab" * 32}),
    _project("hostile", settings={"description": "<script>alert(1)</script>", "agent_context": "{{ 7*7 }}"}),
    _project("large", latest_commit_sha=DEPLOYED, commits_behind=0),
    _project(
        "gitlab", repository_url="git@gitlab.com:acme/data.git", settings={"git_auth_method": "ssh", "git_secret_ref": "key"}
    ),
    _project("suspended", settings={"suspended": True, "auto_apply": True, "concurrency_policy": "Replace"}),
    _project("new", current_commit_sha=None, latest_commit_sha=None, commits_behind=None, last_synced_at=None),
    _project("broken", sync_error="The branch 'main' does not exist.", project_type="dbt"),
    _project("withdrawn", deployed=False, deployed_at=None),
    _project("foreign", organization_id=ELSEWHERE),
)

RESULTS = [
    {"name": "marts.fct_orders", "status": "succeeded", "started": NOW.timestamp() - 190, "duration": 63.2, "rows": 1200},
    {
        "name": "staging.stg_orders",
        "status": "failed",
        "started": NOW.timestamp() - 180,
        "duration": 1.0,
        "error": "no such table",
    },
    {"name": "staging.stg_discounts", "status": "succeeded", "started": NOW.timestamp() - 170, "duration": 0.02},
    {"name": "marts.daily_revenue", "status": "skipped", "duration": 0},
]
DBT_RESULTS = [
    {"name": "stg_orders", "unique_id": "model.shop.stg_orders", "kind": "model", "status": "succeeded", "duration": 3.0},
    {"name": "not_null_orders", "unique_id": "test.shop.not_null_orders", "kind": "test", "status": "failed", "duration": 1.0},
    {"name": "fct_daily", "unique_id": "model.shop.fct_daily", "kind": "model", "status": "skipped", "duration": 0},
]
PROGRESS = {
    "stage": "apply",
    "expected": {"models": 5, "batches": 40},
    "models": [
        *RESULTS,
        {"name": "reports.board", "status": "running", "started": NOW.timestamp() - 6, "batch": 3, "batches": 30},
    ],
}
FAILURE = {
    "error_code": "model_failed",
    "error_message": 'Binder Error: column "amount" of staging.stg_orders <is> gone',
    "error_hint": "Correct the model, or retry.",
}
_FAILED_TESTS = {"run": 12, "passed": 10, "failed": 2, "names": ["test_a", "test_b"], "output": "AssertionError: 1 != 2"}
_DECIDED = {"decided_at": ago(minutes=6), "decided_by": "Grace Hopper"}


# Name of the group, its project, what differs in the explain step, what differs in each execute step, and the decisions.
GROUPS: tuple[tuple[str, str, dict[str, Any], tuple[dict[str, Any], ...], tuple[str, ...]], ...] = (
    ("waiting", "analytics", {}, (), ()),
    ("explaining", "analytics", {"status": "running", "plan_output": None, "digest": None}, (), ()),
    ("queued", "analytics", {"status": "running", "plan_output": None, "started_at": None, "dispatched_at": None}, (), ()),
    (
        "unclear",
        "analytics",
        {"status": "failed", **FAILURE, "plan_output": {"explain_completed": False, "tests": _FAILED_TESTS}},
        (),
        (),
    ),
    ("refused", "analytics", {"status": "rejected", **_DECIDED}, (), ("rejected",)),
    (
        "overtaken",
        "analytics",
        {"status": "rejected", **_DECIDED, "plan_output": {**small_output(), "auto_discarded": True}},
        (),
        ("discarded",),
    ),
    ("stopped", "analytics", {"status": "cancelled", "plan_output": None, **_DECIDED}, (), ("cancelled",)),
    ("applying", "analytics", {"status": "approved", **_DECIDED}, ({},), ("approved",)),
    (
        "applied",
        "analytics",
        {"status": "approved", **_DECIDED},
        ({"status": "completed", "plan_output": {"models": RESULTS[:1], "timings": {"apply": 61.5}}},),
        ("approved",),
    ),
    (
        "retried",
        "analytics",
        {"status": "approved", **_DECIDED},
        (
            {"status": "failed", **FAILURE, "plan_output": {"models": RESULTS, "already_succeeded": ["marts.fct_orders"]}},
            {"status": "cancelled", "attempt": 2, "retry_of": "plan_retried_1"},
        ),
        ("approved", "retried", "cancelled"),
    ),
    (
        "drifted",
        "analytics",
        {"status": "approved", **_DECIDED},
        ({"status": "failed", **FAILURE, "error_code": "plan_drifted"},),
        ("approved",),
    ),
    (
        "bare",
        "analytics",
        {"plan_output": {**small_output(), "models": [], "has_changes": False}, "commit_message": None},
        (),
        (),
    ),
    ("dbt", "shop", {"plan_output": dbt_output()}, (), ()),
    (
        "dbt_failed",
        "shop",
        {"plan_output": dbt_output(), "status": "approved", **_DECIDED},
        ({"status": "failed", **FAILURE, "plan_output": {"models": DBT_RESULTS, "tests": {"run": 3, "failed": 1}}},),
        ("approved",),
    ),
    ("dbt_applying", "shop", {"plan_output": dbt_output(), "status": "approved", **_DECIDED}, ({},), ("approved",)),
    (
        "hostile",
        "hostile",
        {"plan_output": hostile_output(), "commit_message": "<img src=x onerror=alert(1)>"},
        (),
        ("approved",),
    ),
    ("large", "large", {"plan_output": large_output(1200, 3000)}, (), ()),
    ("gitlab", "gitlab", {"plan_output": {**small_output(), "is_new_environment": True, "models_truncated": 7}}, (), ()),
)


def steps() -> Iterator[dict[str, Any]]:
    """All plan steps, the groups of a project an hour apart."""
    for at, (name, project, explain, executes, _) in enumerate(GROUPS):
        moment = ago(minutes=30, hours=at)
        common: dict[str, Any] = {
            "group_id": f"plangroup_{name}",
            "organization_id": ORGANIZATION,
            "project_id": f"proj_{project}",
            "ref": "main",
            "environment": "prod",
            "from_commit_sha": DEPLOYED,
            "to_commit_sha": COMMIT if name != "overtaken" else LATEST,
            "commit_message": "Take discounts off the revenue of an order\n\nFinance counts revenue after discounts.",
            "commit_author": "Ada Lovelace",
            "committed_at": ago(days=1),
            "commits_behind": 2,
            "settings": {"tool_version": "0.236.4", "run_tests": True, "environment": "prod"},
            "triggered_by": "git_polling",
            "dag_id": f"dagctl__{project}",
            "run_id": f"plangroup_{name}",
            "try_number": 1,
            "attempt": 1,
        }
        yield {
            **common,
            **_times(moment, "pending", seconds=35),
            "id": f"plan_{name}_0",
            "plan_type": "explain",
            "active_key": f"explain:{name}",
            "job_name": f"{project}-plan-explain-20260428-100000",
            "plan_output": small_output(),
            "digest": "sha256:" + "4f" * 32,
            "tool_plan_id": "tool-1",
            **explain,
        }
        for number, values in enumerate(executes, start=1):
            status = values.get("status", "running")
            yield {
                **common,
                **_times(moment + timedelta(minutes=10 * number), status, seconds=200),
                "id": f"plan_{name}_{number}",
                "plan_type": "execute",
                "active_key": f"execute:{name}" if status == "running" else None,
                "status": status,
                "job_name": f"{project}-plan-execute-20260428-100500",
                "pod_name": f"{project}-plan-execute-20260428-100500-x",
                "digest": "sha256:" + "4f" * 32,
                **values,
            }


def _times(moment: datetime, status: str, seconds: float) -> dict[str, Any]:
    ended = None if status in ("running", "pending") else moment + timedelta(seconds=seconds)
    started = moment + timedelta(seconds=5)
    return {
        "status": status,
        "created_at": moment,
        "dispatched_at": moment,
        "started_at": started,
        "updated_at": ended or started,
        "finished_at": ended,
    }


def _fill_project(tables: Tables, project: dict[str, Any]) -> None:
    """A project; where jobs and deployments have tables of their own, also its schedule and what of it is deployed."""
    settings, sha = dict(project["settings"]), project["current_commit_sha"]
    schedule = settings.pop("run_schedule", None)
    stored = {**project, "settings": settings} if tables.has("dagctl_job") else project
    tables.insert("dagctl_project", **stored, current_environment="prod" if sha else None)
    tables.insert(
        "dagctl_job",
        id=project["id"].replace("proj_", "job_"),
        project_id=project["id"],
        default_of=project["id"],
        name="scheduled-run",
        name_key="scheduled-run",
        command="run",
        schedule=schedule,
        enabled=True,
        dag_id=f"{project['dag_id']}__run",
        settings={},
        created_at=project["created_at"],
        updated_at=project["updated_at"],
    )
    if sha:
        tables.insert(
            "dagctl_deployment",
            project_id=project["id"],
            environment="prod",
            ref=project["branch"],
            commit_sha=sha,
            tool_version=project.get("current_tool_version"),
            artifacts=project.get("artifacts"),
            deployed_at=project["updated_at"],
        )


def fill(tables: Tables) -> None:
    """Write all of it."""
    for identifier, name in ((ORGANIZATION, "default"), (ELSEWHERE, "elsewhere")):
        tables.insert("dagctl_organization", id=identifier, name=name, created_at=ago(days=100))
    for project in PROJECTS:
        _fill_project(tables, project)
    for step in steps():
        tables.insert("dagctl_plan_step", **step)
    for name, project, _, _, decisions in GROUPS:
        for at, decision in enumerate(decisions):
            tables.insert(
                "dagctl_decision",
                id=f"dec_{name}_{at}",
                group_id=f"plangroup_{name}",
                step_id=f"plan_{name}_{min(at, 1)}",
                project_id=f"proj_{project}",
                commit_sha=COMMIT,
                decision=decision,
                digest="sha256:" + "4f" * 32,
                actor_kind="user",
                actor_id="7",
                actor_name="Grace Hopper",
                door=("page", "rest", "required_actions")[at % 3],
                comment=("Rebuilds two years of <orders>.", None)[at % 2],
                created_at=ago(minutes=6 - at),
            )
    for at, run in enumerate(RUNS):
        tables.insert(
            "dagctl_project_run",
            id=f"run_{at}",
            project_id=run[0],
            job_id=run[0].replace("proj_", "job_"),
            job_name=f"analytics-scheduled-run-manual-2026042{at}-100000",
            dag_id=run[1],
            run_id=f"run_{at}",
            settings={"tool_version": "0.236.4", "commit_sha": DEPLOYED},
            triggered_by="Grace Hopper",
            created_at=ago(days=at, minutes=3),
            dispatched_at=ago(days=at, minutes=3),
        )
    _fill_airflow(tables)


# Project, Dag, state of the Dag run.
RUNS = (
    ("proj_analytics", "dagctl__analytics__run", "running"),
    ("proj_analytics", "dagctl__analytics__run", "success"),
    ("proj_analytics", "dagctl__analytics__run", "failed"),
    ("proj_shop", "dagctl__shop__run", "queued"),
)
_TASK_STATES = {"running": "running", "failed": "failed", "cancelled": "failed"}


def _fill_airflow(tables: Tables) -> None:
    """What Airflow knows of the Dag runs behind these rows: enough that nothing is settled otherwise when somebody looks."""
    dags = dict.fromkeys(project["dag_id"] for project in PROJECTS)
    tables.insert_airflow("dag_bundle", name="dags-folder", active=True)
    for dag_id in (*dags, *(f"{dag_id}__run" for dag_id in dags)):
        tables.insert_airflow(
            "dag",
            dag_id=dag_id,
            is_paused=dag_id == "dagctl__gitlab__run",
            is_stale=False,
            fileloc="dagctl_dags.py",
            bundle_name="dags-folder",
            max_active_tasks=16,
            has_task_concurrency_limits=False,
            max_consecutive_failed_dag_runs=0,
            timetable_type="",
            next_dagrun=NOW + timedelta(hours=20) if dag_id == "dagctl__analytics__run" else None,
            next_dagrun_create_after=NOW + timedelta(hours=20) if dag_id == "dagctl__analytics__run" else None,
        )
    number = 0
    for step in steps():
        if step["dispatched_at"] is None:
            continue
        number += 1
        task = step["plan_type"]
        if task == "explain":
            run = number
            _dag_run(tables, run, step["dag_id"], step["run_id"], "running", step["created_at"])
        state = _TASK_STATES.get(step["status"], "success")
        if step["attempt"] == 1:
            _task(tables, number, step["dag_id"], step["run_id"], task, state, step)
            if state == "running":
                told = PROGRESS if task == "execute" else {"stage": "load"}
                _xcom(tables, run, step, task, "progress", {"step_id": step["id"], **told})
    for at, (_, dag_id, state) in enumerate(RUNS):
        _dag_run(tables, 500 + at, dag_id, f"run_{at}", state, ago(days=at, minutes=3))
        times = {"started_at": ago(days=at, minutes=3), "finished_at": ago(days=at, minutes=1)}
        _task(tables, 500 + at, dag_id, f"run_{at}", "run", state, times)


def _dag_run(tables: Tables, number: int, dag_id: str, run_id: str, state: str, moment: datetime) -> None:
    ended = moment + timedelta(minutes=2) if state in ("success", "failed") else None
    times = {"queued_at": moment, "start_date": None if state == "queued" else moment, "end_date": ended, "run_after": moment}
    more = {"run_type": "manual", "clear_number": 0, "creating_job_id": None, "updated_at": ended or moment}
    tables.insert_airflow("dag_run", id=number, dag_id=dag_id, run_id=run_id, state=state, conf={}, **times, **more)


def _task(tables: Tables, number: int, dag_id: str, run_id: str, task_id: str, state: str, times: dict[str, Any]) -> None:
    tables.insert_airflow(
        "task_instance",
        id=UUID(f"00000000-0000-7000-8000-{number:012d}"),
        dag_id=dag_id,
        run_id=run_id,
        task_id=task_id,
        map_index=-1,
        state=state,
        try_number=1,
        max_tries=1,
        pool="default_pool",
        pool_slots=1,
        queue="default",
        hostname="",
        start_date=times["started_at"],
        end_date=times["finished_at"],
        updated_at=times["finished_at"] or times["started_at"],
    )


def _xcom(tables: Tables, run: int, step: dict[str, Any], task_id: str, key: str, value: Any) -> None:
    place = {"dag_run_id": run, "dag_id": step["dag_id"], "run_id": step["run_id"], "task_id": task_id, "map_index": -1}
    tables.insert_airflow("xcom", key=key, value=value, timestamp=ago(seconds=2), **place)
