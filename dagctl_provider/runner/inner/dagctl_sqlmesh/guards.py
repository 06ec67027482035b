"""Lets an explain only ask the warehouse: every statement on its way to it is read first.

SQLMesh itself asks little of a warehouse while it plans. Macros and Python code of a project can reach the same connection, so
the guard stands at the cursor, the one place that all statements pass. Connections of the state and of unit tests are not the
warehouse's: what is made while the guard is told so is left alone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.reading import check_reads
from dagctl_common.watching import Caller, Watch

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.engine_adapter import EngineAdapter

_SENDING = frozenset({"execute", "executemany", "sql", "query", "from_query", "copy", "copy_expert", "callproc", "execute_async"})
_DRIVERS = ("duckdb", "psycopg2")
_WRITING = frozenset({"append", "from_df", "load_table_from_dataframe", "executescript", "copy_from", "copy_to", "write_pandas"})


class Guard:
    """The guard of one step.

    :param watch: Knows who of the project's code is at work.
    """

    def __init__(self, watch: Watch) -> None:
        self.reads = 0
        self.armed = False
        self._watch = watch
        self._free = 0

    def install(self) -> None:
        """Stand before every adapter that is made from now on, while :attr:`armed`."""
        from sqlmesh.core import engine_adapter
        from sqlmesh.core.engine_adapter.base import EngineAdapter

        for adapter in {EngineAdapter, *_classes(vars(engine_adapter).values(), EngineAdapter)}:
            for name in ("cursor", "connection"):
                if isinstance(vars(adapter).get(name), property):
                    setattr(adapter, name, self._guarded_property(vars(adapter)[name]))
        original = EngineAdapter.__init__

        def wrapped(adapter: EngineAdapter, *args: object, **kwargs: object) -> None:
            adapter._dagctl_free = bool(self._free)
            original(adapter, *args, **kwargs)

        EngineAdapter.__init__ = wrapped

    @contextlib.contextmanager
    def free(self) -> Iterator[None]:
        """Adapters made meanwhile are not the warehouse's."""
        self._free += 1
        try:
            yield
        finally:
            self._free -= 1

    def arm(self, context: Context) -> None:
        """From now on the warehouse is only asked, and the project's code writes nothing.

        :param context: Its adapters of the warehouse are guarded, whenever they were made.
        """
        self.armed = True
        self._watch.refusing = True
        self._watch_drivers()
        adapters: dict[str, Any] = getattr(context, "engine_adapters", None) or {}
        for adapter in (context.engine_adapter, *adapters.values()):
            adapter._dagctl_free = False
            if adapter.dialect == "postgres":
                # What is open already is opened again, read-only.
                adapter.close()

    def _watch_drivers(self) -> None:
        """Drivers in C open files and connections of which Python learns nothing."""
        for name in _DRIVERS:
            driver: Any = sys.modules.get(name) or (importlib.import_module(name) if importlib.util.find_spec(name) else None)
            if driver is not None and not hasattr(driver.connect, "_dagctl_watched"):
                driver.connect = self._watched(name, driver.connect)

    def _watched(self, name: str, connect: Callable[..., object]) -> Callable[..., object]:
        def watched(*args: object, **kwargs: object) -> object:
            caller = self._watch.caller() if self.armed else None
            if caller:
                self._watch.refuse(caller, f"opens a connection of its own, with {name},")
            return connect(*args, **kwargs)

        watched._dagctl_watched = True  # type: ignore[attr-defined]
        return watched

    def opened(self, connection: object) -> None:
        """Let the server itself refuse writes, where it can: no parser knows what a function of the warehouse does.

        :param connection: Just opened.
        """
        make = getattr(connection, "set_session", None)
        if self.armed and not self._free and callable(make):
            make(readonly=True)

    def disarm(self) -> None:
        """The plan is worked out: what follows is the step's own."""
        self.armed = False
        self._watch.refusing = False

    def _guarded_property(self, original: property) -> property:
        getter = original.fget
        assert getter is not None

        def guarded(adapter: EngineAdapter) -> object:
            real = getter(adapter)
            if not self.armed or getattr(adapter, "_dagctl_free", False):
                return real
            return _Guarded(real, lambda name, values: self._look(adapter, name, values))

        return property(guarded, original.fset, original.fdel, original.__doc__)

    def _look(self, adapter: EngineAdapter, name: str, values: Iterable[object]) -> None:
        caller = self._asker()
        who = str(caller) if caller else "The tool"
        if name in _WRITING:
            failure = StepFailed("explain_writes", f"{who} writes to the warehouse while the plan is worked out.")
            self._watch.remember(failure)
            raise failure
        sql = next((value for value in values if isinstance(value, (str, bytes))), "")
        try:
            check_reads(sql.decode() if isinstance(sql, bytes) else sql, getattr(adapter, "dialect", None) or None, who)
        except StepFailed as failure:
            self._watch.remember(failure)
            raise
        if caller:
            self.reads += 1

    def _asker(self) -> Caller | None:
        """Who asks: here the adapter stands between, so it is looked through."""
        return self._watch.caller(through=True)


class _Guarded:
    """A cursor or connection whose statements are looked at."""

    _real: Any
    _look: Callable[[str, Iterable[object]], None]

    def __init__(self, real: object, look: Callable[[str, Iterable[object]], None]) -> None:
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_look", look)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if name == "cursor" and callable(value):
            return lambda *args, **kwargs: _Guarded(value(*args, **kwargs), self._look)
        if (name not in _SENDING and name not in _WRITING) or not callable(value):
            return value

        def sent(*args: object, **kwargs: object) -> object:
            self._look(name, (*args, *kwargs.values()))
            return value(*args, **kwargs)

        return sent

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real)

    def __enter__(self) -> _Guarded:
        self._real.__enter__()
        return self

    def __exit__(self, *error: object) -> object:
        return self._real.__exit__(*error)


def _classes(values: Iterable[object], parent: type) -> Iterator[type]:
    """Adapter classes, those included that others derive from."""
    for value in values:
        if inspect.isclass(value) and issubclass(value, parent):
            yield from (base for base in value.__mro__ if issubclass(base, parent))
