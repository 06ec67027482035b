"""Attacks on a dbt project: what it leaves for its next step, how far it came, and from which connection its profile is made."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.attacks.cells import Attack, Cell
from benchmarks.attacks.repositories import MART
from benchmarks.common import await_value
from benchmarks.common_projects import rows_if_there

SECONDS = 240.0
_FORGED = "manifest-nobody-left"


def _executed(cell: Cell, needy: bool) -> tuple[Any, int, str]:
    """A new plan of the project that its owner approves; plan, number of the commit, and id of the execute step."""
    plan, number = cell.scene.planned_mart(needy)
    cell.scene.await_step(plan.explain_id, "pending")
    execute = cell.scene.client.request("POST", f"/plans/{plan.explain_id}/approve")["execution_plan_id"]
    return plan, number, str(execute)


def _progress_forged(cell: Cell) -> None:
    """An execute that failed is told to have come further; its owner tries it again, and all of it should be built."""
    cell.require_xcoms()
    plan, number, execute = _executed(cell, needy=True)
    cell.scene.await_step(execute, "failed")
    run = (plan.dag_id, plan.run_id)
    everything = ["model.mart.one", "model.mart.two"]
    told = {"step_id": execute, "stage": "done", "expected": {}, "models": [], "succeeded": everything}
    try:
        cell.settle(run)
        cell.xcom(run, "execute", "progress", told)
        cell.xcom(run, "explain", "inputs", {"finished.json": base64.b64encode(json.dumps(told).encode()).decode()})
    finally:
        (cell.scene.warehouses / f"export-{number}").touch()
        again = cell.scene.client.request("POST", f"/plans/{execute}/retry")["execution_plan_id"]
        cell.scene.await_step(again, "completed", "failed")
    if cell.scene.client.plan(again)["status"] == "completed" and not _is_built(cell):
        cell.findings.append("RAN: the plan is completed, and a model that was approved was not built")


def _is_built(cell: Cell) -> bool:
    path = cell.scene.warehouses / f"{MART}.duckdb"
    return rows_if_there(path, cell.scene.stack.tool_python(), "two", "n") == [[2]]


def _artifacts_raced(cell: Cell) -> None:
    """What an execute left for later plans is overwritten in the moment in which it is there."""
    cell.require_xcoms()
    plan, _, execute = _executed(cell, needy=False)
    path = f"/dags/{plan.dag_id}/dagRuns/{plan.run_id}/taskInstances/execute/xcomEntries/artifacts"
    forged = base64.b64encode(json.dumps({"nodes": {}, "metadata": {"invocation_id": _FORGED}}).encode()).decode()
    try:
        deadline = time.monotonic() + SECONDS
        while (found := cell.person.ask("GET", f"/api/v2{path}")).status_code == 404 and time.monotonic() < deadline:
            if cell.scene.statuses(plan).get(execute) != "running":
                break
        if found.is_success:
            value = found.json()["value"]
            told = {**value, "artifacts": dict.fromkeys(value.get("artifacts", {"manifest.json": ""}), forged)}
            cell.ask("PATCH", path, {"value": told})
    finally:
        cell.scene.await_step(execute, "completed", "failed")
    kept = cell.scene.database.rows("SELECT content FROM dagctl_artifact")
    if any(_FORGED.encode() in bytes(row["content"]) for row in kept):
        cell.findings.append("SHOWN: what is kept as deployed is not what the step left")


def _profile(suffix: str) -> Callable[[Cell], None]:
    """The project's connection is told to make the profile from another one; then its owner plans as always."""

    def play(cell: Cell) -> None:
        name = f"dagctl_{MART}{suffix}"
        extra = {"env": {"OWN": f"own-of-{MART}"}, "profile": {"connection": "payroll_db", "schema": "public"}}
        body = {"connection_id": name, "conn_type": "dagctl", "extra": json.dumps(extra)}
        try:
            if cell.ask("POST", "/connections", body, needed=False).status_code == 409:
                cell.ask("PATCH", f"/connections/{name}", body)
            plan, _ = cell.scene.planned_mart(needy=False)
            await_value(lambda: cell.scene.statuses(plan)[plan.explain_id] != "running", SECONDS, "The explain")
            if cell.scene.statuses(plan)[plan.explain_id] == "pending":
                cell.scene.await_gate(plan)
                cell.scene.client.request("POST", f"/plans/{plan.explain_id}/reject")
        finally:
            cell.scene.own_connection(MART)

    return play


DBT = [
    Attack("XCom", "dbt: progress of a failed execute forged, then retried", _progress_forged, MART),
    Attack("XCom", "dbt: artifacts overwritten as soon as they are there", _artifacts_raced, MART),
    Attack("connections", "dbt: the project's, profile made from payroll_db", _profile(""), MART),
    Attack("connections", "dbt: explain's own, profile made from payroll_db", _profile("_explain"), MART),
]
