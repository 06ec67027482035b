"""The parts of the inner program for dbt that can be tried without dbt. What it says is quoted from real runs."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
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
    for name in [name for name in sys.modules if name.startswith(("dagctl_common", "dagctl_dbt"))]:
        del sys.modules[name]


def make_step(folder: Path, **job: Any) -> Any:
    """A step whose files lie in a private folder."""
    from dagctl_dbt.journals import Step

    common = {
        "project": str(folder / "p"),
        "checkout": str(folder),
        "scratch": str(folder / "s"),
        "shared": str(folder / "cache"),
    }
    ids = {"project_id": "proj_1", "explained_plan_id": "plan"}
    return Step({**common, "secrets": [], "inputs": {}, "command": "explain", **ids, **job})


def dbt_error(kind: str, text: str) -> Exception:
    """An exception of dbt's."""
    error: Exception = type(kind, (Exception,), {})(text)
    return error


CAUSES = [
    (
        "DbtProjectError",
        "Runtime Error\n  The profile 'shop' does not have a target named 'dev'.",
        "profile_invalid",
        "The profile",
    ),
    ("DbtProfileError", "Runtime Error\n  Could not find profile named 'shop'", "profile_invalid", "Could not find profile"),
    (
        "DbtProfileError",
        "dbt encountered an error while trying to read your profiles.yml file.\n  Runtime Error\n  Syntax error near line 2",
        "profile_invalid",
        "dbt encountered an error",
    ),
    (
        "EnvVarMissingError",
        "Parsing Error\n  Env var required but not provided: 'PGPASS'",
        "profile_invalid",
        "The variable PGPASS",
    ),
    (
        "DbtProjectError",
        'Runtime Error\n  Credentials in profile "shop", target "prod" invalid: Runtime Error\n'
        "    Could not find adapter type snowflake!",
        "adapter_missing",
        "Credentials in profile",
    ),
    ("ModuleNotFoundError", "No module named 'dbt.adapters.trino'", "adapter_missing", "No module named"),
    (
        "UninstalledPackagesFoundError",
        "Compilation Error\n  dbt found 1 package(s) specified in packages.yml, but only 0 package(s) installed in dbt_packages."
        ' Run "dbt deps" to install package dependencies.',
        "packages_failed",
        "dbt found 1 package(s)",
    ),
    (
        "CompilationError",
        "Compilation Error in model stg_orders (models/stg_orders.sql)\n  expected token ',', got '}'\n    line 1",
        "project_load_failed",
        "model stg_orders (models/stg_orders.sql): expected token",
    ),
    (
        "EventCompilationError",
        "Compilation Error\n  [WARNING]: Deprecated functionality\n  The `log-path` config in `dbt_project.yml` is deprecated",
        "project_load_failed",
        "A warning, which the project's flags (warn_error) make an error: Deprecated functionality The `log-path` config",
    ),
    ("ParsingError", "x" * 600_000, "project_load_failed", "xxx"),
]


OFFLINE = """19:47:33  [ERROR]: Encountered an error:
External connection exception occurred: HTTPConnectionPool(host='hub.getdbt.com', port=443): Max retries exceeded with url: \
/api/v1/index.json (Caused by NewConnectionError("HTTPConnection(host='hub.getdbt.com', port=443): Failed to establish a new \
connection: [Errno 111] Connection refused"))
19:47:33  Traceback (most recent call last):
  File "/x/site-packages/urllib3/connection.py", line 239, in _new_conn
    sock = connection.create_connection(
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ConnectionRefusedError: [Errno 111] Connection refused

The above exception was the direct cause of the following exception:
"""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (OFFLINE, "hub.getdbt.com did not answer: it refused the connection."),
        (OFFLINE.replace("[Errno 111] Connection refused", "[Errno -2] Name or service not known"),
         "hub.getdbt.com did not answer: its name is not known here."),
        (OFFLINE.replace("NewConnectionError", "ProxyError"), "hub.getdbt.com did not answer: the proxy in between refused."),
        (OFFLINE.replace("NewConnectionError", "ConnectTimeoutError").replace("[Errno 111] Connection refused", "timed out"),
         "hub.getdbt.com did not answer: it took too long."),
        ("Encountered an error:\nExternal connection exception occurred: 503 Server Error: Service Unavailable for url: "
         "https://hub.getdbt.com/api/v1/index.json\n",
         "hub.getdbt.com answered 503 Service Unavailable."),
        ("Encountered an error:\nTraceback (most recent call last):\n  File \"x\"\nRuntimeError: no\n", "RuntimeError: no"),
        ("Encountered an error:\nInternal Error\n  Error checking out spec='None' for repo https://h/x.git\n  fatal: no\n",
         "Error checking out spec='None' for repo https://h/x.git fatal: no"),
    ],
)  # fmt: skip
def test_what_dbt_deps_says_in_one_sentence(tmp_path: Path, said: str, told: str) -> None:
    from dagctl_dbt.failures import cause
    from dagctl_dbt.packages import _NOISE, _said

    text = "\n".join(_NOISE.sub("", line) for line in said.split("\n"))
    assert cause(make_step(tmp_path), _said(text)) == told


@pytest.mark.parametrize(("kind", "text", "code", "start"), CAUSES)
def test_what_dbt_says_before_it_runs_anything(tmp_path: Path, kind: str, text: str, code: str, start: str) -> None:
    from dagctl_dbt.failures import failure_of

    failure = failure_of(make_step(tmp_path), dbt_error(kind, text), decided=False)
    assert (failure.code, failure.message.startswith(start), "\n" in failure.message) == (code, True, False)
    assert len(failure.message) <= 400


NODES = [
    ("model", "Database Error in model a (models/a.sql)\n  division by zero\n  compiled code at t/a.sql", "model_failed"),
    ("model", "Runtime Error in model a (models/a.sql)\n  Catalog Error: Table with name x does not exist!", "model_failed"),
    ("model", 'Database Error in model a (models/a.sql)\n  permission denied for schema "x"', "warehouse_refused"),
    (
        "model",
        "Compilation Error in model a (models/a.sql)\n  This model has an enforced contract that failed.\n  Please ensure the"
        " name, data_type, and number of columns in your contract match the columns in your model's definition.",
        "contract_broken",
    ),
    ("test", "Got 2 results, configured to fail if != 0", "dbt_test_failed"),
    ("unit_test", "actual differs from expected:", "dbt_test_failed"),
]


@pytest.mark.parametrize(("kind", "text", "code"), NODES)
def test_what_dbt_says_about_a_node(tmp_path: Path, kind: str, text: str, code: str) -> None:
    from dagctl_dbt.failures import node_failure
    from dagctl_dbt.journals import NodeRun

    node = NodeRun("x.shop.a", "a", kind)
    node.message = text
    failure = node_failure(make_step(tmp_path), [node, node])
    assert failure.code == code
    assert failure.message.startswith("a: ")
    assert failure.message.endswith(" (and 1 more)")
    assert "compiled code" not in failure.message


def finished(unique_id: str, status: str, message: str = "", rows: Any = None) -> Any:
    """dbt's event at the end of a node."""
    kind, _, name = unique_id.split(".")
    info = SimpleNamespace(unique_id=unique_id, node_name=name, resource_type=kind, node_status=status)
    response = {} if rows is None else {"rows_affected": rows}
    result = SimpleNamespace(status=status, message=message, execution_time=0.25, adapter_response=response)
    return SimpleNamespace(info=SimpleNamespace(name="NodeFinished"), data=SimpleNamespace(node_info=info, run_result=result))


def test_the_journal_knows_what_succeeded_and_says_so_at_once(tmp_path: Path) -> None:
    step = make_step(tmp_path)
    told: list[list[str]] = []
    step.journal.on_change = lambda: told.append(step.journal.succeeded())
    for event in (
        finished("model.shop.a", "success", rows="7"),
        finished("test.shop.t", "warn", "Got 1 result, configured to warn if != 0"),
        finished("model.shop.b", "error", "Database Error\n  no"),
        finished("model.shop.c", "skipped"),
        finished("model.shop.d", "partial success"),
        finished("test.shop.u", "fail", "Got 2 results"),
    ):
        step.journal.on_event(event)
    assert told == [["model.shop.a"], ["model.shop.a", "test.shop.t"]]
    rows = [(row["name"], row["status"], row.get("rows")) for row in step.journal.results()]
    assert rows == [("a", "succeeded", 7), ("b", "failed", None), ("c", "skipped", None), ("d", "failed", None)]
    assert step.journal.warnings() == ["t: Got 1 result, configured to warn if != 0"]
    assert step.journal.tests() == {"run": 2, "passed": 1, "failed": 1, "skipped": 0, "names": ["u"]}
    assert [node.name for node in step.journal.failed()] == ["b", "d", "u"]


def test_a_model_tells_when_it_ran_and_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = make_step(tmp_path).journal
    clock = iter([1_700_000_000.0, 1_700_000_001.25, 1_700_000_002.0, 1_700_000_003.9995])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    for key in ("a", "b"):
        start = finished(f"model.shop.{key}", "started")
        start.info.name = "NodeStart"
        journal.on_event(start)
        told = "Database Error\n  no such table " + "x" * 600 if key == "b" else None
        journal.on_event(finished(f"model.shop.{key}", "error" if told else "success", told))
    journal.on_event(finished("model.shop.c", "skipped"))
    good, bad, skipped = journal.results()
    assert (good["started"], good["ended"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.250Z")
    assert (bad["ended"], len(bad["error"])) == ("2023-11-14T22:13:24.000Z", 500)
    assert bad["error"].startswith("Database Error no such table xxx")
    assert "error" not in good
    assert not {"started", "ended", "error", "interval", "batches"} & set(skipped)


def test_a_microbatch_model_tells_which_time_it_loaded(tmp_path: Path) -> None:
    journal = make_step(tmp_path).journal
    journal.in_batches = {"model.shop.a"}
    start = finished("model.shop.a", "started")
    start.info.name = "NodeStart"
    journal.on_event(start)
    days = [f"2026-05-0{day}T00:00:00+00:00/2026-05-0{day + 1}T00:00:00+00:00" for day in (2, 1, 3)]
    for done, day in enumerate(days, 1):
        journal.batch("model.shop.a", day, days, done)
    journal.over("model.shop.a", finished("model.shop.a", "success").data.run_result)
    (row,) = journal.results()
    assert (row["batches"], row["interval"]) == (3, ["2026-05-01T00:00:00.000Z", "2026-05-04T00:00:00.000Z"])


def test_what_a_retry_would_run_again_is_told(tmp_path: Path) -> None:
    journal = make_step(tmp_path).journal
    journal.retried = "dbt build"
    assert journal.answer() == {}, "dbt did not come as far as to know what to run"
    journal.begin(["model.shop.a", "model.shop.b", "model.shop.c", "test.shop.t", "exposure.shop.e"])
    for event in (finished("model.shop.a", "success"), finished("model.shop.b", "error"), finished("test.shop.t", "fail")):
        journal.on_event(event)
    answer = journal.answer()
    assert (answer["command"], answer["remaining"]) == ("dbt build", ["model.shop.b", "model.shop.c", "test.shop.t"])
    journal.begin([f"model.shop.m{number}" for number in range(6_000)])
    assert len(journal.answer()["remaining"]) == 5_000


def test_what_is_only_compiled_or_asked_is_no_figure(tmp_path: Path) -> None:
    journal = make_step(tmp_path).journal
    journal.runs_nodes = False
    journal.on_event(finished("model.shop.a", "success"))
    assert journal.answer() == {}


def test_a_command_of_a_job_is_written_down_for_dbt() -> None:
    from dagctl_dbt.jobs import VERBS, command_line

    assert command_line(None).verb is VERBS["build"]
    options = {
        "select": ["a", "b"], "exclude": ["c"], "fail_fast": False, "warn_error": True, "threads": "2",
        "resource_type": ["model", "seed"], "store_failures": True, "output_keys": ["x", "y"],
    }  # fmt: skip
    line = command_line({"verb": "source freshness", "options": options, "arguments": [], "nodes": None, "text": ""})
    assert line.verb.words == ("source", "freshness")
    assert line.before == ("--no-fail-fast", "--warn-error")
    assert line.after == (
        "--exclude", "c", "--output-keys", "x", "y", "--resource-type", "model", "--resource-type", "seed", "--select", "a", "b",
        "--store-failures", "--threads", "2",
    )  # fmt: skip


def test_every_command_of_a_job_is_one_that_the_inner_programs_know() -> None:
    from dagctl_dbt.jobs import VERBS

    from dagctl_provider.runner.job_options import TOOL_COMMANDS
    from dagctl_provider.runner.job_requests import RETRIED

    assert set(VERBS) == set(TOOL_COMMANDS["dbt"].verbs) - {"retry"}
    assert {name for name, verb in VERBS.items() if verb.runs} == RETRIED


def test_what_a_page_can_follow(tmp_path: Path) -> None:
    read, write = os.pipe()
    step = make_step(tmp_path, events_fd=write)
    step.journal.begin(["model.shop.a", "seed.shop.s", "test.shop.t", "unit_test.shop.a.u", "exposure.shop.e"])
    start = finished("model.shop.a", "started")
    start.info.name = "NodeStart"
    step.journal.on_event(start)
    step.journal.on_event(finished("model.shop.a", "success"))
    os.close(write)
    with os.fdopen(read) as stream:
        events = [json.loads(line) for line in stream]
    assert all(event.pop("ts") for event in events)
    who = {"model": "a", "unique_id": "model.shop.a", "kind": "model"}
    assert events == [
        {"event": "expected", "models": 2, "tests": 2},
        {"event": "model_start", **who},
        {"event": "model_finished", **who, "status": "succeeded", "duration": 0.25},
    ]


def test_a_cancel_ends_what_runs_in_the_warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    cancelled: list[str] = []

    class Adapter:
        def __init__(self, handle: Any, cancelable: bool) -> None:
            connections = [SimpleNamespace(state="open", handle=handle), SimpleNamespace(state="init")]
            self.connections = SimpleNamespace(thread_connections=dict(enumerate(connections)))
            self.is_cancelable = lambda: cancelable
            self.connection_named = nullcontext

        def cancel_open_connections(self) -> None:
            cancelled.append("by the adapter")

    def broken() -> None:
        raise RuntimeError("gone already")

    adapters = {
        "a": Adapter(SimpleNamespace(cancel=broken), False),
        "b": Adapter(SimpleNamespace(cancel=lambda: cancelled.append("by the driver")), False),
        "c": Adapter(object(), True),
    }
    monkeypatch.setitem(sys.modules, "dbt.adapters.factory", SimpleNamespace(FACTORY=SimpleNamespace(adapters=adapters)))  # type: ignore[arg-type]
    step = make_step(tmp_path)
    step.canceller.cancelled_at = time.monotonic()
    step.canceller.interrupt_statements()
    assert cancelled == [], "dbt gets a moment to do it by itself"
    step.canceller.cancelled_at -= 60
    step.canceller.interrupt_statements()
    assert cancelled == ["by the driver", "by the adapter"]

    step.canceller.flag.set()
    step.journal.on_event(finished("model.shop.a", "error", "canceling statement due to user request"))
    assert [row["status"] for row in step.journal.results()] == ["cancelled"]


@pytest.mark.parametrize(
    ("kind", "before", "after"), [("postgres", "dbt", "dagctl:x"), ("postgres", "mine", "mine"), ("redshift", None, None)]
)
def test_sessions_are_named_where_that_helps(tmp_path: Path, kind: str, before: str | None, after: str | None) -> None:
    from dagctl_dbt.warehouses import name_sessions

    credentials = SimpleNamespace(type=kind, application_name=before)
    name_sessions(make_step(tmp_path, application_name="dagctl:x"), credentials)
    assert credentials.application_name == after


def test_progress_is_kept_on_disk_for_the_same_plan_only(tmp_path: Path) -> None:
    from dagctl_dbt.attempts import KEPT_FOR, Done, ProgressFile

    given = tmp_path / "given.json"
    given.write_text(json.dumps({"digest": "d", "succeeded": ["a", 1], "touched": ["a", "c"]}))
    step = make_step(tmp_path, expected_digest="d", inputs={"progress": str(given)})
    progress = ProgressFile(step)
    assert progress.read() == Done(["a"], ["a", "c"])
    batches = {"m": {"all": ["x", "y"], "done": ["x"]}}
    progress.write(Done(["a", "b"], ["a", "b", "c"], batches))
    assert ProgressFile(make_step(tmp_path, expected_digest="d")).read() == Done(["a", "b"], ["a", "b", "c"], batches)
    for other in ({"expected_digest": "another"}, {"explained_plan_id": "other"}, {"turn": "2"}):
        assert ProgressFile(make_step(tmp_path, **{"expected_digest": "d", **other})).read() == Done()
    given.write_text("rubbish")
    assert ProgressFile(step).read() == Done(["a", "b"], ["a", "b", "c"], batches)
    (file,) = (tmp_path / "cache" / "progress").iterdir()
    progress.tidy()
    assert file.exists()
    os.utime(file, (0, file.stat().st_mtime - KEPT_FOR - 60))
    progress.tidy()
    assert not file.exists()


def manifest(**nodes: dict[str, Any]) -> dict[str, Any]:
    """A manifest with as much as is looked at."""
    rows = {
        f"model.shop.{name}": {
            "unique_id": f"model.shop.{name}", "resource_type": "model", "name": name, "package_name": "shop",
            "checksum": {"name": "sha256", "checksum": name}, "config": {"materialized": "table"}, "unrendered_config": {},
            **node,
        }
        for name, node in nodes.items()
    }  # fmt: skip
    metadata = {
        "adapter_type": "duckdb", "project_name": "shop", "dbt_version": "1.12.6",
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
    }  # fmt: skip
    return {"metadata": metadata, "nodes": rows, "macros": {}, "sources": {}}


def test_the_deployed_state_has_the_sql_that_stands_in_the_warehouse(tmp_path: Path) -> None:
    import base64
    import gzip

    from dagctl_dbt.artifacts import Deployed, pack_deployed, read_deployed
    from dagctl_dbt.differ_types import Facts

    step = make_step(tmp_path, expected_digest="d", commit_sha="c", secrets=["hunter22"])
    before = Deployed(
        manifest(kept={"compiled_code": "old kept"}, built={"compiled_code": "old"}, earlier={"compiled_code": "old"})
    )
    final = manifest(kept={"compiled_code": "deferred"}, built={"compiled_code": "new hunter22"}, earlier={})
    parsed = manifest(kept={}, built={}, earlier={})
    ran = ["model.shop.built", "model.shop.earlier"]
    packed = pack_deployed(step, parsed, Facts("prod", {"shop": {"v": 1}}), before, final, ran)
    content = gzip.decompress(base64.b64decode(packed))
    (tmp_path / "deployed.json").write_bytes(content)
    again = read_deployed(make_step(tmp_path, inputs={"deployed": str(tmp_path / "deployed.json")}))
    assert again.manifest is not None
    codes = {key.rpartition(".")[2]: node.get("compiled_code") for key, node in again.manifest["nodes"].items()}
    assert codes == {"kept": "old kept", "built": "new ***", "earlier": None}
    assert (again.facts.target, again.facts.vars) == ("prod", {"shop": {"v": 1}})
    assert again.note == {"plan_id": "plan", "digest": "d", "commit": "c"}
    (tmp_path / "deployed.json").write_text(json.dumps(manifest(a={})))
    assert read_deployed(make_step(tmp_path, inputs={"deployed": str(tmp_path / "deployed.json")})).note == {}
    assert read_deployed(step).manifest is None


def test_a_digest_is_about_what_would_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_common.digests import digest_of, drifts_between, told
    from dagctl_dbt.differ_types import Facts
    from dagctl_dbt.digests import WORDS, Sources, digest_parts
    from dagctl_dbt.moments import Moment

    monkeypatch.setenv("READ", "1")
    monkeypatch.setenv("DBT_ENV_SECRET_PASSWORD", "hunter22")
    job = {"commit_sha": "c", "git_path": "", "profile": None, "run_tests": True, "tool": "dbt", "tool_version": "1.12.6"}
    step = make_step(tmp_path, **job, given={"GIVEN": "x"}, project_id="proj_1")

    def parts(base: str | None = "b", facts: Facts | None = None, host: str = "h", **node: Any) -> dict[str, str]:
        login = SimpleNamespace(type="postgres", host=host, password="hunter22", user="hunter22", database="d")
        config = SimpleNamespace(
            credentials=login, vars=SimpleNamespace(vars={}), project_env_vars={"READ": "1", "GIVEN": "2"},
            profile_env_vars={"DBT_ENV_SECRET_PASSWORD": "hunter22", "HOST": ""},
        )  # fmt: skip
        parsed = SimpleNamespace(files={}, env_vars={"NOBODY_READS_IT_ANY_MORE": "3"})
        sources = Sources(manifest(a=node), facts or Facts("prod"), parsed, config, base)  # type: ignore[arg-type]
        return digest_parts(step, sources, ["model.shop.a"], [], Moment(step.job))

    same = {"created_at": 1.0, "root_path": "/x", "build_path": None, "checksum": {"name": "path", "checksum": "/tmp/1"}}
    one, other = parts(**same), parts(**{**same, "created_at": 2.0, "checksum": {"name": "path", "checksum": "/tmp/2"}})
    assert drifts_between(one, other) == []
    assert digest_of(one) == digest_of(other)
    assert {name for name in one if name.startswith(("variable", "warehouse"))} == {
        "variable:GIVEN", "variable:READ", "variable:HOST", "warehouse:type", "warehouse:host", "warehouse:database",
    }  # fmt: skip
    assert "hunter22" not in str(one)
    changed = parts()
    monkeypatch.setenv("READ", "2")
    assert told(drifts_between(changed, parts()), WORDS) == "variable READ"
    for other, names in (
        (parts(checksum={"name": "sha256", "checksum": "x"}), "model a"),
        (parts(relation_name="other"), "model a"),
        (parts(base="other"), "another plan was deployed since"),
        (parts(facts=Facts("dev")), "profile or target"),
        (parts(facts=Facts("prod", packages={"p": "2"})), "dbt package p (new)"),
        (parts(host="i"), "warehouse's host (h -> i)"),
    ):
        assert told(drifts_between(parts(), other), WORDS) == names
        assert digest_of(other) != digest_of(parts())
    # A result masks values that come from variables: the hash before them can still be compared.
    hidden = parts()
    hidden["warehouse:host"] = parts()["warehouse:host"].split(" ")[0] + " ***"
    assert drifts_between(hidden, parts()) == []


def test_packages_of_a_lock_are_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_dbt import packages

    installed: list[Path] = []

    def deps(_step: Any, project: Path) -> None:
        installed.append(project)
        (project / "dbt_packages" / "p").mkdir(parents=True)

    monkeypatch.setattr(packages, "_deps", deps)

    def install(name: str, **files: str) -> Path:
        project = tmp_path / name
        project.mkdir()
        (project / "dbt_project.yml").write_text("name: shop\n")
        for file, text in files.items():
            (project / file.replace("__", "-").replace("_yml", ".yml")).write_text(text)
        packages.install_packages(make_step(tmp_path, project=str(project), tool_version="1.12.6"))
        return project

    install("none")
    install("empty", dependencies_yml="projects: []\n")
    assert installed == []
    wanted, lock = (
        "packages:\n  - package: a/b\n    version: 1.0.0\n",
        "packages:\n  - package: a/b\n    version: 1.0.0\nsha1_hash: x\n",
    )
    for name in ("one", "two"):
        assert (install(name, packages_yml=wanted, package__lock_yml=lock) / "dbt_packages" / "p").is_dir()
    assert [path.name for path in installed] == ["one"]
    for name in ("three", "four"):
        install(name, packages_yml=wanted)
    install("five", packages_yml="packages:\n  - local: ../x\n", package__lock_yml="packages:\n  - local: ../x\n")
    assert [path.name for path in installed] == ["one", "three", "four", "five"]


def test_diffs_are_of_compiled_sql_where_both_sides_are_known() -> None:
    from dagctl_dbt.outputs import _diff, unified

    old = {"raw_code": "select {{ a() }}", "compiled_code": "select 1", "unrendered_config": {"materialized": "view"}}
    assert _diff(old, {**old, "raw_code": "select {{ b() }}"}, "select 2") == ("compiled", "@@ -1 +1 @@\n-select 1\n+select 2")
    assert _diff(old, {**old, "raw_code": "select 3"}, None)[0] == "raw"
    assert _diff(old, {**old, "raw_code": "select {{ a() }} -- x"}, "select 1")[0] == "raw"
    assert _diff(old, {**old, "unrendered_config": {"materialized": "table"}}, "select 1")[0] == "config"
    assert _diff(old, old, "select 1") == ("", "")
    assert _diff(None, old, "select 1") == ("compiled", "@@ -0,0 +1 @@\n+select 1")
    assert unified("a\n", "a") == ""


class FakeConnections:
    """A connection manager; a statement goes through two of its methods."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def execute(self, sql: str, fetch: bool = False) -> str:
        return self.add_query(f"/* dbt */ {sql}")

    def add_query(self, sql: str) -> str:
        if "tell()" in sql:
            raise RuntimeError("cannot execute INSERT in a read-only transaction")
        self.sent.append(sql)
        return "rows"


class FakeAdapter:
    """An adapter with methods that write, that look, and that a project may call."""

    _available_ = frozenset({"create_schema", "get_relation", "get_columns_in_relation", "drop_relation"})

    def __init__(self) -> None:
        self.connections = FakeConnections()

    @staticmethod
    def type() -> str:
        return "postgres"

    def execute(self, sql: str) -> str:
        return self.connections.execute(sql)

    def create_schema(self) -> str:
        return self.connections.add_query("select 1")

    def get_relation(self, sql: str) -> str:
        return self.connections.execute(sql)

    def get_columns_in_relation(self, sql: str) -> str:
        return self.connections.execute(sql)


def test_the_guard_knows_who_asked_and_refuses_who_writes() -> None:
    from dagctl_common.channel import StepFailed
    from dagctl_dbt.guards import Guard

    adapter: Any = FakeAdapter()
    guard = Guard(adapter)
    with guard.watching():
        with guard.speaking_for("model.shop.looks", "model looks (models/looks.sql)"):
            adapter.get_relation("select 1")
            adapter.connections.add_query("BEGIN")
        with guard.speaking_for("model.shop.asks", "model asks (models/asks.sql)"):
            assert adapter.execute("select 2") == "rows"
        assert guard.asked == {"model.shop.asks"}
        with guard.speaking_for("model.shop.w", "model w (models/w.sql)"):
            # The adapter's own statement that nobody can parse is not sent, and no reason to refuse the project.
            with pytest.raises(StepFailed, match="is no read"):
                adapter.get_columns_in_relation("frobnicate t")
            assert guard.refusal is None
            with Guard(adapter).watching():
                adapter.execute("select 3")
            with pytest.raises(StepFailed, match="model w"):
                adapter.execute("delete from t")
            assert guard.refusal is not None
            assert guard.refusal.code == "explain_writes"
            for call in (adapter.create_schema, lambda: adapter.execute("drop table t")):
                guard.refusal = None
                with pytest.raises(StepFailed):
                    call()
                assert "model w (models/w.sql): an explain only reads" in str(guard.refusal)
            guard.refusal = None
            with pytest.raises(RuntimeError):
                adapter.execute("select tell()")
            assert "read-only transaction" in str(guard.refusal)
    assert adapter.connections.sent == [
        "/* dbt */ select 1", "BEGIN", "/* dbt */ select 2", "/* dbt */ select 3",
    ]  # fmt: skip
    assert adapter.create_schema() == "rows"


def test_a_duckdb_file_is_held_open_and_closed_once_when_nobody_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_dbt import warehouses

    credentials: Any = SimpleNamespace(type="duckdb", keep_open=False)
    for given in (credentials, SimpleNamespace(type="duckdb"), SimpleNamespace(type="postgres")):
        warehouses.hold_open(given)
    assert credentials.keep_open is True
    closed: list[str] = []
    used = SimpleNamespace(handle_count=1, close=lambda: closed.append("used"))
    idle = SimpleNamespace(handle_count=0, close=lambda: closed.append("idle"))
    adapters = [SimpleNamespace(connections=SimpleNamespace(_ENV=environment)) for environment in (used, idle, None)]
    monkeypatch.setattr(warehouses, "_adapters", lambda: [*adapters, SimpleNamespace(connections=SimpleNamespace())])
    warehouses.close_held()
    assert closed == ["idle"]


def test_a_message_carries_no_traceback(tmp_path: Path) -> None:
    from dagctl_dbt.failures import cause

    frames = 'Traceback (most recent call last):\n  File "deps.py", line 1, in run\n    raise error\n'
    step = make_step(tmp_path)
    refused = f"Encountered an error:\nno such revision\n{frames}ValueError: v9"
    assert cause(step, refused).endswith("no such revision ValueError: v9")
    assert cause(step, f"{frames}\n{frames}OSError: no space") == "OSError: no space"


def kept(folder: Path, data: Path | None, **credentials: Any) -> Any:
    """Credentials after they were looked at."""
    from dagctl_dbt.keeping import keep_warehouse

    scratch = folder / "s"
    step = make_step(
        folder, scratch=str(scratch), project=str(scratch / "checkout" / "dbt"), checkout=str(scratch / "checkout"),
        command="explain", data_folder=str(data) if data else None,
    )  # fmt: skip
    found = SimpleNamespace(**credentials)
    keep_warehouse(step, SimpleNamespace(credentials=found))  # type: ignore[arg-type]
    return found


def attached(path: str, **more: Any) -> Any:
    """A database that a profile attaches."""
    return SimpleNamespace(**{"path": path, "alias": None, "type": None, "read_only": False, **more})


def test_files_of_a_warehouse_are_kept_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_common.channel import StepFailed
    from dagctl_dbt.keeping import refuse_fleeting

    monkeypatch.setenv("HOME", str(tmp_path / "s" / "home"))
    data = tmp_path / "data"
    inside = str(tmp_path / "s" / "checkout" / "dbt" / "x.duckdb")
    for path, there in (
        ("x.duckdb", data / "x.duckdb"),
        ("sub/x.duckdb", data / "sub" / "x.duckdb"),
        ("../x.duckdb", data / "x.duckdb"),
        ("../../../../x.duckdb", data / "x.duckdb"),
        (inside, data / "x.duckdb"),
        ("~/x.duckdb", data / "home" / "x.duckdb"),
    ):
        with pytest.raises(StepFailed, match="gone when the step ends"):
            kept(tmp_path, None, type="duckdb", path=path, database="x")
        assert kept(tmp_path, data, type="duckdb", path=path, database="x").path == str(there)
    for path in ("", ":memory:", "sqlite:", "ducklake::memory:"):
        for folder in (None, data):
            with pytest.raises(StepFailed, match="in memory"):
                kept(tmp_path, folder, type="duckdb", path=path, database="x")
    for path in ("/srv/x.duckdb", "md:db", "s3://bucket/x.duckdb", "ducklake:postgres:dbname=x", "ducklake:/srv/x.ducklake"):
        assert kept(tmp_path, None, type="duckdb", path=path, database="x").path == path
    assert kept(tmp_path, data, type="duckdb", path="ducklake:x.ducklake", database="x").path == f"ducklake:{data / 'x.ducklake'}"

    read = attached("seeds.duckdb", read_only=True)
    lake = attached("/srv/lake.duckdb", alias="lake")
    assert kept(tmp_path, None, type="duckdb", path=":memory:", database="lake", attach=[read, lake]).path == ":memory:"
    with pytest.raises(StepFailed, match=r"attach: more: more\.duckdb"):
        kept(tmp_path, None, type="duckdb", path="/srv/x.duckdb", database="x", attach=[attached("more.duckdb")])
    scratch = attached(":memory:", alias="scratch")
    more = [attached("more.duckdb"), attached("ducklake:l.db", options={"DATA_PATH": "files"}), scratch]
    found = kept(tmp_path, data, type="duckdb", path="/srv/x.duckdb", database="x", attach=more)
    assert [row.path for row in found.attach] == [str(data / "more.duckdb"), f"ducklake:{data / 'l.db'}", ":memory:"]
    assert more[1].options == {"DATA_PATH": str(data / "files")}
    config: Any = SimpleNamespace(credentials=found)
    row = {"resource_type": "model", "name": "m", "config": SimpleNamespace(materialized="table")}
    refuse_fleeting(config, [SimpleNamespace(database="more", **row)])
    with pytest.raises(StepFailed, match="model m is written to the database scratch, which is in memory"):
        refuse_fleeting(config, [SimpleNamespace(database="scratch", **row)])

    with pytest.raises(StepFailed, match="schemas_and_paths: main"):
        kept(tmp_path, None, type="sqlite", schemas_and_paths={"main": "x.db"}, schema_directory="/srv")
    found = kept(tmp_path, data, type="sqlite", schemas_and_paths={"main": "x.db"}, schema_directory="files")
    assert (found.schemas_and_paths, found.schema_directory) == ({"main": str(data / "x.db")}, str(data / "files"))
    assert kept(tmp_path, None, type="postgres", path="x").path == "x"


VOLATILE = [
    ("{{ config(alias='a_' ~ run_started_at) }} select 1", False),
    ("{% set day = modules.datetime.date.today() %}{{ config(alias='a_' ~ day) }} select 1", True),
    ("{{ config(meta={'x': [1, 2] | random}) }} select 1", True),
    ("{% if modules.datetime.date.today().day > 3 %}{{ ref('a') }}{% endif %}", True),
    ("{{ config(materialized='table') }} select '{{ run_started_at }}' as at from {{ ref('a') }}", None),
    ("{{ config(materialized='table') }} select '{{ modules.datetime.datetime.now() }}' as at from {{ ref('a') }}", None),
    ("{{ config(tags=['a'], enabled=true) }} {% if is_incremental() %} '{{ invocation_id }}' {% endif %}", None),
    ("{# modules.datetime #}{{ config(alias='a' ~ 'b') }} select a || random() from {{ ref('a') }}", None),
    ("{{ config(alias='a_' ~ var('x')) }} {{ modules.re.match('a', 'b') }}", None),
]


@pytest.mark.parametrize(("code", "chance"), VOLATILE)
def test_which_texts_may_render_differently_each_time(code: str, chance: bool | None) -> None:
    from dagctl_dbt.differ_types import Facts
    from dagctl_dbt.volatiles import volatiles

    found = volatiles(manifest(a={"raw_code": code}), Facts("prod"))  # type: ignore[arg-type]
    assert [row.by_chance for row in found] == ([] if chance is None else [chance])
