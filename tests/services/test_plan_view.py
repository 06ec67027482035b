"""The plan page's read model: what it says of a plan, in which order, and what it offers to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.graphs import graph_of
from dagctl_provider.plan_output.models import models_of
from dagctl_provider.plan_output.parts import ColumnChange, Count
from dagctl_provider.plan_output.shape import ExplainOutput, Interval
from dagctl_provider.services.showing import plan_view
from dagctl_provider.services.showing.plan_view import Around, commit_pages
from dagctl_provider.services.showing.plan_view.parts import PlanView
from tests.plan_output import samples
from tests.plan_output.samples import EXECUTE, EXPLAIN, PROJECT, explained

OWNER = Actor("user", "1", "Ada", "org-0001", permissions_of("owner"))
READER = Actor("user", "2", "Rita", "org-0001", permissions_of("reader"))


def view(*steps: PlanStep, actor: Actor = OWNER, decisions: Any = (), around: Around | None = None, **project: Any) -> PlanView:
    return plan_view.assemble(
        actor, replace(PROJECT, **project), steps, decisions, around or Around(samples.DEPLOYED, EXPLAIN.updated_at)
    )


def output(**changes: Any) -> dict[str, Any]:
    return {**samples.small_output(), **changes}


def model(name: str, change: str | None, **values: Any) -> dict[str, Any]:
    return {"name": name, "change": change, "backfill": [], **values}


def test_numbers_are_those_of_the_list_of_models() -> None:
    found = {count.label: (count.number, count.mark) for count in view(explained(output())).counts}
    assert found == {
        "Removed": (1, "removed"),
        "Added": (1, "added"),
        "Changed": (2, "changed"),
        "Downstream, backfilled too": (3, "downstream"),
        "To backfill": (5, None),
    }


class TestSentence:
    def test_says_what_changes_and_what_follows(self) -> None:
        assert view(explained(output())).summary == (
            "2 models change, 1 is added and 1 is removed; 3 models downstream are backfilled too; "
            "5 models are backfilled in all, 14 days."
        )

    @pytest.mark.parametrize(
        ("models", "said"),
        [
            ([], "Nothing changes: the commit leaves every model as it is."),
            ([model("a", "added")], "1 model is added; nothing is backfilled."),
            ([model("a", "removed"), model("b", "removed")], "2 models are removed; nothing is backfilled."),
            ([model("a", "directly_modified", category="breaking")], "1 model changes; nothing is backfilled."),
            ([model("a", "metadata")], "1 model changes only in metadata; nothing is backfilled."),
            (
                [model("a", "directly_modified", backfill=samples.span(1)), model("b", "indirectly_modified")],
                "1 model changes; 1 model only reads it and is not backfilled; 1 model is backfilled, 1 day.",
            ),
            ([model("a", None, backfill=samples.span(3))], "1 unchanged model is backfilled, 3 days."),
            ([model("a", None)], "Nothing changes: the commit leaves every model as it is."),
            (
                [model("a", "added", kind="FULL", backfill=samples.span(329))],
                "1 model is added; 1 model is backfilled.",
            ),
            (
                [
                    *(model(f"d{n}", "indirectly_modified", backfill=samples.span(n)) for n in (2, 9)),
                    model("n", None, backfill=samples.span(4)),
                ],
                "2 models downstream are backfilled too; 1 unchanged model is backfilled; "
                "3 models are backfilled in all, up to 9 days.",
            ),
        ],
    )
    def test_each_kind_of_change(self, models: list[dict[str, Any]], said: str) -> None:
        none = dict.fromkeys(("modelsAdded", "modelsModified", "modelsRemoved", "modelsNeedingBackfill"), 0)
        assert view(explained(output(models=models, **none))).summary == said

    def test_who_only_follows_in_metadata_is_told_apart_from_what_was_edited(self) -> None:
        models = [model("a", "metadata", details=["description"]), *(model(name, "metadata") for name in "bc")]
        found = view(explained(output(models=models, metadata_followers=["b", "c"], lineage={"b": ["a"], "c": ["a"]})))
        assert found.summary == "1 model changes only in metadata, 2 more because of what they read; nothing is backfilled."
        assert {row.name: (row.mark, row.why) for row in found.models} == {
            "a": ("metadata", ("description",)),
            "b": ("follower", ("because of a",)),
            "c": ("follower", ("because of a",)),
        }

    def test_dbt_says_what_is_built(self) -> None:
        found = view(explained(samples.dbt_output()), project_type="dbt", settings={})
        assert found.summary == "1 model changes; 2 models downstream are built too; 3 models are built in all and 8 tests run."
        assert [count for count in found.counts if count.mark is None] == [Count("To build", 3), Count("Tests to run", 8)]

    def test_what_is_not_as_in_other_plans_is_said(self) -> None:
        more = {
            "previews": ["marts.fct_orders"],
            "destructive": [{"name": "marts.fct_orders", "policy": "error"}, {"name": "x", "policy": "warn"}],
            "leftovers": [{"name": "a"}, {"name": "b"}, {"name": "b"}],
        }
        assert view(explained(output(**more))).summary.endswith(
            "; 1 of them is only a preview of a forward-only change; 1 model changes a table destructively and has to be "
            "allowed by name; 2 models that a failed plan left are set right."
        )

    @pytest.mark.parametrize(
        ("status", "said"),
        [("running", "is being worked out"), ("failed", "could not be worked out"), ("cancelled", "was cancelled")],
    )
    def test_before_anything_is_known(self, status: Any, said: str) -> None:
        assert said in view(replace(EXPLAIN, status=status, plan_output={"explain_completed": False})).summary


class TestModels:
    def test_what_matters_comes_first(self) -> None:
        assert [model.name for model in view(explained(output())).models] == [
            "legacy.codes",
            "marts.fct_orders",
            "staging.stg_orders",
            "staging.stg_discounts",
            "marts.customer_value",
            "marts.daily_revenue",
            "reports.board",
        ]

    def test_a_model_says_all_that_is_known(self) -> None:
        found = next(model for model in view(explained(output())).models if model.name == "marts.fct_orders")
        assert (found.mark, found.load, found.lines) == ("changed", timedelta(days=14), (3, 2))
        assert (found.columns_added, found.columns_removed) == (("discount",), ("legacy_code",))
        assert found.intervals == ("2026-04-14 to 2026-04-27",)

    def test_downstream_says_what_it_reads(self) -> None:
        found = {model.name: model.why for model in view(explained(output())).models}
        assert found["marts.daily_revenue"] == ("it reads marts.fct_orders",)

    def test_types_of_columns_change_in_the_words_of_either_tool(self) -> None:
        """SQLMesh tells of objects, dbt of texts."""
        told = [{"name": "revenue", "from": "INT", "to": "TEXT"}, "price: DECIMAL(18, 2) -> TEXT", "nonsense", 7, None]
        (found,) = view(explained(output(models=[model("a", "directly_modified", columns_changed=told)]))).models
        assert found.columns_changed == (
            ColumnChange("revenue", "INT", "TEXT"),
            ColumnChange("price", "DECIMAL(18, 2)", "TEXT"),
            ColumnChange("nonsense", "?", "?"),
        )

    def test_results_of_the_execution_stand_with_the_models(self) -> None:
        ran = {"models": [{"name": "marts.fct_orders", "status": "failed", "duration": 3.2, "rows": 0}]}
        found = view(explained(output(), status="approved"), replace(EXECUTE, status="failed", plan_output=ran))
        result = next(model.result for model in found.models if model.name == "marts.fct_orders")
        assert result is not None
        assert (result.status, result.seconds, result.rows) == ("failed", 3.2, 0)

    @pytest.mark.parametrize(
        ("interval", "spoken"),
        [
            ({"start": "2026-01-01", "end": "2026-01-01"}, "1 day"),
            ({"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T05:00:00+00:00"}, "5 hours"),
            ({"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T00:10:00+00:00"}, "10 minutes"),
        ],
    )
    def test_spans_are_said_in_the_unit_that_fits(self, interval: dict[str, str], spoken: str) -> None:
        assert reading.spoken(reading.length(Interval(**interval))) == spoken

    @pytest.mark.parametrize(
        "interval",
        [
            {},
            {"start": "x", "end": "y"},
            {"start": "2026-01-02", "end": "2026-01-01"},
            {"start": "2026-01-01T00:00", "end": "2026-01-01T00:00Z"},
        ],
    )
    def test_spans_that_make_no_sense_have_no_length(self, interval: dict[str, str]) -> None:
        assert reading.length(Interval(**interval)) == timedelta(0)


class TestFindings:
    def kinds(self, found: PlanView) -> list[str]:
        return [finding.kind for finding in found.findings]

    def test_dangers_come_first(self) -> None:
        found = view(explained(output(tests={"run": 1, "failed": 1}, warnings=[])))
        assert self.kinds(found)[0] == "tests_failed"
        found = view(explained(output()))
        assert self.kinds(found) == ["removed", "columns_removed", "reported"]
        severities = [finding.severity for finding in found.findings]
        assert severities == sorted(severities, key=["danger", "warning", "info"].index)

    def test_a_head_that_moved_is_said_before_anybody_approves(self) -> None:
        assert self.kinds(view(explained(output()), latest_commit_sha=samples.NEWER))[0] == "head_moved"
        decided = explained(output(), status="rejected")
        assert "head_moved" not in self.kinds(view(decided, latest_commit_sha=samples.NEWER))

    def test_who_still_reads_what_is_removed(self) -> None:
        lineage = {**samples.small_output()["lineage"], "reports.board": ["legacy.codes"]}
        found = {finding.kind: finding for finding in view(explained(output(lineage=lineage))).findings}
        assert found["removed_is_read"].models == ("reports.board",)

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({"tests": {"run": 3, "failed": 2, "names": ["test_a"]}}, "tests_failed"),
            ({"tests": {"run": 0}}, "no_tests"),
            ({"state_migration": {"from": "0.1", "to": "0.2"}}, "state_migration"),
            ({"is_new_environment": True}, "new_environment"),
            ({"restatements": ["marts.fct_orders"]}, "restatements"),
            ({"requirements_diff": "+pandas"}, "requirements_diff"),
            ({"packages_diff": "- six==1\n+ six==2"}, "packages_diff"),
            ({"environment_statements_diff": "+GRANT"}, "environment_statements_diff"),
            ({"models": [model("a", "directly_modified", diff="+x\u202ey")]}, "hidden_characters"),
            ({"models": [model("a", "directly_modified", diff="+x", diff_truncated=True)]}, "truncated"),
            ({"models": [model("a", "directly_modified", category="forward_only")]}, "forward_only"),
            ({"models": [model("a", "directly_modified", backfill=samples.span(400))]}, "long_load"),
            ({"destructive": [{"name": "a", "policy": "error"}]}, "destructive"),
            ({"destructive": [{"name": "a", "policy": "warn"}]}, "table_changes"),
            ({"previews": ["a"]}, "previews"),
            ({"assumed": ["a"]}, "assumed"),
            ({"leftovers": [{"name": "a", "commit": "abcdef123"}]}, "leftovers"),
            ({"full_refresh": [{"name": "a", "why": "leftover"}]}, "full_refresh"),
            ({"vars": {"days": "3"}}, "vars"),
            ({"unstable": [{"kind": "model", "name": "a"}]}, "unstable"),
            ({"asked": ["a"]}, "asked"),
            ({"packages_diff": "+faker 1.0"}, "packages_diff"),
        ],
    )
    def test_each_thing_worth_knowing(self, changes: dict[str, Any], kind: str) -> None:
        assert kind in self.kinds(view(explained(output(**changes))))
        assert kind not in self.kinds(view(explained(output())))

    @pytest.mark.parametrize(
        ("changes", "kind"),
        [
            ({}, "contracts_broken"),
            ({}, "column_impact"),
            ({}, "no_tests"),
            ({"selection": {"mode": "full", "reason": "the dbt version changed"}}, "full_rebuild"),
            ({"column_impact_missing": "SQL that cannot be read"}, "column_impact_missing"),
            ({"compiled": {"available": False, "reason": "no warehouse"}}, "not_compiled"),
        ],
    )
    def test_what_dbt_plans_tell(self, changes: dict[str, Any], kind: str) -> None:
        found = view(explained({**samples.dbt_output(), **changes}), project_type="dbt", settings={})
        assert kind in self.kinds(found)

    def test_what_no_approval_covers_is_named_with_where_it_is_written(self) -> None:
        parts = [
            {"kind": "rendered", "name": "shop.orders", "file": "models/orders.sql", "what": "the time of day"},
            {"kind": "macro", "name": "now"},
        ]
        (found,) = [one for one in view(explained(output(unstable=parts))).findings if one.kind == "unstable"]
        assert (found.severity, found.title) == (
            "warning",
            "2 parts differ each time they are computed; the approval does not cover them.",
        )
        assert found.detail == "SQL of shop.orders (models/orders.sql): the time of day\nmacro now"
        (one,) = [one for one in view(explained(output(unstable=parts[1:]))).findings if one.kind == "unstable"]
        assert one.title == "1 part differs each time it is computed; the approval does not cover it."
        (many,) = [one for one in view(explained(output(unstable=parts * 40))).findings if one.kind == "unstable"]
        assert many.detail is not None
        assert many.detail.splitlines()[-1] == "and 30 more"

    def test_sql_that_comes_from_data_is_a_note_with_its_models(self) -> None:
        (found,) = [one for one in view(explained(output(asked=["marts.wide", "marts.pivot"]))).findings if one.kind == "asked"]
        assert (found.severity, found.models) == ("info", ("marts.wide", "marts.pivot"))
        assert found.title == (
            "The SQL of 2 models was made from what the warehouse answered; it is made again and compared before it runs."
        )

    def test_nothing_is_found_in_a_plan_that_is_not_known(self) -> None:
        assert view(replace(EXPLAIN, status="running", plan_output=None)).findings == ()


class TestWhatIsCompared:
    def test_where_an_execute_writes_says_first_what_says_most(self) -> None:
        warehouse = {"type": "postgres", "schema": "marts", "host": "db.example.com", "port": "5432", "role": ""}
        assert view(explained(output(warehouse=warehouse))).written_to == (
            ("host", "db.example.com"),
            ("schema", "marts"),
            ("port", "5432"),
            ("type", "postgres"),
        )
        assert view(explained(output())).written_to == ()

    def test_drifts_are_rows_and_what_may_be_secret_has_words_for_values(self) -> None:
        drifts = [
            {"kind": "warehouse", "name": "host", "change": "changed", "before": "old", "after": "new"},
            {"kind": "variable", "name": "TENANT", "change": "changed"},
            {"kind": "rendered", "name": "shop.orders", "change": "removed"},
            {"kind": "package", "name": "faker", "change": "added", "after": "1.0"},
        ]
        found = view(explained(output(), status="approved"), replace(DRIFTED, plan_output={"drifts": drifts})).drifts
        assert [(row.what, row.name, row.before.text, row.after.text) for row in found] == [
            ("warehouse", "host", "old", "new"),
            ("variable", "TENANT", "not shown", "changed"),
            ("SQL", "shop.orders", "not shown", "not there any more"),
            ("package", "faker", "not there", "1.0"),
        ]
        assert [(row.before.is_value, row.after.is_value) for row in found] == [
            (True, True),
            (False, False),
            (False, False),
            (False, True),
        ]
        assert view(explained(output(), status="approved"), EXECUTE).drifts == ()


class TestGraph:
    def test_holds_what_changes_and_what_that_reads(self) -> None:
        found = reading.explained(output())
        graph = graph_of(found, models_of(found, PROJECT.tool))
        marks = dict(zip(graph.names, graph.marks, strict=True))
        assert marks["legacy.codes"] == "removed"
        assert marks["raw.orders"] == "unchanged"
        assert (graph.names.index("raw.orders"), graph.names.index("staging.stg_orders")) in graph.edges
        assert len(graph.compact()["edges"]) == 2 * len(graph.edges)

    def test_a_model_that_reads_itself_makes_no_edge(self) -> None:
        found = graph_of(ExplainOutput(lineage={"a": ("a", "b")}), ())
        assert (found.names, found.edges) == (("a", "b"), ((1, 0),))


class TestTimeline:
    def titles(self, found: PlanView) -> list[str]:
        return [event.title for event in found.events]

    def test_from_the_plan_to_a_retry(self) -> None:
        failed = replace(EXECUTE, status="failed", finished_at=samples.NOW - timedelta(minutes=3))
        again = replace(EXECUTE, id="plan_0003", attempt=2, started_at=samples.NOW, created_at=samples.NOW)
        decisions = [samples.decision("approved", 6), samples.decision("retried", 1, door="rest")]
        found = view(explained(output(), status="approved"), failed, again, decisions=decisions)
        assert self.titles(found) == [
            "Planned, found in git",
            "Explained",
            "Approved",
            "Execution failed",
            "Retry asked for",
            "Executing (attempt 2 of 4)",
        ]
        assert found.events[1].seconds == 35
        assert (found.events[2].who, found.events[2].door) == ("Grace Hopper", "page")
        assert found.events[3].seconds == 117
        assert found.events[5].running

    def test_a_decision_does_not_count_as_the_end_of_the_explain(self) -> None:
        found = view(explained(output(), status="rejected", finished_at=samples.NOW), decisions=[samples.decision("rejected")])
        assert self.titles(found) == ["Planned, found in git", "Explained", "Rejected"]
        assert found.events[1].seconds == 35

    @pytest.mark.parametrize(
        ("started", "title"), [(None, "Waiting for a worker to explain it"), (samples.NOW, "Explain is running")]
    )
    def test_waiting_and_running_differ(self, started: Any, title: str) -> None:
        assert title in self.titles(view(replace(EXPLAIN, status="running", plan_output=None, started_at=started)))


DRIFTED = replace(EXECUTE, status="failed", error_code="plan_drifted")


class TestActions:
    @pytest.mark.parametrize(
        ("steps", "verbs"),
        [
            ((replace(EXPLAIN, status="running"),), ["cancel"]),
            ((explained(output()),), ["approve", "reject", "delete"]),
            ((explained(output(), status="approved"), EXECUTE), ["cancel", "withdraw"]),
            ((explained(output(), status="approved"), replace(EXECUTE, status="failed")), ["retry", "withdraw"]),
            ((explained(output(), status="approved"), DRIFTED), ["plan", "withdraw", "retry"]),
            ((explained(output(), status="approved"), replace(EXECUTE, status="cancelled")), ["retry", "withdraw"]),
            ((explained(output(), status="approved"), replace(EXECUTE, status="completed")), []),
            ((explained(output(), status="cancelled"), replace(EXECUTE, status="cancelled")), ["plan"]),
            ((explained(output(), status="rejected"),), ["plan"]),
            ((replace(EXPLAIN, status="failed"),), ["plan"]),
        ],
    )
    def test_the_state_decides_what_there_is(self, steps: tuple[PlanStep, ...], verbs: list[str]) -> None:
        assert [action.verb for action in view(*steps).actions] == verbs

    def test_without_retries_left_the_commit_is_planned_again(self) -> None:
        attempts = [replace(EXECUTE, id=f"plan_{n}", attempt=n, status="failed") for n in (1, 2, 3, 4)]
        assert [action.verb for action in view(explained(output(), status="approved"), *attempts).actions] == ["plan"]

    def test_what_is_said_of_an_approval_follows_from_what_runs(self) -> None:
        approved = explained(output(), status="approved")
        said = {step.status: view(approved, step).actions[-1] for step in (EXECUTE, replace(EXECUTE, status="failed"))}
        assert said["running"].consequence[0].startswith("The running execution is stopped")
        assert said["failed"].consequence[0].startswith("Nothing runs")
        assert "withdrawn" in view(approved, DRIFTED).actions[0].consequence[0]

    def test_readers_see_what_they_may_not_do(self) -> None:
        found = view(explained(output()), actor=READER).actions
        assert [action.allowed for action in found] == [False, False, False]

    def test_the_consequence_is_said_in_numbers(self) -> None:
        approve = view(explained(output())).actions[0]
        assert "f6e5d4c is executed in prod now: 2 models change" in approve.consequence[0]
        assert view(explained(output())).actions[1].comment == "required"


class TestCommitPages:
    @pytest.mark.parametrize(
        ("repository", "page"),
        [
            ("https://github.com/acme/shop", "https://github.com/acme/shop/commit/abc"),
            ("https://github.com/acme/shop.git", "https://github.com/acme/shop/commit/abc"),
            ("git@github.com:acme/shop.git", "https://github.com/acme/shop/commit/abc"),
            ("ssh://git@gitlab.example.org:2222/group/sub/shop.git", "https://gitlab.example.org/group/sub/shop/-/commit/abc"),
            ("https://gitlab.com/group/shop", "https://gitlab.com/group/shop/-/commit/abc"),
            ("https://bitbucket.org/acme/shop", "https://bitbucket.org/acme/shop/commits/abc"),
            ("https://git.example.org/acme/shop", None),
            ("file:///srv/shop", None),
            ("javascript:alert(1)", None),
            ("", None),
        ],
    )
    def test_only_where_the_shape_is_known(self, repository: str, page: str | None) -> None:
        assert commit_pages.commit_page(repository, "abc") == page

    def test_everything_since_the_deployed_commit(self) -> None:
        assert view(explained(output())).commit.compare_url == (
            f"https://github.com/acme/analytics/compare/{samples.DEPLOYED}...{samples.COMMIT}"
        )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(samples.HOSTILE),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "change", "diff", "run", "models"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted({*samples.small_output(), *samples.dbt_output(), "state_migration"})), _JSON),
    st.booleans(),
)
def test_no_output_breaks_the_page(values: dict[str, Any], is_dbt: bool) -> None:
    """Whatever a runner left: the page can be made."""
    found = view(explained({"explain_completed": True, **values}), project_type="dbt" if is_dbt else "sqlmesh")
    assert found.summary
    graph_of(reading.explained(values), found.models)
