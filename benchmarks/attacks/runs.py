"""Attacks that start runs: with conf of one's own, with letters copied or forged, in the place of a genuine run."""

from __future__ import annotations

from typing import Any

from benchmarks.attacks.cells import Attack, Cell, forged_decision, forged_grant, forged_origin


def _trigger(**changes: Any) -> Any:
    def play(cell: Cell) -> None:
        run = cell.trigger(cell.target.dag_id, {"dagctl": cell.evil(**changes)})
        cell.settle((cell.target.dag_id, run))

    return play


def _nothing(cell: Cell) -> None:
    cell.settle((cell.target.dag_id, cell.trigger(cell.target.dag_id, {})))


def _copied(cell: Cell) -> None:
    cell.settle((cell.target.dag_id, cell.trigger(cell.target.dag_id, cell.target.conf)))


def _named_as_a_plan(cell: Cell) -> None:
    run_id = f"plangroup_{cell.name.replace('-', '')}"
    cell.settle((cell.target.dag_id, cell.trigger(cell.target.dag_id, {"dagctl": cell.evil(plan_group_id=run_id)}, run_id)))


def _dated(cell: Cell) -> None:
    # A logical date, as the scheduler's own runs have.
    body = {"logical_date": "2020-01-01T00:00:00Z"}
    cell.settle((cell.target.dag_id, cell.trigger(cell.target.dag_id, {"dagctl": cell.evil()}, **body)))


def _forged_origin(execute: bool = False, **changes: Any) -> Any:
    def play(cell: Cell) -> None:
        letter = cell.evil(**changes)
        cell.played_run(letter, forged_origin(letter), execute=execute)

    return play


def _all_copied(cell: Cell) -> None:
    cell.played_run(cell.evil(), cell.target.seen)


def _copied_and_forged(cell: Cell) -> None:
    letter = cell.evil()
    cell.played_run(letter, {**cell.target.seen, **forged_origin(letter)}, execute=True)


def _grant(encoded: bool, genuine: bool) -> Any:
    def play(cell: Cell) -> None:
        letter = cell.evil()
        known = {task: cell.target.seen.get((task, "grant")) if genuine else None for task in ("execute", "explain")}
        letters = {(task, "grant"): forged_grant(letter, found, encoded) for task, found in known.items()}
        cell.played_run(letter, {**cell.target.seen, **forged_origin(letter), **letters}, execute=True)

    return play


def _empty_grants(cell: Cell) -> None:
    letter, empty = cell.evil(), {"payload": "", "signature": "", "key_id": ""}
    letters = {("execute", "grant"): empty, ("explain", "grant"): empty}
    cell.played_run(letter, {**forged_origin(letter), **letters}, execute=True)


def _grant_of_another_task(cell: Cell) -> None:
    # What dagctl signed for one task, given to the other one, and to a run with the attacker's conf.
    letter, swapped = cell.evil(), {"execute": "explain", "explain": "execute"}
    letters = {(swapped[task], key): value for (task, key), value in cell.target.seen.items() if task in swapped}
    cell.played_run(letter, {**letters, **forged_origin(letter)}, execute=True)


def _grant_of_another_project(cell: Cell) -> None:
    other = cell.scene.genuine["clock"]
    letter = {**other.conf["dagctl"], "project_name": "other"}
    cell.played_run(letter, {**other.seen, **forged_origin(letter)}, execute=True)


def _copied_whole(cell: Cell) -> None:
    letter = cell.target.conf["dagctl"]
    cell.played_run(letter, {**cell.target.seen, **forged_origin(letter)}, execute=True)


def _other_commit(cell: Cell) -> None:
    """A commit of the project itself that was rejected, under the letters of one that was approved."""
    letter = {**cell.target.conf["dagctl"], "commit_sha": cell.scene.genuine["rejected"].commit}
    letter["repository_url"] = cell.scene.genuine["rejected"].conf["dagctl"]["repository_url"]
    cell.played_run(letter, {**cell.target.seen, **forged_origin(letter)}, execute=True)


def _forged_inputs(cell: Cell) -> None:
    letter = cell.evil()
    inputs = {(task, "inputs"): {"../../evil.py": "ZXZpbA==", "manifest.json": "e30="} for task in ("explain", "execute")}
    cell.played_run(letter, {**forged_origin(letter), **inputs})


def _without_explain(cell: Cell) -> None:
    """Nothing is explained at all: its task is marked, and its result written by hand."""
    letter = cell.evil()
    run = (cell.target.dag_id, cell.trigger(cell.target.dag_id, {"dagctl": letter}))
    cell.settle(run)
    cell.mark(run, "explain", "success")
    result = {"outcome": "succeeded", "digest": "forged", "tool_plan_id": "x", "plan_output": {}}
    letters = {**cell.target.seen, ("explain", "result"): result, ("explain", "decision"): forged_decision("forged")}
    cell.xcoms(run, {**letters, **forged_origin(letter)})
    cell.mark(run, "await_approval", "success")
    cell.clear(run, "execute")


def _made_again(evil: bool) -> Any:
    """A genuine run is deleted, and one with the same name, and all its letters, stands in its place."""

    def play(cell: Cell) -> None:
        dag_id, run_id = cell.run
        if cell.target.waits:
            # Airflow deletes no run that goes on.
            cell.mark_run(cell.run, "failed")
        cell.ask("DELETE", f"/dags/{dag_id}/dagRuns/{run_id}")
        letter = cell.evil() if evil else cell.target.conf["dagctl"]
        cell.played_run(letter, {**cell.target.seen, **forged_origin(letter)}, run_id, execute=True)

    return play


def _backfill(suffix: str) -> Any:
    def play(cell: Cell) -> None:
        body = {"dag_id": cell.target.dag_id + suffix, "from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"}
        conf = {"dagctl": cell.evil()}
        made = cell.ask("POST", "/backfills", {**body, "dag_run_conf": conf, "reprocess_behavior": "completed"}).json()["id"]
        for row in cell.scene.database.rows("SELECT dag_id, run_id FROM dag_run WHERE backfill_id = %s", made):
            cell.touch((row["dag_id"], row["run_id"]))

    return play


def _materialize(cell: Cell) -> None:
    cell.ask("POST", "/assets/1/materialize")


def _asset_event(cell: Cell) -> None:
    cell.ask("POST", "/assets/events", {"asset_id": 1, "extra": {"dagctl": cell.evil()}})


def _execution_api(cell: Cell) -> None:
    """A person's token at the door that only tasks may use."""
    row = cell.scene.database.row("SELECT id FROM task_instance WHERE run_id = %s AND task_id = 'execute'", cell.target.run_id)
    assert row is not None
    path = f"/execution/xcoms/{cell.target.dag_id}/{cell.target.run_id}/explain/decision"
    for method, address, body in (
        ("POST", path, forged_decision(cell.target.shown["digest"])),
        ("PATCH", f"/execution/task-instances/{row['id']}/state", {"state": "queued"}),
    ):
        answer = cell.person.ask(method, address, body)
        cell.answers.append(f"{method} {address} {answer.status_code}")
        assert answer.status_code >= 400, answer.text


RUNS = [
    Attack("trigger", "the plan Dag, without conf", _nothing, makes_runs=True),
    Attack("trigger", "the plan Dag, with the conf of a plan that waits", _copied, "pending", makes_runs=True),
    Attack("trigger", "conf with another repository and commit", _trigger(), makes_runs=True),
    Attack(
        "trigger", "conf, git_secret_ref of another connection", _trigger(git_auth_method="token", git_secret_ref="payroll_db")
    ),
    Attack("trigger", "conf, state_connection_id of another connection", _trigger(state_connection_id="payroll_db")),
    Attack("trigger", "conf, run id like a plan's", _named_as_a_plan),
    Attack("trigger", "conf, logical date in the past", _dated),
    Attack("XCom", "another repository, origin forged", _forged_origin()),
    Attack("XCom", "another repository, origin and decision forged, executed", _forged_origin(execute=True)),
    Attack(
        "XCom",
        "origin forged, git_secret_ref payroll_db",
        _forged_origin(git_auth_method="token", git_secret_ref="payroll_db"),
    ),
    Attack(
        "XCom", "origin forged, git_secret_ref git_other", _forged_origin(git_auth_method="token", git_secret_ref="git_other")
    ),
    Attack("XCom", "origin forged, state_connection_id state_other", _forged_origin(state_connection_id="state_other")),
    Attack("XCom", "origin forged, project_name of another project", _forged_origin(project_name="other")),
    Attack("XCom", "all letters of a plan that waits, another repository", _all_copied),
    Attack("XCom", "all letters copied, origin and decision forged", _copied_and_forged),
    Attack("XCom", "grant of another request, payload changed", _grant(encoded=False, genuine=True)),
    Attack("XCom", "grant of another request, payload changed, base64", _grant(encoded=True, genuine=True)),
    Attack("XCom", "grant with a signature without a key", _grant(encoded=False, genuine=False)),
    Attack("XCom", "grants that are empty", _empty_grants),
    Attack("XCom", "grants of explain and execute swapped", _grant_of_another_task),
    Attack("XCom", "letters of another project's run", _grant_of_another_project, "clock", makes_runs=True),
    Attack("XCom", "a plan that waits, copied whole, approved by hand", _copied_whole, "pending", makes_runs=True),
    Attack("XCom", "a completed plan, copied whole", _copied_whole, "completed", makes_runs=True),
    Attack("XCom", "an older completed plan, copied whole", _copied_whole, "older", makes_runs=True),
    Attack("XCom", "a rejected commit under the letters of an approved one", _other_commit, "rejected", makes_runs=True),
    Attack("XCom", "inputs forged, names that lead elsewhere", _forged_inputs),
    Attack("XCom", "explain marked, its result and a decision forged", _without_explain),
    Attack("replay", "a run deleted and made again, another repository", _made_again(True), "pending", True),
    Attack("replay", "a waiting run deleted and made again", _made_again(False), "pending", True),
    Attack("replay", "a completed run deleted and made again", _made_again(False), "older", True),
    Attack("replay", "a rejected run deleted and made again", _made_again(False), "rejected", True),
    Attack("replay", "a cancelled run deleted and made again", _made_again(False), "cancelled", True),
    Attack("backfill", "of the plan Dag, with conf", _backfill("")),
    Attack("backfill", "of the run Dag, with conf", _backfill("__run"), "clock"),
    Attack("assets", "materialize", _materialize),
    Attack("assets", "event with conf", _asset_event),
    Attack("task API", "a person's token at Airflow's execution API", _execution_api),
]
