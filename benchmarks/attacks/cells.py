"""One cell of the table: one attack by one person, with all that an attack is made of."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.attacks.airflows import Person
from benchmarks.attacks.scene import SECONDS, Genuine, Scene
from benchmarks.common import await_value

REFUSED = (401, 403)
_ACTIVE = ("scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule")
_PARKED = ("awaiting_input", "deferred")


class Stopped(Exception):
    """Airflow did not take a request that the rest of the attack needs.

    :param status: Its answer.
    """

    def __init__(self, status: int, request: str, text: str) -> None:
        super().__init__(f"{request}: {status} {text[:160]}")
        self.status = status


@dataclass(frozen=True)
class Attack:
    """One row of the table.

    :param theme: What of Airflow is used.
    :param title: What is tried.
    :param play: Tries it.
    :param target: Which genuine plan it is about: such attacks take turns. A lane of its own for what has no plan.
    :param makes_runs: Whether runs of its own are meant to do something. A step that dagctl asked for and that Airflow's Clear
        starts once more in its own run is told apart.
    :param roles: Who plays it, by auth manager; everybody by default. Whoever has the right to decide in dagctl need not attack.
    """

    theme: str
    title: str
    play: Callable[[Cell], None]
    target: str | None = None
    makes_runs: bool = False
    roles: Mapping[str, tuple[str, ...]] | None = None

    def is_for(self, manager: str, role: str) -> bool:
        """Whether somebody plays it."""
        return self.roles is None or role in self.roles[manager]


@dataclass
class Cell:
    """An attack that is played.

    :param name: Of the cell; labels of commits are made from it.
    :param place: Which of the genuine plans of the attack's target, or its lane.
    """

    attack: Attack
    person: Person
    scene: Scene
    name: str
    place: str
    runs: list[tuple[str, str]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    _commit: str = ""

    # What there is

    @property
    def target(self) -> Genuine:
        """The genuine plan that the attack is about; any plan that waits when it has none."""
        return self.scene.genuine.get(self.place, self.scene.genuine["pending"])

    @property
    def label(self) -> str:
        """Of the attacker's commit."""
        return f"evil-{self.name}"

    @property
    def commit(self) -> str:
        """The attacker's commit, which is this cell's alone."""
        self._commit = self._commit or self.scene.evil.commit(self.label)
        return self._commit

    @property
    def was_made(self) -> str | None:
        """The attacker's commit, if there is one."""
        return self._commit or None

    @property
    def changed_something(self) -> bool:
        """Whether Airflow took any request."""
        return any(answer.rpartition(" ")[2] < "400" for answer in self.answers)

    def evil(self, letter: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        """A genuine request with the attacker's repository in it.

        :param letter: The request; by default that of the target.
        """
        own = {"repository_url": self.scene.evil.repository.url, "commit_sha": self.commit, "allow_local_repositories": True}
        return {**(letter or self.target.conf["dagctl"]), **own, **changes}

    # Requests

    def ask(self, method: str, path: str, body: Any = None, needed: bool = True) -> httpx.Response:
        """One request to Airflow's REST.

        :param needed: Whether the attack is over when it is not taken.
        :raises Stopped: then, and whenever Airflow says that the person may not.
        """
        answer = self.person.ask(method, f"/api/v2{path}", body)
        self.answers.append(f"{method} {path} {answer.status_code}")
        if answer.status_code in REFUSED or (needed and answer.is_error):
            raise Stopped(answer.status_code, f"{method} {path}", answer.text)
        return answer

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None, run_id: str | None = None, **more: Any) -> str:
        """Start a Dag; id of the run."""
        wanted = {"dag_run_id": run_id} if run_id else {}
        answer = self.ask("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf or {}, **wanted, **more})
        made = str(answer.json()["dag_run_id"])
        self.runs.append((dag_id, made))
        return made

    def xcom(self, run: tuple[str, str], task: str, key: str, value: Any, needed: bool = True) -> None:
        """Write an XCom, over one that is there already as well."""
        path = f"{_of_task(run, task)}/xcomEntries"
        answer = self.ask("POST", path, {"key": key, "value": value}, needed=False)
        if answer.status_code == 409:
            answer = self.ask("PATCH", f"{path}/{key}", {"value": value}, needed=False)
        if needed and answer.is_error:
            raise Stopped(answer.status_code, f"XCom {key} of {task}", answer.text)

    def require_xcoms(self) -> None:
        """End the attack here when the person may write no XComs, before its owner goes to the trouble of a plan.

        :raises Stopped: then.
        """
        self.ask("PATCH", f"{_of_task(self.run, 'explain')}/xcomEntries/not_there", {"value": 1}, needed=False)

    def xcoms(self, run: tuple[str, str], letters: Mapping[tuple[str, str], Any], needed: bool = True) -> None:
        """Write many XComs."""
        for (task, key), value in letters.items():
            self.xcom(run, task, key, value, needed)

    def clear(self, run: tuple[str, str], *tasks: str, wait: bool = True, **more: Any) -> None:
        """Clear tasks, and wait until whatever starts then is over.

        :param wait: Whether to wait here.
        """
        self.touch(run)
        body = {"dry_run": False, "only_failed": False, "task_ids": list(tasks), "dag_run_id": run[1], **more}
        self.ask("POST", f"/dags/{run[0]}/clearTaskInstances", body)
        if wait:
            self.settle(run)

    def mark(self, run: tuple[str, str], task: str, state: str, wait: bool = True) -> None:
        """Mark a task, and wait until whatever follows is over.

        :param wait: Whether to wait here.
        """
        self.touch(run)
        self.ask("PATCH", _of_task(run, task), {"new_state": state})
        if wait:
            self.settle(run)

    def mark_run(self, run: tuple[str, str], state: str) -> None:
        """Mark a run."""
        self.touch(run)
        self.ask("PATCH", f"/dags/{run[0]}/dagRuns/{run[1]}", {"state": state})
        self.settle(run)

    def touch(self, run: tuple[str, str]) -> None:
        """Remember a run, so that nothing is judged before it is quiet."""
        if run not in self.runs:
            self.runs.append(run)

    # Waiting

    def settle(self, run: tuple[str, str]) -> None:
        """Wait until nothing of a run is going on or about to."""
        try:
            await_value(lambda: self._is_quiet(run), SECONDS, f"quiet in {run[1]}", every=0.2)
        except TimeoutError as error:
            self.findings.append(f"UNSETTLED: {error}")

    def _is_quiet(self, run: tuple[str, str]) -> bool:
        database = self.scene.database
        row = database.row("SELECT state FROM dag_run WHERE dag_id = %s AND run_id = %s", *run)
        if row is None or row["state"] in ("success", "failed"):
            return True
        tasks = database.rows("SELECT state FROM task_instance WHERE dag_id = %s AND run_id = %s", *run)
        states = [task["state"] for task in tasks]
        return any(state in _PARKED for state in states) and not any(state in _ACTIVE for state in states)

    # What several attacks have in common

    @property
    def run(self) -> tuple[str, str]:
        """The run of the genuine plan."""
        return self.target.dag_id, self.target.run_id

    def played_run(
        self, letter: Mapping[str, Any], letters: Mapping[tuple[str, str], Any], run_id: str | None = None, execute: bool = False
    ) -> tuple[str, str]:
        """A run of the plan Dag with a request and letters, written before the explain begins and again once it has failed.

        :param execute: Whether to approve it as well, with a decision for the digest that was explained.
        """
        run = (self.target.dag_id, self.trigger(self.target.dag_id, {"dagctl": dict(letter)}, run_id))
        self.xcoms(run, letters, needed=False)
        self.settle(run)
        if self.scene.task(run[1], "explain") != "success":
            self.xcoms(run, letters)
            self.clear(run, "explain", include_downstream=True)
        if execute:
            self.approve(run, letters)
        return run

    def approve(self, run: tuple[str, str], letters: Mapping[tuple[str, str], Any]) -> None:
        """Do what stands in one's power that a run is executed: a decision, the gate, the task."""
        found = self.person.ask("GET", f"/api/v2{_of_task(run, 'explain')}/xcomEntries/result")
        result = found.json().get("value") if found.is_success else letters.get(("explain", "result"))
        digest = (result or {}).get("digest") or self.target.shown["digest"]
        if not result:
            self.xcom(run, "explain", "result", {"outcome": "succeeded", "digest": digest, "step_id": "plan_forged"})
        self.xcom(run, "explain", "decision", forged_decision(digest))
        self.mark(run, "await_approval", "success")
        self.clear(run, "execute")


def _of_task(run: tuple[str, str], task: str) -> str:
    return f"/dags/{run[0]}/dagRuns/{run[1]}/taskInstances/{task}"


def forged_decision(digest: str | None) -> dict[str, Any]:
    """A decision that nobody took."""
    return {"decision": "approved", "digest": digest, "decided_by": "nobody", "execution_plan_id": "plan_forged"}


def forged_origin(letter: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """The unsigned letter by which an explain once knew its conf: everybody can work it out."""
    return {("execute", "origin"): {"fingerprint": hashlib.sha256(json.dumps(letter, sort_keys=True).encode()).hexdigest()}}


def forged_grant(letter: Mapping[str, Any], genuine: Any, encoded: bool = False) -> dict[str, Any]:
    """A grant for a request, with the signature of another one.

    :param letter: What it is to say; a genuine payload keeps all that it says besides.
    :param genuine: A grant that dagctl signed, where there is one.
    :param encoded: Whether the payload is base64.
    """
    known = genuine if isinstance(genuine, dict) else {}
    payload = json.dumps(_altered(_payload(known.get("payload")) or dict(letter), letter), sort_keys=True)
    payload = base64.urlsafe_b64encode(payload.encode()).decode() if encoded else payload
    signature = known.get("signature") or hashlib.sha256(payload.encode()).hexdigest()
    return {"payload": payload, "signature": signature, "key_id": known.get("key_id", "1")}


def _payload(text: Any) -> Any:
    """What a payload says, as JSON or as base64 of it."""
    for decode in (str, lambda found: base64.urlsafe_b64decode(f"{found}==").decode()):
        try:
            return json.loads(decode(text))
        except (TypeError, ValueError):
            continue
    return None


def _altered(found: Any, letter: Mapping[str, Any]) -> Any:
    """The same with the repository and the commit of a request, wherever they stand in it."""
    if isinstance(found, dict):
        own = {key: letter[key] for key in ("repository_url", "commit_sha") if key in found}
        return {key: own.get(key, _altered(value, letter)) for key, value in found.items()}
    if isinstance(found, list):
        return [_altered(one, letter) for one in found]
    inner = _payload(found) if isinstance(found, str) and found.startswith("{") else None
    return json.dumps(_altered(inner, letter)) if inner is not None else found
