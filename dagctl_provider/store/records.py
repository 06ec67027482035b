"""Reads and writes of each table; rows leave as domain records.

Every write that changes a plan's state goes through :func:`move_step`, which names the status it expects. Together with the
lock on the project row it makes a lost race visible on databases with and without row locks.

Locks are taken in one order, so that no two transactions wait for each other:

1. the row of one project; nobody holds two (:func:`get_project`),
2. the lease row ``artifacts``, then ``dags_index`` (:func:`touch_lock`),
3. in Airflow: the Dag run, its task instances by id, the request for input; that is the scheduler's order, too.

1 is left out by who holds nothing of 1 or 2 (waking a task, Airflow's own requests). 2 and 3 may change places, since whoever
holds a lock of 3 has its project's, and the scheduler takes none of 1 or 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sqlalchemy import Table, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.plans import PlanStep, Status
from dagctl_provider.domain.projects import Project
from dagctl_provider.store import tables
from dagctl_provider.store.rows import AnswerRow, DecisionRow, DispatchedRun, NotificationRow, OrganizationRow, RunRow, TokenRow
from dagctl_provider.store.session import limit_lock_waits, utcnow

if TYPE_CHECKING:
    from sqlalchemy import CursorResult, Delete, Executable, RowMapping, Update

KindT = TypeVar("KindT")

_STEP_COLUMNS = tuple(c for c in tables.plan_step.c if c.name != "active_key")
_STEP_LIST_COLUMNS = tuple(c for c in _STEP_COLUMNS if c.name not in ("plan_output", "settings"))
_PROJECT_COLUMNS = tuple(c for c in tables.project.c if c.name != "name_key")


class Row(Protocol):
    """A row of a query, whatever its columns are."""

    @property
    def _mapping(self) -> RowMapping: ...


class StaleState(Exception):
    """A row no longer had the state that a change expected; nothing was written."""


def _step(row: Row) -> PlanStep:
    return PlanStep(**row._mapping)


def _listed_step(row: Row) -> PlanStep:
    return PlanStep(settings={}, **row._mapping)


def _project(row: Row) -> Project:
    return Project(**row._mapping)


def _rows(session: Session, query: Executable, kind: type[KindT]) -> list[KindT]:
    """The rows of a query as the dictionaries that ``kind`` describes."""
    return [cast("KindT", dict(row._mapping)) for row in session.execute(query)]


def _changed(session: Session, statement: Update | Delete) -> int:
    """How many rows a write changed."""
    return cast("CursorResult[Any]", session.execute(statement)).rowcount


# Projects


def get_project(session: Session, project_id: str, *, lock: bool = False, wait: bool = True) -> Project | None:
    """The project, or ``None``.

    :param lock: Hold its row until the transaction ends. This is the first lock of every state change of the project.
    :param wait: For who holds the row now; otherwise ``None`` as well.
    """
    query = select(*_PROJECT_COLUMNS).where(tables.project.c.id == project_id)
    if lock:
        limit_lock_waits(session)
        query = query.with_for_update(skip_locked=not wait)
    row = session.execute(query).first()
    return _project(row) if row else None


def project_of_dag(session: Session, dag_id: str) -> Project | None:
    """The project of a plan Dag, or ``None``."""
    row = session.execute(select(*_PROJECT_COLUMNS).where(tables.project.c.dag_id == dag_id)).first()
    return _project(row) if row else None


def list_projects(session: Session, organization_id: str | None = None) -> tuple[Project, ...]:
    """All projects, by name; of one organization when given."""
    query = select(*_PROJECT_COLUMNS).order_by(tables.project.c.name_key, tables.project.c.id)
    if organization_id is not None:
        query = query.where(tables.project.c.organization_id == organization_id)
    return tuple(_project(row) for row in session.execute(query))


def insert_project(session: Session, **values: object) -> None:
    """Add a project row. The name's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.project).values(name_key=str(values["name"]).lower(), **values))


def note_projects(session: Session, project_ids: Sequence[str], **values: object) -> None:
    """Write columns of some projects that are no change of them, such as when they were last looked at.

    Projects that somebody is changing are left out: this is not worth waiting for.
    """
    c = tables.project.c
    free = select(c.id).where(c.id.in_(project_ids)).order_by(c.id).with_for_update(skip_locked=True)
    ids = session.execute(free).scalars().all()
    session.execute(update(tables.project).where(c.id.in_(ids)).values(**values))


def note_head(session: Session, project_id: str, sha: str, *, message: str | None, behind: int | None) -> None:
    """Write down that git was asked, and what is at the branch HEAD.

    :param behind: How many commits lead there from the deployed one.
    """
    update_project(
        session,
        project_id,
        touch=False,
        latest_commit_sha=sha,
        latest_commit_message=message,
        commits_behind=behind,
        last_synced_at=utcnow(),
        sync_error=None,
    )


def update_project(session: Session, project_id: str, *, touch: bool = True, **values: object) -> None:
    """Change columns of a project.

    :param touch: Whether ``updated_at`` moves; not for what is noted without anybody having changed the project.
    """
    name = values.get("name")
    if isinstance(name, str):
        values["name_key"] = name.lower()
    if touch:
        values["updated_at"] = utcnow()
    session.execute(update(tables.project).where(tables.project.c.id == project_id).values(**values))


def delete_project(session: Session, project_id: str) -> None:
    """Remove a project with its plans and runs. Decisions stay."""
    for table in (tables.project_run, tables.plan_step):
        session.execute(delete(table).where(table.c.project_id == project_id))
    session.execute(delete(tables.project).where(tables.project.c.id == project_id))


# Plan steps


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


def explains_for_commit(session: Session, project_id: str, commit_sha: str) -> tuple[PlanStep, ...]:
    """All explain steps for one commit of a project, newest first."""
    c = tables.plan_step.c
    query = select(*_STEP_COLUMNS).where(c.project_id == project_id, c.to_commit_sha == commit_sha, c.plan_type == "explain")
    return tuple(_step(row) for row in session.execute(query.order_by(c.created_at.desc(), c.id.desc())))


def settings_planned(session: Session, project_id: str, commit_sha: str) -> list[dict[str, object]]:
    """The settings of all plans for a commit that were not discarded by themselves.

    Asked in every round of polling, so the output of the plans, which may be megabytes, stays where it is.
    """
    c = tables.plan_step.c
    discarded = func.coalesce(c.plan_output["auto_discarded"].as_boolean(), False)
    query = select(c.settings).where(c.project_id == project_id, c.to_commit_sha == commit_sha, c.plan_type == "explain")
    return list(session.execute(query.where(~discarded)).scalars())


def deployed_settings(session: Session, project_id: str) -> dict[str, object] | None:
    """The settings with which the deployed commit was executed; ``None`` before the first execution."""
    c = tables.plan_step.c
    query = select(c.settings).where(c.project_id == project_id, c.plan_type == "execute", c.status == "completed")
    return session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(1)).scalar()


def steps_in(session: Session, statuses: Iterable[Status], project_id: str | None = None) -> tuple[PlanStep, ...]:
    """All steps in one of ``statuses``, oldest first, without output; of one project when given."""
    c = tables.plan_step.c
    query = select(*(col for col in _STEP_COLUMNS if col.name != "plan_output")).where(c.status.in_(list(statuses)))
    if project_id is not None:
        query = query.where(c.project_id == project_id)
    return tuple(_step(row) for row in session.execute(query.order_by(c.created_at, c.id)))


def insert_step(session: Session, *, id: str, **values: object) -> PlanStep:
    """Add a plan step. A second active one for the same thing raises ``IntegrityError`` from ``active_key``."""
    now = utcnow()
    values.setdefault("created_at", now)
    values.update(updated_at=now, attempt=values.get("attempt", 1), try_number=values.get("try_number", 0))
    session.execute(insert(tables.plan_step).values(id=id, **values))
    step = get_step(session, id)
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
    if _changed(session, statement) != 1:
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
    if _changed(session, delete(tables.plan_step).where(c.id == step.id, c.status == step.status)) != 1:
        raise StaleState(step.id)


# Artifacts


def insert_artifact(session: Session, sha256: str, content: bytes) -> None:
    """Keep an artifact; one that is kept already is as good. Callers hold the lock of the artifacts."""
    c = tables.artifact.c
    if not session.execute(select(exists().where(c.sha256 == sha256))).scalar():
        session.execute(insert(tables.artifact).values(sha256=sha256, size=len(content), content=content, created_at=utcnow()))


def get_artifact(session: Session, sha256: str) -> bytes | None:
    """The content of an artifact, or ``None``."""
    c = tables.artifact.c
    return session.execute(select(c.content).where(c.sha256 == sha256)).scalar()


def drop_unused_artifacts(session: Session, candidates: Iterable[str]) -> None:
    """Remove those of the artifacts that no project names any more. Callers hold the lock of the artifacts."""
    c = tables.project.c
    named = session.execute(select(c.artifacts).where(c.artifacts.is_not(None))).scalars()
    used = {sha256 for artifacts in named for sha256 in (artifacts or {}).values()}
    unused = sorted(set(candidates) - used)
    if unused:
        session.execute(delete(tables.artifact).where(tables.artifact.c.sha256.in_(unused)))


# Notifications, decisions, runs, organizations, tokens, leases


def insert_notification(session: Session, **values: object) -> None:
    """Note that something is to be told."""
    now = utcnow()
    session.execute(insert(tables.notification).values(status="waiting", attempts=0, due_at=now, created_at=now, **values))


def due_notifications(session: Session, now: datetime, limit: int) -> list[NotificationRow]:
    """What is to be told by now, longest due first."""
    c = tables.notification.c
    query = select(*c).where(c.status == "waiting", c.due_at <= now).order_by(c.due_at, c.id).limit(limit)
    return _rows(session, query, NotificationRow)


def claim_notification(session: Session, notification: NotificationRow, until: datetime) -> bool:
    """Make a notification one's own until a moment; false when another process was faster."""
    c = tables.notification.c
    mine = (c.id == notification["id"], c.status == "waiting", c.attempts == notification["attempts"])
    values = {"attempts": notification["attempts"] + 1, "due_at": until}
    return _changed(session, update(tables.notification).where(*mine).values(**values)) == 1


def end_notification(session: Session, notification_id: str, attempts: int, **values: object) -> None:
    """Note how a delivery ended, unless somebody else has taken the notification over since."""
    c = tables.notification.c
    session.execute(update(tables.notification).where(c.id == notification_id, c.attempts == attempts).values(**values))


def drop_notifications(session: Session, created_before: datetime) -> None:
    """Forget what was delivered or given up long ago."""
    c = tables.notification.c
    session.execute(delete(tables.notification).where(c.status != "waiting", c.created_at < created_before))


def insert_decision(session: Session, **values: object) -> None:
    """Add to the record of who decided what."""
    session.execute(insert(tables.decision).values(created_at=utcnow(), **values))


def list_decisions(session: Session, group_id: str) -> list[DecisionRow]:
    """The decisions on a plan group, oldest first."""
    c = tables.decision.c
    query = select(*tables.decision.c).where(c.group_id == group_id).order_by(c.created_at, c.id)
    return _rows(session, query, DecisionRow)


def was_deleted(session: Session, project_id: str, commit_sha: str) -> bool:
    """Whether somebody deleted a plan for this commit, which leaves no other trace than the record of decisions."""
    c = tables.decision.c
    condition = exists().where(c.project_id == project_id, c.commit_sha == commit_sha, c.decision == "deleted")
    return bool(session.execute(select(condition)).scalar())


def unjudged_answers(session: Session) -> list[tuple[AnswerRow, PlanStep | None]]:
    """The answers nobody has judged yet, oldest first, each with the explain step it is about, if that still exists."""
    c, step = tables.answer.c, tables.plan_step.c
    # The run of a plan has the id of its group, and that is what has an index.
    about = and_(step.group_id == c.run_id, step.dag_id == c.dag_id, step.plan_type == "explain")
    query = select(*c, step.id.label("step_id")).select_from(tables.answer.outerjoin(tables.plan_step, about))
    found = [dict(row._mapping) for row in session.execute(query.order_by(c.responded_at, c.id))]
    steps = [get_step(session, step_id) if (step_id := row.pop("step_id")) else None for row in found]
    return list(zip(cast("list[AnswerRow]", found), steps, strict=True))


def delete_answer(session: Session, answer_id: int) -> None:
    """Forget an answer that has been judged."""
    session.execute(delete(tables.answer).where(tables.answer.c.id == answer_id))


def insert_row(session: Session, table: Table, **values: object) -> None:
    """Add a row to a table that has no rules of its own."""
    session.execute(insert(table).values(**values))


def undispatched_runs(session: Session) -> list[RunRow]:
    """Requested project runs that Airflow does not have yet, oldest first."""
    query = select(*tables.project_run.c).where(tables.project_run.c.dispatched_at.is_(None))
    return _rows(session, query.order_by(tables.project_run.c.created_at), RunRow)


def runs_of(session: Session, project_id: str) -> list[RunRow]:
    """All runs on record of a project, oldest first."""
    query = select(*tables.project_run.c).where(tables.project_run.c.project_id == project_id)
    return _rows(session, query.order_by(tables.project_run.c.created_at), RunRow)


def get_run(session: Session, run_id: str) -> RunRow | None:
    """A run on record."""
    return next(iter(get_runs(session, [run_id])), None)


def get_runs(session: Session, run_ids: Iterable[str]) -> list[RunRow]:
    """Those of the runs that are on record."""
    query = select(*tables.project_run.c).where(tables.project_run.c.id.in_(list(run_ids)))
    return _rows(session, query, RunRow)


def dispatched_runs(session: Session) -> list[DispatchedRun]:
    """Where to find each run that Airflow has had, of all projects: ``id``, ``project_id``, ``dag_id``, ``run_id``."""
    c = tables.project_run.c
    query = select(c.id, c.project_id, c.dag_id, c.run_id).where(c.dispatched_at.is_not(None))
    return _rows(session, query, DispatchedRun)


def mark_run_dispatched(session: Session, run_id: str) -> bool:
    """Note that Airflow has the run; false when it is not on record any more."""
    statement = update(tables.project_run).where(tables.project_run.c.id == run_id).values(dispatched_at=utcnow())
    return bool(_changed(session, statement))


def delete_run(session: Session, run_id: str) -> None:
    """Forget a run."""
    session.execute(delete(tables.project_run).where(tables.project_run.c.id == run_id))


def get_organization(session: Session, *, identifier: str | None = None, name: str | None = None) -> OrganizationRow | None:
    """An organization by id or by name."""
    c = tables.organization.c
    row = session.execute(select(*c).where(c.id == identifier if identifier is not None else c.name == name)).first()
    return cast("OrganizationRow", dict(row._mapping)) if row else None


def list_organizations(session: Session) -> list[OrganizationRow]:
    """All organizations, oldest first."""
    c = tables.organization.c
    return _rows(session, select(*c).order_by(c.created_at, c.id), OrganizationRow)


def get_token(session: Session, *, token_hash: str | None = None, identifier: str | None = None) -> TokenRow | None:
    """A token row by the hash of its secret, or by id."""
    c = tables.api_token.c
    condition = c.token_hash == token_hash if token_hash is not None else c.id == identifier
    row = session.execute(select(*c).where(condition)).first()
    return cast("TokenRow", dict(row._mapping)) if row else None


def list_tokens(session: Session, organization_id: str) -> list[TokenRow]:
    """The tokens of an organization, oldest first."""
    c = tables.api_token.c
    query = select(*c).where(c.organization_id == organization_id).order_by(c.created_at, c.id)
    return _rows(session, query, TokenRow)


def update_token(session: Session, token_id: str, **values: object) -> None:
    """Change columns of a token."""
    session.execute(update(tables.api_token).where(tables.api_token.c.id == token_id).values(**values))


def take_lease(session: Session, name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or extend a lease; true when ``holder`` has it until ``until``.

    One conditional statement decides, so two processes can ask at the same time. The first row of all may be inserted
    twice; the loser's transaction fails on the primary key and it asks again on its next turn.
    """
    c = tables.lease.c
    statement = update(tables.lease).where(c.name == name, or_(c.holder == holder, c.expires_at < now))
    if _changed(session, statement.values(holder=holder, expires_at=until)) == 1:
        return True
    if session.execute(select(exists().where(c.name == name))).scalar():
        return False
    session.execute(insert(tables.lease).values(name=name, holder=holder, expires_at=until))
    return True


def touch_lock(session: Session, name: str) -> None:
    """Hold the row ``name`` until the transaction ends; whoever else touches it waits.

    A write rather than ``SELECT … FOR UPDATE``, because SQLite locks on writes only.
    """
    limit_lock_waits(session)
    now = utcnow()
    if _changed(session, update(tables.lease).where(tables.lease.c.name == name).values(expires_at=now)) == 0:
        session.execute(insert(tables.lease).values(name=name, holder="lock", expires_at=now))


def drop_lease(session: Session, name: str, holder: str) -> None:
    """Give a lease back, so that another process need not wait for it to run out."""
    session.execute(delete(tables.lease).where(tables.lease.c.name == name, tables.lease.c.holder == holder))
