"""The state machine of plans as a table of its own, asked exhaustively; and what a group of steps says as a whole."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.plans import (
    MAX_RETRIES,
    PLAN_TYPES,
    STATUSES,
    TRANSITIONS,
    PlanStep,
    allowed_verbs,
    current_status,
    find_transition,
    has_drifted,
    newest,
    require_transition,
    retries_left,
    stands_for_commit,
    verbs_now,
    wrong_state,
)

# The second table: (kind, status) to what may happen and where it leads. Capital letters: somebody may ask for it.
MOVES = {
    ("explain", "running"): {
        "explained": "pending",
        "auto_apply": "approved",
        "approval_kept": "approved",
        "failed": "failed",
        "CANCEL": "cancelled",
        "supersede": "cancelled",
        "discard": "rejected",
    },
    ("explain", "pending"): {"APPROVE": "approved", "REJECT": "rejected", "discard": "rejected", "DELETE": None},
    ("explain", "approved"): {"CANCEL": "cancelled"},
    ("execute", "running"): {"applied": "completed", "failed": "failed", "CANCEL": "cancelled"},
    ("execute", "failed"): {"RETRY": "failed"},
    ("execute", "cancelled"): {"RETRY": "cancelled"},
}
EVENTS = sorted({event.lower() for moves in MOVES.values() for event in moves} | {"explode", "", "Approve"})
ENDS = ("running", "failed", "cancelled", "completed")
PLACES = list(itertools.product(PLAN_TYPES, STATUSES))

EXPLAIN = PlanStep(
    id="plan_explain",
    group_id="plangroup_1",
    plan_type="explain",
    organization_id="org-1",
    project_id="proj_1",
    to_commit_sha="a" * 40,
    status="approved",
    dag_id="dagctl__shop",
    run_id="plangroup_1",
    settings={},
    created_at=datetime(2026, 4, 28, tzinfo=timezone.utc),
    updated_at=datetime(2026, 4, 28, tzinfo=timezone.utc),
)


def executes(*statuses: str) -> list[PlanStep]:
    """The executions of a group in the order in which they were made."""
    return [
        replace(EXPLAIN, id=f"plan_execute_{attempt}", plan_type="execute", status=status, attempt=attempt)
        for attempt, status in enumerate(statuses, start=1)
    ]


def group(explain: str, *executions: str) -> list[PlanStep]:
    return [replace(EXPLAIN, status=explain), *executes(*executions)]


@pytest.mark.parametrize(("plan_type", "status"), PLACES)
def test_every_event_in_every_state(plan_type, status):
    moves = {event.lower(): target for event, target in MOVES.get((plan_type, status), {}).items()}
    step = replace(EXPLAIN, plan_type=plan_type, status=status)

    for event in EVENTS:
        found = find_transition(plan_type, status, event)
        if event in moves:
            assert found is not None
            assert (found.plan_type, found.source, found.event) == (plan_type, status, event)
            assert found.target == moves[event]
            assert require_transition(step, event) is found
        else:
            assert found is None
            with pytest.raises(DagctlError) as refused:
                require_transition(step, event)
            assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(("plan_type", "status"), PLACES)
def test_verbs_are_what_somebody_may_ask_for(plan_type, status):
    moves = MOVES.get((plan_type, status), {})
    assert sorted(allowed_verbs(plan_type, status)) == sorted(event.lower() for event in moves if event.isupper())


def test_no_place_has_two_rows_for_one_event():
    rows = [(row.plan_type, row.source, row.event) for row in TRANSITIONS]
    assert len(set(rows)) == len(rows) == sum(map(len, MOVES.values()))


def test_what_is_over_stays_over():
    ends = set(PLACES) - {(row.plan_type, row.source) for row in TRANSITIONS}
    assert {status for plan_type, status in ends if plan_type == "explain"} == {"completed", "failed", "rejected", "cancelled"}
    assert ("execute", "completed") in ends
    retries = [row for row in TRANSITIONS if row.event == "retry"]
    assert all(row.source == row.target for row in retries)


def test_a_refusal_tells_what_the_step_accepts_instead():
    with pytest.raises(DagctlError) as refused:
        require_transition(replace(EXPLAIN, status="pending"), "cancel")

    assert refused.value.detail == "Cannot cancel an explain step that is pending; allowed now: approve, reject, delete."
    assert refused.value.extra == {
        "plan_id": "plan_explain",
        "plan_type": "explain",
        "current_status": "pending",
        "allowed": ["approve", "reject", "delete"],
    }


def test_a_refusal_says_when_nothing_is_accepted():
    error = wrong_state(replace(EXPLAIN, status="rejected"), "It was rejected")
    assert error.detail == "It was rejected; allowed now: nothing."
    assert error.extra["allowed"] == []


def test_a_refusal_considers_the_group_where_it_is_known():
    steps = group("approved", "completed")
    with pytest.raises(DagctlError, match=r"that is approved; allowed now: nothing\."):
        require_transition(steps[0], "approve", steps)
    with pytest.raises(DagctlError, match=r"that is approved; allowed now: cancel\."):
        require_transition(steps[0], "approve")


@pytest.mark.parametrize(
    ("explain", "executions", "verbs"),
    [
        ("running", (), [("cancel",)]),
        ("pending", (), [("approve", "reject", "delete")]),
        ("approved", ("running",), [("cancel",), ("cancel",)]),
        ("approved", ("completed",), [(), ()]),
        ("approved", ("failed",), [("cancel",), ("retry",)]),
        ("approved", ("cancelled",), [("cancel",), ("retry",)]),
        ("approved", ("failed", "running"), [("cancel",), (), ("cancel",)]),
        ("approved", ("failed", "failed"), [("cancel",), (), ("retry",)]),
        ("approved", ("failed", "completed"), [(), (), ()]),
        ("approved", ("failed",) * 4, [("cancel",), (), (), (), ()]),
        ("cancelled", ("failed",), [(), ()]),
        ("rejected", (), [()]),
        ("failed", (), [()]),
    ],
)
def test_verbs_of_all_steps_of_a_group(explain, executions, verbs):
    steps = group(explain, *executions)
    assert [verbs_now(step, steps) for step in steps] == verbs
    assert [verbs_now(step, iter(reversed(steps))) for step in steps] == verbs


@pytest.mark.parametrize("status", STATUSES)
def test_which_explains_stand_for_their_commit(status):
    assert stands_for_commit(group(status)) == (status in ("running", "pending", "approved"))
    if status != "approved":
        assert stands_for_commit(group(status, "running")) == (status in ("running", "pending"))


@pytest.mark.parametrize(("executions", "last"), list(itertools.product(range(1, 6), ENDS)))
def test_an_approved_group_stands_for_its_commit_while_it_can_still_end_well(executions, last):
    steps = group("approved", *["failed"] * (executions - 1), last)
    left = MAX_RETRIES + 1 - executions
    assert retries_left(steps) == max(0, left)
    assert stands_for_commit(steps) == (last == "running" or (last != "completed" and left > 0))


def test_a_group_that_was_not_executed_has_all_its_retries():
    assert MAX_RETRIES == 3
    assert retries_left(group("pending")) == retries_left(group("approved", "running")) == 3
    assert retries_left(group("approved", "failed")) == 3
    assert retries_left(group("approved", "failed", "failed")) == 2


def test_the_newest_step_is_the_last_execution():
    assert newest(group("pending")).plan_type == "explain"
    for order in itertools.permutations(group("approved", "failed", "running")):
        assert newest(order).id == "plan_execute_2"
    # An explain is never newer than an execution, whatever its attempt.
    assert newest([replace(EXPLAIN, attempt=9), *executes("failed")]).plan_type == "execute"


@pytest.mark.parametrize(
    ("explain", "executions", "status"),
    [
        ("pending", (), "pending"),
        ("approved", ("running",), "running"),
        ("approved", ("failed", "completed"), "completed"),
        ("cancelled", ("failed",), "cancelled"),
        ("rejected", (), "rejected"),
    ],
)
def test_status_of_a_group(explain, executions, status):
    assert current_status(group(explain, *executions)) == status
    assert current_status(reversed(group(explain, *executions))) == status


def test_status_of_a_group_whose_explain_was_removed():
    assert current_status(executes("failed")) == "failed"


def test_drift_is_a_failure_of_the_last_execution():
    first, second = executes("failed", "failed")
    drifted = {"error_code": "plan_drifted"}
    assert not has_drifted([EXPLAIN])
    assert not has_drifted([EXPLAIN, first])
    assert has_drifted([EXPLAIN, replace(first, **drifted)])
    assert not has_drifted([EXPLAIN, replace(first, **drifted), second])
    assert not has_drifted([EXPLAIN, replace(first, status="running", **drifted)])


@pytest.mark.parametrize(
    ("output", "discarded"), [(None, False), ({}, False), ({"auto_discarded": False}, False), ({"auto_discarded": True}, True)]
)
def test_auto_discarded_is_read_from_the_output(output, discarded):
    assert replace(EXPLAIN, plan_output=output).auto_discarded is discarded
