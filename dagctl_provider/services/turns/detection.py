"""Finds new commits and plans them: one question per distinct repository and branch, failing remotes asked less often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from packaging.version import Version

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.releases import RELEASE_FILE, InvalidRelease
from dagctl_provider.git.processes import ServerEnds
from dagctl_provider.services import plans
from dagctl_provider.services.lifecycle import leftovers, publishing
from dagctl_provider.services.outside import repositories
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
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
    # By project: head, deployed commit and strategy for which it is known that the version has not risen.
    _not_risen: dict[str, tuple[str | None, ...]] = field(default_factory=dict)

    def poll(self) -> int:
        """Ask every remote that is due and plan what is new.

        :return: How many plans were made.
        """
        now = self.clock()
        if now < self._list_at and all(now < remote.due_at for remote in self._remotes.values()):
            return 0
        self._list_at = now + _LIST_SECONDS
        groups: dict[tuple[str, str, str | None], list[Project]] = {}
        for project in transactions.run(project_rows.list_projects):
            if publishing.is_generated(project) and not project.suspended:
                key = (project.repository_url, project.branch, project.settings.get("git_secret_ref"))
                groups.setdefault(key, []).append(project)
        self._remotes = {key: self._remotes.get(key, _Remote()) for key in groups}
        known = {project.id for projects in groups.values() for project in projects}
        self._not_risen = {key: value for key, value in self._not_risen.items() if key in known}
        due = [key for key in groups if self._remotes[key].due_at <= now]
        if not due:
            return 0
        made, answered = 0, []
        for key, head in repositories.heads_of({key: groups[key][0] for key in due}, setting("polling_workers")):
            made += self._handled(key, groups[key], head, now)
            answered += groups[key] if isinstance(head, str) else []
        _note(answered, last_synced_at=utcnow())
        return made

    def _handled(self, key: tuple[str, str, str | None], projects: list[Project], head: str | DagctlError, now: float) -> int:
        """:meth:`_handle`, where what is broken about one remote or project stops no other."""
        try:
            return self._handle(key, projects, head, now)
        except ServerEnds:
            raise
        except Exception:
            log.exception("What is new on branch %s of %d project(s) could not be planned", projects[0].branch, len(projects))
            return 0

    def _handle(self, key: tuple[str, str, str | None], projects: list[Project], head: str | DagctlError, now: float) -> int:
        remote = self._remotes[key]
        # The remote is asked once for all, so the most impatient project decides how often.
        interval = min(project.polling_interval or setting("polling_interval") for project in projects)
        if isinstance(head, DagctlError):
            remote.failures += 1
            remote.due_at = now + min(interval * 2**remote.failures, max(interval, setting("polling_max_backoff")))
            _note(projects, sync_error=head.detail)
            log.warning("%s of %d project(s) cannot be read: %s", projects[0].branch, len(projects), head)
            return 0
        remote.failures, remote.due_at = 0, now + interval
        if any(project.sync_error for project in projects):
            _note(projects, sync_error=None)
        return sum(self._plan_if_new(project, head) for project in projects)

    def _plan_if_new(self, project: Project, head: str) -> int:
        """Plan a commit once: what somebody rejected or deleted is left alone, what was auto-discarded is planned again."""
        if not transactions.run(lambda session: _is_new(session, project, head)):
            return 0
        try:
            if not self._is_asked_for(project, head):
                return 0
            actor = system_actor(project.organization_id, TRIGGER)
            facts = repositories.facts_of(project, head, project.current_commit_sha)
            return int(plans.plan_commit(actor, project.id, facts, TRIGGER).outcome == "created")
        except DagctlError as error:
            _note([project], sync_error=error.detail)
            return 0

    def _is_asked_for(self, project: Project, head: str) -> bool:
        """Whether the commit is to be planned by itself: always, or when the version in ``.dagctl/config.yaml`` has risen.

        The answer is remembered, so that a commit that is not to be planned is read once and not in every round.
        """
        strategy = project.settings.get("version_strategy")
        if not project.tool.follows_releases or strategy == "continuous":
            return True
        known = (head, project.current_commit_sha, strategy)
        if self._not_risen.get(project.id) == known:
            return False
        try:
            wanted = repositories.release_of(project, head)
            if wanted is None and strategy is None:
                return True
            if wanted is None:
                raise InvalidRelease(f"There is no {RELEASE_FILE}, so no version can rise.")
            risen = _rises(_deployed_release(project), wanted)
        except InvalidRelease as error:
            _note([project], sync_error=str(error))
            return False
        if not risen:
            self._not_risen[project.id] = known
        return risen


def _note(projects: list[Project], **values: object) -> None:
    ids = [project.id for project in projects]
    transactions.run(lambda session: project_rows.note_projects(session, ids, **values))


def _is_new(session: Session, project: Project, head: str) -> bool:
    """Whether the commit is not deployed and nobody has decided on it yet."""
    if plans.is_deployed(session, project, head):
        return False
    if decision_rows.was_deleted(session, project.id, head):
        return False
    since = None
    if head == project.current_commit_sha:
        # The branch was set back to it. Its plan of then says nothing of what a later execute left half-way.
        unsettled = leftovers.unsettled(session, project.id, project.target.environment)
        since = unsettled[-1].created_at if unsettled else None
    planned = plan_rows.settings_planned(session, project.id, head, since)
    wanted = {"tool_version": project.tool_version, "environment": project.environment}
    return all(any(settings.get(key) != value for key, value in wanted.items()) for settings in planned)


def _deployed_release(project: Project) -> Version | None:
    """The version at the deployed commit; ``None`` when nothing is deployed or that commit had none."""
    if project.current_commit_sha is None:
        return None
    try:
        return repositories.release_of(project, project.current_commit_sha)
    except InvalidRelease:
        return None


def _rises(before: Version | None, after: Version) -> bool:
    return before is None or after > before
