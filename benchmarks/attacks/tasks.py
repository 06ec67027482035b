"""Attacks on genuine runs: cleared, marked, decided by forged letters, and told otherwise than they are."""

from __future__ import annotations

import copy
import time
from typing import Any

from benchmarks.attacks.cells import Attack, Cell, forged_decision

_NO_RIGHTS = dict.fromkeys(("simple", "fab"), ("Viewer", "User", "Op"))
_FORGED = "model_nobody_explained"


def _gate_marked(cell: Cell) -> None:
    cell.mark(cell.run, "await_approval", "success")
    cell.clear(cell.run, "execute")


def _decision_forged(cell: Cell) -> None:
    cell.xcom(cell.run, "explain", "decision", forged_decision(cell.target.shown["digest"]))
    cell.mark(cell.run, "await_approval", "success")
    cell.clear(cell.run, "await_approval", "execute")


def _decision_and_progress(cell: Cell) -> None:
    step = "plan_forged"
    progress = {"step_id": step, "stage": "done", "succeeded": ["model.shop.orders"], "models": [], "expected": {}}
    cell.xcom(cell.run, "execute", "progress", progress)
    cell.xcom(cell.run, "execute", "result", {"outcome": "succeeded", "step_id": step, "digest": cell.target.shown["digest"]})
    cell.xcom(cell.run, "explain", "decision", forged_decision(cell.target.shown["digest"]))
    cell.mark(cell.run, "execute", "success")


def _letters_of_an_approved_plan(cell: Cell) -> None:
    other = cell.scene.genuine["completed"]
    letters = {place: value for place, value in other.seen.items() if place[0] in ("explain", "execute")}
    cell.xcoms(cell.run, letters)
    cell.mark(cell.run, "await_approval", "success")
    cell.clear(cell.run, "execute")


def _letters_before_the_cancel(cell: Cell) -> None:
    cell.xcoms(cell.run, {place: value for place, value in cell.target.seen.items() if place[0] in ("explain", "execute")})
    cell.mark(cell.run, "await_approval", "success")
    cell.clear(cell.run, "execute")


def _cleared(*tasks: str, **more: Any) -> Any:
    def play(cell: Cell) -> None:
        cell.clear(cell.run, *tasks, **more)

    return play


def _run_cleared(cell: Cell) -> None:
    cell.touch(cell.run)
    cell.ask("POST", f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}/clear", {"dry_run": False, "run_on_latest_version": True})
    cell.settle(cell.run)


def _runs_cleared(cell: Cell) -> None:
    """Both runs of the project at once, the older one and the newer."""
    runs = [cell.run, (cell.run[0], cell.scene.genuine["completed"].run_id)]
    for run in runs:
        cell.touch(run)
    body = {"dry_run": False, "dag_runs": [{"dag_run_id": run_id} for _, run_id in runs]}
    cell.ask("POST", f"/dags/{cell.run[0]}/clearDagRuns", body)
    for run in runs:
        cell.settle(run)


def _marked(task: str, state: str) -> Any:
    def play(cell: Cell) -> None:
        cell.mark(cell.run, task, state)

    return play


def _bulk_marked(cell: Cell) -> None:
    cell.touch(cell.run)
    entities = [{"task_id": task, "new_state": "success"} for task in ("explain", "await_approval", "execute")]
    path = f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}/taskInstances"
    cell.ask("PATCH", path, {"actions": [{"action": "update", "entities": entities}]})
    cell.settle(cell.run)


def _run_marked(state: str) -> Any:
    def play(cell: Cell) -> None:
        cell.mark_run(cell.run, state)

    return play


def _gate_branch(cell: Cell) -> None:
    """What Airflow's own skipping remembers, so that a gate that skipped is as one that passed."""
    cell.xcom(cell.run, "await_approval", "skipmixin_key", {"followed": ["execute"], "skipped": []})
    cell.clear(cell.run, "execute")
    cell.mark(cell.run, "await_approval", "success")


def _answer_forged(cell: Cell) -> None:
    cell.xcom(cell.run, "explain", "answer", {"responded_at": "2026-01-01T00:00:00+00:00", "detail": f"<b>{_FORGED}</b>"})
    cell.clear(cell.run, "await_approval")


def _answered(cell: Cell) -> None:
    path = f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}/taskInstances/await_approval/-1/hitlDetails"
    cell.touch(cell.run)
    cell.ask("PATCH", path, {"chosen_options": ["Approve"]})
    cell.settle(cell.run)
    # Whoever has no right in dagctl is told so by the task, which then asks again.
    time_left = time.monotonic() + 30
    while cell.scene.task(cell.run[1], "await_approval") == "running" and time.monotonic() < time_left:
        time.sleep(0.2)


# What is shown


def _forged_result(cell: Cell, step_id: str, result: Any) -> dict[str, Any]:
    told = copy.deepcopy(result) if isinstance(result, dict) else {"outcome": "succeeded", "step_id": step_id}
    told["plan_output"] = {"modelsAdded": 1, "models_added": [_FORGED], "directly_modified": [_FORGED], "is_empty": True}
    return told


def _result_overwritten(cell: Cell) -> None:
    known = cell.target.letters.get(("explain", "result"))
    cell.xcom(cell.run, "explain", "result", _forged_result(cell, cell.target.explain_id, known))
    cell.clear(cell.run, "await_approval")
    _look_at_what_is_shown(cell, cell.run, cell.target.explain_id)


def _result_raced(cell: Cell) -> None:
    """A new commit is planned, and its result overwritten in the moment in which it is there."""
    cell.require_xcoms()
    plan = cell.scene.planned("race")
    run = (plan.dag_id, plan.run_id)
    path = f"/dags/{run[0]}/dagRuns/{run[1]}/taskInstances/explain/xcomEntries/result"
    try:
        deadline = time.monotonic() + 240
        while (found := cell.person.ask("GET", f"/api/v2{path}")).status_code == 404 and time.monotonic() < deadline:
            if cell.scene.statuses(plan)[plan.explain_id] != "running":
                break
        if found.is_success:
            told = _forged_result(cell, plan.explain_id, found.json()["value"])
            cell.ask("PATCH", path, {"value": told})
        cell.scene.await_step(plan.explain_id, "pending", "failed")
        cell.scene.await_gate(plan)
        _look_at_what_is_shown(cell, run, plan.explain_id)
    finally:
        cell.scene.await_step(plan.explain_id, "pending", "failed")
        cell.scene.client.request("POST", f"/plans/{plan.explain_id}/reject") if _waits(cell, plan) else None


def _waits(cell: Cell, plan: Any) -> bool:
    return bool(cell.scene.statuses(plan)[plan.explain_id] == "pending")


def _look_at_what_is_shown(cell: Cell, run: tuple[str, str], plan_id: str) -> None:
    if _FORGED in str(cell.scene.client.plan(plan_id)):
        cell.findings.append("SHOWN: the plan says what was not explained")
    path = f"/dags/{run[0]}/dagRuns/{run[1]}/taskInstances/await_approval/-1/hitlDetails"
    answer = cell.scene.admin.ask("GET", f"/api/v2{path}")
    if answer.is_success and _FORGED in answer.text:
        cell.findings.append("SHOWN: Required Actions says what was not explained")


def _reports_overwritten(cell: Cell) -> None:
    step = next((one for one in cell.target.statuses if one != cell.target.explain_id), cell.target.explain_id)
    for key, value in {
        "progress": {"step_id": step, "stage": "x", "models": [{"name": _FORGED}], "succeeded": [_FORGED], "expected": {}},
        "artifacts": {"step_id": step, "artifacts": {"manifest.json": "e30="}},
        "pod": {"step_id": step, "pod_name": "kube-apiserver"},
        "result": {"outcome": "succeeded", "step_id": step, "plan_output": {"models_added": [_FORGED]}},
    }.items():
        cell.xcom(cell.run, "execute", key, value)
    for plan_id in cell.target.statuses:
        _look_at_what_is_shown(cell, cell.run, plan_id)


def _notes(cell: Cell) -> None:
    markup = f"<script>{_FORGED}()</script><img src=x onerror={_FORGED}()>"
    cell.touch(cell.run)
    cell.ask("PATCH", f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}", {"note": markup})
    for task in ("explain", "await_approval", "execute"):
        cell.ask("PATCH", f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}/taskInstances/{task}", {"note": markup})
    page = cell.scene.admin.ask("GET", f"/pluginsv2/dagctl/plans/{cell.target.explain_id}", follow_redirects=True)
    assert page.is_success, page.text[:300]
    if f"<script>{_FORGED}" in page.text or f"<img src=x onerror={_FORGED}" in page.text:
        cell.findings.append("SHOWN: markup of a note stands in the page")


TASKS = [
    Attack("mark", "the gate of a waiting plan, execute cleared", _gate_marked, "pending"),
    Attack("mark", "explain, gate and execute of a waiting plan at once", _bulk_marked, "pending"),
    Attack("mark", "execute of a waiting plan", _marked("execute", "success"), "pending"),
    Attack("mark", "the run of a waiting plan, success", _run_marked("success"), "pending"),
    Attack("mark", "the run of a waiting plan, failed", _run_marked("failed"), "pending"),
    Attack("mark", "explain of a failed plan, and its gate", _gate_marked, "failed"),
    Attack("mark", "the gate of a rejected plan, execute cleared", _gate_marked, "rejected"),
    Attack("mark", "the gate of a cancelled plan, execute cleared", _gate_marked, "cancelled"),
    Attack("mark", "a gate that skipped, as one that passed", _gate_branch, "rejected"),
    Attack("clear", "explain of a waiting plan", _cleared("explain", include_downstream=True), "pending"),
    Attack("clear", "the whole run of a waiting plan, newest Dag", _run_cleared, "pending"),
    Attack("clear", "the whole run of a completed plan", _run_cleared, "completed"),
    Attack("clear", "execute of a completed plan", _cleared("execute"), "completed"),
    Attack("clear", "execute of an older plan, after a newer one", _cleared("execute"), "older"),
    Attack("clear", "an older and a newer run at once", _runs_cleared, "older"),
    Attack("clear", "everything of a rejected plan", _run_cleared, "rejected"),
    Attack("clear", "everything of a cancelled plan", _run_cleared, "cancelled"),
    Attack("clear", "everything of a failed plan", _run_cleared, "failed"),
    Attack("XCom", "a decision for a waiting plan", _decision_forged, "pending"),
    Attack("XCom", "a decision for a rejected plan", _decision_forged, "rejected"),
    Attack("XCom", "a decision for a cancelled plan", _decision_forged, "cancelled"),
    Attack("XCom", "the approval of a plan that was cancelled, once more", _letters_before_the_cancel, "cancelled"),
    Attack("XCom", "letters of an approved plan in a waiting one", _letters_of_an_approved_plan, "pending"),
    Attack("XCom", "letters of an approved plan in a rejected one", _letters_of_an_approved_plan, "rejected"),
    Attack("XCom", "decision, progress and result of an execute that never ran", _decision_and_progress, "pending"),
    Attack("XCom", "result of a waiting plan overwritten, gate cleared", _result_overwritten, "pending"),
    Attack("XCom", "result overwritten as soon as explain has ended", _result_raced, "race"),
    Attack("XCom", "progress, artifacts, pod and result of a completed plan", _reports_overwritten, "completed"),
    Attack("XCom", "answer with markup, gate cleared", _answer_forged, "pending"),
    Attack("actions", "Approve by somebody without a right in dagctl", _answered, "pending", roles=_NO_RIGHTS),
    Attack("notes", "markup in notes of run and tasks", _notes, "pending"),
]
