"""Reads for pages that show many things at once: few queries, no plan output but a handful of its numbers.

A plan *group* is shown as one row: its explain step, with its newest execute step beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from sqlalchemy import and_, case, exists, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from dagctl_provider.domain.executions import ExecutionStatus
from dagctl_provider.domain.plans import Status
from dagctl_provider.plan_output.numbers import COUNT_KEYS, FLAG_KEYS, Numbers
from dagctl_provider.store import tables

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

_ESCAPE = "\\"
_ACTIVE = ("running", "pending")

_explain = tables.plan_step.alias("explain_step")
_execute = tables.plan_step.alias("execute_step")
_other = tables.plan_step.alias("other_step")

# "None is newer" rather than "its number is the greatest": that is a join like others, which databases do for all rows at once.
_is_newest = ~(
    exists()
    .where(_other.c.group_id == _execute.c.group_id, _other.c.plan_type == "execute", _other.c.attempt > _execute.c.attempt)
    .correlate(_execute)
)
_groups = _explain.outerjoin(
    _execute, and_(_execute.c.group_id == _explain.c.group_id, _execute.c.plan_type == "execute", _is_newest)
)
# As domain.plans.current_status has it.
_status = case(
    (_explain.c.status == "cancelled", "cancelled"),
    (_execute.c.status.is_not(None), _execute.c.status),
    else_=_explain.c.status,
)
_COLUMNS = (
    _explain.c.group_id,
    _explain.c.id.label("explain_id"),
    _explain.c.project_id,
    tables.project.c.name.label("project_name"),
    tables.project.c.project_type,
    _explain.c.to_commit_sha.label("commit_sha"),
    _explain.c.commit_message,
    _explain.c.commit_author,
    _explain.c.committed_at,
    _explain.c.triggered_by,
    _explain.c.created_at,
    _explain.c.decided_by,
    _explain.c.status.label("explain_status"),
    _execute.c.id.label("execute_id"),
    _execute.c.attempt,
    _status.label("status"),
    func.coalesce(_execute.c.updated_at, _explain.c.updated_at).label("changed_at"),
    func.coalesce(_execute.c.error_code, _explain.c.error_code).label("error_code"),
)


class GroupRow(TypedDict):
    """A plan group with its project, as :data:`_COLUMNS` has it."""

    group_id: str
    explain_id: str
    project_id: str
    project_name: str
    project_type: str
    commit_sha: str
    commit_message: str | None
    commit_author: str | None
    committed_at: datetime | None
    triggered_by: str | None
    created_at: datetime
    decided_by: str | None
    explain_status: Status
    execute_id: str | None
    attempt: int | None
    status: Status
    changed_at: datetime
    error_code: str | None


class StepState(NamedTuple):
    """A step that runs or waits, and what tells one state of it from another."""

    organization_id: str
    project_id: str
    group_id: str
    status: Status
    updated_at: datetime
    try_number: int
    started_at: datetime | None


class ProjectState(NamedTuple):
    """What of a project pages show."""

    organization_id: str
    dag_id: str
    updated_at: datetime
    latest_commit_sha: str | None
    commits_behind: int | None
    sync_error: str | None


@dataclass(frozen=True)
class Wanted:
    """Which plan groups.

    :param organization_id: Whose.
    :param project_id: Of one project, when given.
    :param status: In this state, when given.
    :param search: Part of the message, author or project name, or the beginning of the commit id.
    :param project_ids: Of these projects only, when given.
    """

    organization_id: str
    project_id: str | None = None
    status: str | None = None
    search: str = ""
    project_ids: frozenset[str] | None = None


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_explain.c.plan_type == "explain", _explain.c.organization_id == wanted.organization_id]
    if wanted.project_id is not None:
        found.append(_explain.c.project_id == wanted.project_id)
    if wanted.project_ids is not None:
        found.append(_explain.c.project_id.in_(sorted(wanted.project_ids)))
    if wanted.search:
        text = wanted.search.lower()
        for special in (_ESCAPE, "%", "_"):
            text = text.replace(special, _ESCAPE + special)
        within = (_explain.c.commit_message, _explain.c.commit_author, tables.project.c.name)
        matches = [func.lower(column).like(f"%{text}%", escape=_ESCAPE) for column in within]
        found.append(or_(*matches, _explain.c.to_commit_sha.like(f"{text}%", escape=_ESCAPE)))
    return found


def _from(query: Any, ids: Any = None) -> Any:
    """The query over groups and their projects.

    :param ids: Subquery with the ids of explain steps; others are left out.
    """
    groups = _groups.join(tables.project, tables.project.c.id == _explain.c.project_id)
    return query.select_from(groups if ids is None else groups.join(ids, ids.c.id == _explain.c.id))


def count_groups(session: Session, wanted: Wanted) -> dict[str, int]:
    """How many groups there are in each state, whatever state is wanted."""
    query = _from(select(_status.label("status"), func.count().label("number"))).where(*_conditions(wanted))
    return {row.status: row.number for row in session.execute(query.group_by(_status))}


def list_groups(session: Session, wanted: Wanted, *, page: int, limit: int) -> list[GroupRow]:
    """One page of groups: those that wait for a decision first, then newest first.

    :param page: From 1.
    """
    conditions = _conditions(wanted)
    if wanted.status is not None:
        # The first follows from the second, and has an index.
        in_status = select(_other.c.group_id).where(_other.c.status == wanted.status)
        conditions += [_explain.c.group_id.in_(in_status), _status == wanted.status]
    last = page * limit
    # Ids begin with their time, so the newest have the greatest. Those that wait have an index, and the others are found in the
    # order of their ids, so neither all of them nor their texts are sorted.
    waiting, others = (
        _from(select(_explain.c.id, literal(rank).label("rank"))).where(*conditions, is_waiting).order_by(_explain.c.id.desc())
        for rank, is_waiting in enumerate((_explain.c.status == "pending", _explain.c.status != "pending"))
    )
    both = union_all(select(waiting.limit(last).subquery()), select(others.limit(last).subquery())).subquery()
    in_order = select(both.c.id, both.c.rank).order_by(both.c.rank, both.c.id.desc())
    shown = in_order.limit(limit).offset(last - limit).subquery()
    query = _from(select(*_COLUMNS), shown).order_by(shown.c.rank, _explain.c.id.desc())
    return [cast("GroupRow", dict(row._mapping)) for row in session.execute(query)]


def newest_groups(session: Session, organization_id: str) -> dict[str, GroupRow]:
    """The newest group of each project, by project id."""
    # For each project the first row of an index, rather than all rows for the newest of each project.
    newest = (
        select(_other.c.id)
        .where(_other.c.project_id == tables.project.c.id, _other.c.plan_type == "explain")
        .order_by(_other.c.created_at.desc(), _other.c.id.desc())
        .limit(1)
        .correlate(tables.project)
        .scalar_subquery()
    )
    ids = select(newest.label("id")).where(tables.project.c.organization_id == organization_id).subquery()
    query = _from(select(*_COLUMNS), ids)
    return {row.project_id: cast("GroupRow", dict(row._mapping)) for row in session.execute(query)}


def newest_group(session: Session, wanted: Wanted) -> GroupRow | None:
    """The newest of the wanted groups, whatever its state."""
    query = _from(select(*_COLUMNS)).where(*_conditions(wanted)).order_by(_explain.c.id.desc()).limit(1)
    row = session.execute(query).first()
    return cast("GroupRow", dict(row._mapping)) if row else None


def pending_by_project(session: Session, organization_id: str) -> dict[str, int]:
    """How many plans of each project wait for a decision; projects without any are left out."""
    c = tables.plan_step.c
    query = select(c.project_id, func.count().label("number")).where(
        c.status == "pending", c.plan_type == "explain", c.organization_id == organization_id
    )
    return {row.project_id: row.number for row in session.execute(query.group_by(c.project_id))}


def output_numbers(session: Session, step_ids: Iterable[str]) -> dict[str, Numbers]:
    """The counts inside the output of explain steps, by step id; each under its name in ``plan_output.numbers``."""
    c = tables.plan_step.c
    ids = sorted(step_ids)
    if not ids:
        return {}
    columns = [c.plan_output[key].as_integer().label(name) for name, key in COUNT_KEYS.items()]
    flags = [c.plan_output[key].as_boolean().label(name) for name, key in FLAG_KEYS.items()]
    query = select(c.id, *columns, *flags).where(c.id.in_(ids), c.plan_output.is_not(None))
    return {row.id: cast("Numbers", dict(row._mapping)) for row in session.execute(query)}


def find_group(session: Session, organization_id: str, dag_id: str, run_id: str) -> str | None:
    """The plan group behind a Dag run."""
    c = tables.plan_step.c
    query = select(c.group_id).where(c.group_id == run_id, c.dag_id == dag_id, c.organization_id == organization_id)
    return session.execute(query.limit(1)).scalar()


def find_project_by_dag(session: Session, organization_id: str, dag_id: str) -> str | None:
    """The project of a Dag, be it that of its plans or of one of its jobs."""
    c, job = tables.project.c, tables.job.c
    of_job = select(job.project_id).where(job.dag_id == dag_id).scalar_subquery()
    query = select(c.id).where(or_(c.dag_id == dag_id, c.id == of_job), c.organization_id == organization_id)
    return session.execute(query).scalar()


def newest_lineages(session: Session, project_id: str, limit: int) -> list[Mapping[str, Any]]:
    """What models read, as the newest explains of a project found it; each tells of the models that its commit changed."""
    c = tables.plan_step.c
    query = select(c.plan_output["lineage"].as_json().label("lineage")).where(
        c.project_id == project_id, c.plan_type == "explain", c.plan_output.is_not(None)
    )
    rows = session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(limit))
    return [row.lineage for row in rows if isinstance(row.lineage, dict)]


class NewestExecution(NamedTuple):
    """The newest run of a job."""

    id: str
    status: ExecutionStatus
    created_at: datetime
    start_time: datetime | None
    end_time: datetime | None


def newest_of_jobs(session: Session, project_id: str) -> dict[str, NewestExecution]:
    """The newest run of each job of a project, by job id."""
    c, job = tables.execution.c, tables.job.c
    other = tables.execution.alias("other_execution")
    # For each job the first row of an index, as with the newest groups of projects.
    newest = (
        select(other.c.id)
        .where(other.c.job_id == job.id)
        .order_by(other.c.created_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(tables.job)
        .scalar_subquery()
    )
    ids = select(newest.label("id")).where(job.project_id == project_id).subquery()
    query = select(c.job_id, c.id, c.status, c.created_at, c.start_time, c.end_time)
    rows = session.execute(query.select_from(tables.execution.join(ids, ids.c.id == c.id)))
    return {row.job_id: NewestExecution(*tuple(row)[1:]) for row in rows}


class Deploy(NamedTuple):
    """An execution that changed what is deployed."""

    group_id: str
    commit_sha: str
    at: datetime


def deploys_since(session: Session, project_id: str, since: datetime, limit: int) -> list[Deploy]:
    """The newest executions of a project that ended well since a moment, oldest first."""
    c = tables.plan_step.c
    query = select(c.group_id, c.to_commit_sha, c.updated_at).where(
        c.project_id == project_id, c.plan_type == "execute", c.status == "completed", c.created_at >= since
    )
    rows = session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(limit))
    return [Deploy(*row) for row in rows][::-1]


# What changes, for pages that stay open


class ExecutionState(NamedTuple):
    """An execution that is not over, and what tells one state of it from another."""

    project_id: str
    status: str
    updated_at: datetime


def unfinished_executions(session: Session) -> dict[str, ExecutionState]:
    """Executions that wait or run, by id."""
    c = tables.execution.c
    query = select(c.id, c.project_id, c.status, c.updated_at).where(c.status.in_(("pending", "running")))
    return {row.id: ExecutionState(*tuple(row)[1:]) for row in session.execute(query)}


def active_steps(session: Session) -> dict[str, StepState]:
    """Steps that run or wait, by id: organization, project, group, and what tells one state from another."""
    c = tables.plan_step.c
    query = select(c.id, c.organization_id, c.project_id, c.group_id, c.status, c.updated_at, c.try_number, c.started_at).where(
        c.status.in_(_ACTIVE)
    )
    return {row.id: StepState(*tuple(row)[1:]) for row in session.execute(query)}


def project_states(session: Session) -> dict[str, ProjectState]:
    """All projects, by id: organization, plan Dag, and what of a project pages show."""
    c = tables.project.c
    query = select(c.id, c.organization_id, c.dag_id, c.updated_at, c.latest_commit_sha, c.commits_behind, c.sync_error)
    return {row.id: ProjectState(*tuple(row)[1:]) for row in session.execute(query)}


def newest_step_id(session: Session) -> str:
    """The greatest id of a step, found in the key's own index; empty when there are none."""
    return session.execute(select(func.max(tables.plan_step.c.id))).scalar() or ""


def steps_after(session: Session, step_id: str) -> list[tuple[str, str, str]]:
    """Organization, project and group of each step with a greater id."""
    c = tables.plan_step.c
    query = select(c.organization_id, c.project_id, c.group_id).where(c.id > step_id)
    return [(row.organization_id, row.project_id, row.group_id) for row in session.execute(query)]
