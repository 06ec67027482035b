"""Lists of plan groups against the same found in Python: every state, every page, whatever the history of a group."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from sqlalchemy import insert

from dagctl_provider.domain.plans import STATUSES, current_status
from dagctl_provider.services import organizations
from dagctl_provider.store import overviews, tables
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.overviews import Wanted
from dagctl_provider.store.session import transaction, utcnow

# Explain, then executions in the order in which they were tried.
_SHOWN = ("group_id", "explain_id", "execute_id", "project_id", "status")
HISTORIES = (
    ("running",),
    ("pending",),
    ("failed",),
    ("rejected",),
    ("cancelled",),
    ("approved", "running"),
    ("approved", "completed"),
    ("approved", "failed"),
    ("approved", "failed", "failed", "completed"),
    ("approved", "failed", "running"),
    ("cancelled", "cancelled"),
    ("approved", "cancelled", "failed"),
)


@pytest.fixture
def organization(database: None) -> str:
    """An organization with two projects that share all histories, and another organization with one of each."""
    mine = organizations.ensure_organization("acme")
    other = organizations.ensure_organization("other")
    with transaction() as session:
        for project, owner in (("one", mine), ("two", mine), ("foreign", other)):
            fill(session, project, owner)
    return mine


def fill(session: Any, project: str, organization_id: str) -> None:
    now = utcnow()
    common = {"organization_id": organization_id, "created_at": now, "updated_at": now, "settings": {}}
    fields = {"project_type": "sqlmesh", "repository_url": "https://example.com/a", "branch": "main", "deployed": True}
    session.execute(insert(tables.project).values(id=project, name=project, name_key=project, dag_id=project, **fields, **common))
    for number, (explain, *executions) in enumerate(HISTORIES * 2):
        group = f"plangroup_{number:02}_{project}"
        for attempt, status in enumerate((explain, *executions)):
            plan_rows.insert_step(
                session,
                id=f"plan_{number:02}_{attempt}_{project}",
                group_id=group,
                plan_type="execute" if attempt else "explain",
                project_id=project,
                ref="main",
                environment="prod",
                to_commit_sha=f"{number:040}",
                status=status,
                attempt=attempt or 1,
                dag_id=project,
                run_id=group,
                commit_message=f"Change {number}",
                **common,
            )


def all_groups(session: Any) -> list[dict[str, Any]]:
    """What a list shows of each group, in the order of a list."""
    found = []
    for project, number in product(("one", "two"), range(len(HISTORIES) * 2)):
        steps = plan_rows.group_steps(session, f"plangroup_{number:02}_{project}")
        facts = {"group_id": steps[0].group_id, "explain_id": steps[0].id, "execute_id": steps[-1].id if steps[1:] else None}
        found.append({**facts, "project_id": project, "status": current_status(steps), "waits": steps[0].status == "pending"})
    found.sort(key=lambda row: row["explain_id"], reverse=True)
    return sorted(found, key=lambda row: not row["waits"])


def test_every_state_and_every_page(organization: str) -> None:
    with transaction() as session:
        groups = all_groups(session)
        for project_id, status in product((None, "two"), (None, *STATUSES)):
            wanted, limit = Wanted(organization, project_id, status), 9
            right = [row for row in groups if project_id in (None, row["project_id"]) and status in (None, row["status"])]
            listed: list[Any] = []
            for page in range(1, len(right) // limit + 2):
                listed += overviews.list_groups(session, wanted, page=page, limit=limit)
            assert [{name: row[name] for name in row if name in _SHOWN} for row in listed] == [
                {name: row[name] for name in row if name in _SHOWN} for row in right
            ]
            counts = overviews.count_groups(session, Wanted(organization, project_id))
            assert (sum(counts.values()) if status is None else counts.get(status, 0)) == len(right)


def test_the_newest_of_each_project(organization: str) -> None:
    with transaction() as session:
        found = overviews.newest_groups(session, organization)
        newest = overviews.newest_group(session, Wanted(organization, "two"))
    assert {key: row["explain_id"] for key, row in found.items()} == {"one": "plan_23_0_one", "two": "plan_23_0_two"}
    assert found["one"]["execute_id"] == "plan_23_2_one"
    assert newest is not None
    assert newest["explain_id"] == "plan_23_0_two"
