"""Every use case beside a Dag processor that takes its requests away, with sessions that do not flush by themselves.

Tests have no Dag processor, so what it does to a row while a use case counts on it happens here on purpose.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.models.dagbag import DagPriorityParsingRequest
from sqlalchemy import delete, event
from sqlalchemy.orm import Session

from dagctl_provider.domain.options import PlanOptions
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import adoption, organizations, plans, projects, tokens
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.turns import dispatching, reconcile
from dagctl_provider.store import transactions
from tests.services.test_adoption import manifest
from tests.services.test_dbt import dbt
from tests.services.world import World, sha

pytestmark = pytest.mark.slow


def consume() -> None:
    """What the Dag processor does before it parses."""
    transactions.run(lambda session: session.execute(delete(DagPriorityParsingRequest)))


class DagProcessor:
    """Takes requests as fast as it can, in a thread of its own."""

    def __init__(self) -> None:
        self.taken = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self._stop.wait(0.002):
            consume()
            self.taken += 1

    def __enter__(self) -> DagProcessor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


@contextmanager
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Sessions as Airflow makes them, and no use case that needs to be done twice; gives the autoflush of each session."""
    seen: list[bool] = []

    def note(session: Session, *_: Any) -> None:
        seen.append(session.autoflush)

    event.listen(Session, "after_begin", note)
    monkeypatch.setattr(transactions, "_ATTEMPTS", 1)
    try:
        yield seen
    finally:
        event.remove(Session, "after_begin", note)
        monkeypatch.undo()


def use_cases(world: World) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The use cases of every family, one after the other, each with what it needs."""
    actor = world.actor()
    made: dict[str, Any] = {}

    def create() -> Project:
        made["project"] = dbt(world)
        return made["project"]

    def plan(commit: str, **options: Any) -> Any:
        world.head = commit
        created = plans.create_plan(actor, made["project"].id, options=PlanOptions(**options))
        made["step"] = created.step
        return created

    def explained(commit: str) -> None:
        plan(commit)
        made["step"] = world.finish_explain(made["step"])

    def approve() -> Any:
        made["approved"] = plans.approve(actor, made["step"].id, "rest")
        return made["approved"]

    yield "create project", create
    project_id = made["project"].id
    yield "list projects", lambda: projects.list_projects(actor)
    yield "change project", lambda: projects.update_project(actor, project_id, {"memory_limit": "2Gi"})
    yield "check project", lambda: projects.check_project(actor, {"memory_limit": "2Gi"}, project_id)
    yield "inspect repository", lambda: projects.inspect_repository(actor, {"branch": "main"}, project_id)
    yield "look at the branch", lambda: projects.sync_status(actor, project_id)
    yield "plan", lambda: plan("first")
    yield "plan again with other options", lambda: plan("first", full_refresh=("shop.orders",))
    yield "explained", lambda: made.update(step=world.finish_explain(made["step"]))
    yield "read plans", lambda: (plans.list_plans(actor, project_id), plans.get_plan(actor, made["step"].id))
    yield "read the group", lambda: (plans.get_group(actor, made["step"].group_id), plans.get_logs(actor, made["step"].id))
    yield "reject", lambda: plans.reject(actor, made["step"].id, "rest", "no")
    yield "another commit", lambda: explained("second")
    yield "delete plan", lambda: plans.delete(actor, made["step"].id, "rest")
    yield "a third commit", lambda: explained("third")
    yield "approve", approve
    yield "cancel", lambda: plans.cancel(actor, made["approved"].execute.id, "rest")
    yield "retry", lambda: made.update(retried=plans.retry(actor, made["approved"].execute.id, "rest"))
    yield "executed", lambda: world.finish_execute(made["retried"])
    yield "dispatch and reconcile", lambda: (dispatching.dispatch_waiting_plans(), reconcile.reconcile_all())
    yield "run", lambda: projects.run_project(actor, project_id)
    yield "token", lambda: made.update(token=tokens.create_token(world.organization_id, "ci", "reader", "ada"))
    yield "authenticate", lambda: tokens.authenticate(made["token"].secret, world.organization_id)
    yield "tokens", lambda: tokens.list_tokens(actor)
    yield "revoke", lambda: tokens.revoke(actor, made["token"].token.id)
    yield "organizations", organizations.list_organizations
    yield "second project", lambda: made.update(second=dbt(world, "second"))
    yield "adopt", lambda: adoption.adopt(actor, made["second"].id, sha(world.head), manifest())
    yield "undeploy", lambda: projects.undeploy(actor, made["second"].id)
    yield "deploy", lambda: projects.deploy(actor, made["second"].id)
    yield "its first plan", lambda: (made.update(project=made["second"]), explained("fourth"))
    yield "undeploy with a pending plan", lambda: projects.undeploy(actor, made["second"].id)
    yield "delete project", lambda: projects.delete_project(actor, made["second"].id)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "project_name_of", lambda project, commit: "shop")


@pytest.mark.usefixtures("quiet")
def test_every_use_case_goes_through_at_once_after_its_request_was_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with no_second_try(monkeypatch) as flushing:
        for name, use_case in use_cases(world):
            consume()
            try:
                use_case()
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error
    assert flushing
    assert not any(flushing)


@pytest.mark.usefixtures("quiet")
def test_every_use_case_goes_through_while_its_requests_are_taken(world: World) -> None:
    with DagProcessor() as dag_processor:
        for name, use_case in use_cases(world):
            try:
                use_case()
            except Exception as error:
                raise AssertionError(f"{name}: {error}") from error
    assert dag_processor.taken > 10
