"""What pages list: plan groups as one row each, projects with all that a row shows, and how many queries that takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dagctl_provider.api import models
from dagctl_provider.api.v1.plans import schemas
from dagctl_provider.services import organizations, plans, projects
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.showing import live, overview
from tests.services.test_plans import refused
from tests.services.world import World

pytestmark = pytest.mark.slow


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    """Statements that this thread sent to the database; another one may still be at what a test before this one began."""
    from airflow import settings
    from sqlalchemy import event

    sent: list[str] = []
    asking = threading.get_ident()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.get_ident() == asking:
            sent.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(settings.engine, "before_cursor_execute", note)


def statuses(world: World, **wanted: Any) -> list[tuple[str, bool]]:
    """Status of each listed group, and whether it is that of an execution."""
    return [(row.status, row.executing) for row in overview.list_plan_groups(world.actor(), **wanted).page.items]


def test_a_group_is_one_row_through_its_whole_life(world: World) -> None:
    project = world.project()
    created = plans.create_plan(world.actor(), project.id)
    assert created.step is not None
    assert statuses(world) == [("running", False)]
    explain = world.finish_explain(created.step, modelsModified=2, modelsRemoved=1, has_changes=True)
    (row,) = overview.list_plan_groups(world.actor()).page.items
    assert (row.status, row.group_id, row.project_name) == ("pending", explain.group_id, "analytics")
    assert row.counts == overview.Counts(added=1, modified=2, removed=1, backfill=0, nothing=False)
    approved = plans.approve(world.actor(), explain.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert statuses(world) == [("running", True)]
    failed = world.finish_execute(approved.execute, "failed", error={"code": "audit_failed", "message": "Bad rows."})
    (row,) = overview.list_plan_groups(world.actor()).page.items
    assert (row.status, row.executing, row.attempt, row.error_code) == ("failed", True, 1, "audit_failed")
    plans.retry(world.actor(), failed.id, door="rest")
    (row,) = overview.list_plan_groups(world.actor()).page.items
    assert (row.status, row.attempt) == ("running", 2)
    assert overview.list_plan_groups(world.actor()).counts == {"running": 1}


def test_numbers_that_a_report_has_as_null_are_not_known(world: World) -> None:
    """A result is stored as it came."""
    created = plans.create_plan(world.actor(), world.project().id)
    assert created.step is not None
    explain = world.finish_explain(created.step, modelsModified=None, has_changes=None, warnings=None)
    (row,) = overview.list_plan_groups(world.actor()).page.items
    assert row.counts == overview.Counts(added=1, modified=0, removed=0, backfill=0, nothing=False)
    assert "warnings" not in models.to_json(schemas.plan(plans.get_plan(world.actor(), explain.id)))["plan_output"]


def test_a_discarded_plan_says_so(world: World) -> None:
    step = world.explained(world.project())
    assert not overview.list_plan_groups(world.actor()).page.items[0].auto_discarded
    world.head = "second"
    plans.approve(world.actor(), step.id, door="rest")
    (row,) = overview.list_plan_groups(world.actor()).page.items
    assert (row.status, row.auto_discarded) == ("rejected", True)


def test_lists_take_as_many_queries_for_thirty_projects_as_for_one(world: World) -> None:
    def queries() -> tuple[int, int]:
        overview._numbers._kept.clear()
        with counted_queries() as for_plans:
            overview.list_plan_groups(world.actor(), limit=50)
        with counted_queries() as for_projects:
            overview.list_project_rows(world.actor(), limit=50)
        return len(for_plans), len(for_projects)

    world.explained(world.project("p0"))
    once = queries()
    for number in range(1, 5):
        world.explained(world.project(f"p{number}"))
    assert queries() == once
    assert once[0] <= 3
    assert once[1] <= 6


def test_pages_of_rows(world: World) -> None:
    for number in range(3):
        world.explained(world.project(f"p{number}"))
    seen = [overview.list_plan_groups(world.actor(), page=page, limit=2).page for page in (1, 2, 3)]
    assert [len(page.items) for page in seen] == [2, 1, 1], "beyond the end is the last page"
    assert [(page.page, page.total, page.total_pages) for page in seen] == [(1, 3, 2), (2, 3, 2), (2, 3, 2)]
    names = [row.project_name for page in seen[:2] for row in page.items]
    assert names == ["p2", "p1", "p0"]
    assert [row.project.name for row in overview.list_project_rows(world.actor(), page=2, limit=2).page.items] == ["p2"]


def test_a_row_has_the_newest_run_of_its_project(world: World) -> None:
    project = world.project()
    explain = world.explained(project)
    approved = plans.approve(world.actor(), explain.id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    started = projects.run_project(world.actor(), project.id)
    row = overview.get_project_row(world.actor(), project.id)
    assert row.newest_run is not None
    assert (row.newest_run.run_id, row.newest_run.state, row.next_run) == (started.run_id, "queued", None)
    assert f"{project.run_dag_id}/{started.run_id}" in live.take_picture().runs


def test_rights_and_organizations(world: World) -> None:
    project = world.project()
    step = world.explained(project)
    stranger = World(organizations.ensure_organization("other")).actor()
    assert overview.list_plan_groups(stranger).page.items == ()
    assert overview.list_project_rows(stranger).page.items == ()
    assert overview.place_of_run(stranger, step.dag_id, step.run_id) == (None, None)
    with refused("not_found"):
        overview.get_project_row(stranger, project.id)
    nobody = type(stranger)("user", "x", "x", world.organization_id)
    for ask in (overview.list_plan_groups, overview.list_project_rows):
        with refused("forbidden"):
            ask(nobody)


def test_a_step_that_came_and_went_between_two_looks_is_told(world: World) -> None:
    project = world.project()
    before = live.take_picture()
    step = world.explained(project)
    plans.reject(world.actor(), step.id, door="rest")
    after = live.take_picture(before)
    assert step.id not in after.steps
    assert live.changes(before, after, world.organization_id).groups == {step.group_id}


def test_odd_searches_find_nothing_and_break_nothing(world: World) -> None:
    world.explained(world.project())
    for search in ("%", "_", "\\", "'; DROP TABLE dagctl_project; --", "\u202e"):
        assert overview.list_plan_groups(world.actor(), search=search).page.items == ()
