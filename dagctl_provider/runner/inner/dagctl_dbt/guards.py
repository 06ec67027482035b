"""Keeps dbt from writing while a plan is worked out: every statement that its adapter would send is looked at first.

The places are the adapter's own, the same in dbt 1.5 to 1.12; a session that cannot write, where the warehouse has such a thing,
is a second wall behind them: no parser knows what somebody's own function does.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.reading import check_reads

from dagctl_dbt.columns_sql import dialect_of

if TYPE_CHECKING:
    from dbt.adapters.base.impl import BaseAdapter

_SENDS = ("execute", "add_query", "raw_execute", "add_select_query", "add_standalone_query")
"""Methods of dbt's connection managers that take a statement."""
_LOOKS = (
    "list_relations", "list_relations_without_caching", "get_relation", "list_schemas", "check_schema_exists", "get_catalog",
    "get_catalog_by_relations", "get_filtered_catalog", "set_relations_cache", "begin", "commit",
)  # fmt: skip
"""What dbt asks for its own cache of what exists: SQL does not come out of that."""
_OWN = (*_LOOKS, "get_columns_in_relation", "get_missing_columns", "get_column_schema_from_query", "expand_target_column_types")
"""Whose statements are the adapter's own: one of those that is not known to read is not sent, and its model not compiled."""
_READ_ONLY = re.compile(r"read-only (transaction|mode)|readonly database", re.IGNORECASE)
_WRITES = re.compile(
    r"(create|drop|rename|truncate|copy|load|upload|delete|grant|revoke|alter|update|store|submit|clean|purge|register|upsert"
    r"|insert|write|run_sql|expire|vacuum|optimize|merge|swap|run_python|add_lf|set_table_properties)(_|$)"
)
"""Methods of adapters that write without SQL; a name is all that is known of those of unknown adapters."""
_ABOUT_TRANSACTIONS = re.compile(r"\s*(begin|start|commit|rollback|set|use)\b", re.IGNORECASE)


class Guard:
    """Refuses what is no read, and knows which node asked the warehouse something.

    :param adapter: dbt's adapter.
    """

    def __init__(self, adapter: BaseAdapter) -> None:
        self.adapter = adapter
        self.refusal: StepFailed | None = None
        self.asked: set[str] = set()
        self.thread: threading.Thread | None = None
        self._dialect = dialect_of(adapter.type())
        self._node: tuple[str, str] = ("", "the project")
        self._inside = threading.local()

    @contextlib.contextmanager
    def speaking_for(self, unique_id: str, who: str) -> Iterator[None]:
        """Whose statements those of this block are.

        :param unique_id: The node's.
        :param who: The same for people, with its file.
        """
        self._node = unique_id, who
        yield

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at all that the adapter sends."""
        restore = [self._wrap(self.adapter.connections, name, self._checked) for name in _SENDS]
        restore += [self._wrap(self.adapter, name, self._within) for name in _OWN]
        available: Any = getattr(self.adapter, "_available_", ())
        restore += [self._wrap(self.adapter, name, self._denied) for name in sorted(available) if _WRITES.match(name)]
        try:
            yield
        finally:
            for undo in restore:
                undo()

    @staticmethod
    def _wrap(owner: Any, name: str, wrapper: Callable[[str, Any], Any]) -> Callable[[], None]:
        method = getattr(owner, name, None)
        if not callable(method):
            return lambda: None
        outer = vars(owner).get(name)
        setattr(owner, name, functools.wraps(method)(wrapper(name, method)))
        return (lambda: delattr(owner, name)) if outer is None else (lambda: setattr(owner, name, outer))

    def _checked(self, _name: str, method: Any) -> Any:
        def send(*args: Any, **kwargs: Any) -> Any:
            if getattr(self._inside, "checked", False):
                return method(*args, **kwargs)
            self._check(args[0] if args else kwargs.get("sql", kwargs.get("query")))
            self._inside.checked = True
            try:
                return method(*args, **kwargs)
            except Exception as error:
                # The warehouse may be the one to say that a function which looks like a read is none.
                if _READ_ONLY.search(str(error)):
                    self._refuse(f"an explain only reads: {' '.join(str(error).split())[:300]}")
                raise
            finally:
                self._inside.checked = False

        return send

    def _refuse(self, text: str) -> StepFailed:
        """The end of the explain, whoever catches the error on its way."""
        failure = StepFailed("explain_writes", f"{self._node[1]}: {text}")
        if getattr(self._inside, "method", "") not in _OWN:
            self.refusal = self.refusal or failure
        return failure

    def _check(self, sql: object) -> None:
        unique_id, who = self._node
        if not isinstance(sql, str):
            raise self._refuse("an explain only reads, and this is no statement that can be read.")
        try:
            check_reads(sql, self._dialect, who)
        except StepFailed as failure:
            raise self._refuse(failure.message.removeprefix(f"{who}: ")) from failure
        if unique_id and getattr(self._inside, "method", "") not in _LOOKS and not _ABOUT_TRANSACTIONS.match(sql):
            self.asked.add(unique_id)

    def _within(self, name: str, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            before = getattr(self._inside, "method", "")
            # What dbt asks for its cache stays that, whatever it calls for it.
            self._inside.method = before or name
            try:
                return method(*args, **kwargs)
            finally:
                self._inside.method = before

        return call

    def _denied(self, name: str, _method: Any) -> Any:
        def deny(*args: Any, **kwargs: Any) -> Any:
            raise self._refuse(f"an explain only reads, and 'adapter.{name}' writes.")

        return deny


@contextlib.contextmanager
def reading_sessions(adapter: BaseAdapter) -> Iterator[None]:
    """Let sessions that begin here be unable to write, where the warehouse is PostgreSQL or a DuckDB file.

    ClickHouse's adapter makes a database and tries tables when it connects; here it does not.

    :param adapter: dbt's adapter.
    """
    kind = adapter.type()
    change = {"postgres": _postgres, "duckdb": _duckdb, "clickhouse": _clickhouse}.get(kind)
    if change is None:
        yield
        return
    with change(adapter):
        yield


@contextlib.contextmanager
def _postgres(adapter: BaseAdapter) -> Iterator[None]:
    connections: Any = adapter.connections
    original = connections.open

    def opened(connection: Any) -> Any:
        found = original(connection)
        # As a statement rather than as an option of the connection: poolers refuse those, and a profile may have some.
        found.handle.cursor().execute("SET default_transaction_read_only TO on")
        found.handle.commit()
        return found

    connections.open = opened
    try:
        yield
    finally:
        del connections.open


@contextlib.contextmanager
def _duckdb(adapter: BaseAdapter) -> Iterator[None]:
    duckdb: Any = sys.modules.get("duckdb")
    credentials: Any = adapter.config.credentials
    original = duckdb.connect

    def connect(database: Any = ":memory:", read_only: bool = False, config: Any = None) -> Any:
        path = os.path.expanduser(str(database))
        if database in ("", ":memory:") or _is_address(path):
            return original(database, read_only=read_only, config=config or {})
        if os.path.exists(path):
            return original(database, read_only=True, config=config or {})
        # The first execute makes the file. Until then nothing is in it, which is what an empty database of its name says.
        memory = original(":memory:", read_only=False, config=config or {})
        memory.execute(f"ATTACH ':memory:' AS {_quoted(credentials.database)}")
        return memory

    writable = [attached for attached in getattr(credentials, "attach", None) or () if not attached.read_only]
    for attached in writable:
        attached.read_only = True
    duckdb.connect = connect
    try:
        yield
    finally:
        duckdb.connect = original
        # What comes next in this process, if anything does, may write again.
        type(adapter.connections).close_all_connections()
        for attached in writable:
            attached.read_only = False


@contextlib.contextmanager
def _clickhouse(_adapter: BaseAdapter) -> Iterator[None]:
    client: Any = getattr(sys.modules.get("dbt.adapters.clickhouse.dbclient"), "ChClientWrapper", None)

    def use_database(wrapper: Any, *_: object) -> None:
        name = str(wrapper.database or "").replace("`", "``")
        if name and str(wrapper.command(f"EXISTS DATABASE `{name}`")).strip() == "1":
            wrapper._set_client_database()

    changes: dict[str, Any] = {"_ensure_database": use_database, "_check_atomic_exchange": lambda _wrapper: False}
    before = {name: getattr(client, name) for name in changes if hasattr(client, name)}
    for name in before:
        setattr(client, name, changes[name])
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(client, name, method)


def _is_address(path: str) -> bool:
    return bool(re.match(r"[A-Za-z][\w+.-]+:", path))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
