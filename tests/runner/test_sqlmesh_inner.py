"""What the inner program of SQLMesh says of leftovers, metadata and models that wait, tried without SQLMesh."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runner.test_inner import Model, importable, make_step

__all__ = ["importable"]

ROW = {"node": '"db"."shop"."a"', "name": "shop.a", "identifier": "1", "version": "2", "kept": ["10/20"], "plan_id": "p"}


def given(folder: Path, content: object) -> Any:
    path = folder / "input-leftovers.json"
    path.write_text(json.dumps(content))
    return make_step(inputs={"leftovers": str(path)})


def test_rows_of_failed_plans_are_read_and_others_passed_over(tmp_path: Path) -> None:
    from dagctl_sqlmesh.leftovers import rows_left

    (row,) = rows_left(given(tmp_path, {"rows": [ROW, {"node": "of dbt", "name": "x"}, "text", {}]}))
    assert (row.node, row.identifier, row.kept, row.plan_id) == ('"db"."shop"."a"', "1", ((10, 20),), "p")
    assert rows_left(given(tmp_path, [])) == []
    assert rows_left(make_step(inputs={})) == rows_left(make_step()) == []


def test_what_was_left_is_a_part_of_the_digest_only_when_there_is_something(tmp_path: Path) -> None:
    from dagctl_sqlmesh.leftovers import left_parts, rows_left

    other = {**ROW, "node": '"db"."shop"."b"'}
    one, two = (rows_left(given(tmp_path, {"rows": rows})) for rows in ([ROW, other], [other, ROW]))
    assert left_parts(one) == left_parts(two)
    assert left_parts(one) != left_parts(rows_left(given(tmp_path, {"rows": [{**ROW, "plan_id": "q"}, other]})))
    assert left_parts([]) == {}


def test_what_is_mended_and_what_cannot_be_is_said(tmp_path: Path) -> None:
    from dagctl_sqlmesh.leftovers import rows_left
    from dagctl_sqlmesh.mending import Mend

    (left,) = rows_left(given(tmp_path, {"rows": [ROW]}))

    def told(**facts: Any) -> str:
        return Mend(left, SimpleNamespace(), **facts).told()  # type: ignore[arg-type]

    assert told() == ""
    assert told(drop=True).startswith("its table holds what the failed plan loaded")
    assert told(records=[("r", (1, 2))]) == "what the failed plan loaded counts as missing again"
    assert told(extra=["a", "b"]) == "added columns are dropped: a, b"
    assert "restate" in told(lost=["c"])
    assert "restate" in told(records=[("r", (1, 2))], merged=True)


def test_a_table_that_a_retry_has_made_anew_already_is_spared(tmp_path: Path) -> None:
    from dagctl_sqlmesh.leftovers import rows_left
    from dagctl_sqlmesh.mending import Mend, _spare_what_is_mended

    (left,) = rows_left(given(tmp_path, {"rows": [ROW]}))
    ours = (SimpleNamespace(identifier="of the retry"), (10, 20))
    theirs = (SimpleNamespace(identifier=left.identifier), (20, 30))
    for records, dropped in (([ours], False), ([ours, theirs], True), ([], True)):
        mend = Mend(left, SimpleNamespace(), drop=True, records=[*records], writers={left.identifier})  # type: ignore[arg-type]
        _spare_what_is_mended(mend)
        assert (mend.drop, mend.records) == (dropped, records if dropped else [])


@pytest.mark.parametrize(
    ("kind", "loads", "drop", "merged"),
    [
        ("INCREMENTAL_BY_UNIQUE_KEY", True, False, True),
        ("INCREMENTAL_BY_UNIQUE_KEY", False, False, False),
        ("INCREMENTAL_BY_UNIQUE_KEY", True, True, False),
        ("INCREMENTAL_BY_TIME_RANGE", True, False, False),
    ],
)
def test_rows_that_a_kill_may_have_merged_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, loads: bool, drop: bool, merged: bool
) -> None:
    from dagctl_sqlmesh import mending
    from dagctl_sqlmesh.leftovers import rows_left

    monkeypatch.setattr(mending, "interval_records", lambda context, tables: [])
    (left,) = rows_left(given(tmp_path, {"rows": [{**ROW, "loads": loads}]}))
    snapshot: Any = SimpleNamespace(model=SimpleNamespace(kind=SimpleNamespace(name=kind)))
    mend = mending.Mend(left, snapshot, drop=drop)
    mending._add_records(SimpleNamespace(), mend, left)  # type: ignore[arg-type]
    assert mend.merged is merged


def test_a_model_whose_signals_say_wait_is_not_skipped(capfd: pytest.CaptureFixture[str]) -> None:
    journal = make_step().journal
    journal.expect({Model('"s"."waits"'): [], Model('"s"."after"'): [1]})
    assert {row["name"]: row["status"] for row in journal.answer()["models"]} == {"s.waits": "not_ready", "s.after": "skipped"}


def test_a_result_has_the_warnings_of_its_work_and_what_it_leaves(capfd: pytest.CaptureFixture[str]) -> None:
    assert make_step().journal.answer() == {}, "only an execute leaves something"
    journal = make_step(command="execute").journal
    journal.warn("of the project")
    assert journal.answer() == {"left": []}
    journal.applying()
    journal.warn("audit positive found 2 rows")
    journal.left = [{"node": "a", "loads": True}]
    assert journal.answer() == {"warnings": ["audit positive found 2 rows"], "left": [{"node": "a"}]}
    journal.begin("a")
    assert journal.answer()["left"] == [{"node": "a", "loads": True}], "it was begun"


def test_a_model_tells_when_it_ran_what_it_loaded_and_why_it_failed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = iter([1_700_000_000.0, 1_700_000_001.25, 1_700_000_002.0, 1_700_000_003.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    journal = make_step().journal
    journal.reason = lambda error: "because " + str(error)
    good, bad, waits = (Model(f'"s"."{name}"') for name in ("good", "bad", "waits"))
    journal.expect({good: [1, 2], bad: [1], waits: [1]})
    journal.begin(good.name)
    for day in (2, 1):
        journal.loaded(good.name, day * 86_400, (day + 1) * 86_400)
        journal.end(good.name, 5)
    journal.begin(bad.name)
    journal.fail(bad.name, ValueError("x" * 600))
    rows = {row["name"]: row for row in journal.results()}
    assert (rows["s.good"]["started"], rows["s.good"]["ended"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.250Z")
    assert rows["s.good"]["interval"] == ["1970-01-02T00:00:00.000Z", "1970-01-04T00:00:00.000Z"]
    assert (len(rows["s.bad"]["error"]), rows["s.bad"]["error"][:9]) == (500, "because x")
    assert not {"started", "ended", "error", "interval"} & set(rows["s.waits"])


def test_an_error_that_comes_late_is_told_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    journal = make_step().journal
    journal.expect({Model('"s"."a"'): [1]})
    journal.begin('"s"."a"')
    journal.fail('"s"."a"', None)
    journal.fail('"s"."a"', ValueError("no"))
    assert [row["error"] for row in journal.results()] == ["no"]


@pytest.mark.parametrize(
    ("verb", "arguments", "options", "held"),
    [
        ("run", [], {}, [("environment:prod", False), ("state", True)]),
        ("audit", [], {}, [("environment:prod", True), ("state", True)]),
        ("janitor", [], {}, [("environment:prod", True), ("state", False)]),
        ("invalidate", ["dev"], {}, [("environment:dev", False), ("state", True)]),
        ("invalidate", ["dev"], {"sync": True}, [("environment:dev", False), ("state", False)]),
    ],
)
def test_who_clears_up_is_alone_with_the_state(verb: str, arguments: list[str], options: dict[str, Any], held: object) -> None:
    from dagctl_sqlmesh.jobs import locks_of

    command: Any = {"verb": verb, "arguments": arguments, "options": options, "nodes": None, "text": ""}
    assert locks_of(make_step(environment="prod"), command) == held


def test_every_command_of_a_job_is_one_that_is_done() -> None:
    from dagctl_sqlmesh.jobs import VERBS

    from dagctl_provider.runner.job_options import TOOL_COMMANDS

    assert set(VERBS) == set(TOOL_COMMANDS["sqlmesh"].verbs)


def test_the_linter_is_told_once_for_each_rule_and_only_of_what_changes() -> None:
    from dagctl_sqlmesh.descriptions import lint_warnings

    step = make_step()
    step.journal.lint = {"rule b": {'"s"."y"', '"s"."x"'}, "rule a": {'"s"."x"'}, "rule c": {'"s"."old"'}}
    assert lint_warnings(step, ['"s"."y"', '"s"."x"']) == ["Linter: rule a (s.x)", "Linter: rule b (s.x, s.y)"]


def test_metadata_is_told_key_by_key() -> None:
    from dagctl_sqlmesh.metadata import audit_diff, audits_changed, edited

    def node(**facts: Any) -> Any:
        return SimpleNamespace(**{"audits": [], "audit_definitions": {}, "signals": [], **facts})

    def audit(query: str, blocking: bool = True) -> Any:
        parsed = SimpleNamespace(sql=lambda dialect, pretty: query)
        return SimpleNamespace(query=parsed, blocking=blocking, skip=False, dialect="")

    assert edited(node(tags=["b", "a"]), node(tags=["a", "b"])) == []
    assert edited(node(owner="ann", cron="@daily"), node(owner=None, cron="@hourly")) == [
        "owner: ann -> none",
        "cron: @daily -> @hourly",
    ]
    assert edited(node(description="x" * 80), node(description="y")) == ["description changed"]
    old = node(audits=[("a", {}), ("gone", {})], audit_definitions={"a": audit("SELECT 1"), "gone": audit("SELECT 1")})
    new = node(audits=[("a", {}), ("not_null", {})], audit_definitions={"a": audit("SELECT 2", blocking=False)})
    found = edited(old, new)
    assert found == [
        "audit a: blocking -> not blocking",
        "audit a: body changed",
        "audit gone: removed",
        "audit not_null: added",
    ]
    assert audits_changed(found)
    assert not audits_changed(["audit gone: removed", "owner: a -> b"])
    assert audit_diff(old, new).splitlines()[-2:] == ["-SELECT 1", "+SELECT 2"]


@pytest.mark.parametrize(
    ("adopted", "new", "added", "refused"),
    [
        (True, False, ["b"], None),
        (True, False, ["a", "b"], "has no model of this project, but 1 others, such as s.gone"),
        (True, True, ["a", "b"], "knows no environment 'prod'"),
        (False, True, ["a", "b"], None),
    ],
)
def test_an_adopted_state_has_to_be_the_projects_own(adopted: bool, new: bool, added: list[str], refused: str | None) -> None:
    from dagctl_sqlmesh.adopting import refuse_foreign

    diff = SimpleNamespace(
        is_new_environment=new,
        added=[SimpleNamespace(name=name) for name in added],
        removed_snapshots=[SimpleNamespace(name='"w"."s"."gone"')],
    )
    plan: Any = SimpleNamespace(context_diff=diff, snapshots={name: SimpleNamespace(name=name) for name in ("a", "b")})
    step = make_step(adopted=adopted, environment="prod")
    if refused is None:
        refuse_foreign(step, plan)
        return
    with pytest.raises(Exception, match=re.escape(refused)) as refusal:
        refuse_foreign(step, plan)
    assert refusal.value.code == "state_foreign"  # type: ignore[attr-defined]
