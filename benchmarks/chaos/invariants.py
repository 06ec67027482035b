"""What must hold when everything is quiet again, from the rows of plans and from the warehouses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.chaos.lanes import Commit

STANDING = ("completed", "failed", "rejected", "cancelled", "pending")
"""States in which nothing is going on: a plan is over, or waits for somebody."""


@dataclass
class Found:
    """What does not hold, by invariant."""

    unfinished: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unapproved: list[str] = field(default_factory=list)
    decided_twice: list[str] = field(default_factory=list)

    def lines(self) -> list[tuple[str, list[str]]]:
        """Each invariant in words, and what breaks it."""
        return [
            ("plans that are neither over nor waiting", self.unfinished),
            ("commits without a plan", self.lost),
            ("commits applied more than once", self.doubled),
            ("plans that are completed, and left nothing in the warehouse", self.missing),
            ("commits applied that nobody approved", self.unapproved),
            ("plans decided on more than once", self.decided_twice),
        ]


def examine(
    commits: Sequence[Commit],
    steps: Sequence[Mapping[str, Any]],
    decisions: Sequence[Mapping[str, Any]],
    applied: Mapping[str, int],
) -> Found:
    """Compare what was wanted with what is there.

    :param steps: Rows of the plan steps.
    :param decisions: Rows of the decisions.
    :param applied: How often each commit's label stands in its warehouse.
    """
    found = Found()
    by_commit: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        by_commit.setdefault(step["to_commit_sha"], []).append(step)
        explained_and_approved = step["plan_type"] == "explain" and step["status"] == "approved"
        if step["status"] not in STANDING and not explained_and_approved:
            found.unfinished.append(f"{step['commit_message']}: {step['plan_type']} {step['id']} is {step['status']}")
    approved = {row["commit_sha"] for row in decisions if row["decision"] == "approved"}
    for commit in commits:
        _examine_commit(found, commit, by_commit.get(commit.sha, []), commit.sha in approved, applied.get(commit.label, 0))
    counts = Counter(row["step_id"] for row in decisions if row["decision"] in ("approved", "rejected"))
    found.decided_twice = [f"{step}: {number} decisions" for step, number in counts.items() if number > 1]
    return found


def _examine_commit(found: Found, commit: Commit, steps: Sequence[Mapping[str, Any]], approved: bool, rows: int) -> None:
    if commit.sha and not steps:
        found.lost.append(commit.label)
    if rows > 1:
        found.doubled.append(f"{commit.label}: {rows} times")
    completed = any(step["plan_type"] == "execute" and step["status"] == "completed" for step in steps)
    if completed and not rows:
        found.missing.append(commit.label)
    executed = any(step["plan_type"] == "execute" for step in steps)
    if (rows or executed) and not (approved and commit.approved):
        found.unapproved.append(f"{commit.label}: {'applied' if rows else 'an execute step'}, wanted was {commit.wanted}")
