"""Rows of plan steps, as :class:`~dagctl_provider.domain.plans.PlanStep`.

Every write that changes a plan's state goes through :func:`move_step`, which names the status it expects. Together with the
lock on the project row it makes a lost race visible on databases with and without row locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.plans import PlanStep, Status
from dagctl_provider.store import tables
from dagctl_provider.store.session import StaleState, changed, utcnow

_STEP_COLUMNS = tuple(c for c in tables.plan_step.c if c.name != "active_key")
_STEP_LIST_COLUMNS = tuple(c for c in _STEP_COLUMNS if c.name not in ("plan_output", "settings"))


def _step(row: Any) -> PlanStep:
    return PlanStep(**row._mapping)


def _listed_step(row: Any) -> PlanStep:
    return PlanStep(settings={}, **row._mapping)


def get_step(session: Session, step_id: str) -> PlanStep | None:
    """The plan step, or ``None``."""
    row = session.execute(select(*_STEP_COLUMNS).where(tables.plan_step.c.id == step_id)).first()
    return _step(row) if row else None


def group_steps(session: Session, group_id: str) -> tuple[PlanStep, ...]:
    """The steps of a group, explain first, then executions by attempt."""
    query = select(*_STEP_COLUMNS).where(tables.plan_step.c.group_id == group_id)
    steps = (_step(row) for row in session.execute(query))
    return tuple(sorted(steps, key=lambda step: (step.plan_type == "execute", step.attempt)))


def steps_of_groups(session: Session, group_ids: Iterable[str]) -> dict[str, list[PlanStep]]:
    """The steps of each of the groups, without their output."""
    found: dict[str, list[PlanStep]] = {group_id: [] for group_id in group_ids}
    if found:
        query = select(*_STEP_LIST_COLUMNS).where(tables.plan_step.c.group_id.in_(sorted(found)))
        for row in session.execute(query):
            found[row.group_id].append(_listed_step(row))
    return found


def list_steps(
    session: Session, project_id: str, *, page: int, limit: int, status: str | None
) -> tuple[tuple[PlanStep, ...], int]:
    """One page of a project's steps, newest first, without their output; and how many there are."""
    c = tables.plan_step.c
    condition = c.project_id == project_id if status is None else and_(c.project_id == project_id, c.status == status)
    total = session.execute(select(func.count()).select_from(tables.plan_step).where(condition)).scalar_one()
    # The pages before this one are skipped in an index that holds all they are sorted by; only this page's rows are read.
    newest_first = select(c.id).where(condition).order_by(c.created_at.desc(), c.id.desc())
    wanted = newest_first.limit(limit).offset((page - 1) * limit).subquery()
    query = select(*_STEP_LIST_COLUMNS).join(wanted, wanted.c.id == c.id).order_by(c.created_at.desc(), c.id.desc())
    return tuple(_listed_step(row) for row in session.execute(query)), total


def count_steps(session: Session, project_id: str, plan_type: str, statuses: Sequence[str]) -> int:
    """How many steps of a project are in one of ``statuses``."""
    c = tables.plan_step.c
    query = select(func.count()).where(c.project_id == project_id, c.plan_type == plan_type, c.status.in_(list(statuses)))
    return int(session.execute(query).scalar_one())


def step_states(session: Session, step_ids: Iterable[str]) -> dict[str, tuple[Status, datetime]]:
    """Status of each of the steps that exist, and since when, by id."""
    c = tables.plan_step.c
    query = select(c.id, c.status, c.updated_at).where(c.id.in_(list(step_ids)))
    return {row.id: (row.status, row.updated_at) for row in session.execute(query)}


def begun_steps(session: Session, step_ids: Iterable[str]) -> set[str]:
    """Those of the steps whose task has started."""
    c = tables.plan_step.c
    return set(session.execute(select(c.id).where(c.id.in_(list(step_ids)), c.started_at.is_not(None))).scalars())


def explains_for_commit(session: Session, project_id: str, commit_sha: str) -> tuple[PlanStep, ...]:
    """All explain steps for one commit of a project, newest first."""
    c = tables.plan_step.c
    query = select(*_STEP_COLUMNS).where(c.project_id == project_id, c.to_commit_sha == commit_sha, c.plan_type == "explain")
    return tuple(_step(row) for row in session.execute(query.order_by(c.created_at.desc(), c.id.desc())))


def newest_execution(session: Session, project_id: str, environment: str) -> PlanStep | None:
    """The last execute step of a project in one environment, without its output."""
    c = tables.plan_step.c
    query = select(*_STEP_LIST_COLUMNS).where(c.project_id == project_id, c.environment == environment, c.plan_type == "execute")
    row = session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(1)).first()
    return _listed_step(row) if row else None


def executes_since(session: Session, project_id: str, environment: str, since: datetime | None) -> tuple[PlanStep, ...]:
    """The execute steps of a project in one environment, oldest first.

    :param since: Those that were made later than this.
    """
    c = tables.plan_step.c
    query = select(*_STEP_COLUMNS).where(c.project_id == project_id, c.environment == environment, c.plan_type == "execute")
    if since is not None:
        query = query.where(c.created_at > since)
    return tuple(_step(row) for row in session.execute(query.order_by(c.created_at, c.id)))


def settings_planned(session: Session, project_id: str, commit_sha: str, since: datetime | None = None) -> list[dict[str, Any]]:
    """The settings of all plans for a commit that were not discarded by themselves.

    :param since: Plans that were made later than this only.

    Asked in every round of polling, so the output of the plans, which may be megabytes, stays where it is.
    """
    c = tables.plan_step.c
    discarded = func.coalesce(c.plan_output["auto_discarded"].as_boolean(), False)
    query = select(c.settings).where(c.project_id == project_id, c.to_commit_sha == commit_sha, c.plan_type == "explain")
    if since is not None:
        query = query.where(c.created_at > since)
    return list(session.execute(query.where(~discarded)).scalars())


def steps_in(session: Session, statuses: Iterable[Status], project_id: str | None = None) -> tuple[PlanStep, ...]:
    """All steps in one of ``statuses``, oldest first, without output; of one project when given."""
    c = tables.plan_step.c
    query = select(*(col for col in _STEP_COLUMNS if col.name != "plan_output")).where(c.status.in_(list(statuses)))
    if project_id is not None:
        query = query.where(c.project_id == project_id)
    return tuple(_step(row) for row in session.execute(query.order_by(c.created_at, c.id)))


def insert_step(session: Session, **values: object) -> PlanStep:
    """Add a plan step. A second active one for the same thing raises ``IntegrityError`` from ``active_key``."""
    now = utcnow()
    values.setdefault("created_at", now)
    values.update(updated_at=now, attempt=values.get("attempt", 1), try_number=values.get("try_number", 0))
    session.execute(insert(tables.plan_step).values(**values))
    step = get_step(session, str(values["id"]))
    assert step is not None
    return step


def move_step(session: Session, step: PlanStep, target: Status, **values: object) -> PlanStep:
    """Take ``step`` from the status it was read with to ``target``, together with other columns.

    :raises StaleState: when the row meanwhile has another status.
    """
    c = tables.plan_step.c
    statement = (
        update(tables.plan_step)
        .where(c.id == step.id, c.status == step.status)
        .values(status=target, updated_at=utcnow(), **values)
        .execution_options(synchronize_session=False)
    )
    if changed(session, statement) != 1:
        raise StaleState(step.id)
    moved = get_step(session, step.id)
    assert moved is not None
    return moved


def note_step(session: Session, step_id: str, **values: object) -> None:
    """Write columns of a step that are no state: times, names, numbers of tries."""
    session.execute(update(tables.plan_step).where(tables.plan_step.c.id == step_id).values(**values))


def delete_step(session: Session, step: PlanStep) -> None:
    """Remove ``step`` if it still has the status it was read with.

    :raises StaleState: when it has not.
    """
    c = tables.plan_step.c
    if changed(session, delete(tables.plan_step).where(c.id == step.id, c.status == step.status)) != 1:
        raise StaleState(step.id)
