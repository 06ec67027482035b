"""Who decided what on a plan. The record outlives what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DecisionRecord:
    """One entry of the record of decisions.

    :param decision: ``approved``, ``rejected``, ``discarded``, ``cancelled``, ``retried`` or ``deleted``.
    :param digest: What the decision was about: that of the plan as it was shown.
    :param actor_kind: ``user``, ``token`` or ``system``.
    :param door: Where it was taken: ``rest``, ``page``, ``required_actions`` or ``system``.
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
