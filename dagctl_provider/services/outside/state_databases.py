"""Managed SQLMesh state: a PostgreSQL database and a role of its own for each project.

The boundary between projects is the role: a project's Python runs in the same process as its state connection, so that
connection must open nothing else.
"""

from __future__ import annotations

import secrets

import psycopg2
from psycopg2 import sql

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.orchestration.connections import StoredConnection, read_connection
from dagctl_provider.services.outside.waiting import outside

_CONNECT_TIMEOUT_SECONDS = 10


def is_configured() -> bool:
    """Whether this deployment can make state databases."""
    return bool(setting("state_database_conn_id"))


def connection_id(project_id: str) -> str:
    """Id of the Airflow connection that leads to a project's state."""
    return f"dagctl_state_{project_id}"


def _database_name(project_id: str) -> str:
    return f"dagctl_{project_id}"


def _administrator() -> StoredConnection:
    conn_id = setting("state_database_conn_id")
    found = read_connection(conn_id) if conn_id else None
    if found is None:
        raise DagctlError(
            "state_database_not_configured", "No administrator connection for managed state databases is configured."
        )
    return found


def _connect(administrator: StoredConnection, database: str | None = None) -> psycopg2.extensions.connection:
    try:
        connection = psycopg2.connect(
            host=administrator.host,
            port=administrator.port or 5432,
            user=administrator.login,
            password=administrator.password,
            dbname=database or administrator.schema or "postgres",
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        )
    except psycopg2.OperationalError:
        # The driver's text can hold addresses and user names; the log of the server says what it needs to say.
        raise DagctlError("state_database_unavailable", "The server for managed state databases does not answer.") from None
    connection.autocommit = True
    return connection


def create(project_id: str) -> StoredConnection:
    """Make the role and the database of a project, or give an existing pair a new password.

    :raises DagctlError: ``state_database_not_configured`` or ``state_database_unavailable``.
    """
    administrator = _administrator()
    with outside():
        return _create(administrator, project_id)


def _create(administrator: StoredConnection, project_id: str) -> StoredConnection:
    name, password = _database_name(project_id), secrets.token_urlsafe(32)
    connection = _connect(administrator)
    try:
        with connection.cursor() as cursor:
            role = sql.Identifier(name)
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,))
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            cursor.execute(
                sql.SQL(verb + " ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
                    role, sql.Literal(password)
                )
            )
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                # An administrator that is no superuser must be a member of the role it makes the owner.
                cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
                cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
    except psycopg2.Error as error:
        raise DagctlError(
            "state_database_unavailable", f"The state database could not be made ({type(error).__name__})."
        ) from None
    finally:
        connection.close()
    return StoredConnection(connection_id(project_id), administrator.host, administrator.port or 5432, name, name, password)


def drop(project_id: str) -> None:
    """Remove the database and the role of a project; nothing happens where there are none.

    :raises DagctlError: ``state_database_not_configured`` or ``state_database_unavailable``.
    """
    connection = _connect(_administrator())
    name = sql.Identifier(_database_name(project_id))
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))
    except psycopg2.Error as error:
        raise DagctlError(
            "state_database_unavailable", f"The state database could not be dropped ({type(error).__name__})."
        ) from None
    finally:
        connection.close()
