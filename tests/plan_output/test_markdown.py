"""The request in Airflow's Required Actions: what stands in it, and that nothing of a repository becomes markup."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.plan_output.markdown import describe


def test_what_deserves_a_look_comes_first_with_its_diff() -> None:
    models = [
        {"name": "a.down", "change": "indirectly_modified", "category": "indirect_breaking", "diff": "-x"},
        {"name": "b.new", "change": "added", "category": "breaking", "diff": "+SELECT 1"},
        {"name": "c.orders", "change": "directly_modified", "category": "breaking", "diff": "-SELECT 1\n+SELECT 2"},
    ]
    conf = {"commit_sha": "f6e5d4c" * 5, "commit_message": "Take discounts off", "commit_author": "Ada"}
    _, body = describe(conf, {"models": models, "modelsNeedingBackfill": 2})
    lines = body.splitlines()
    assert lines[0] == "f6e5d4c Take discounts off (Ada)"
    assert [line.split(":")[0] for line in lines if line.startswith("- ")] == ["- c.orders", "- b.new", "- a.down"]
    assert "directly modified, breaking" in body
    assert "```diff\n-SELECT 1\n+SELECT 2\n```" in body
    assert "2 model(s) need backfill." in body


def test_a_dbt_plan_says_what_runs_and_what_dbt_keeps_quiet_about() -> None:
    selection = {"nodes": ["model.shop.a", "test.shop.b"], "reason": "What changed and what reads it."}
    _, body = describe({}, {"selection": selection, "warnings": ["<b>old</b> stays in the warehouse"] * 30})
    assert "2 node(s) will run. What changed and what reads it" in body
    assert body.count("stays in the warehouse") == 20
    assert "<b>" not in body.replace("\\<", "")


def test_what_the_approval_does_not_cover_is_said_where_it_is_given() -> None:
    unstable = [{"kind": "model", "name": "a*b", "what": "the time"}]
    _, body = describe({}, {"unstable": unstable, "asked": ["m"]})
    assert "- **Warning:** 1 part differs each time it is computed; the approval does not cover it" in body
    assert "- **Warning:** model a\\*b: the time" in body
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
    assert subject == "Plan  to : 0 added, 0 modified, 0 removed"
    assert "0 model(s) need backfill." in body
