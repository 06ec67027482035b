"""Who decided what on a plan. The record outlives what was decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dagctl_provider.domain.permissions import PLANNED_AGAIN

KEPT_FOR = timedelta(days=7)
"""How long after it was given an approval can be kept for a new plan with the same digest."""


@dataclass(frozen=True)
class Consent:
    """What goes with an approval.

    :param comment: What was said.
    :param allow_destructive: The models whose destructive changes are approved by name.
    :param evaluation: What it needed by the rules of its environment, and what it had.
    """

    comment: str | None = None
    allow_destructive: Sequence[str] = ()
    evaluation: Mapping[str, Any] | None = None


SILENT = Consent()
"""An approval with which nothing goes."""


@dataclass(frozen=True)
class DecisionRecord:
    """One entry of the record of decisions.

    :param decision: ``approved``, ``rejected``, ``discarded``, ``cancelled``, ``retried`` or ``deleted``; ``approval_given`` for
        an approval that is not enough by itself.
    :param digest: What the decision was about: that of the plan as it was shown.
    :param actor_kind: ``user``, ``token`` or ``system``.
    :param door: Where it was taken: ``rest``, ``page``, ``required_actions`` or ``system``.
    :param evaluation: What it needed by the rules of its environment, and what it had.
    """

    id: str
    group_id: str
    step_id: str
    project_id: str
    commit_sha: str
    decision: str
    actor_kind: str
    actor_id: str
    actor_name: str
    door: str
    created_at: datetime
    digest: str | None = None
    comment: str | None = None
    evaluation: Mapping[str, Any] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it is the approval of an earlier plan, by the person who gave that one: people have doors of their own."""
        return self.decision == "approved" and self.actor_kind != "system" and self.door == "system"


def approval_to_keep(rows: Sequence[DecisionRecord], group_id: str, digest: str, now: datetime) -> DecisionRecord | None:
    """The approval that a new plan of the same commit with the same digest has already, if it stands.

    A person has given it, not long ago, and nobody has decided anything else since. That the drifted plan made room for a new
    one says nothing against it.

    :param rows: All decisions on the commit, oldest first.
    :param group_id: The plan whose execution drifted.
    :param digest: Of that plan and of the new one.
    """
    approvals = [row for row in rows if row.decision == "approved" and row.actor_kind != "system" and row.digest == digest]
    given = [row for row in approvals if not row.is_kept]
    if not given or group_id not in {row.group_id for row in approvals} or given[-1].created_at <= now - KEPT_FOR:
        return None
    since = rows[rows.index(given[-1]) + 1 :]
    return None if any(_speaks_against(row) for row in since) else given[-1]


def standing_approvals(rows: Sequence[DecisionRecord], used_up: Collection[str]) -> list[DecisionRecord]:
    """The approvals that still stand for what comes out as they say: given by people, and since the last act that ends them.

    A rejection, a deletion and a withdrawal end them, and so does an execution: what was applied is no longer asked for. Whatever
    the product did by itself does not.

    :param rows: All decisions of a project on one digest, oldest first.
    :param used_up: The plans that were executed in more than a drift.
    """
    standing: list[DecisionRecord] = []
    for row in rows:
        if row.decision in ("approved", "approval_given") and row.actor_kind != "system":
            # One that was kept is the same approval once more, no newer one.
            standing += [] if row.is_kept else [row]
        if row.actor_kind != "system" and row.decision in ("rejected", "deleted", "cancelled"):
            standing = []
        if row.group_id in used_up and row.decision == "approved":
            standing = []
    return standing


def _speaks_against(row: DecisionRecord) -> bool:
    planned_again = (row.decision, row.actor_kind, row.actor_id) == ("cancelled", "system", PLANNED_AGAIN)
    return row.decision not in ("approved", "approval_given", "retried") and not planned_again
