"""The parts of the inner program that can be tried without SQLMesh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.runner.steps import INNER


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in the tool's environment, where the inner program stands for itself."""
    monkeypatch.syspath_prepend(str(INNER))
    yield
    for name in [name for name in sys.modules if name.startswith(("dagctl_common", "dagctl_dbt", "dagctl_sqlmesh"))]:
        del sys.modules[name]


@dataclass(frozen=True)
class Model:
    """Stands for a snapshot."""

    name: str


def make_step(**job: Any) -> Any:
    from dagctl_sqlmesh.journals import Step

    return Step({"project": "/scratch/checkout/sub", "checkout": "/scratch/checkout", **job})


def test_it_imports_nothing_but_the_standard_library_and_the_tools() -> None:
    import ast

    allowed = set(sys.stdlib_module_names) | {
        "sqlmesh", "dbt", "sqlglot", "jinja2", "yaml", "dagctl_common", "dagctl_dbt", "dagctl_sqlmesh",
    }  # fmt: skip
    for path in INNER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, path


@pytest.mark.parametrize(
    ("fqn", "short"),
    [
        ('"db"."shop"."orders"', "shop.orders"),
        ('"shop"."orders"', "shop.orders"),
        ('"db"."my shop"."a.b"', "my shop.a.b"),
        ("`p`.`d`.`t`", "d.t"),
        ("an_audit", "an_audit"),
    ],
)
def test_names_are_short(fqn: str, short: str) -> None:
    from dagctl_sqlmesh.naming import Names

    assert Names([fqn]).of(fqn) == Names().of(fqn) == short


def test_names_that_would_be_the_same_keep_their_catalog() -> None:
    from dagctl_sqlmesh.naming import Names

    names = Names(['"a"."s"."t"', '"b"."s"."t"', '"b"."s"."u"'])
    assert names.sorted(['"b"."s"."u"', '"b"."s"."t"', '"a"."s"."t"']) == ["a.s.t", "b.s.t", "s.u"]


@pytest.mark.parametrize(
    ("category", "forward_only", "expected"),
    [
        ("BREAKING", False, "breaking"),
        ("FORWARD_ONLY", True, "forward_only"),
        ("NON_BREAKING", True, "forward_only"),
        ("INDIRECT_NON_BREAKING", True, "indirect_forward_only"),
        ("METADATA", True, "metadata"),
        (None, False, None),
    ],
)
def test_categories_are_the_same_in_all_versions(category: str | None, forward_only: bool, expected: str | None) -> None:
    from dagctl_sqlmesh.categories import category_of

    named = SimpleNamespace(name=category) if category else None
    assert category_of(SimpleNamespace(change_category=named, is_forward_only=forward_only)) == expected


def test_a_drift_names_what_differs() -> None:
    from dagctl_common.digests import FORMAT, digest_of, drifts_between, hash_of, named, told
    from dagctl_sqlmesh.digests import WORDS

    parts = {
        **FORMAT,
        "base": "1",
        "model:shop.a": "2",
        "package:pandas": "2.3.3",
        "variable:TENANT": "5",
        **named("warehouse", {"host": "a"}),
    }
    for other, text in (
        ({"base": "0"}, "another plan was applied to the environment since"),
        ({"model:shop.a": "0", "variable:TENANT": "6"}, "variable TENANT, model shop.a"),
        ({"package:pandas": "2.2.2"}, "Python package pandas (2.2.2 -> 2.3.3)"),
        (named("warehouse", {"host": "b"}), "warehouse's host (b -> a)"),
        ({"variable:OLD": "7"}, "variable OLD (not there any more)"),
        # Both were hidden on their way out, and only their hashes tell.
        ({"warehouse:host": f"{hash_of('b')} ***"}, "warehouse's host"),
        ({"warehouse:host": f"{hash_of('a')} ***"}, ""),
    ):
        assert told(drifts_between({**parts, **other}, parts), WORDS) == text
    without = {name: value for name, value in parts.items() if name != "variable:TENANT"}
    assert told(drifts_between(without, parts), WORDS) == "variable TENANT (new)"
    assert told(drifts_between(None, parts), WORDS) == ""
    assert told(drifts_between({"models": "0", "tool": "1"}, parts), WORDS) == "it was explained by another version of dagctl"
    many = {f"model:m{number}": "0" for number in range(9)}
    assert told(drifts_between({**parts, **many}, parts), WORDS).endswith("model m5 (not there any more), and 3 more")
    assert digest_of(parts) == digest_of(dict(reversed(parts.items()))) == digest_of({**parts, "moment": "now"})


def test_what_the_reviewer_was_told_cannot_be_compared_is_not() -> None:
    from dagctl_common.digests import FORMAT, UNSTABLE, early_drift, excused
    from dagctl_sqlmesh.digests import WORDS

    expected = {**FORMAT, "model:a": UNSTABLE, "model:b": "1", "variable:X": "2"}
    assert excused(expected, {"model:a": "7", "model:b": "1"}) == {"model:a": UNSTABLE, "model:b": "1"}
    assert early_drift(expected, {"variable:X": "2"}, WORDS) is None
    found = early_drift(expected, {"variable:X": "3", "variable:Y": "4"}, WORDS)
    assert found is not None
    assert found.message == "The plan is not the approved one any more: variable X, variable Y (new). Nothing was begun."
    assert found.answer["plan_output"]["drifts"][0] == {"kind": "variable", "name": "X", "change": "changed"}
    assert early_drift(None, {"variable:X": "3"}, WORDS) is None


def test_a_second_load_that_failed_is_told_in_the_plan(capfd: pytest.CaptureFixture[str]) -> None:
    from dagctl_common.twice import Twice
    from dagctl_sqlmesh.parts import compare_again

    def work() -> object:
        raise RuntimeError("the licence server said no")

    step = make_step()
    assert compare_again(step, SimpleNamespace(models={}), Twice(work), {"model:a": "1"}) == ({"model:a": "1"}, [])  # type: ignore[arg-type]
    (warning,) = step.journal.warnings
    assert warning.endswith("could not be loaded a second time (RuntimeError: the licence server said no).")


def duckdb_gateways(**connections: Any) -> Any:
    """A config of which the first gateway is selected."""
    empty = {"type_": "duckdb", "database": None, "catalogs": None}
    gateways = {
        name: SimpleNamespace(connection=SimpleNamespace(**{**empty, **given}), state_connection=None)
        for name, given in connections.items()
    }
    first = next(iter(gateways.values()))
    return SimpleNamespace(gateways=gateways, get_gateway=lambda _name: first, default_connection=None)


def lake(path: str, data: str | None = None, read_only: bool = False) -> Any:
    return SimpleNamespace(path=path, data_path=data, read_only=read_only)


def test_files_of_all_gateways_are_kept_and_what_only_reads_stays(tmp_path: Path) -> None:
    from dagctl_common.channel import StepFailed
    from dagctl_sqlmesh.warehouses import keep_files, refuse_fleeting_models

    def step(data: Path | None) -> Any:
        scratch = str(tmp_path / "s")
        places = {"scratch": scratch, "checkout": f"{scratch}/checkout", "project": f"{scratch}/checkout/sub"}
        return make_step(**places, data_folder=data and str(data), gateway=None)

    data = tmp_path / "data"
    catalogs: dict[str, Any] = {"main": "a.db", "lake": lake("ducklake:l.db", "files/"), "scratch": ":memory:"}
    catalogs["read"] = lake("seeds.db", read_only=True)
    config = duckdb_gateways(first={"catalogs": catalogs}, second={"database": "b.db"}, third={})
    keep_files(step(data), config)
    assert catalogs["main"] == str(data / "a.db")
    assert (catalogs["lake"].path, catalogs["lake"].data_path) == (f"ducklake:{data / 'l.db'}", str(data / "files"))
    assert (catalogs["read"].path, catalogs["scratch"]) == ("seeds.db", ":memory:")
    assert config.gateways["second"].connection.database == str(data / "b.db")

    def context(**model: Any) -> Any:
        kind = SimpleNamespace(is_symbolic=model.pop("symbolic", False))
        found = SimpleNamespace(kind=kind, **{"gateway": None, "catalog": "main", **model})
        connection = {name: row.connection for name, row in config.gateways.items()}
        asked = SimpleNamespace(get_connection=lambda name: connection[name])
        return SimpleNamespace(models={'"main"."s"."m"': found}, gateway="first", config=asked)

    for fine in ({}, {"catalog": "lake"}, {"catalog": "scratch", "symbolic": True}, {"gateway": "second", "catalog": "b"}):
        refuse_fleeting_models(step(data), context(**fine))
    for lost, told in (({"catalog": "scratch"}, " of catalog scratch:"), ({"gateway": "third"}, ":")):
        with pytest.raises(StepFailed, match=f"Model s.m is written to a database in memory{told}"):
            refuse_fleeting_models(step(data), context(**lost))

    lost_ones: list[tuple[dict[str, Any], str]] = [({}, "in memory"), ({"database": "b.db"}, "the file b.db")]
    for given, told in [*lost_ones, ({"catalogs": {"m": "c.db"}}, "the file c.db of catalog m")]:
        with pytest.raises(StepFailed, match=told):
            keep_files(step(None), duckdb_gateways(first=given))
    keep_files(step(None), duckdb_gateways(first={"database": "/srv/x.db"}, second={"database": "b.db"}))


def test_folders_are_listed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import glob

    from dagctl_common.ordering import sort_listings

    class Backwards:
        def __init__(self, path: Any = None) -> None:
            with real_scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> Any:
            return iter(self.entries)

        def __exit__(self, *_error: object) -> None:
            pass

    for name in ("b", "a", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.sql").touch()
    real_scandir = os.scandir
    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda path=None: sorted((entry.name for entry in Backwards(path).entries), reverse=True))
    sort_listings()
    names = ["a", "b", "c"]
    assert os.listdir(tmp_path) == names
    assert [path.name for path in tmp_path.iterdir()] == names
    assert [entry.name for entry in os.scandir(tmp_path)] == names
    assert next(os.walk(tmp_path))[1] == names
    assert [Path(path).parent.name for path in glob.glob(f"{tmp_path}/*/x.sql")] == names
    assert [path.parent.name for path in tmp_path.rglob("x.sql")] == names
    with os.scandir(str(tmp_path)) as entries:
        assert next(entries).name == "a"
        entries.close()
        assert list(entries) == []


def test_what_sqlmesh_hands_to_macros_has_a_name_for_people() -> None:
    from dagctl_sqlmesh.twice import _called

    assert _called("__sqlmesh__vars__metadata__", True) == "the variables of the configuration"
    assert _called("__sqlmesh__blueprint__vars__", True) == "the variables of its blueprint"
    assert (_called("region", True), _called("region", False)) == ("the value of region", "the code of region")


def test_what_only_an_explain_has_otherwise_is_no_drift() -> None:
    from dagctl_common.digests import UNSTABLE, early_drift, named
    from dagctl_common.inputs import given_parts, input_warnings
    from dagctl_sqlmesh.digests import WORDS
    from dagctl_sqlmesh.warehouses import _fields

    def parts(user: str, **job: Any) -> dict[str, str]:
        step = make_step(**job)
        connection = SimpleNamespace(type_="postgres", host="db", user=user)
        return {**given_parts(step), **named("warehouse", _fields(connection, "", step))}

    own = {"given": {"PASSWORD": UNSTABLE, "TENANT": "1"}, "explain_connection": True}
    expected = parts("reader", **own)
    for given, drifted in (({"PASSWORD": "2", "TENANT": "1"}, None), ({"PASSWORD": "2", "TENANT": "3"}, "variable TENANT.")):
        found = early_drift(expected, parts("writer", given=given, expected_digest_parts=expected), WORDS)
        assert drifted in found.message if found and drifted else found is drifted
    usual = parts("writer", given={})
    assert early_drift(usual, parts("reader", given={}, expected_digest_parts=usual), WORDS) is not None
    assert [len(input_warnings(make_step(**job))) for job in (own, {"given": {"TENANT": "1"}}, {})] == [1, 0, 0]


def driver_error(text: str) -> Exception:
    kind = type("OperationalError", (Exception,), {"__module__": "psycopg2"})
    error: Exception = kind(text)
    return error


@pytest.mark.parametrize(
    ("stage", "text", "code"),
    [
        ("load", "connection refused", "warehouse_refused"),
        ("state", "connection refused", "state_unreachable"),
        ("plan", "division by zero", "plan_failed"),
        ("apply", "permission denied for schema shop", "warehouse_refused"),
        ("apply", "division by zero", "apply_failed"),
        ("start", "anything", "internal"),
    ],
)
def test_failures_are_judged_by_where_they_happen(stage: str, text: str, code: str) -> None:
    from dagctl_sqlmesh.failures import failure_of

    step = make_step()
    step.channel.stage_name = stage
    error = RuntimeError("outer")
    error.__cause__ = driver_error(text)
    failure = failure_of(step, error)
    assert (failure.code, failure.message) == (code, f"OperationalError: {text}")


def test_the_first_failed_model_is_named_with_its_cause(capfd: pytest.CaptureFixture[str]) -> None:
    from dagctl_sqlmesh.failures import failure_of

    step = make_step()
    model, other = (Model(f'"db"."shop"."{name}"') for name in ("orders", "other"))
    step.journal.expect({model: [1, 2], other: 1})
    step.journal.begin(model.name)
    step.journal.end(model.name, 12, rows=3)
    try:
        try:
            raise driver_error("relation\n does not exist in /scratch/checkout/sub/x.sql")
        finally:
            step.journal.end(model.name, None)
    except Exception:
        step.journal.skip(other.name)
    step.channel.stage_name = "apply"
    failure = failure_of(step, RuntimeError("Plan application failed."))
    assert (failure.code, failure.message) == ("model_failed", "shop.orders: OperationalError: relation does not exist in x.sql")
    rows = step.journal.results()
    assert [(row["name"], row["status"], row["batches"], row.get("rows")) for row in rows] == [
        ("shop.orders", "failed", 1, 3),
        ("shop.other", "skipped", 0, None),
    ]
    assert "[1/2] shop.orders failed: relation" in capfd.readouterr().out


def test_nothing_new_starts_after_a_cancel() -> None:
    from dagctl_sqlmesh.cancelling import Cancelled

    step = make_step()
    step.journal.begin('"s"."running"')
    step.canceller.flag.set()
    with pytest.raises(Cancelled):
        step.journal.begin('"s"."t"')
    step.journal.fail('"s"."running"', RuntimeError("interrupted"))
    assert [row["status"] for row in step.journal.results()] == ["cancelled"]


def test_a_cancel_interrupts_what_runs_but_not_the_state() -> None:
    class Connection:
        def __init__(self, database: str) -> None:
            self.database, self.cancelled, self.closed = database, 0, 0

        def get_dsn_parameters(self) -> dict[str, str]:
            return {"host": "h", "port": "1", "dbname": self.database, "user": "u"}

        def cancel(self) -> None:
            self.cancelled += 1
            raise RuntimeError("already gone")

    class Cursor:
        interrupted = 0

        def interrupt(self) -> None:
            self.interrupted += 1

    step = make_step()
    warehouse, state, cursor = Connection("warehouse"), Connection("state"), Cursor()
    step.canceller.state_address = ("h", "1", "state", "u")
    for opened in (warehouse, state, cursor, object()):
        step.canceller._remember(opened)
    step.canceller.interrupt_statements()
    assert (warehouse.cancelled, state.cancelled, cursor.interrupted) == (1, 0, 1)


def test_connection_pools_tell_of_what_they_open() -> None:
    from dagctl_sqlmesh.cancelling import _wrap_pool

    class Pool:
        def __init__(self, connection_factory: Any, cursor_init: Any = None) -> None:
            self.connect, self.cursor_init = connection_factory, cursor_init

    class Derived(Pool):
        def __init__(self, connection_factory: Any, cursor_init: Any = None) -> None:
            super().__init__(connection_factory, cursor_init)

    opened: list[Any] = []
    for kind in (Pool, Derived):
        _wrap_pool(kind, opened.append)
    seen: list[Any] = []
    pool = Derived(lambda: "connection", seen.append)
    assert pool.connect() == "connection"
    pool.cursor_init("cursor")
    assert (opened, seen) == (["connection"], ["cursor"])


def test_file_locks_are_shared_or_exclusive(tmp_path: Path) -> None:
    from dagctl_common.locks import lock_key
    from dagctl_sqlmesh.cancelling import Cancelled
    from dagctl_sqlmesh.locks import Locks

    step = make_step(project_id="proj_1", locks=str(tmp_path))
    connection = SimpleNamespace(type_="duckdb")
    config = SimpleNamespace(get_state_connection=lambda _: None, get_connection=lambda _: connection)
    locks = Locks(step, SimpleNamespace(gateway=None, config=config))
    with locks.hold("state", shared=True), locks.hold("state", shared=True), locks.hold("environment:prod"):
        step.canceller.flag.set()
        for name, shared in (("state", False), ("environment:prod", False), ("environment:prod", True)):
            with pytest.raises(Cancelled), locks.hold(name, shared=shared):
                raise AssertionError("held by two")
    with locks.hold("state"):
        pass
    locks.close()
    assert lock_key("a", "b") != lock_key("a", "c")
    assert 0 <= lock_key("a", "b") < 2**63


def test_a_console_answers_every_method_a_version_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    import abc

    class Console(abc.ABC):
        @abc.abstractmethod
        def brand_new(self) -> None: ...

        @abc.abstractmethod
        def update_snapshot_evaluation_progress(
            self, snapshot: Any, interval: Any, duration_ms: Any, num_audits_failed: int
        ) -> None: ...

        @abc.abstractmethod
        def log_destructive_change(self, snapshot_name: str, operations: Any, error: bool = True) -> None: ...

    module = SimpleNamespace(Console=Console)
    monkeypatch.setitem(sys.modules, "sqlmesh", SimpleNamespace(core=SimpleNamespace(console=module)))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "sqlmesh.core", SimpleNamespace(console=module))  # type: ignore[arg-type]
    from dagctl_sqlmesh.consoles import failed_node, make_console

    step = make_step()
    console = make_console(step.journal)
    assert console.brand_new("anything", at=1) is None
    console.start_evaluation_progress({Model('"s"."t"'): 1})
    console.start_snapshot_evaluation_progress(Model('"s"."t"'))
    console.update_snapshot_evaluation_progress(Model('"s"."t"'), None, 5, num_audits_failed=0)
    console.log_destructive_change('"s"."t"', [], error=False)
    console.log_destructive_change('"s"."u"', [])
    assert step.journal.results()[0]["status"] == "succeeded"
    assert step.journal.warnings == ["s.t: destructive change to a forward-only model"]
    assert step.journal.errors == ["s.u: destructive change to a forward-only model"]
    assert failed_node(SimpleNamespace(node=('"s"."t"', (1, 2)))) == '"s"."t"'
    assert failed_node(SimpleNamespace(node=SimpleNamespace(snapshot_name="n"))) == "n"


def test_events_and_answer_reach_the_outer_program(tmp_path: Path) -> None:
    from dagctl_common.channel import Channel, write_answer

    read, write = os.pipe()
    channel = Channel(write)
    with channel.stage("plan"):
        channel.event("tests", run=1, nothing=None)
    lines = [json.loads(line) for line in os.read(read, 65536).splitlines()]
    assert [(line["event"], line.get("stage"), line.get("run"), "nothing" in line) for line in lines] == [
        ("stage", "plan", None, False),
        ("tests", None, 1, False),
    ]
    assert set(channel.timings) == {"plan"}
    with pytest.raises(ValueError, match="x"), channel.stage("apply"):
        raise ValueError("x")
    assert channel.stage_name == "apply"
    write_answer(str(tmp_path / "answer.json"), {"outcome": "succeeded"})
    assert json.loads((tmp_path / "answer.json").read_text()) == {"outcome": "succeeded"}


def test_diffs_are_tidy_and_bounded() -> None:
    from dagctl_sqlmesh import descriptions

    assert descriptions._tidy("--- \n\n+++ \n\n@@ -1 +1 @@\n\n-a\n+b\n\n c") == "@@ -1 +1 @@\n-a\n+b\n\n c"
    models: list[dict[str, Any]] = [{"change": "added", "diff": "+" * 30_000} for _ in range(30)]
    models.append({"change": "directly_modified", "diff": "x" * 10})
    descriptions._bound_diffs(models)
    assert sum(len(model["diff"]) for model in models) == descriptions.ALL_DIFFS_LIMIT
    assert models[0]["diff_truncated"] is True
    assert "diff_truncated" not in models[-1]


def test_intervals_are_dates_or_moments() -> None:
    from dagctl_sqlmesh.descriptions import _intervals

    day = 86_400_000
    assert _intervals([(0, 2 * day)]) == [{"start": "1970-01-01", "end": "1970-01-02"}]
    assert _intervals([(0, day // 24)]) == [{"start": "1970-01-01T00:00:00+00:00", "end": "1970-01-01T01:00:00+00:00"}]


def test_the_frame_leaves_an_answer_however_the_job_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_common import frames
    from dagctl_common.channel import StepFailed
    from dagctl_sqlmesh.failures import failure_of

    def end(error: BaseException | None) -> Any:
        def command(step: Any) -> dict[str, Any]:
            if error:
                raise error
            return {"digest": "d"}

        step = make_step(command="run", answer=str(tmp_path / "answer.json"))
        monkeypatch.setattr(step.canceller, "start", lambda: None)
        code = frames.do(step, lambda step: None, {"run": command}, failure_of)
        assert step.canceller.interruptible is False, "a cancel that comes now must not keep the answer from being written"
        answer = json.loads((tmp_path / "answer.json").read_text())
        return code, answer["outcome"], answer.get("digest"), answer.get("error", {}).get("code"), answer.get("seen")

    assert end(None) == (0, "succeeded", "d", None, None)
    assert end(KeyboardInterrupt()) == (1, "cancelled", None, "cancelled", None)
    assert end(StepFailed("plan_failed", "no", seen=1)) == (1, "failed", None, "plan_failed", 1)
    assert end(RuntimeError("ours")) == (1, "failed", None, "internal", None)


def test_a_statement_has_ended_when_it_is_gone_rather_than_when_it_was_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagctl_common import sweeping

    monkeypatch.setattr(sweeping, "POLL_SECONDS", 0)
    told: list[str] = []
    answers = iter([2, 2, 1, 0])

    def ask(query: str) -> int:
        told.append(query)
        return next(answers)

    step = make_step(command="execute", application_prefix="dagctl:x:", application_name="dagctl:x:execute:1")
    sweeping.end_leftovers(step, ask)
    assert next(answers, None) is None
    assert ["pg_cancel_backend" in query for query in told] == [True, False, False, False]
    assert capsys.readouterr().out == "ended 2 statement(s) that a killed step had left running\n"

    monkeypatch.setattr(sweeping, "GONE_SECONDS", 0)
    sweeping.end_leftovers(step, lambda query: 1)
    assert "1 statement(s) of a killed step were told to end and still run" in capsys.readouterr().out


def test_the_other_clock_is_imported_under_the_names_of_the_real_one() -> None:
    """Else each model with ``from datetime import date`` would look as if it differed each time; and it can be used likewise."""
    program = (
        "import datetime, os, platform, socket, time\n"
        # As the tool has done long before.
        "import pydantic; pydantic.TypeAdapter(datetime.date)\n"
        "kept = {n: getattr(time, n) for n in ('time', 'time_ns', 'localtime', 'gmtime', 'ctime', 'strftime')}\n"
        "kept.update(date=datetime.date, datetime=datetime.datetime)\n"
        "before = datetime.date.today()\n"
        "asked = lambda: (socket.gethostname(), socket.getfqdn(), platform.node(), os.uname().nodename, os.cpu_count())\n"
        "here = asked()\n"
        "from dagctl_common.clocks import shift\n"
        "shift()\n"
        "assert not set(here) & set(asked()), (here, asked())\n"
        "assert (socket.gethostname.__module__, os.uname.__name__) == ('_socket', 'uname')\n"
        "assert platform.uname().system == 'Linux'\n"
        "from datetime import date, datetime\n"
        "now = {n: getattr(time, n) for n in kept if hasattr(time, n)} | {'date': date, 'datetime': datetime}\n"
        "named = lambda of: {n: (v.__module__, v.__name__, v.__qualname__) for n, v in of.items()}\n"
        "assert named(now) == named(kept), named(now)\n"
        "assert all(now[n] is not kept[n] for n in kept)\n"
        "assert date.today() > before\n"
        "class Own(date):\n"
        "    def quarter(self): return (self.month - 1) // 3 + 1\n"
        "assert Own(2026, 5, 1).quarter() == 2\n"
        "assert isinstance(kept['date'](2026, 5, 1), date) and not isinstance(kept['date'](2026, 5, 1), Own)\n"
        "assert type(date(2026, 5, 1)) is kept['date'] and type(datetime(2026, 5, 1)) is kept['datetime']\n"
        "class Model(pydantic.BaseModel):\n"
        "    day: date\n"
        "    at: datetime\n"
        "assert Model(day='2026-05-01', at='2026-05-01').day.month == 5\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(INNER)}, check=True)


def test_a_drift_names_what_it_comes_from_before_all_the_models_that_follow_from_it() -> None:
    from dagctl_common.digests import FORMAT, drifts_between, told

    before = {**{f"model:m{number}": "1" for number in range(9)}, "variable:PGD": "1", "warehouse:database": "1 dev"}
    after = {**dict.fromkeys(before, "2"), "warehouse:database": "2 prod"}
    text = told(drifts_between({**before, **FORMAT}, {**after, **FORMAT}), {})
    assert text == "variable PGD, warehouse database (dev -> prod), model m0, model m1, model m2, model m3, and 5 more"


def test_variables_that_each_step_is_given_by_the_runner_are_no_inputs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dbt project under SQLMesh reads the whole environment, and a pod has another PATH than a worker."""
    from dagctl_common.frames import OURS

    from dagctl_provider.runner import steps
    from dagctl_provider.runner.processes import base_environment
    from dagctl_provider.runner.tools import TOOLS

    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, "x")
    for tool in TOOLS.values():
        assert {*base_environment(), *steps._PINNED, *tool.variables(tmp_path)} <= {*OURS}
