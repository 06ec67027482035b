"""How the runs on record of a project went: our rows joined with Airflow's Dag runs, a page at a time.

A run that waits for its Dag has no Dag run yet; one that somebody deleted in Airflow has none any more. Both stand as pending
here until the controller has dispatched or forgotten them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from airflow.utils.types import DagRunType
from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import POD_KEY, RESULT_KEY, RUN
from dagctl_provider.domain.run_records import RunRecord, RunStatus
from dagctl_provider.store.tables import project_run

NO_RESULT = "The run failed in Airflow without a result; its log says how far it got."


_joined = project_run.outerjoin(
    DagRun.__table__, and_(DagRun.dag_id == project_run.c.dag_id, DagRun.run_id == project_run.c.run_id)
)
_status = case((DagRun.state.in_(["running", "success", "failed"]), DagRun.state), else_="pending")
_updated = func.coalesce(DagRun.updated_at, project_run.c.created_at)


def list_runs(
    session: Session, project_id: str, *, page: int, limit: int, status: str | None, updated_after: datetime | None
) -> tuple[tuple[RunRecord, ...], int]:
    """One page of a project's runs, newest first; and how many there are.

    :param updated_after: Only runs whose status changed since.
    """
    conditions = [project_run.c.project_id == project_id]
    if status is not None:
        conditions.append(_status == status)
    if updated_after is not None:
        conditions.append(_updated > updated_after)
    total = session.execute(select(func.count()).select_from(_joined).where(*conditions)).scalar_one()
    columns = (
        project_run.c.id,
        project_run.c.dag_id,
        project_run.c.run_id,
        project_run.c.job_name,
        project_run.c.triggered_by,
        project_run.c.created_at,
        _status.label("status"),
        _updated.label("updated_at"),
        DagRun.run_type,
        DagRun.start_date,
        DagRun.end_date,
    )
    query = select(*columns).select_from(_joined).where(*conditions)
    newest_first = query.order_by(project_run.c.created_at.desc(), project_run.c.id.desc())
    rows = session.execute(newest_first.limit(limit).offset((page - 1) * limit)).all()
    left = _left_by(session, rows)
    return tuple(_record(project_id, row, left.get((row.dag_id, row.run_id), {})) for row in rows), total


def _left_by(session: Session, rows: Sequence[Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the tasks of the runs left, by (dag_id, run_id) and key."""
    if not rows:
        return {}
    query = select(XComModel).where(
        XComModel.dag_id.in_({row.dag_id for row in rows}),
        XComModel.run_id.in_({row.run_id for row in rows}),
        XComModel.task_id == RUN,
        XComModel.map_index == -1,
        XComModel.key.in_([RESULT_KEY, POD_KEY]),
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for xcom in session.execute(query).scalars():
        value = XComModel.deserialize_value(xcom)
        if isinstance(value, dict):
            found.setdefault((xcom.dag_id, xcom.run_id), {})[xcom.key] = value
    return found


def _record(project_id: str, row: Any, left: dict[str, Any]) -> RunRecord:
    result = left.get(RESULT_KEY, {})
    error = (result.get("error") or {}).get("message") or NO_RESULT
    return RunRecord(
        id=row.id,
        project_id=project_id,
        job_name=row.job_name,
        schedule_name=row.dag_id if row.run_type == DagRunType.SCHEDULED else None,
        # The database said so: one of these, or of those that `_status` lets through.
        status=cast("RunStatus", str(getattr(row.status, "value", row.status))),
        triggered_by=row.triggered_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        start_time=row.start_date,
        end_time=row.end_date,
        error_message=str(error) if row.status == "failed" else None,
        pod_name=result.get("pod_name") or left.get(POD_KEY, {}).get("pod_name"),
    )
