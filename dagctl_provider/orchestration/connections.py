"""Airflow connections the product reads and keeps: git credentials, the state administrator, each project's state,
and the key of plans."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from airflow.exceptions import AirflowException
from airflow.models.connection import Connection
from cryptography.fernet import InvalidToken
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import PLAN_KEY_CONNECTION, SEAL_KEY_CONNECTION

_KEYS = {
    PLAN_KEY_CONNECTION: "dagctl: key for the values of variables in plans; do not edit",
    SEAL_KEY_CONNECTION: "dagctl: key with which tasks seal what they leave; do not edit",
}


@dataclass(frozen=True)
class StoredConnection:
    """A connection as plain values. ``repr`` hides what is secret."""

    conn_id: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    schema: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


def read_connection(conn_id: str) -> StoredConnection | None:
    """A connection from wherever Airflow keeps them (secrets backend, environment, database), or ``None``."""
    from airflow.exceptions import AirflowNotFoundException

    try:
        found = Connection.get_connection_from_secrets(conn_id)
    except AirflowNotFoundException:
        return None
    return StoredConnection(
        conn_id, found.host, found.port, found.login, found.schema, found.password, dict(found.extra_dejson or {})
    )


def write_state_connection(session: Session, connection: StoredConnection) -> None:
    """Store or replace the connection to a project's state database, encrypted as Airflow encrypts all of them."""
    row = session.execute(select(Connection).where(Connection.conn_id == connection.conn_id)).scalars().first()
    if row is None:
        row = Connection(conn_id=connection.conn_id)
        session.add(row)
    row.conn_type = "postgres"
    row.host, row.port, row.login, row.schema = connection.host, connection.port, connection.login, connection.schema
    row.set_password(connection.password)
    row.description = "dagctl: SQLMesh state of one project; do not edit"
    session.flush()


def new_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_urlsafe(32)


def read_key(session: Session, conn_id: str) -> str | None:
    """A key as it is published in Airflow's database; ``None`` where there is none that can be read."""
    row = session.execute(select(Connection).where(Connection.conn_id == conn_id)).scalars().first()
    try:
        return (row.get_password() or None) if row is not None else None
    except (AirflowException, InvalidToken):
        return None


def write_key(session: Session, conn_id: str, key: str) -> None:
    """Publish a key to workers, in place of what stands there."""
    delete_connection(session, conn_id)
    row = Connection(conn_id=conn_id, conn_type="dagctl")
    row.set_password(key)
    row.description = _KEYS[conn_id]
    session.add(row)
    session.flush()


def delete_connection(session: Session, conn_id: str) -> None:
    """Remove a connection if it is there."""
    session.execute(delete(Connection).where(Connection.conn_id == conn_id))
