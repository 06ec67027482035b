"""The request in Airflow's Required Actions: what stands in it, and that nothing of a repository becomes markup."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from dagctl_provider.domain.wire.decisions import RECORDED, Refusal
from dagctl_provider.plan_output.markdown import describe, said_before
from tests.plan_output.outputs import span


def test_the_page_then_the_sentence_then_what_deserves_a_look_with_its_diff() -> None:
    models = [
        {"name": "a.down", "change": "indirectly_modified", "category": "indirect_breaking", "diff": "-x", "backfill": span(3)},
        {"name": "b.new", "change": "added", "category": "breaking", "diff": "+SELECT 1", "kind": "FULL", "backfill": span(9)},
        {"name": "c.orders", "change": "directly_modified", "category": "breaking", "diff": "-SELECT 1\n+SELECT 2"},
    ]
    conf = {"commit_sha": "f6e5d4c" * 5, "commit_message": "Take discounts off", "commit_author": "Ada"}
    output = {"models": models, "explain_completed": True, "tests": {"run": 3, "failed": 0}}
    subject, body = describe(conf, output, "https://a.example/pluginsv2/dagctl/plans/plangroup_1")
    lines = body.splitlines()
    assert subject == "Plan f6e5d4c to : 1 added, 1 changed, 0 removed, 2 to backfill"
    assert lines[0].startswith("[Open the plan's page](https://a.example/pluginsv2/dagctl/plans/plangroup_1)")
    assert lines[2] == (
        "1 model changes and 1 is added; 1 model downstream is backfilled too; 2 models are backfilled in all, 3 days."
    )
    assert lines[4] == "Changed: **1**, Added: **1**, Downstream, backfilled too: **1**, To backfill: **2**"
    assert lines[6] == "3 unit tests passed."
    assert lines[8] == "f6e5d4c Take discounts off (Ada)"
    assert [line for line in lines if line.startswith("- ")] == [
        "- c.orders: changed, its readers are backfilled too",
        "- b.new: new, to backfill: the whole model",
        "- a.down: downstream, to backfill: 3 days, 2026\\-04\\-25 to 2026\\-04\\-27",
    ]
    assert "```diff\n-SELECT 1\n+SELECT 2\n```" in body


def test_a_dbt_plan_says_what_is_built_and_what_dbt_keeps_quiet_about() -> None:
    selection = {"models": ["a"], "tests": ["b"], "nodes": ["model.shop.a", "test.shop.b"]}
    warnings = [f"<b>old</b> {number} stays in the warehouse" for number in range(40)]
    _, body = describe({"tool": "dbt"}, {"selection": selection, "warnings": warnings, "explain_completed": True})
    assert body.splitlines()[0] == "1 model is built and 1 test runs."
    assert body.count("stays in the warehouse") == 30
    assert "<b>" not in body.replace("\\<", "")


def test_what_the_approval_does_not_cover_is_said_where_it_is_given() -> None:
    unstable = [{"kind": "model", "name": "a*b", "what": "the time"}]
    _, body = describe({}, {"unstable": unstable, "asked": ["m"], "explain_completed": True})
    assert "- **Warning:** 1 part differs each time it is computed; the approval does not cover it" in body
    assert "  - model a\\*b: the time" in body
    assert "The SQL of 1 model was made from what the warehouse answered" in body


def test_hostile_names_do_not_become_markup() -> None:
    hostile = "a`b*[x](javascript:alert(1))<img src=x>\n# head {{ 7*7 }}"
    _, body = describe(
        {"commit_sha": "f6e5d4c", "commit_message": hostile, "commit_author": hostile},
        {"models": [{"name": hostile, "change": "added", "category": "breaking"}]},
    )
    assert "<img" not in body.replace("\\<", "")
    assert "](" not in body.replace("\\]\\(", "")
    assert not [line for line in body.splitlines() if line.startswith("#")]


def test_a_hostile_diff_stays_in_its_fence() -> None:
    diff = "+```\n+````\n+<script>alert(1)</script>"
    _, body = describe({}, {"models": [{"name": "m", "change": "directly_modified", "diff": diff}]})
    assert f"`````diff\n{diff}\n`````" in body


def test_long_diffs_are_left_out_and_said_so() -> None:
    models = [{"name": f"m{n}", "change": "directly_modified", "diff": "-" * 15_000} for n in range(3)]
    _, body = describe({}, {"models": models})
    assert body.count("diff\n") == 1
    assert "too long" in body


@pytest.mark.parametrize("models", [7, "x", [None, 1, "x", {}, {"name": 3}, {"name": "m", "change": ["added"], "diff": 5}]])
def test_a_report_of_another_shape_still_makes_a_request(models: Any) -> None:
    """It comes from a process that runs the project's code; without a request nobody could reject its plan in Airflow."""
    hostile = {"models": models, "selection": ["x"], "warnings": {"a": 1}, "modelsAdded": "<b>", "environment": 7}
    subject, body = describe({}, hostile)
    assert subject == "Plan  to : 0 added, 0 changed, 0 removed, 0 to backfill"
    assert body.splitlines()[0] == "Nothing changes: the commit leaves every model as it is."


@pytest.mark.parametrize(
    ("code", "first"), [("forbidden", "The last answer was refused."), (RECORDED, "The last approval is recorded.")]
)
def test_what_became_of_the_answer_before_stands_first(code: str, first: str) -> None:
    told = Refusal(responded_at=datetime(2026, 7, 1, tzinfo=timezone.utc), code=code, detail="Still <b>missing</b>: *one*.")
    _, body = describe({}, {}, before=said_before(told))
    assert body.startswith(f"**{first}** Still ")
    assert "<b>" not in body
    assert said_before(None) is None
