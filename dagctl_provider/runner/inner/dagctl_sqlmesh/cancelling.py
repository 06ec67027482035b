"""Makes a cancel take effect at once: running statements are interrupted, nothing new starts, and a hung process dies.

A signal handler alone is not enough: Python runs it only between two steps of the main thread, which may sit in a driver's
C code for hours. So the signal also writes to a pipe that a thread of its own reads, and that thread interrupts the
statements. The same thread notices when the outer program died.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.5


class Cancelled(Exception):
    """Raised where new work would start after a cancel."""


class Canceller:
    """Knows whether the step is cancelled, and ends what is running when it is.

    :param alive_fd: Pipe whose end tells that the outer program died.
    :param grace: Seconds from a cancel to the end of the whole process group.
    """

    def __init__(self, alive_fd: int | None, grace: float) -> None:
        self.flag = threading.Event()
        self.state_address: tuple[str, ...] | None = None
        self.interruptible = True
        self._alive_fd = alive_fd
        self._grace = grace
        self._running: list[Any] = []

    def is_set(self) -> bool:
        """Whether the step is cancelled; the form that ``circuit_breaker`` wants."""
        return self.flag.is_set()

    def check(self) -> None:
        """Raise when the step is cancelled."""
        if self.flag.is_set():
            raise Cancelled("the step was cancelled")

    def start(self) -> None:
        """Listen to SIGTERM, SIGINT and the end of the outer program."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        os.register_at_fork(after_in_child=_forget_signals)
        watched = [fd for fd in (wake_read, self._alive_fd) if fd is not None]
        threading.Thread(target=self._watch, args=(watched,), name="cancel-watch", daemon=True).start()

    def _on_signal(self, _number: int, _frame: Any) -> None:
        first = not self.flag.is_set()
        self.flag.set()
        if first and self.interruptible:
            raise KeyboardInterrupt

    def _watch(self, watched: list[int]) -> None:
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._alive_fd in ready:
                # The handler must run as well, to get the main thread out of whatever it waits for.
                os.kill(os.getpid(), signal.SIGTERM)
                break
            numbers = os.read(watched[0], 64)
            if bytes([signal.SIGTERM]) in numbers or bytes([signal.SIGINT]) in numbers:
                break
        self.flag.set()
        started = time.monotonic()
        while time.monotonic() < started + self._grace:
            # Publishing is quick and better not torn; but it gets no more than half of the grace.
            if self.interruptible or time.monotonic() > started + self._grace / 2:
                self.interrupt_statements()
            time.sleep(POLL_SECONDS)
        os.killpg(os.getpgid(0), signal.SIGKILL)

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

    def _is_state(self, connection: Any) -> bool:
        """State statements take milliseconds and should not be cut off half-way, if they can be told apart."""
        return self.state_address is not None and connection_address(connection) == self.state_address

    def watch_connections(self) -> None:
        """Learn of every connection and cursor SQLMesh opens, by wrapping what its connection pools are made with."""
        from sqlmesh.utils import connection_pool

        for pool in vars(connection_pool).values():
            if isinstance(pool, type) and issubclass(pool, connection_pool.ConnectionPool) and "__init__" in vars(pool):
                _wrap_pool(pool, self._remember)

    def _remember(self, opened: Any) -> None:
        self._running = [known for known in self._running if not getattr(known, "closed", False)][-200:]
        self._running.append(opened)
        # Opened while a cancel is under way: its first statement must not start.
        if self.interruptible and not self._is_state(opened):
            self.check()


def _forget_signals() -> None:
    """In a forked loader: die of signals, and do not report them through the pipe that is shared with the parent."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def connection_address(connection: Any) -> tuple[str, ...] | None:
    """Server, database and user of a psycopg2 connection."""
    describe = getattr(connection, "get_dsn_parameters", None)
    if describe is None:
        return None
    with contextlib.suppress(Exception):
        parameters: dict[str, str] = describe()
        return tuple(parameters.get(key, "") for key in ("host", "port", "dbname", "user"))
    return None


def _wrap_pool(pool: Any, remember: Callable[[Any], None]) -> None:
    original = pool.__init__
    signature = inspect.signature(original)

    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        factory, init = given.arguments["connection_factory"], given.arguments["cursor_init"]
        if not hasattr(factory, "_dagctl_watched"):
            given.arguments["connection_factory"] = _watched_factory(factory, remember)
            given.arguments["cursor_init"] = _watched_cursor_init(init, remember)
        original(*given.args, **given.kwargs)

    pool.__init__ = wrapped


def _watched_factory(factory: Callable[[], Any], remember: Callable[[Any], None]) -> Any:
    def connect() -> Any:
        connection = factory()
        remember(connection)
        return connection

    # A pool's parent class is wrapped as well and must not do it again.
    connect._dagctl_watched = True  # type: ignore[attr-defined]
    return connect


def _watched_cursor_init(init: Callable[[Any], None] | None, remember: Callable[[Any], None]) -> Any:
    def cursor_init(cursor: Any) -> None:
        # DuckDB's cursors are connections of their own.
        if hasattr(cursor, "interrupt"):
            remember(cursor)
        if init:
            init(cursor)

    return cursor_init
