"""Which running steps have told of their progress, and when: what live pages look at many times a minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import PROGRESS_KEY


def progress_moments(session: Session, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], datetime]:
    """When a task of each of the Dag runs last told how far it is, by (dag_id, run_id); without those that told nothing."""
    wanted = [and_(XComModel.dag_id == dag_id, XComModel.run_id == run_id) for dag_id, run_id in sorted(set(keys))]
    if not wanted:
        return {}
    query = select(XComModel.dag_id, XComModel.run_id, func.max(XComModel.timestamp).label("moment"))
    query = query.where(XComModel.key == PROGRESS_KEY, or_(*wanted)).group_by(XComModel.dag_id, XComModel.run_id)
    return {(row.dag_id, row.run_id): row.moment for row in session.execute(query)}
