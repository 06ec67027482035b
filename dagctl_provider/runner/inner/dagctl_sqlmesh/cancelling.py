"""Interrupts what SQLMesh is executing: every connection and cursor it opens is known, and told to stop after a cancel."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dagctl_common import cancelling
from dagctl_common.cancelling import Cancelled

if TYPE_CHECKING:
    from sqlmesh.utils.connection_pool import ConnectionPool

__all__ = ["Cancelled", "Canceller", "connection_address"]


class Canceller(cancelling.Canceller):
    """Ends SQLMesh's statements as well.

    :param alive_fd: Pipe whose end tells that the outer program died.
    :param grace: Seconds from a cancel to the end of the whole process group.
    """

    def __init__(self, alive_fd: int | None, grace: float) -> None:
        super().__init__(alive_fd, grace)
        self.state_address: tuple[str, ...] | None = None
        self._running: list[Any] = []
        self.on_open: Callable[[object], None] = lambda opened: None

    def interrupt_statements(self) -> None:
        """Interrupt whatever the known connections are executing."""
        for connection in list(self._running):
            if self._is_state(connection):
                continue
            for name in ("cancel", "interrupt"):
                method = getattr(connection, name, None)
                if callable(method):
                    with contextlib.suppress(Exception):
                        method()
                    break

    def _is_state(self, connection: object) -> bool:
        """State statements take milliseconds and should not be cut off half-way, if they can be told apart."""
        return self.state_address is not None and connection_address(connection) == self.state_address

    def watch_connections(self) -> None:
        """Learn of every connection and cursor SQLMesh opens, by wrapping what its connection pools are made with."""
        from sqlmesh.utils import connection_pool

        for pool in vars(connection_pool).values():
            if isinstance(pool, type) and issubclass(pool, connection_pool.ConnectionPool) and "__init__" in vars(pool):
                _wrap_pool(pool, self._remember)

    def _remember(self, opened: object) -> None:
        self.on_open(opened)
        self._running = [known for known in self._running if not getattr(known, "closed", False)][-200:]
        self._running.append(opened)
        # Opened while a cancel is under way: its first statement must not start.
        if self.interruptible and not self._is_state(opened):
            self.check()


def connection_address(connection: object) -> tuple[str, ...] | None:
    """Server, database and user of a psycopg2 connection."""
    describe = getattr(connection, "get_dsn_parameters", None)
    if describe is None:
        return None
    with contextlib.suppress(Exception):
        parameters: dict[str, str] = describe()
        return tuple(parameters.get(key, "") for key in ("host", "port", "dbname", "user"))
    return None


def _wrap_pool(pool: type[ConnectionPool], remember: Callable[[object], None]) -> None:
    original = pool.__init__
    signature = inspect.signature(original)

    def wrapped(self: object, *args: object, **kwargs: object) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        factory, init = given.arguments["connection_factory"], given.arguments["cursor_init"]
        if not hasattr(factory, "_dagctl_watched"):
            given.arguments["connection_factory"] = _watched_factory(factory, remember)
            given.arguments["cursor_init"] = _watched_cursor_init(init, remember)
        original(*given.args, **given.kwargs)

    pool.__init__ = wrapped


def _watched_factory(factory: Callable[[], object], remember: Callable[[object], None]) -> Callable[[], object]:
    def connect() -> object:
        connection = factory()
        remember(connection)
        return connection

    # A pool's parent class is wrapped as well and must not do it again.
    connect._dagctl_watched = True  # type: ignore[attr-defined]
    return connect


def _watched_cursor_init(init: Callable[[object], None] | None, remember: Callable[[object], None]) -> Callable[[object], None]:
    def cursor_init(cursor: object) -> None:
        # DuckDB's cursors are connections of their own.
        if hasattr(cursor, "interrupt"):
            remember(cursor)
        if init:
            init(cursor)

    return cursor_init
