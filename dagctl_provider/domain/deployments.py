"""What is deployed in an environment: the commit that was applied there last, and what that left behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Deployment:
    """The deployed state of one project in one environment.

    :param environment: As in :class:`~dagctl_provider.domain.targets.PlanTarget`; with the project it is the key.
    :param ref: What the commit was planned from: the branch.
    :param tool_version: The version of the tool that applied it.
    :param artifacts: What the execute left for the next explain, by name: sha256 of the stored bytes.
    :param digest: Of the plan that was approved.
    :param group_id: The plan; absent where the record of it is gone.
    :param step_id: The execute step; its settings say how the commit was applied.
    """

    project_id: str
    environment: str
    ref: str
    commit_sha: str
    deployed_at: datetime
    tool_version: str | None = None
    artifacts: dict[str, str] | None = None
    digest: str | None = None
    group_id: str | None = None
    step_id: str | None = None
