"""The record of changes over the use cases: what is noted, that it is whole, and that two writers make no gap."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, update

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services import audit, plans, projects
from dagctl_provider.services.audit import AuditFilter
from dagctl_provider.services.lifecycle import auditing, keys
from dagctl_provider.store import tables, transactions
from tests.services.world import World, world

__all__ = ["world"]


def verbs(world: World, **wanted: Any) -> list[tuple[str, str]]:
    """Kind and verb of the entries, oldest first."""
    found = audit.list_entries(world.actor(), AuditFilter(**wanted), limit=500)
    return [(entry.object_kind, entry.verb) for entry in reversed(found.items)]


def test_what_is_done_to_a_project_is_on_record(world: World) -> None:
    project = world.project(description="secret-free")
    projects.update_project(world.actor(), project.id, {"description": "other"})
    projects.update_project(world.actor(), project.id, {"description": "other"})
    projects.undeploy(world.actor(), project.id)
    projects.deploy(world.actor(), project.id)
    projects.deploy(world.actor(), project.id)
    projects.delete_project(world.actor(), project.id)
    done = ["created", "changed", "undeployed", "deployed", "undeployed", "removed"]
    assert verbs(world, object_kind="project") == [("project", verb) for verb in done]
    changed = audit.list_entries(world.actor(), AuditFilter(verb="changed")).items[0]
    assert (json.loads(changed.before or ""), json.loads(changed.after or "")) == (
        {"description": "secret-free"},
        {"description": "other"},
    )
    assert audit.verify(world.organization_id).fault is None


def test_every_decision_is_on_record_with_its_door(world: World) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor("developer", "bob"), step.id, door="page", comment="no")
    (entry,) = audit.list_entries(world.actor(), AuditFilter(object_kind="plan")).items
    assert (entry.verb, entry.door, entry.actor_name, entry.reason) == ("rejected", "page", "bob", "no")
    assert entry.object_id == step.id


def test_what_was_refused_leaves_no_entry(world: World) -> None:
    step = world.explained(world.project())
    before = audit.verify(world.organization_id)
    with pytest.raises(DagctlError):
        plans.reject(world.actor("reader"), step.id, door="rest")
    with pytest.raises(DagctlError):
        plans.retry(world.actor(), step.id, door="rest")
    assert audit.verify(world.organization_id) == before


def test_a_change_that_rolls_back_leaves_no_entry(world: World) -> None:
    def work(session: Any) -> None:
        auditing.record(session, world.actor(), "changed", Subject("organization", "1", "x"))
        raise ZeroDivisionError

    before = audit.verify(world.organization_id)
    with pytest.raises(ZeroDivisionError):
        transactions.run(work)
    assert audit.verify(world.organization_id) == before


def test_many_at_once_make_one_chain(world: World) -> None:
    def note(number: int) -> None:
        subject = Subject("organization", str(number), "x")
        transactions.run(lambda session: auditing.record(session, world.actor(), "changed", subject))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(40)))
    verdict = audit.verify(world.organization_id)
    assert (verdict.entries, verdict.fault) == (40, None)


def test_whatever_is_done_to_the_table_shows(world: World) -> None:
    projects.update_project(world.actor(), world.project().id, {"description": "x"})
    last = audit.verify(world.organization_id)
    assert last.fault is None
    c = tables.audit_entry.c

    def is_found(*statements: Any) -> str | None:
        def work(session: Any) -> str | None:
            for statement in statements:
                session.execute(statement)
            session.flush()
            fault = _fault(session, world.organization_id)
            session.rollback()
            return fault

        return transactions.run(work)

    assert is_found(update(tables.audit_entry).where(c.number == 1).values(actor_name="Eve"))
    assert is_found(delete(tables.audit_entry).where(c.number == 1))
    assert is_found(delete(tables.audit_entry).where(c.number == last.entries))
    assert is_found(delete(tables.audit_entry), delete(tables.audit_head)) is None, "a record that is gone cannot show it"
    shorter = update(tables.audit_head).values(number=last.entries - 1, hash="0" * 64)
    assert is_found(delete(tables.audit_entry).where(c.number == last.entries), shorter)


def _fault(session: Any, organization_id: str) -> str | None:
    from dagctl_provider.domain.audit import first_fault
    from dagctl_provider.store import audit as audit_rows

    head = audit_rows.get_head(session, organization_id)
    return first_fault(audit_rows.all_entries(session, organization_id), head, keys.audit_key(session), organization_id)


def test_pages_and_the_export_have_every_entry_once(world: World) -> None:
    project = world.project()
    for number in range(12):
        projects.update_project(world.actor(), project.id, {"description": str(number)})
    seen: list[int] = []
    before = None
    while True:
        page = audit.list_entries(world.actor(), AuditFilter(), before, 5)
        seen += [entry.number for entry in page.items]
        before = page.next_before
        if before is None:
            break
    assert seen == sorted(seen, reverse=True)
    exported: list[int] = []
    while found := audit.export(world.actor(), exported[-1] if exported else 0, 5):
        exported += [entry.number for entry in found]
    assert exported == seen[::-1] == list(range(1, len(seen) + 1))


def test_only_owners_and_admins_read_it(world: World) -> None:
    world.project()
    for role, may in (("owner", True), ("admin", True), ("developer", False), ("reader", False)):
        actor = world.actor(role)
        if may:
            assert audit.export(actor)
            continue
        with pytest.raises(DagctlError, match="read_audit"):
            audit.list_entries(actor, AuditFilter())
        with pytest.raises(DagctlError, match="read_audit"):
            audit.export(actor)
