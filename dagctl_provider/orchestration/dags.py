"""How projects reach the Dag processor, and whether it has seen them yet."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from airflow.models.dag import DagModel
from airflow.models.dagbag import DagPriorityParsingRequest
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.variable import Variable
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import DAG_PREFIX, INDEX_VARIABLE, project_variable, writer_pool

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


def publish_project(session: Session, dag_id: str, spec: Mapping[str, object] | None) -> None:
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
    if not has_pool(session, dag_id):
        name = writer_pool(dag_id)
        Pool.create_or_update_pool(name, 1, "dagctl: one writer per project", include_deferred=True, session=session)


def mend_pools(session: Session) -> bool:
    """Give writer pools their one slot back, where somebody changed it: in a larger pool two could write at once.

    :return: Whether there was anything to mend.
    """
    ours = Pool.pool.startswith(DAG_PREFIX, autoescape=True)
    if session.execute(select(exists().where(ours, Pool.slots != 1))).scalar():
        session.execute(update(Pool).where(ours).values(slots=1).execution_options(synchronize_session=False))
        return True
    return False


def has_pool(session: Session, dag_id: str) -> bool:
    """Whether a project has its writer pool."""
    return bool(session.execute(select(exists().where(Pool.pool == writer_pool(dag_id)))).scalar())


def drop_pool(session: Session, dag_id: str) -> None:
    """Remove a project's writer pool."""
    session.execute(delete(Pool).where(Pool.pool == writer_pool(dag_id)))


def publish_index(session: Session, specs: Mapping[str, Mapping[str, object]]) -> None:
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


def read_index(session: Session) -> dict[str, object]:
    """The index as last published."""
    return _objects(session, Variable.key == INDEX_VARIABLE).get(INDEX_VARIABLE, {})


def read_projects(session: Session) -> dict[str, dict[str, object]]:
    """What is published for the workers of each project, by the id of its plan Dag."""
    found = _objects(session, Variable.key.like(DAG_PREFIX.replace("_", r"\_") + "%", escape="\\"))
    return {key: value for key, value in found.items() if key != INDEX_VARIABLE}


def _objects(session: Session, which: ColumnElement[bool]) -> dict[str, dict[str, object]]:
    """The Variables that hold a JSON object; what somebody made of one by hand is as good as absent."""
    found = {}
    for row in session.execute(select(Variable).where(which)).scalars():
        with contextlib.suppress(ValueError):
            found[row.key] = json.loads(row.get_val() or "")
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def ready(session: Session, dag_ids: Collection[str]) -> frozenset[str]:
    """Those of the Dags of which a run could start: parsed, serialised, not stale and not paused."""
    if not dag_ids:
        return frozenset()
    query = select(DagModel.dag_id).where(
        DagModel.dag_id.in_(sorted(dag_ids)),
        DagModel.is_stale.is_(False),
        DagModel.is_paused.is_(False),
        exists().where(SerializedDagModel.dag_id == DagModel.dag_id),
    )
    return frozenset(session.execute(query).scalars())


def is_ready(session: Session, dag_id: str) -> bool:
    """Whether a run of the Dag could start."""
    return dag_id in ready(session, [dag_id])


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
    known = [(row.bundle_name, row.relative_fileloc) for row in session.execute(query)]
    places: list[tuple[str, str]] = known or [(default_bundle, default_file)]
    # Airflow's sessions do not flush by themselves: what this transaction asked for before would not be seen.
    session.flush()
    for bundle_name, relative_fileloc in places:
        asked = (
            select(DagPriorityParsingRequest.id)
            .where(
                DagPriorityParsingRequest.bundle_name == bundle_name,
                DagPriorityParsingRequest.relative_fileloc == relative_fileloc,
            )
            # Held, so that the Dag processor does not take it and parse what was there before this transaction.
            .with_for_update()
        )
        if session.execute(asked).scalar() is None:
            session.add(DagPriorityParsingRequest(bundle_name=bundle_name, relative_fileloc=relative_fileloc))
            session.flush()
