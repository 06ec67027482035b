"""Attacks on what dagctl keeps in Airflow beside runs: Variables, pools, connections, the Dags themselves.

Each is put right again by the admin afterwards, and they take turns: one lane for the project that has runs, one for each
project whose connection is touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.attacks.cells import Attack, Cell
from benchmarks.common import await_value

_INDEX = "dagctl__index"
_EVIL_DAG = "dagctl__evil__000000"


@contextmanager
def _restored(cell: Cell, *keys: str) -> Iterator[dict[str, str]]:
    """The Variables as they are, and put back in the end, whatever became of them."""
    known = {key: cell.scene.variable(key) for key in keys}
    try:
        yield known
    finally:
        for key, value in known.items():
            body = {"key": key, "value": value}
            if cell.scene.admin.ask("PATCH", f"/api/v2/variables/{key}", body).is_error:
                cell.scene.admin.ask("POST", "/api/v2/variables", body).raise_for_status()


def _write(cell: Cell, key: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    cell.ask("PATCH", f"/variables/{key}", {"key": key, "value": text})


def _run_it(cell: Cell, conf: Any = None) -> tuple[str, str]:
    dag_id = f"{cell.target.dag_id}__run"
    run = (dag_id, cell.trigger(dag_id, conf))
    cell.settle(run)
    return run


def _run_with_conf(cell: Cell) -> None:
    _run_it(cell, {"dagctl": cell.evil()})


def _run_with_letters(cell: Cell) -> None:
    run = _run_it(cell, {"dagctl": cell.evil()})
    for key in ("origin", "grant", "inputs", "decision"):
        cell.xcom(run, "run", key, cell.target.seen.get(("execute", key), {}))
    cell.clear(run, "run")


def _run_named_as_a_plan(cell: Cell) -> None:
    dag_id = f"{cell.target.dag_id}__run"
    run = (dag_id, cell.trigger(dag_id, cell.target.conf, f"{cell.target.run_id}-{cell.name}"))
    cell.settle(run)


def _request_in(letter: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    """What a Variable says that runs do. Where nothing of the kind stands in it, what a reader of it would look for."""
    return json.loads(letter["run"]) if "run" in letter else dict(cell.target.conf["dagctl"])


def _published(**changes: Any) -> Callable[[Cell], None]:
    """What is published for the runs of a project names another request."""

    def play(cell: Cell) -> None:
        key = cell.target.dag_id
        with _restored(cell, key) as known:
            letter = json.loads(known[key])
            own = changes.get("of") or cell.evil(_request_in(letter, cell), **changes)
            _write(cell, key, {**letter, "run": json.dumps(own), "suspended": False})
            _run_it(cell)

    return play


def _published_bulk(cell: Cell) -> None:
    key = cell.target.dag_id
    with _restored(cell, key) as known:
        letter = json.loads(known[key])
        changed = {**letter, "run": json.dumps(cell.evil(_request_in(letter, cell)))}
        action = {"action": "update", "entities": [{"key": key, "value": json.dumps(changed)}]}
        answer = cell.ask("PATCH", "/variables", {"actions": [action]})
        cell.answers.append(answer.text[:200])
        _run_it(cell)


def _published_again(cell: Cell) -> None:
    """What was published for an earlier deployment, word for word."""
    with _restored(cell, cell.target.dag_id):
        _write(cell, cell.target.dag_id, cell.scene.old_variable)
        _run_it(cell)


def _rejected_commit_published(cell: Cell) -> None:
    key = cell.target.dag_id
    with _restored(cell, key) as known:
        letter, rejected = json.loads(known[key]), cell.scene.genuine["rejected"]
        own = {**_request_in(letter, cell), "commit_sha": rejected.commit}
        _write(cell, key, {**letter, "run": json.dumps({**own, "repository_url": rejected.conf["dagctl"]["repository_url"]})})
        _run_it(cell)


def _variable_deleted(cell: Cell) -> None:
    with _restored(cell, cell.target.dag_id):
        cell.ask("DELETE", f"/variables/{cell.target.dag_id}")
        _run_it(cell)


def _dag_of_ones_own(cell: Cell) -> None:
    """A new entry in the index, and a Variable for it: a Dag that dagctl knows nothing of."""
    with _restored(cell, _INDEX) as known:
        index, key = json.loads(known[_INDEX]), cell.target.dag_id
        entry = next(spec for spec in index.values() if spec["dag_id"] == key)
        letter = json.loads(cell.scene.variable(key))
        own = {**letter, "dag_id": _EVIL_DAG, "run": json.dumps(cell.evil(_request_in(letter, cell)))}
        body = {"key": _EVIL_DAG, "value": json.dumps(own)}
        if cell.ask("POST", "/variables", body, needed=False).status_code == 409:
            _write(cell, _EVIL_DAG, own)
        _write(cell, _INDEX, {**index, "evil": {**entry, "dag_id": _EVIL_DAG}})
        try:
            cell.ask("POST", "/pools", {"name": f"{_EVIL_DAG}__writer", "slots": 1, "include_deferred": False}, needed=False)
            await_value(lambda: _is_parsed(cell), 45, "the Dag", every=0.5)
            for dag_id, conf in ((f"{_EVIL_DAG}__run", None), (_EVIL_DAG, {"dagctl": cell.evil()})):
                run_id = cell.trigger(dag_id, conf)
                # dagctl writes its index again whenever a project changes, and the Dag is gone; its run stands still then.
                await_value(partial(_has_ended, cell, run_id), 60, "the run", every=0.5)
        except TimeoutError as error:
            cell.answers.append(str(error))
        finally:
            for dag_id, run_id in cell.runs:
                cell.scene.admin.ask("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})
            cell.scene.admin.ask("DELETE", f"/api/v2/variables/{_EVIL_DAG}")
            cell.scene.admin.ask("DELETE", f"/api/v2/pools/{_EVIL_DAG}__writer")


def _has_ended(cell: Cell, run_id: str) -> bool:
    row = cell.scene.database.row("SELECT state FROM dag_run WHERE run_id = %s", run_id)
    return row is None or row["state"] in ("success", "failed")


def _is_parsed(cell: Cell) -> bool:
    # Airflow keeps a Dag that was there once, so only one that is not stale counts.
    return cell.scene.database.row("SELECT 1 FROM dag WHERE dag_id = %s AND NOT is_stale", f"{_EVIL_DAG}__run") is not None


def _index_changed(cell: Cell) -> None:
    """Another launcher, project and name in the index: what a Dag is made of, not what it does."""
    with _restored(cell, _INDEX) as known:
        index = json.loads(known[_INDEX])
        for spec in index.values():
            if spec["dag_id"] == cell.target.dag_id:
                spec.update(launcher="process", slug="other", name="other", environment="elsewhere")
        _write(cell, _INDEX, index)
        _run_it(cell, {"dagctl": cell.evil()})


def _scheduled(cell: Cell) -> None:
    """Every minute, in the index and for the project. What is deployed may run more often then, but nothing else."""
    key = cell.target.dag_id
    with _restored(cell, _INDEX, key) as known:
        index, letter = json.loads(known[_INDEX]), json.loads(known[key])
        for spec in index.values():
            spec.update({"schedule": "* * * * *"} if spec["dag_id"] == key else {})
        _write(cell, _INDEX, index)
        _write(cell, key, {**letter, "schedule": "* * * * *"})
        query = "SELECT run_id FROM dag_run WHERE dag_id = %s AND run_type = 'scheduled'"
        try:
            row = await_value(lambda: cell.scene.database.row(query, f"{key}__run"), 90, "a scheduled run", every=0.5)
            cell.touch((f"{key}__run", row["run_id"]))
            cell.settle(cell.runs[-1])
        except TimeoutError:
            cell.answers.append("nothing was scheduled")


def _pool(method: str, body: Any) -> Callable[[Cell], None]:
    def play(cell: Cell) -> None:
        name = f"{cell.target.dag_id}__writer"
        known = cell.scene.admin.ask("GET", f"/api/v2/pools/{name}").json()
        try:
            cell.ask(method, f"/pools/{name}", {"name": name, **body} if body else None)
            # Without its pool a task stands still, so all of it is waited for once the pool is there again.
            cell.mark(cell.run, "await_approval", "success", wait=False)
            cell.clear(cell.run, "execute", wait=False)
        finally:
            back = {"name": name, "slots": known["slots"], "description": known["description"] or "", "include_deferred": False}
            if cell.scene.admin.ask("PATCH", f"/api/v2/pools/{name}", back).is_error:
                cell.scene.admin.ask("POST", "/api/v2/pools", back)
            cell.settle(cell.run)

    return play


# Connections


def _explained_again(cell: Cell) -> None:
    """A new plan of the project, which somebody makes who knows nothing of the attack."""
    plan = cell.scene.planned(cell.attack.target or "race")
    cell.scene.await_step(plan.explain_id, "pending", "failed")
    if cell.scene.statuses(plan)[plan.explain_id] == "pending":
        cell.scene.await_gate(plan)
        cell.scene.client.request("POST", f"/plans/{plan.explain_id}/reject")


def _own_connection(extra: Callable[[Cell], dict[str, Any]], suffix: str = "") -> Callable[[Cell], None]:
    def play(cell: Cell) -> None:
        project = cell.attack.target or "race"
        name = f"dagctl_{project}{suffix}"
        body = {"connection_id": name, "conn_type": "dagctl", "extra": json.dumps(extra(cell))}
        try:
            if cell.ask("POST", "/connections", body, needed=False).status_code == 409:
                cell.ask("PATCH", f"/connections/{name}", body)
            _explained_again(cell)
        finally:
            cell.scene.own_connection(project)

    return play


def _loads_code(cell: Cell) -> dict[str, Any]:
    """Variables by which an interpreter, git or the linker is told to run something."""
    folder = cell.scene.stack.home / "planted" / cell.name
    folder.mkdir(parents=True, exist_ok=True)
    mark = cell.scene.marks / f"{cell.label}-planted"
    (folder / "sitecustomize.py").write_text(f"import pathlib\npathlib.Path({str(mark) + '.json'!r}).write_text('{{}}')\n")
    script = Path(folder / "run.sh")
    script.write_text(f"#!/bin/sh\necho '{{}}' > {mark}.json\n")
    script.chmod(0o755)
    return {
        "env": {
            "PYTHONPATH": str(folder), "PYTHONSTARTUP": str(folder / "sitecustomize.py"), "GIT_SSH_COMMAND": str(script),
            "GIT_EXTERNAL_DIFF": str(script), "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor",
            "GIT_CONFIG_VALUE_0": str(script), "BASH_ENV": str(script), "PATH": f"{folder}:/usr/bin:/bin",
            "DAGCTL_ENVIRONMENTS_DIR": str(folder), "PYTHONHOME": "",
        }
    }  # fmt: skip


def _key(name: str) -> Callable[[Cell], None]:
    """A key that dagctl publishes to tasks is another one, which the attacker knows, who has a plan's steps start again."""

    def play(cell: Cell) -> None:
        known = cell.scene.database.row("SELECT password FROM connection WHERE conn_id = %s", name)
        body = {"connection_id": name, "conn_type": "generic", "password": "known-to-the-attacker"}
        try:
            cell.ask("PATCH", f"/connections/{name}", body)
            cell.clear(cell.run, "explain", include_downstream=True)
            cell.mark(cell.run, "await_approval", "success")
            cell.clear(cell.run, "execute")
        finally:
            if known is not None:
                # As it lies there, encrypted: nobody but Airflow reads it.
                statement = "UPDATE connection SET password = %s WHERE conn_id = %s RETURNING 1"
                cell.scene.database.rows(statement, known["password"], name)

    return play


def _connection_tested(cell: Cell) -> None:
    body = {"connection_id": "payroll_db", "conn_type": "postgres", "host": "127.0.0.1", "port": 1}
    cell.ask("POST", "/connections/test", body, needed=False)
    cell.ask("POST", "/connections/enqueue-test", body, needed=False)


def _dag_patched(cell: Cell) -> None:
    for dag_id in (cell.target.dag_id, f"{cell.target.dag_id}__run"):
        cell.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})
    cell.ask("PATCH", "/dags?dag_id_pattern=dagctl__%25", {"is_paused": False})


def _parsed_again(cell: Cell) -> None:
    token = cell.person.ask("GET", f"/api/v2/dags/{cell.target.dag_id}").json().get("file_token", "x")
    cell.ask("PUT", f"/parseDagFile/{token}")


def _tasks_deleted(cell: Cell) -> None:
    """The gate is taken out of the run, so that execute has nothing to wait for."""
    cell.touch(cell.run)
    cell.ask("DELETE", f"/dags/{cell.run[0]}/dagRuns/{cell.run[1]}/taskInstances/await_approval")
    cell.clear(cell.run, "execute")


def _payroll_profile(_: Cell) -> dict[str, Any]:
    return {"env": {"OWN": "own-of-race"}, "profile": {"connection": "payroll_db"}}


SETTINGS = [
    Attack("trigger", "the run Dag, with conf of another repository", _run_with_conf, "clock"),
    Attack("XCom", "letters at the run Dag, cleared", _run_with_letters, "clock"),
    Attack("trigger", "the run Dag, with conf and name of a plan", _run_named_as_a_plan, "clock"),
    Attack("Variables", "the project's: another repository, then a run", _published(), "clock"),
    Attack("Variables", "the project's, by a bulk request", _published_bulk, "clock"),
    Attack(
        "Variables",
        "the project's: another repository, and git_secret_ref",
        _published(git_auth_method="token", git_secret_ref="payroll_db"),
        "clock",
    ),
    Attack("Variables", "the project's: state_connection_id", _published(state_connection_id="state_other"), "clock"),
    Attack("Variables", "the project's of an earlier deployment", _published_again, "clock"),
    Attack("Variables", "the project's: a rejected commit", _rejected_commit_published, "clock"),
    Attack("Variables", "the project's deleted, then a run", _variable_deleted, "clock"),
    Attack("Variables", "index: a Dag of one's own", _dag_of_ones_own, "clock"),
    Attack("Variables", "index: another name and environment", _index_changed, "clock"),
    Attack("Variables", "index: every minute", _scheduled, "clock"),
    Attack("pools", "the writer's with ten slots", _pool("PATCH", {"slots": 10, "include_deferred": False}), "pending"),
    Attack("pools", "the writer's deleted", _pool("DELETE", None), "pending"),
    Attack("connections", "dagctl__plan_key overwritten", _key("dagctl__plan_key"), "pending"),
    Attack("connections", "dagctl__seal_key overwritten", _key("dagctl__seal_key"), "pending"),
    Attack("connections", "the project's: variables that load code", _own_connection(_loads_code), "race"),
    Attack("connections", "explain's own: variables that load code", _own_connection(_loads_code, "_explain"), "race"),
    Attack("connections", "test of another's", _connection_tested),
    Attack("Dags", "unpaused, one and all", _dag_patched),
    Attack("Dags", "parsed again", _parsed_again),
    Attack("clear", "the gate's task deleted, execute cleared", _tasks_deleted, "pending"),
]
