"""The runs of a project as a list: what became of a run that somebody started, or that its schedule did."""

from __future__ import annotations

from datetime import datetime

from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.run_records import RunRecord
from dagctl_provider.orchestration import run_records
from dagctl_provider.services.lifecycle import lookups
from dagctl_provider.services.results import Page
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session


def list_runs(
    actor: Actor,
    project_id: str,
    page: int = 1,
    limit: int = 50,
    status: str | None = None,
    updated_after: datetime | None = None,
) -> Page[RunRecord]:
    """One page of a project's runs, newest first. Finished ones are kept up to the history limits.

    :param page: From 1.
    :param limit: 1 to 500.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> Page[RunRecord]:
        lookups.visible_project(session, actor, project_id)
        found, total = run_records.list_runs(
            session, project_id, page=page, limit=limit, status=status, updated_after=updated_after
        )
        return Page(found, total, page, limit)

    return transactions.run(work)
