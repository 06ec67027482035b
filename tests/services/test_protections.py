"""Protected environments: who keeps them, what can be protected, and every door that asks them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import update

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import plans, projects, protections, tokens
from dagctl_provider.services.outside import owners, repositories
from dagctl_provider.services.results import PlanApprovalRecorded, PlanApproved
from dagctl_provider.services.turns import answers
from dagctl_provider.store import audit as audit_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import utcnow
from tests.services import staff
from tests.services.world import World, deploy_commit, sha

D = "sha256:1"
EVERYBODY = ["owner", "admin", "developer", "reader"]
CLOSED = {"windows": [{"kind": "deny", "from": "2000-01-01", "time_zone": "UTC"}]}


@pytest.fixture
def project(world: World) -> Project:
    return world.project()


@pytest.fixture
def ada(world: World) -> Actor:
    return staff.member(world.organization_id, "Ada", "owner")


@pytest.fixture
def grace(world: World) -> Actor:
    return staff.member(world.organization_id, "Grace")


def protect(actor: Actor, **values: Any) -> str:
    """Protect production, for everybody unless it is said otherwise."""
    made = protections.create_protection(actor, {"environment_name": "prod", "excepted_roles": EVERYBODY, **values})
    return made.protection.id


def refusal(call: Callable[[], object]) -> DagctlError:
    with pytest.raises(DagctlError) as caught:
        call()
    return caught.value


def approve(actor: Actor, step: PlanStep, **more: Any) -> object:
    return plans.approve(actor, step.id, "rest", **more)


def recorded(actor: Actor, step: PlanStep, **more: Any) -> PlanApprovalRecorded:
    outcome = approve(actor, step, **more)
    assert isinstance(outcome, PlanApprovalRecorded)
    return outcome


def applied(actor: Actor, step: PlanStep, **more: Any) -> PlanApproved:
    outcome = approve(actor, step, **more)
    assert isinstance(outcome, PlanApproved)
    return outcome


def missing(outcome: PlanApprovalRecorded) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(one.rule, one.needed, one.who_can) for one in outcome.evaluation.missing]


# Keeping them


def test_a_protection_is_made_changed_and_removed_on_record(ada: Actor) -> None:
    made = protections.create_protection(ada, {"environment_name": "prod", "excepted_user_ids": ["user_ada"]})
    assert (made.protection.id[:3], made.protection.enabled, made.protection.created_by) == ("ep_", True, "user_ada")
    assert [one.email for one in made.users] == ["ada@example.com"]
    changed = protections.update_protection(ada, made.protection.id, {"enabled": False, "rules": {"quorum": 2}})
    assert not changed.protection.enabled
    assert changed.protection.exceptions.user_ids == ("user_ada",), "what was not sent stays"
    protections.delete_protection(ada, made.protection.id)
    assert protections.list_protections(ada) == ()
    find = partial(audit_rows.all_entries, organization_id=ada.organization_id)
    rows = transactions.run(lambda session: list(find(session)))
    assert [(row.verb, row.object_kind, row.object_name) for row in rows] == [
        (verb, "protection", "prod") for verb in ("created", "changed", "removed")
    ]
    assert (rows[1].before, rows[1].after) == ('{"enabled":true,"rules":{}}', '{"enabled":false,"rules":{"quorum":2}}')


def test_one_protection_for_an_environment_whatever_the_case(world: World, project: Project, ada: Actor) -> None:
    protect(ada)
    error = refusal(lambda: protections.create_protection(ada, {"environment_name": "PROD"}))
    assert error.code == "name_taken"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"environment_name": "nowhere"}, "environment_name"),
        ({"environment_name": "a b"}, "environment_name"),
        ({"excepted_user_ids": ["user_nobody"]}, "excepted_user_ids"),
        ({"excepted_token_ids": ["tok_nobody"]}, "excepted_token_ids"),
        ({"rules": {"approver_user_ids": ["user_nobody"]}}, "rules"),
        ({"rules": {"quorum": 0}}, "rules.quorum"),
        ({"rules": {"qorum": 1}}, "rules.qorum"),
    ],
)
def test_what_cannot_be_is_refused_by_name(ada: Actor, values: dict[str, Any], field: str) -> None:
    error = refusal(lambda: protections.create_protection(ada, {"environment_name": "prod", **values}))
    assert error.code == "invalid_request"
    listed: Any = error.extra["errors"]
    assert [one["field"] for one in listed] == [field]


def test_environments_of_projects_and_plans_can_be_protected(world: World, ada: Actor) -> None:
    world.project("other", sqlmesh_environment="staging")
    dbt = world.project("built", project_type="dbt")
    world.explained(dbt, environment="warehouse")
    for name in ("staging", "warehouse", "prod"):
        protections.create_protection(ada, {"environment_name": name})


def test_another_organization_sees_none(world: World, ada: Actor) -> None:
    from dagctl_provider.services import organizations

    identifier = protect(ada)
    stranger = staff.member(organizations.ensure_organization("other"), "Eve", "owner")
    assert protections.list_protections(stranger) == ()
    for call in (protections.get_protection, protections.delete_protection):
        assert refusal(partial(call, stranger, identifier)).code == "not_found"
    assert refusal(lambda: protections.update_protection(stranger, identifier, {})).code == "not_found"


def test_developers_and_limited_tokens_keep_none(ada: Actor, grace: Actor) -> None:
    from dataclasses import replace

    assert refusal(lambda: protections.list_protections(grace)).code == "forbidden"
    assert refusal(lambda: protections.list_protections(replace(ada, project_ids=frozenset({"proj_1"})))).code == "forbidden"


# The allowlist at every door


def test_absent_or_switched_off_the_role_decides(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    identifier = protect(ada, excepted_roles=[], rules={"quorum": 3})
    step = world.explained(project)
    assert refusal(lambda: approve(grace, step)).code == "environment_protected"
    protections.update_protection(ada, identifier, {"enabled": False})
    applied(grace, step)


def test_the_allowlist_takes_users_roles_and_tokens(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    robot = staff.token(world.organization_id, "robot")
    identifier = protect(ada, excepted_roles=[])
    step = world.explained(project)
    for somebody, values in (
        (grace, {"excepted_user_ids": ["user_grace"]}),
        (robot, {"excepted_user_ids": [], "excepted_token_ids": [robot.identifier]}),
        (grace, {"excepted_token_ids": [], "excepted_roles": ["developer"]}),
    ):
        assert refusal(lambda: approve(somebody, step)).code == "environment_protected"  # noqa: B023
        protections.update_protection(ada, identifier, {**values, "rules": {"quorum": 9}})
        recorded(somebody, step)


def test_being_excepted_gives_no_right_that_the_role_lacks(world: World, project: Project, ada: Actor) -> None:
    reader = staff.member(world.organization_id, "Rita", "reader")
    protect(ada)
    assert refusal(lambda: approve(reader, world.explained(project))).code == "forbidden"


def test_auto_apply_stops_there(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada)
    projects.update_project(world.actor(), project.id, {"auto_apply": True})
    step = world.explained(project)
    assert step.status == "pending"
    applied(grace, step)


def test_other_environments_are_as_they_were(world: World, ada: Actor) -> None:
    protect(ada, excepted_roles=[])
    staging = world.project("other", sqlmesh_environment="staging", auto_apply=True)
    assert world.explained(staging).status == "approved"


def test_runs_ask_the_allowlist(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    deploy_commit(project, sha("first"))
    protect(ada, excepted_user_ids=["user_ada"], excepted_roles=[])
    assert refusal(lambda: projects.run_project(grace, project.id)).code == "environment_protected"
    assert projects.run_project(ada, project.id).status == "pending"


def test_retries_ask_the_allowlist(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    failed = world.finish_execute(applied(grace, world.explained(project)).execute, "failed", error={"code": "x"})
    protect(ada, excepted_user_ids=["user_ada"], excepted_roles=[])
    assert refusal(lambda: plans.retry(grace, failed.id, "page")).code == "environment_protected"
    assert plans.retry(ada, failed.id, "page").status == "running"


def test_an_environment_without_a_name_may_be_a_protected_one(world: World, ada: Actor, grace: Actor) -> None:
    protect(ada)
    built = world.project("built", project_type="dbt", auto_apply=True)
    step = world.explained(built)
    assert step.status == "pending"
    assert refusal(lambda: approve(grace, step)).code == "environment_protected"


def test_the_name_that_the_explain_found_counts(world: World, ada: Actor, grace: Actor) -> None:
    built = world.project("built", project_type="dbt", auto_apply=True)
    protect(ada, excepted_roles=["owner"])
    step = world.explained(built, environment="PROD")
    assert refusal(lambda: approve(grace, step)).code == "environment_protected"
    applied(ada, step)


# Rules


def test_below_the_quorum_it_is_recorded_and_the_plan_waits(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    outcome = recorded(grace, step)
    assert missing(outcome) == [("approvals", 1, ("Ada",))]
    assert plans.get_plan(ada, step.id).updated_at > step.updated_at, "open pages hear of it"
    recorded(grace, step)
    shown = plans.get_plan(ada, step.id)
    assert (shown.status, shown.approval and shown.approval.required) == ("pending", 2)
    assert shown.approval is not None
    assert [row["name"] for row in shown.approval.approvals] == ["Grace"]
    done = applied(ada, step)
    rows = plans.decisions(ada, step.group_id)
    assert [row.decision for row in rows] == ["approval_given", "approved"], "twice counts once"
    judged: Any = rows[-1].evaluation
    assert (judged["rules"], judged["missing"]) == ({"quorum": 2}, [])
    assert [row["name"] for row in judged["approvals"]] == ["Grace", "Ada"]
    assert done.execute.status == "running"


def test_two_who_approve_at_once_are_two(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    from concurrent.futures import ThreadPoolExecutor

    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(lambda actor: _tried(actor, step), (ada, grace, ada, grace)))
    assert sum(isinstance(outcome, PlanApproved) for outcome in tried) == 1
    assert sum(row.decision == "approval_given" for row in plans.decisions(ada, step.group_id)) == 1


def _tried(actor: Actor, step: PlanStep) -> object:
    try:
        return approve(actor, step)
    except DagctlError as error:
        return error


def test_a_token_counts_as_the_person_who_made_it(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    robot = staff.token(world.organization_id, "robot", created_by="grace")
    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    recorded(grace, step)
    recorded(robot, step)
    applied(ada, step)


@pytest.mark.parametrize("how", ["leaves", "reader", "unlisted"])
def test_who_is_not_what_they_were_does_not_count_any_more(
    world: World, project: Project, ada: Actor, grace: Actor, how: str
) -> None:
    third = staff.member(world.organization_id, "Tim")
    identifier = protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    recorded(grace, step)
    if how == "leaves":
        staff.leaves(grace)
    elif how == "reader":
        staff.becomes(grace, "reader")
    else:
        protections.update_protection(ada, identifier, {"excepted_roles": [], "excepted_user_ids": ["user_ada", "user_tim"]})
    assert missing(recorded(ada, step)) == [("approvals", 1, ("Tim",))]
    applied(third, step)


def test_an_identical_digest_keeps_and_another_loses(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"quorum": 2})
    recorded(grace, world.explained(project, D))
    world.head = "second"
    other = world.explained(project, "sha256:2")
    assert missing(recorded(ada, other)) == [("approvals", 1, ("Grace",))]
    world.head = "third"
    applied(ada, world.explained(project, D))


@pytest.mark.parametrize("verb", [plans.reject, plans.delete])
def test_a_rejection_of_the_plan_ends_them(world: World, project: Project, ada: Actor, grace: Actor, verb: Any) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project, D)
    recorded(grace, step)
    verb(ada, step.id, "rest")
    world.head = "second"
    recorded(ada, world.explained(project, D))


def test_what_was_applied_is_used_up(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project, D)
    recorded(grace, step)
    world.finish_execute(applied(ada, step).execute)
    world.head = "second"
    recorded(ada, world.explained(project, D))


def test_approvals_expire(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"quorum": 2, "expires_after_hours": 24})
    step = world.explained(project)
    recorded(grace, step)
    c = tables.decision.c
    old = update(tables.decision).where(c.group_id == step.group_id).values(created_at=utcnow() - timedelta(hours=25))
    transactions.run(lambda session: session.execute(old))
    recorded(ada, step)
    recorded(ada, step)
    applied(grace, step)


def test_the_author_and_the_creator_do_not_count(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    identifier = protect(ada, rules={"forbid_author": True})
    step = world.explained(project)
    error = refusal(lambda: approve(ada, step))
    assert (error.code, "author" in error.detail) == ("approval_refused", True), "the commit's author is called Ada"
    protections.update_protection(ada, identifier, {"rules": {"forbid_creator": True}})
    world.head = "second"
    created = plans.create_plan(grace, project.id).step
    assert created is not None
    step = world.finish_explain(created)
    assert "asked for this plan" in refusal(lambda: approve(grace, step)).detail
    applied(ada, step)


def test_groups_are_asked_when_their_models_change(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    group = {"name": "finance", "user_ids": ["user_grace"], "paths": ["models/finance/"], "tags": ["money"]}
    protect(ada, rules={"groups": [group]})
    elsewhere = {"name": "a", "change": "directly_modified", "path": "models/core/a.sql", "tags": ["x"]}
    applied_step = world.explained(project, models=[elsewhere])
    world.finish_execute(applied(ada, applied_step).execute)
    for number, model in enumerate(
        (
            {**elsewhere, "path": "models/finance/deep/a.sql"},
            {**elsewhere, "tags": ["money"]},
            {"name": "a", "change": "added"},
        )
    ):
        world.head = f"commit {number}"
        step = world.explained(project, f"sha256:{number}x", models=[model])
        assert missing(recorded(ada, step)) == [("group finance", 1, ("Grace",))]
        world.finish_execute(applied(grace, step).execute)


def test_breaking_and_removing_asks_for_more(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"extra_when_breaking": 1, "extra_when_removed": 2})
    calm = {"name": "a", "change": "directly_modified", "category": "non_breaking"}
    world.finish_execute(applied(ada, world.explained(project, models=[calm])).execute)
    world.head = "second"
    step = world.explained(project, "sha256:2", models=[{**calm, "category": "breaking"}])
    assert recorded(ada, step).evaluation.required == 2
    world.head = "third"
    step = world.explained(project, "sha256:3", models=[{**calm, "columns_removed": ["b"]}])
    assert recorded(ada, step).evaluation.required == 4
    world.head = "fourth"
    step = world.explained(project, "sha256:4", explain_completed=False)
    assert recorded(ada, step).evaluation.required == 4, "what is not known asks for more"


def test_a_closed_window_says_when_it_opens(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"windows": [{"kind": "deny", "from": "2000-01-01", "until": "2099-12-31", "time_zone": "UTC"}]})
    step = world.explained(project)
    error = refusal(lambda: approve(grace, step))
    assert error.code == "outside_window"
    shown = plans.get_plan(grace, step.id)
    assert "approve" not in (shown.verbs or ())
    deploy_commit(project, sha("zero"))
    assert refusal(lambda: projects.run_project(grace, project.id)).code == "outside_window"


def test_tokens_count_as_the_person_who_made_them_however_many_tokens_lie_between(
    world: World, project: Project, ada: Actor, grace: Actor
) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    recorded(ada, step)
    # Named like another member, and used to make one more.
    first = tokens.authenticate(tokens.create(ada, grace.name, "owner").secret, world.organization_id)
    second = tokens.authenticate(tokens.create(first, "more", "owner").secret, world.organization_id)
    third = tokens.authenticate(tokens.rotate(first, second.identifier).secret, world.organization_id)
    transactions.run(lambda session: session.execute(update(tables.user).values(name="Somebody else")))
    for token in (first, second, third):
        recorded(token, step)
    applied(grace, step)


def test_tokens_of_one_unknown_maker_count_once(world: World, project: Project, ada: Actor) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    recorded(staff.token(world.organization_id, "one", "owner", "cli:root"), step)
    recorded(staff.token(world.organization_id, "two", "owner", "cli:root"), step)


def test_an_owner_overrides_with_a_reason(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    identifier = protect(ada, rules={**CLOSED, "quorum": 5, "override": True})
    step = world.explained(project)
    assert refusal(lambda: approve(grace, step, override_reason="I want to.")).code == "override_refused"
    assert refusal(lambda: approve(ada, step)).code == "outside_window"
    done = applied(ada, step, override_reason="The month has to be closed.")
    (row,) = plans.decisions(ada, step.group_id)
    assert row.evaluation is not None
    assert row.evaluation["override_reason"] == "The month has to be closed."
    entries = transactions.run(lambda session: list(audit_rows.all_entries(session, ada.organization_id)))
    assert [entry.reason for entry in entries if entry.verb == "approved"] == ["The month has to be closed."]
    failed = world.finish_execute(done.execute, "failed", error={"code": "x"})
    assert refusal(lambda: plans.retry(ada, failed.id, "rest")).code == "outside_window"
    plans.retry(ada, failed.id, "rest", "Once more.")
    protections.update_protection(ada, identifier, {"rules": CLOSED})
    deploy_commit(project, sha("zero"))
    assert refusal(lambda: projects.run_project(grace, project.id, "Please.")).code == "override_refused"
    projects.run_project(ada, project.id, "Please.")


def test_a_reason_opens_the_window_and_stands_for_no_approval(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={**CLOSED, "quorum": 2})
    step = world.explained(project)
    assert "approve" in (plans.get_plan(ada, step.id).verbs or ())
    recorded(ada, step, override_reason="Now.")
    (row,) = plans.decisions(ada, step.group_id)
    assert (row.decision, (row.evaluation or {})["override_reason"]) == ("approval_given", "Now.")
    assert refusal(lambda: approve(grace, step)).code == "outside_window"
    assert plans.get_plan(ada, step.id).status == "pending"


def test_without_a_window_a_reason_is_refused_where_approvals_cannot_be_done_without(
    world: World, project: Project, ada: Actor
) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    assert refusal(lambda: approve(ada, step, override_reason="Now.")).code == "override_refused"


def test_an_override_leaves_the_allowlist(world: World, project: Project, ada: Actor) -> None:
    protect(ada, excepted_roles=["developer"], rules={"override": True})
    step = world.explained(project)
    assert refusal(lambda: approve(ada, step, override_reason="I own it.")).code == "environment_protected"


def test_consent_to_what_destroys_is_given_by_who_completes(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    protect(ada, rules={"quorum": 2})
    step = world.explained(project, destructive=[{"name": "a", "policy": "error", "kind": "destructive"}])
    assert refusal(lambda: approve(grace, step, allow_destructive=["b"])).code == "invalid_request"
    recorded(grace, step)
    assert refusal(lambda: approve(ada, step)).code == "destructive_not_allowed"
    applied(ada, step, allow_destructive=["a"])


def test_code_owners_have_to_agree(
    world: World, project: Project, ada: Actor, grace: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "* @ada\n/models/finance/ grace@example.com nobody@example.com  # money\n/models/lost/ @ghost\n"
    monkeypatch.setattr(owners, "_kept", {})
    monkeypatch.setattr(repositories, "files_at", lambda *_: {"CODEOWNERS": text})
    protect(ada, rules={"codeowners": True})
    model = {"name": "a", "change": "directly_modified", "path": "models/finance/a.sql"}
    step = world.explained(project, models=[model])
    (one,) = recorded(ada, step).evaluation.missing
    assert (one.rule, one.who_can) == ("codeowners /models/finance/", ("Grace",))
    assert one.note == "Nobody here is nobody@example.com."
    (shown,) = (plans.get_plan(ada, step.id).approval or pytest.fail("none")).missing
    assert shown == one
    world.finish_execute(applied(grace, step).execute)
    world.head = "second"
    step = world.explained(project, "sha256:2", models=[{**model, "path": "models/lost/a.sql"}])
    (one,) = recorded(ada, step).evaluation.missing
    assert one.note == "Nobody here is @ghost. Nobody here can give it."
    monkeypatch.setattr(repositories, "files_at", lambda *_: {})
    world.head = "third"
    (one,) = recorded(ada, world.explained(project, "sha256:3", models=[model])).evaluation.missing
    assert one.note == "The CODEOWNERS file is not there. Nobody here can give it."


def test_a_kept_approval_asks_the_rules_of_now(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    def drifts(execute: PlanStep) -> None:
        world.finish_execute(execute, "failed", error={"code": "plan_drifted", "message": "x"}, digest="sha256:9")

    identifier = protect(ada, rules={"quorum": 2})
    step = world.explained(project, D)
    recorded(grace, step)
    drifts(applied(ada, step).execute)
    again = world.explained(project, D)
    assert again.status == "approved"
    drifts(transactions.run(partial(plan_rows.group_steps, group_id=again.group_id))[-1])
    protections.update_protection(ada, identifier, {"rules": {"quorum": 3}})
    waiting = world.explained(project, D)
    assert waiting.status == "pending"
    third = staff.member(world.organization_id, "Tim")
    applied(third, waiting)


def test_an_answer_in_airflow_that_is_not_enough_makes_the_task_wait(
    world: World, project: Project, ada: Actor, grace: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy import insert

    protect(ada, rules={"quorum": 2})
    step = world.explained(project)
    monkeypatch.setattr(answers.members, "actor_by_airflow_id", lambda user_id, _: {"grace": grace, "ada": ada}[user_id])

    def answered(user: str) -> None:
        values = {"dag_id": step.dag_id, "run_id": step.run_id, "user_id": user, "user_name": user}
        row = insert(tables.answer).values(**values, chosen_options=["Approve"], responded_at=utcnow())
        transactions.run(lambda session: session.execute(row))
        assert answers.handle_answers() == 1

    answered("grace")
    told = world.decision(step, "answer") or {}
    assert told["code"] == "approval_recorded"
    assert told["detail"] == "Still missing: 1 approval: Ada can give it."
    assert plans.get_plan(ada, step.id).status == "pending"
    answered("ada")
    assert plans.get_plan(ada, step.id).status == "approved"


# Asking before


def test_check(world: World, project: Project, ada: Actor, grace: Actor) -> None:
    assert refusal(lambda: protections.check(grace, project.id, None)).code == "not_found"
    identifier = protect(ada, excepted_roles=["owner"])
    assert protections.check(ada, project.id, None) == "prod"
    assert refusal(lambda: protections.check(grace, project.id, "Prod")).code == "environment_protected"
    assert refusal(lambda: protections.check(grace, project.id, "dev")).code == "not_found"
    assert refusal(lambda: protections.check(grace, "proj_unknown", "prod")).code == "invalid_request"
    protections.update_protection(ada, identifier, {"enabled": False})
    assert protections.check(grace, project.id, None) == "prod"


def test_lists_cost_no_more_statements_for_more_plans(world: World, project: Project, ada: Actor) -> None:
    from sqlalchemy import event

    from dagctl_provider.store.session import transaction

    def counted() -> int:
        seen: list[str] = []
        with transaction() as session:
            engine = session.get_bind()

        def note(*args: Any) -> None:
            seen.append(args[2])

        event.listen(engine, "before_cursor_execute", note)
        plans.list_plans(ada, project.id)
        event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    world.explained(project)
    before = counted()
    protect(ada)
    after = counted()
    assert after - before <= 3
