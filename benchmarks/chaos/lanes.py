"""What goes on meanwhile: commits of several projects are planned, decided over REST, and tried again, by patient clients."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.common_projects import CONFIG, Project, Repository

FINAL = ("completed", "failed", "rejected", "cancelled")
APPROVE, AUTO, REJECT, CANCEL, WAIT = "approve", "auto", "reject", "cancel", "wait"
_ASK_EVERY = 0.5
_MOST_PLANS, _MOST_RETRIES = 8, 3

# Each applied plan leaves a row, and each commit changes the model, so that there always is something to apply.
_LEDGER = """before_all: ["CREATE TABLE IF NOT EXISTS main.applied (label TEXT)"]
after_all: ["INSERT INTO main.applied VALUES ('{label}')"]
"""
_MODEL = "MODEL (name chaos.numbers, kind FULL);\nSELECT '{label}' AS label\n"


def files(label: str) -> Mapping[str, str]:
    """The files of a commit."""
    return {"config.yaml": CONFIG + _LEDGER.format(label=label), "models/numbers.sql": _MODEL.format(label=label)}


class Door:
    """dagctl's REST at one of several API servers, any of which may be gone at any moment.

    :param addresses: Of the API servers.
    :param headers: Of a token.
    """

    def __init__(self, addresses: Sequence[str], headers: Mapping[str, str]) -> None:
        self._clients = [httpx.Client(base_url=f"{address}/api/v1", headers=dict(headers), timeout=30) for address in addresses]
        self._dice, self._lock = random.Random(len(addresses)), threading.Lock()
        self.answers: Counter[int] = Counter()
        self.unanswered = 0
        self.wrong: list[str] = []
        self.given_up = threading.Event()

    def once(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """One request; status 0 when nobody answered."""
        with self._lock:
            client = self._dice.choice(self._clients)
        try:
            answer = client.request(method, path)
        except httpx.HTTPError:
            with self._lock:
                self.unanswered += 1
            return 0, {}
        with self._lock:
            self.answers[answer.status_code] += 1
            if answer.status_code >= 500 and answer.status_code != 503:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {method} {path}: {answer.status_code} {answer.text[:300]}")
        try:
            return answer.status_code, dict(answer.json())
        except ValueError:
            return answer.status_code, {}

    def until_answered(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Ask until somebody says something that is no failure of the server."""
        while True:
            status, body = self.once(method, path)
            if 0 < status < 500 and status != 429:
                return status, body
            if self.given_up.wait(_ASK_EVERY):
                raise TimeoutError(f"{method} {path} found nobody")


@dataclass
class Commit:
    """A commit and what was wanted of it.

    :param label: What its plan leaves in the warehouse.
    :param wanted: One of the decisions above.
    :param approvals: Statuses of the two clients that approved at once.
    :param approved: Whether an approval was asked for, or is automatic.
    """

    project: str
    label: str
    wanted: str
    sha: str = ""
    group_id: str = ""
    explains_failed: int = 0
    executes_failed: int = 0
    approvals: list[int] = field(default_factory=list)
    approved: bool = False
    note: str = ""


@dataclass
class Lane:
    """One project's commits, one after the other.

    :param moments: When each may begin at the earliest, by the monotonic clock.
    """

    project: Project
    door: Door
    commits: list[Commit]
    moments: list[float]

    def run(self) -> None:
        """All of them. What cannot go on says so with its commit."""
        for commit, moment in zip(self.commits, self.moments, strict=True):
            if self.door.given_up.wait(max(0.0, moment - time.monotonic())):
                return
            try:
                self._play(commit)
            except TimeoutError as error:
                commit.note = str(error)
                return

    def _play(self, commit: Commit) -> None:
        commit.sha = self.project.repository.commit(files(commit.label), commit.label)
        if commit.wanted == AUTO:
            # Whoever approves automatically has decided before.
            commit.approved = True
        for _ in range(_MOST_PLANS):
            plan = self._explained(commit)
            if plan is None or plan["status"] != "failed":
                break
            commit.explains_failed += 1
        if plan is None or plan["status"] == "failed":
            commit.note = "no explain came to its end"
            return
        commit.group_id = plan["plan_id"]
        if plan["status"] == "pending" and commit.wanted in (APPROVE, CANCEL):
            self._approve(commit, plan["id"])
        elif plan["status"] == "pending" and commit.wanted == REJECT:
            self.door.until_answered("POST", f"/plans/{plan['id']}/reject")
        if commit.wanted in (APPROVE, CANCEL, AUTO):
            self._follow(commit)

    def _explained(self, commit: Commit) -> dict[str, Any] | None:
        """A plan of the commit whose explain is over; ``None`` when there is none to be made."""
        status, made = self.door.until_answered("POST", f"/projects/{self.project.id}/plans")
        plan_id = made.get("plan_id") or made.get("id")
        if not plan_id:
            commit.note = f"planning was answered with {status} {made.get('status') or made.get('detail')}"
            return None
        while True:
            status, plan = self.door.until_answered("GET", f"/plans/{plan_id}")
            if status != 200:
                commit.note = f"its plan was answered with {status}"
                return None
            if plan["status"] != "running":
                return plan
            self._pause(f"the explain of {commit.label}")

    def _approve(self, commit: Commit, plan_id: str) -> None:
        """Two clients at the same time, each until it has an answer."""
        commit.approved = True
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(self.door.until_answered, "POST", f"/plans/{plan_id}/approve") for _ in range(2)]
            commit.approvals = [one.result()[0] for one in asked]

    def _follow(self, commit: Commit) -> None:
        """Until its execution is over; one that failed is tried again, one that is to be cancelled is."""
        while True:
            _, group = self.door.until_answered("GET", f"/plans/group/{commit.group_id}/steps")
            steps = [step for step in group.get("steps", []) if step["plan_type"] == "execute"]
            if steps:
                last = steps[-1]
                if last["status"] == "running" and commit.wanted == CANCEL:
                    self.door.until_answered("POST", f"/plans/{last['id']}/cancel")
                elif last["status"] == "failed" and commit.wanted != CANCEL and commit.executes_failed < _MOST_RETRIES:
                    commit.executes_failed += 1
                    self.door.until_answered("POST", f"/plans/{last['id']}/retry")
                elif last["status"] in FINAL:
                    return
            elif group.get("steps") and group["steps"][0]["status"] in ("rejected", "cancelled", "failed"):
                commit.note = f"its explain is {group['steps'][0]['status']}"
                return
            self._pause(f"the execution of {commit.label}")

    def _pause(self, what: str) -> None:
        if self.door.given_up.wait(_ASK_EVERY):
            raise TimeoutError(f"{what} did not come to an end")


def shared_out(plans: int, projects: int, seed: int) -> list[list[str]]:
    """What is wanted of the plans of each project: the first project applies by itself, the others are decided over REST.

    The last plan of each of them may be left waiting; a plan that waits would be discarded by the next one.
    """
    dice, lanes = random.Random(seed), []
    decisions, lasts = itertools.cycle(_dealt(dice, [APPROVE, APPROVE, REJECT, CANCEL])), itertools.cycle([APPROVE, WAIT])
    for number in range(projects):
        many = plans // projects + (number < plans % projects)
        if number == 0:
            lanes.append([AUTO] * many)
        elif many:
            lanes.append([*(next(decisions) for _ in range(many - 1)), next(lasts)])
    return lanes


def _dealt(dice: random.Random, cards: list[str]) -> list[str]:
    """The cards in any order."""
    return dice.sample(cards, len(cards))


def begun(path: Any, label: str) -> Repository:
    """A repository with a commit that no plan is about."""
    repository = Repository(path)
    repository.commit(files(label), label)
    return repository
