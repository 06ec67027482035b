"""How projects reach the Dag processor, and whether it has seen them yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.variable import Variable
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import DAG_PREFIX, INDEX_VARIABLE, project_variable, writer_pool


def publish_project(session: Session, dag_id: str, spec: Mapping[str, Any] | None) -> None:
    """Write the Variable from which a worker builds a project's Dags, and make its writer pool.

    :param spec: What the Dag factory needs; ``None`` withdraws the project.
    """
    if spec is None:
        session.execute(delete(Variable).where(Variable.key == project_variable(dag_id)))
        return
    Variable.set(
        project_variable(dag_id),
        dict(spec),
        description="Written by dagctl; do not edit",
        serialize_json=True,
        session=session,
    )
    name = writer_pool(dag_id)
    if not session.execute(select(exists().where(Pool.pool == name))).scalar():
        Pool.create_or_update_pool(name, 1, "dagctl: one writer per project", include_deferred=True, session=session)


def drop_pool(session: Session, dag_id: str) -> None:
    """Remove a project's writer pool."""
    session.execute(delete(Pool).where(Pool.pool == writer_pool(dag_id)))


def publish_index(session: Session, specs: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the Variable from which the Dag processor builds the Dags of all projects.

    :param specs: What the Dag factory needs, by project id; deployed projects only.
    """
    Variable.set(
        INDEX_VARIABLE,
        {key: dict(value) for key, value in specs.items()},
        description="Written by dagctl; do not edit",
        serialize_json=True,
        session=session,
    )


def read_index(session: Session) -> dict[str, Any]:
    """The index as last published."""
    row = session.execute(select(Variable).where(Variable.key == INDEX_VARIABLE)).scalars().first()
    value = json.loads(row.get_val() or "{}") if row is not None else {}
    return value if isinstance(value, dict) else {}


def is_ready(session: Session, dag_id: str) -> bool:
    """Whether a run of the Dag could start: parsed, serialised, not stale and not paused."""
    query = select(DagModel.is_stale, DagModel.is_paused).where(DagModel.dag_id == dag_id)
    row = session.execute(query).first()
    if row is None or row.is_stale or row.is_paused:
        return False
    return bool(session.execute(select(exists().where(SerializedDagModel.dag_id == dag_id))).scalar())


def set_paused(session: Session, dag_ids: list[str], paused: bool) -> None:
    """Pause or unpause Dags that exist."""
    session.execute(
        update(DagModel).where(DagModel.dag_id.in_(dag_ids)).values(is_paused=paused).execution_options(synchronize_session=False)
    )


def request_parsing(session: Session, default_bundle: str, default_file: str) -> None:
    """Ask the Dag processor to parse the dagctl Dag file now instead of at its next turn.

    The file is known from any generated Dag; before the first one it is assumed where the README puts it.
    """
    query = (
        select(DagModel.bundle_name, DagModel.relative_fileloc)
        .where(DagModel.dag_id.like(DAG_PREFIX.replace("_", r"\_") + "%", escape="\\"), DagModel.relative_fileloc.is_not(None))
        .distinct()
    )
    places = [tuple(row) for row in session.execute(query)] or [(default_bundle, default_file)]
    for bundle_name, relative_fileloc in places:
        asked = exists().where(
            DagPriorityParsingRequest.bundle_name == bundle_name, DagPriorityParsingRequest.relative_fileloc == relative_fileloc
        )
        if not session.execute(select(asked)).scalar():
            session.add(DagPriorityParsingRequest(bundle_name=bundle_name, relative_fileloc=relative_fileloc))
