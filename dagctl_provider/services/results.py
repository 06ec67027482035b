"""What the use cases hand to the doors (REST, pages, command line): frozen records, no rows and no sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar

from dagctl_provider.domain.evaluations import Evaluation
from dagctl_provider.domain.executions import Execution
from dagctl_provider.domain.invitations import Invitation
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.members import MemberRow
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.domain.plans import PlanStep, Status
from dagctl_provider.domain.tokens import Token
from dagctl_provider.domain.variables import Variable

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list.

    :param page: Number from 1.
    :param limit: Most items on a page.
    """

    items: tuple[T, ...]
    total: int
    page: int
    limit: int

    @property
    def total_pages(self) -> int:
        """How many pages there are; 0 when the list is empty."""
        return -(-self.total // self.limit)


@dataclass(frozen=True)
class PlanCreated:
    """Answer of creating a plan.

    :param outcome: ``created``, ``already_deployed`` or ``existing_plan``.
    :param commit_sha: Full id of the branch HEAD.
    :param step: The explain step of the new or the newest step of the existing plan.
    :param current_status: Of the existing group.
    """

    outcome: Literal["created", "already_deployed", "existing_plan"]
    commit_sha: str
    step: PlanStep | None = None
    current_status: Status | None = None


@dataclass(frozen=True)
class PlanApproved:
    """Answer of an approval that was taken."""

    explain: PlanStep
    execute: PlanStep


@dataclass(frozen=True)
class PlanApprovalRecorded:
    """Answer of an approval that is recorded and not enough: the plan goes on waiting.

    :param evaluation: What the rules of the environment ask for, and what there is.
    """

    explain: PlanStep
    evaluation: Evaluation


@dataclass(frozen=True)
class PlanAutoDiscarded:
    """Answer of an approval that came too late: the repository moved on and the plan was discarded."""

    explain: PlanStep
    expected_commit: str
    current_commit: str
    reason: str


@dataclass(frozen=True)
class PlanGroup:
    """All steps of one commit, explain first.

    :param logs: Log text by step id.
    """

    group_id: str
    project_id: str
    steps: tuple[PlanStep, ...]
    current_status: Status
    logs: dict[str, str]


@dataclass(frozen=True)
class StepLogs:
    """The log of one step."""

    step: PlanStep
    logs: str


@dataclass(frozen=True)
class RunStarted:
    """Answer of "run now"."""

    run_id: str
    job_name: str
    status: str


@dataclass(frozen=True)
class ShownJob:
    """A job with what Airflow knows of its Dag.

    :param default: Whether it is the default job of its project.
    :param next_run_at: When Airflow starts it next by itself; ``None`` where it does not.
    """

    job: Job
    default: bool
    next_run_at: datetime | None


@dataclass(frozen=True)
class RunLogs:
    """The log of one run."""

    run: Execution
    logs: str


@dataclass(frozen=True)
class RepositoryReport:
    """What a repository says about a project that is not saved yet: its newest commit, and the gateways of its configuration."""

    commit_sha: str
    message: str
    author: str
    committed_at: datetime
    gateways: list[str] | None
    default_gateway: str | None


@dataclass(frozen=True)
class SyncStatus:
    """How a project stands to its branch. Commit ids are full."""

    project_id: str
    branch: str
    in_sync: bool
    current_commit_sha: str | None
    latest_commit_sha: str | None
    latest_commit_message: str | None
    commits_behind: int | None
    last_synced_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class TokenCreated:
    """A fresh token together with its secret, which is shown this once."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True)
class TokenRotated:
    """A token that took the place of another one, with its secret, which is shown this once.

    :param former: The one whose place it took, which is good until it expires.
    """

    token: Token
    secret: str = field(repr=False)
    former: Token


@dataclass(frozen=True)
class Invited:
    """An invitation that was made or sent anew.

    :param link: For whoever was invited. Shown to the inviter where it was not sent.
    :param not_sent: Why no mail was sent; ``None`` when one was.
    """

    invitation: Invitation
    link: str = field(repr=False)
    not_sent: str | None


@dataclass(frozen=True)
class Accepted:
    """Somebody became a member by an invitation."""

    member: MemberRow
    organization: Organization


@dataclass(frozen=True)
class Offer:
    """What an invitation offers, for whoever holds its link."""

    invitation: Invitation
    organization: Organization


@dataclass(frozen=True)
class ShownVariable:
    """An environment variable as it may be told.

    :param value: ``***`` where it is sensitive; ``None`` where it cannot be read any more.
    :param readable: Whether it can still be decrypted.
    """

    variable: Variable
    value: str | None
    readable: bool = True
