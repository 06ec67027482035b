"""Finds new commits and plans them: one question per distinct repository and branch, failing remotes asked less often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import plans, publishing, repositories, transactions
from dagctl_provider.store import records
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

TRIGGER = "git_polling"
# How soon a new or resumed project is noticed between two rounds; listing a thousand projects costs some 30 ms.
_LIST_SECONDS = 5.0


@dataclass
class _Remote:
    """When a remote is due, and how often in a row it failed."""

    due_at: float = 0.0
    failures: int = 0


@dataclass
class Poller:
    """Remembers, between rounds, which remote is due.

    :param clock: Seconds that only grow; a parameter so that tests need not wait.
    """

    clock: Callable[[], float] = time.monotonic
    _remotes: dict[tuple[str, str, str | None], _Remote] = field(default_factory=dict)
    _list_at: float = 0.0

    def poll(self) -> int:
        """Ask every remote that is due and plan what is new.

        :return: How many plans were made.
        """
        now = self.clock()
        if now < self._list_at and all(now < remote.due_at for remote in self._remotes.values()):
            return 0
        self._list_at = now + _LIST_SECONDS
        groups: dict[tuple[str, str, str | None], list[Project]] = {}
        for project in transactions.run(records.list_projects):
            if publishing.is_generated(project) and not project.suspended:
                key = (project.repository_url, project.branch, project.settings.get("git_secret_ref"))
                groups.setdefault(key, []).append(project)
        self._remotes = {key: self._remotes.get(key, _Remote()) for key in groups}
        due = [key for key in groups if self._remotes[key].due_at <= now]
        if not due:
            return 0
        heads = repositories.heads_of({key: groups[key][0] for key in due}, setting("polling_workers"))
        return sum(self._handle(key, groups[key], heads[key], now) for key in due)

    def _handle(self, key: tuple[str, str, str | None], projects: list[Project], head: str | DagctlError, now: float) -> int:
        remote = self._remotes[key]
        interval = setting("polling_interval")
        if isinstance(head, DagctlError):
            remote.failures += 1
            remote.due_at = now + min(interval * 2**remote.failures, max(interval, setting("polling_max_backoff")))
            _note(projects, sync_error=head.detail)
            log.warning("%s of %d project(s) cannot be read: %s", projects[0].branch, len(projects), head)
            return 0
        remote.failures, remote.due_at = 0, now + interval
        _note(projects, sync_error=None, last_synced_at=utcnow())
        return sum(_plan_if_new(project, head) for project in projects)


def _note(projects: list[Project], **values: Any) -> None:
    def work(session: Session) -> None:
        for project in projects:
            records.update_project(session, project.id, touch=False, **values)

    transactions.run(work)


def _plan_if_new(project: Project, head: str) -> int:
    """Plan a commit once: what somebody rejected or deleted is left alone, what was auto-discarded is planned again."""
    wanted = project.settings.get("sqlmesh_version")

    def is_new(session: Session) -> bool:
        if head == project.current_commit_sha and wanted == (project.current_tool_version or wanted):
            return False
        if records.was_deleted(session, project.id, head):
            return False
        explains = records.explains_for_commit(session, project.id, head)
        return all(step.auto_discarded or step.settings.get("tool_version") != wanted for step in explains)

    if not transactions.run(is_new):
        return 0
    try:
        actor = system_actor(project.organization_id, TRIGGER)
        facts = repositories.facts_of(project, head, project.current_commit_sha)
        return int(plans.plan_commit(actor, project.id, facts, TRIGGER).outcome == "created")
    except DagctlError as error:
        _note([project], sync_error=error.detail)
        return 0
