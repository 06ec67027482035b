"""What is said of production after a plan has ended: facts of its executions, and nothing that is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.telling import Told, tell
from tests.plan_output import samples
from tests.plan_output.samples import DEPLOYED, EXECUTE, NEWER, PROJECT, explained

DBT = replace(PROJECT, project_type="dbt", settings={"dbt_target": "prod"})


def plan(names: int = 4, **more: Any) -> dict[str, Any]:
    rows = [{"name": f"m{at}", "change": "directly_modified", "backfill": samples.span(3)} for at in range(names)]
    return {"environment": "prod", "explain_completed": True, "models": rows, **more}


def runs(**statuses: str) -> list[dict[str, Any]]:
    return [{"name": name, "status": status} for name, status in statuses.items()]


def after(*executes: PlanStep, output: Any = None, status: Any = "approved", project: Project = PROJECT, **more: Any) -> Told:
    return tell(
        [explained(output or plan(), status=status), *executes], project, more.get("deployed", DEPLOYED), more.get("rows")
    )


def failed(models: list[dict[str, Any]], code: str = "model_failed", **changes: Any) -> PlanStep:
    return replace(EXECUTE, status="failed", error_code=code, plan_output={"models": models}, **changes)


def test_nothing_is_said_before_the_end() -> None:
    assert after(status="pending").outcome == ""
    assert after(EXECUTE).outcome == ""
    assert after(status="pending").sentence == "4 models change; 4 models are backfilled, 3 days."


@pytest.mark.parametrize("status", ["rejected", "cancelled"])
def test_what_never_ran_published_nothing(status: Any) -> None:
    told = after(status=status)
    assert told.outcome == "Nothing was published: prod still shows a1b2c3d."
    assert told.sentence == "4 models would change; 4 models would be backfilled, 3 days."
    assert [(count.label, count.number) for count in told.counts] == [("Changed", 4), ("Would be backfilled", 4)]
    assert after(status=status, deployed=NEWER).outcome == "Nothing was published: prod now shows 9e8f7a6."
    assert after(status=status, deployed=None).outcome == "Nothing was published: nothing is deployed in prod."
    assert after(status=status, project=DBT).outcome == "Nothing was built: prod still shows a1b2c3d."


def test_an_explain_that_failed_says_what_is_there_and_that_nothing_is_known() -> None:
    told = after(output={"explain_completed": False}, status="failed")
    assert told.summary == (
        "Nothing was published: prod still shows a1b2c3d. What this commit would change could not be worked out."
    )
    assert told.counts == ()


def test_what_was_executed_is_there_or_has_been_followed_by_another() -> None:
    done = replace(EXECUTE, status="completed", plan_output={"warnings": ["an audit"]})
    assert after(done, deployed=samples.COMMIT).outcome == "prod shows f6e5d4c now. 1 warning came up, which stopped nothing."
    assert after(done, deployed=samples.COMMIT).sentence == "4 models changed; 4 models were backfilled, 3 days."
    assert after(replace(done, plan_output=None), deployed=NEWER).outcome == "f6e5d4c was executed; prod shows 9e8f7a6 now."


def test_what_a_failed_execution_has_finished_is_kept() -> None:
    told = after(failed(runs(m0="succeeded", m1="succeeded", m2="failed", m3="skipped")))
    assert told.outcome == (
        "Nothing was published: prod still shows a1b2c3d. 2 of 4 models are backfilled and kept for the retry; "
        "1 failed, 1 did not run."
    )
    assert told.sentence.startswith("4 models would change")


def test_where_nothing_was_finished_that_is_said() -> None:
    told = after(failed(runs(m0="failed", m1="skipped")))
    assert told.outcome == (
        "Nothing was published: prod still shows a1b2c3d. None of 4 models were backfilled; 1 failed, 3 did not run."
    )


def test_attempts_are_counted_together() -> None:
    first = failed(runs(m0="succeeded", m1="failed"))
    second = failed(runs(m1="succeeded", m2="failed"), id="plan_0003", attempt=2)
    assert "2 of 4 models are backfilled and kept for the retry; 1 failed, 1 did not run." in after(first, second).outcome


def test_where_no_retry_is_left_the_next_plan_has_it() -> None:
    attempts = [failed(runs(m0="succeeded", m1="failed"), id=f"plan_{at}", attempt=at) for at in (1, 2, 3, 4)]
    assert "1 of 4 models is backfilled and kept for the next plan; 1 failed, 2 did not run." in after(*attempts).outcome


def test_what_stopped_before_the_first_statement_wrote_nothing() -> None:
    assert after(failed([], "plan_drifted")).outcome == "Nothing was published: prod still shows a1b2c3d."
    assert after(failed([], "tests_failed"), project=DBT).outcome == "Nothing was built: prod still shows a1b2c3d."


@pytest.mark.parametrize("code", ["apply_failed", "conflicting_plan", "timeout"])
def test_when_all_rows_were_there_nobody_knows_how_much_was_published(code: str) -> None:
    told = after(failed(runs(m0="succeeded", m1="succeeded", m2="succeeded", m3="succeeded"), code))
    assert told.outcome == (
        "All 4 models are backfilled. It is not known how much of f6e5d4c was published in prod, where a1b2c3d is on record; "
        "a retry finishes it."
    )


def test_a_plan_that_only_publishes_and_fails_says_that_it_is_not_known() -> None:
    told = after(failed([], "apply_failed"), output=plan(0, models=[{"name": "v", "change": "removed"}]))
    assert told.outcome.startswith("It is not known how much of f6e5d4c was published in prod")


def test_tables_that_are_written_in_place_are_named() -> None:
    output = plan(3)
    output["models"][0] |= {"category": "forward_only"}
    output["models"][1] |= {"change": None}
    told = after(failed(runs(m0="succeeded", m1="succeeded", m2="failed")), output=output)
    assert told.outcome.endswith("2 models of these keep their tables and already have the new rows there: m0, m1.")
    preview = after(failed(runs(m0="succeeded", m1="failed")), output={**output, "previews": ["m0"]})
    assert "already" not in preview.outcome


def dbt_plan() -> dict[str, Any]:
    names = [f"m{at}" for at in range(4)]
    rows = [{"name": name, "unique_id": f"model.shop.{name}", "change": "directly_modified"} for name in names]
    selection = {"mode": "selected", "models": names, "nodes": [row["unique_id"] for row in rows], "tests": []}
    return {"environment": "prod", "explain_completed": True, "models": rows, "selection": selection}


def test_without_a_virtual_layer_production_is_a_mix() -> None:
    ran = [
        {"name": "m0", "unique_id": "model.shop.m0", "kind": "model", "status": "succeeded"},
        {"name": "check", "unique_id": "test.shop.check", "kind": "test", "status": "succeeded"},
        {"name": "m1", "unique_id": "model.shop.m1", "kind": "model", "status": "failed"},
    ]
    first = replace(failed(ran), plan_output={"models": ran, "already_succeeded": ["seed.shop.cities", "test.shop.other"]})
    assert after(first, output=dbt_plan(), project=DBT).outcome == (
        "prod shows a mix: 2 nodes were already built with f6e5d4c: cities, m0; the rest is as a1b2c3d has it, and 1 failed. "
        "A retry goes on, or the next plan sets them right."
    )
    withdrawn = after(first, output=dbt_plan(), project=DBT, status="cancelled")
    assert withdrawn.outcome.endswith("The next plan sets them right.")


def test_what_another_plan_has_been_executed_over_is_past() -> None:
    ran = failed(runs(m0="succeeded", m1="failed"))
    for project in (PROJECT, DBT):
        told = after(ran, project=project, deployed=NEWER, status="cancelled")
        done = project.tool.loading.done
        assert told.outcome == (
            f"This plan was not executed to its end (1 model was {done}, 1 failed). "
            "Since then another plan was, and prod now shows 9e8f7a6."
        )


def test_of_a_step_that_left_no_result_what_its_task_told_counts() -> None:
    from dagctl_provider.plan_output.shape import ModelRun

    lost = replace(EXECUTE, status="failed", error_code="task_failed", plan_output=None)
    told = after(lost, rows=[ModelRun("m0", "succeeded"), ModelRun("m1", "cancelled")])
    assert "1 of 4 models is backfilled and kept for the retry." in told.outcome


def test_when_nobody_knows_that_is_said() -> None:
    lost = replace(EXECUTE, status="failed", error_code="task_failed", plan_output=None)
    assert after(lost).outcome == (
        "The execution ended without a word on what it had done. On record in prod is a1b2c3d. "
        "A retry brings it to a known state."
    )
    never_began = replace(EXECUTE, status="cancelled", started_at=None, plan_output=None)
    assert after(never_began).outcome.startswith("Nothing was published: prod still shows a1b2c3d.")


def test_a_stopped_execution_is_told_as_one_that_failed() -> None:
    stopped = replace(EXECUTE, status="cancelled", plan_output={"models": runs(m0="succeeded", m1="cancelled")})
    assert after(stopped).outcome == (
        "Nothing was published: prod still shows a1b2c3d. 1 of 4 models is backfilled and kept for the retry."
    )
