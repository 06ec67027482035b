"""The table of attacks and the books of the chaos, without an Airflow; the programs themselves are run by hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from benchmarks.attacks.__main__ import ATTACKS
from benchmarks.attacks.airflows import ROLES
from benchmarks.attacks.cells import forged_grant
from benchmarks.chaos.invariants import examine
from benchmarks.chaos.lanes import APPROVE, AUTO, CANCEL, REJECT, WAIT, Commit, shared_out


def test_the_table_has_what_it_promises() -> None:
    names = [(attack.theme, attack.title) for attack in ATTACKS]
    assert len(set(names)) == len(names)
    assert len(names) >= 44
    # Whoever is not asked to play has the right to decide in dagctl anyway.
    assert all("Viewer" in attack.roles[manager] for attack in ATTACKS if attack.roles for manager in ("simple", "fab"))
    assert all(attack.is_for("fab", role) for attack in ATTACKS if not attack.roles for role in ROLES)


def test_plans_are_shared_out_and_only_a_last_one_waits() -> None:
    lanes = shared_out(20, 5, seed=1)
    assert [len(lane) for lane in lanes] == [4] * 5
    assert set(lanes[0]) == {AUTO}
    assert {what for lane in lanes[1:] for what in lane} == {APPROVE, REJECT, CANCEL, WAIT}
    assert all(WAIT not in lane[:-1] and AUTO not in lane for lane in lanes[1:])
    assert shared_out(20, 5, seed=1) == lanes


@pytest.mark.parametrize("encoded", [False, True])
def test_a_forged_grant_says_something_else_under_the_same_signature(encoded: bool) -> None:
    text = json.dumps({"run": "r", "request": {"repository_url": "theirs", "commit_sha": "c"}})
    genuine = {
        "payload": base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") if encoded else text,
        "signature": "s",
        "key_id": "k",
    }
    forged = forged_grant({"repository_url": "mine", "commit_sha": "d"}, genuine, encoded)
    said = base64.urlsafe_b64decode(forged["payload"]).decode() if encoded else forged["payload"]
    assert json.loads(said) == {"run": "r", "request": {"repository_url": "mine", "commit_sha": "d"}}
    assert (forged["signature"], forged["key_id"]) == ("s", "k")


def step(commit: Commit, plan_type: str, status: str, number: int = 1) -> dict[str, Any]:
    """A row of a plan's step."""
    return {
        "id": f"plan_{commit.label}_{plan_type}_{number}",
        "plan_type": plan_type,
        "status": status,
        "to_commit_sha": commit.sha,
        "commit_message": commit.label,
    }


def test_books_that_are_right() -> None:
    done, refused, waits = (
        Commit("p", label, wanted, sha=label) for label, wanted in (("a", APPROVE), ("b", REJECT), ("c", WAIT))
    )
    done.approved = True
    steps = [step(done, "explain", "approved"), step(done, "execute", "completed"), step(refused, "explain", "rejected")]
    decisions = [
        {"commit_sha": "a", "decision": "approved", "step_id": "1"},
        {"commit_sha": "b", "decision": "rejected", "step_id": "2"},
    ]
    found = examine([done, refused, waits], [*steps, step(waits, "explain", "pending")], decisions, {"a": 1})
    assert [broken for _, broken in found.lines()] == [[]] * 6


def test_books_that_are_wrong_in_every_way() -> None:
    twice, lost, forced, empty = (Commit("p", label, APPROVE, sha=label, approved=True) for label in ("a", "b", "c", "d"))
    steps = [step(twice, "execute", "running"), step(forced, "execute", "completed"), step(empty, "execute", "completed")]
    decisions = [{"commit_sha": sha, "decision": "approved", "step_id": "1"} for sha in ("a", "d")]
    found = examine([twice, lost, forced, empty], steps, decisions, {"a": 2, "c": 1})
    assert found.unfinished == ["a: execute plan_a_execute_1 is running"]
    assert (found.lost, found.doubled, found.missing) == (["b"], ["a: 2 times"], ["d"])
    assert found.unapproved == ["c: applied, wanted was approve"]
    assert found.decided_twice == ["1: 2 decisions"]
