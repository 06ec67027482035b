"""Runs in a tool's environment, with the tool imported: forks a process for each program that it is asked for.

``python warm.py <folder of the inner program> <tool> <descriptor of a socket>``. Importing SQLMesh or dbt takes seconds, and a
case needs ten processes. A fork has all that a new process would have after its imports, and nothing of the case before.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

INNER, TOOL, SOCKET = sys.argv[1:4]
IMPORTED = {
    "sqlmesh": ("dagctl_sqlmesh.commands", "dagctl_sqlmesh.twice", "sqlmesh", "sqlmesh.cli.main", "sqlmesh.core.test", "duckdb"),
    "dbt": ("dagctl_dbt.commands", "dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb", "duckdb", "sqlglot"),
}


def step(arguments: list[str]) -> None:
    """The product's own step program, as it is started by the outer one."""
    sys.argv = [INNER, *arguments]
    runpy.run_path(str(Path(INNER) / "__main__.py"), run_name="__main__")


def sqlmesh(arguments: list[str]) -> None:
    """What a person types after ``sqlmesh``."""
    from sqlmesh.cli.main import cli

    cli(arguments, standalone_mode=True)


def dbt(arguments: list[str]) -> None:
    """What a person types after ``dbt``; several commands, with ``;`` between them, whose answer goes ``> file``.

    After a ``parse`` the others need none of their own, unless they are told to parse everything anew.
    """
    from dbt.cli.main import dbtRunner

    manifest = None
    for command in " ".join(arguments).split(" ; "):
        words = command.split()
        file = words.pop(words.index(">") + 1) if ">" in words else None
        parsed = None if "--no-partial-parse" in words else manifest
        result = dbtRunner(manifest=parsed).invoke([word for word in words if word != ">"])
        manifest = result.result if words[0] == "parse" else manifest
        if not result.success:
            raise SystemExit(f"dbt {command}: {result.exception}")
        if file:
            Path(file).write_text("\n".join(result.result))


def tables(arguments: list[str]) -> None:
    """What consumers see of a warehouse: relations with their kinds, columns, types, comments and sorted rows, as JSON."""
    import duckdb

    found = {}
    with duckdb.connect(arguments[0]) as database:
        rows = database.execute(
            "SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE NOT internal UNION ALL "
            "SELECT schema_name, table_name, 'table', comment FROM duckdb_tables() WHERE NOT internal"
        ).fetchall()
        for schema, name, kind, comment in rows:
            if schema.startswith("sqlmesh"):
                continue
            columns = database.execute(
                "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
                "AND database_name = current_database() ORDER BY column_index", [schema, name],
            ).fetchall()  # fmt: skip
            content = database.execute(f'SELECT * FROM "{schema}"."{name}"').fetchall()
            found[f"{schema}.{name}"] = {
                "kind": kind, "comment": comment, "columns": columns, "rows": sorted(map(repr, content)),
            }  # fmt: skip
    Path(arguments[1]).write_text(json.dumps(found, default=str))


def statements(arguments: list[str]) -> None:
    """Statements in a warehouse: what other programs do to it."""
    import duckdb

    with duckdb.connect(arguments[0]) as database:
        database.execute(arguments[1])


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "step": step, "sqlmesh": sqlmesh, "dbt": dbt, "tables": tables, "statements": statements,
}  # fmt: skip


def child(order: dict[str, object]) -> int:
    """The forked process, to its end."""
    output = os.open(str(order["output"]), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    silent = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((silent, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.setsid()
    # Looking for rubbish costs a tenth of the time, and the process ends before it matters.
    gc.disable()
    os.umask(0o022)
    os.environ.clear()
    os.environ.update(order["env"])  # type: ignore[call-overload]
    os.chdir(str(order["cwd"]))
    try:
        PROGRAMS[str(order["program"])](order["arguments"])  # type: ignore[arg-type]
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def imported() -> list[str]:
    """Modules of this process that belong to the tool or to Python; those of a project are other ones in the next case."""
    folders = (sys.prefix, os.path.dirname(os.__file__), INNER)
    return [name for name, module in sys.modules.items() if str(getattr(module, "__file__", None) or "").startswith(folders)]


def teach(path: Path) -> None:
    """Leave the names of all modules in a file when this process ends, however it does.

    :param path: The file.
    """
    end = os._exit

    def leave(status: int) -> None:
        path.write_text(json.dumps(imported()))
        end(status)

    os._exit = leave  # type: ignore[assignment]


def learn(path: Path) -> None:
    """Import what a child had to import by itself, so that the next one need not.

    :param path: What :func:`teach` left.
    """
    for name in sorted(set(json.loads(path.read_text())) - set(sys.modules)):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.freeze()
    assert threading.active_count() == 1, "a process with threads must not be forked"


def serve(asked: socket.socket, order: dict[str, object], lesson: Path) -> int:
    """Do one order in a process of its own.

    :param asked: Not for that process.
    :param order: The order.
    :param lesson: File for what the first process of a program teaches.
    :return: Its exit status.
    """
    first = not lesson.exists()
    pid = os.fork()
    if pid == 0:
        asked.close()
        if first:
            teach(lesson)
        status = child(order)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if first and lesson.exists():
        learn(lesson)
    return status


def use_dbt() -> None:
    """Parse an empty project once, and remember it: most of a parse are the same 500 macros of dbt itself."""
    import jinja2
    from dbt.cli.main import dbtRunner

    remembered: dict[tuple[object, ...], object] = {}
    parse = jinja2.Environment.parse

    def parse_once(self: jinja2.Environment, source: str, name: str | None = None, filename: str | None = None) -> object:
        # For those who only look at the tree; what becomes a template goes another way.
        key = (type(self), tuple(self.extensions), source, name, filename)
        if key not in remembered:
            remembered[key] = parse(self, source, name, filename)
        return remembered[key]

    jinja2.Environment.parse = parse_once  # type: ignore[assignment,method-assign]
    home = Path(os.environ["HOME"])
    (home / "dbt_project.yml").write_text("name: empty\nprofile: empty\n")
    (home / "profiles.yml").write_text("empty: {target: a, outputs: {a: {type: duckdb}}}\n")
    place = ["--project-dir", str(home), "--profiles-dir", str(home), "--target-path", str(home / "target")]
    assert dbtRunner().invoke(["--quiet", "parse", *place]).success


def main() -> None:
    """Serve until the other side is gone."""
    sys.path.insert(0, INNER)
    for name in IMPORTED[TOOL]:
        importlib.import_module(name)
    if TOOL == "dbt":
        use_dbt()
    # What is there already is nobody's rubbish; without this, each fork would copy all of it to look.
    gc.collect()
    gc.freeze()
    asked = socket.socket(fileno=int(SOCKET))
    asked.send(b"ready")
    lessons = Path(os.environ["HOME"])
    while data := asked.recv(1 << 20):
        order = json.loads(data)
        asked.send(str(serve(asked, order, lessons / f"{order['program']}.json")).encode())


if __name__ == "__main__":
    main()
