"""Environment variables: who may, what is stored and told, which steps get them, and that no plan is executed with others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from dagctl_provider.domain import proofs
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import GRANT_TASK, RUN, VARIABLES_KEY, run_dag_id
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.variables import HIDDEN, VALUE_BYTES
from dagctl_provider.domain.wire.variables import GivenVariable, SealedVariables, digest_of_variables, unpacked
from dagctl_provider.orchestration import encryption, runs
from dagctl_provider.services import organizations, plans, projects, variables
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import granting
from dagctl_provider.services.turns.detection import _is_new
from dagctl_provider.store import audit as audit_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store import variables as variable_rows
from tests.services.test_granting import clear, grant_of
from tests.services.test_plans import refused
from tests.services.world import World, sha

PLANTED = "planted-s3cret-value"


def errors_of(world: World, **sent: Any) -> dict[str, str]:
    """What is wrong with each field of a new variable."""
    with pytest.raises(DagctlError) as caught:
        variables.create_variable(world.actor(), {"name": "TOKEN", "value": PLANTED, **sent})
    assert caught.value.code == "invalid_request"
    listed: Any = caught.value.extra["errors"]
    return {row["field"]: row["message"] for row in listed}


def make(world: World, name: str = "TOKEN", value: str = PLANTED, **more: Any) -> None:
    variables.create_variable(world.actor(), {"name": name, "value": value, **more})


def rows_of(table: Any) -> str:
    return transactions.run(lambda session: str([dict(row._mapping) for row in session.execute(select(table))]))


def letter_of(dag_id: str, run_id: str, kind: str) -> dict[str, Any] | None:
    return transactions.run(lambda session: runs.read_xcom(session, dag_id, run_id, GRANT_TASK[kind], VARIABLES_KEY))


def given_to(dag_id: str, run_id: str, kind: str) -> dict[str, GivenVariable]:
    """What a worker of the granted try gets."""
    grant, letter = grant_of(dag_id, run_id, kind), letter_of(dag_id, run_id, kind)
    assert grant is not None
    if letter is None:
        assert grant.variables is None
        return {}
    assert PLANTED not in json.dumps(letter)
    sealed = SealedVariables.from_json(letter)
    assert grant.variables == digest_of_variables(sealed)
    return unpacked(proofs.opened(transactions.run(keys.seal_key), grant.try_id, sealed.sealed).decode())


def step_gets(step: PlanStep) -> dict[str, str]:
    return {name: one.value for name, one in given_to(step.dag_id, step.run_id, step.plan_type).items()}


def planned(world: World, **values: Any) -> PlanStep:
    created = plans.create_plan(world.actor(), world.project(**values).id).step
    assert created is not None
    return plans.get_plan(world.actor(), created.id)


def test_a_variable_is_told_without_its_value_and_stored_encrypted(world: World) -> None:
    made = variables.create_variable(world.actor(), {"name": "token", "value": PLANTED})
    assert (made.variable.name, made.value, made.readable) == ("TOKEN", HIDDEN, True)
    assert variables.get_variable(world.actor(), "Token") == variables.list_variables(world.actor())[0]
    assert PLANTED not in rows_of(tables.variable) + rows_of(tables.audit_entry) + repr(made)


def test_only_what_is_sent_changes(world: World) -> None:
    make(world, "KEY_FILE", mount_as_file=True, file_mount_path="/secrets/k", is_sensitive=False, environments=["prod"])
    changed = variables.update_variable(world.actor(), "key_file", {"file_permissions": 256}).variable
    assert (changed.file_mount_path, changed.file_permissions, changed.environments) == ("/secrets/k", 256, ("prod",))
    changed = variables.update_variable(world.actor(), "KEY_FILE", {"mount_as_file": False, "environments": None}).variable
    assert (changed.mount_as_file, changed.file_mount_path, changed.file_permissions, changed.environments) == (
        False,
        None,
        None,
        None,
    )
    assert variables.get_variable(world.actor(), "KEY_FILE").value == PLANTED
    variables.delete_variable(world.actor(), "key_FILE")
    with refused("not_found"):
        variables.get_variable(world.actor(), "KEY_FILE")
    with refused("not_found"):
        variables.delete_variable(world.actor(), "KEY_FILE")


def test_a_value_that_was_sensitive_is_never_shown(world: World) -> None:
    make(world)
    with refused("invalid_request"):
        variables.update_variable(world.actor(), "TOKEN", {"is_sensitive": False})
    shown = variables.update_variable(world.actor(), "TOKEN", {"is_sensitive": False, "value": "plain"})
    assert shown.value == "plain"
    assert variables.update_variable(world.actor(), "TOKEN", {"is_sensitive": True}).value == HIDDEN


@pytest.mark.parametrize(
    ("role", "reads", "changes"),
    [("owner", True, True), ("admin", True, True), ("developer", True, False), ("reader", False, False)],
)
def test_who_may(world: World, role: str, reads: bool, changes: bool) -> None:
    make(world)
    actor = world.actor(role)
    asked = [
        (reads, lambda: variables.list_variables(actor)),
        (reads, lambda: variables.get_variable(actor, "TOKEN")),
        (changes, lambda: variables.update_variable(actor, "TOKEN", {"value": "x"})),
        (changes, lambda: variables.create_variable(actor, {"name": "OTHER", "value": "x"})),
        (changes, lambda: variables.delete_variable(actor, "TOKEN")),
    ]
    for allowed, ask in asked:
        if allowed:
            ask()
        else:
            with refused("forbidden"):
                ask()


def test_a_limited_token_and_another_organization_see_nothing(world: World) -> None:
    make(world)
    limited = replace(world.actor(), project_ids=frozenset({"proj_1"}))
    with refused("forbidden"):
        variables.list_variables(limited)
    with refused("forbidden"):
        variables.create_variable(limited, {"name": "A", "value": "x"})
    stranger = replace(world.actor(), organization_id=organizations.ensure_organization("other"))
    assert variables.list_variables(stranger) == []
    for ask in (variables.get_variable, variables.delete_variable):
        with refused("not_found"):
            ask(stranger, "TOKEN")
    variables.create_variable(stranger, {"name": "TOKEN", "value": "theirs"})


def test_bad_input_names_the_field_and_leaves_nothing(world: World) -> None:
    make(world, "OTHER", mount_as_file=True, file_mount_path="/secrets/a")
    assert list(errors_of(world, name="PATH")) == ["name"]
    assert "64 KiB" in errors_of(world, value="x" * (VALUE_BYTES + 1))["value"]
    assert list(errors_of(world, file_mount_path="/secrets/b")) == ["file_mount_path"]
    assert list(errors_of(world, mount_as_file=True, file_mount_path="/etc/passwd", file_permissions=0o777)) == [
        "file_mount_path",
        "file_permissions",
    ]
    assert list(errors_of(world, mount_as_file=True, file_mount_path="/secrets/a/b")) == ["file_mount_path"]
    assert list(errors_of(world, project_ids=["proj_nobody"])) == ["project_ids"]
    assert [one.variable.name for one in variables.list_variables(world.actor())] == ["OTHER"]


def test_all_of_an_organization_together_are_limited(world: World) -> None:
    for number in range(7):
        make(world, f"V{number}", "x" * VALUE_BYTES)
    assert "512 KiB" in errors_of(world, value="x" * VALUE_BYTES)["value"]
    make(world, "SMALL")
    with refused("invalid_request"):
        variables.update_variable(world.actor(), "SMALL", {"value": "x" * VALUE_BYTES})


def test_of_two_at_once_one_is_made(world: World) -> None:
    def attempt(_: int) -> str:
        try:
            make(world)
        except DagctlError as error:
            return error.code
        return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == ["made", *["name_taken"] * 3]


def test_nothing_is_stored_where_nothing_is_encrypted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "is_encrypting", lambda: False)
    with refused("encryption_missing"):
        make(world)
    assert encryption.is_encrypting()


def test_the_record_says_what_changed_and_no_value(world: World) -> None:
    make(world, environments=["prod"])
    variables.update_variable(world.actor(), "TOKEN", {"value": f"{PLANTED}-2", "is_sensitive": True, "environments": ["dev"]})
    variables.delete_variable(world.actor(), "TOKEN")
    entries = [
        entry
        for entry in transactions.run(lambda session: list(audit_rows.all_entries(session, world.organization_id)))
        if entry.object_kind == "variable"
    ]
    assert [(entry.verb, entry.object_name) for entry in entries] == [
        (verb, "TOKEN") for verb in ("created", "changed", "removed")
    ]
    assert json.loads(entries[1].after or "") == {"environments": ["dev"], "value": "changed"}
    assert json.loads(entries[0].after or "")["is_sensitive"] is True
    assert PLANTED not in str(entries)


def test_an_explain_gets_them_encrypted_for_its_try_and_its_plan_names_them(world: World) -> None:
    make(world)
    make(world, "KEY_FILE", "pem", mount_as_file=True, file_mount_path="/secrets/k")
    step = planned(world)
    found = given_to(step.dag_id, step.run_id, "explain")
    assert found["TOKEN"] == GivenVariable(value=PLANTED)
    assert found["KEY_FILE"] == GivenVariable(value="pem", file_mount_path="/secrets/k", file_permissions=0o600)
    assert step.variables is not None
    assert list(step.variables) == ["KEY_FILE", "TOKEN"]
    assert PLANTED not in str(step)
    explained = world.finish_explain(step)
    assert letter_of(step.dag_id, step.run_id, "explain") is None, "taken back"
    done = plans.approve(world.actor(), explained.id, door="rest")
    assert isinstance(done, PlanApproved)
    assert step_gets(done.execute) == {"TOKEN": PLANTED, "KEY_FILE": "pem"}
    world.finish_execute(done.execute)
    assert letter_of(step.dag_id, step.run_id, "execute") is None


def test_limits_to_projects_and_environments_hold(world: World) -> None:
    mine, other = world.project(), world.project("other")
    make(world, "MINE", "1", project_ids=[mine.id])
    make(world, "THEIRS", "2", project_ids=[other.id])
    make(world, "PROD", "3", environments=["Prod"])
    make(world, "DEV", "4", environments=["dev"])
    created = plans.create_plan(world.actor(), mine.id).step
    assert created is not None
    assert step_gets(created) == {"MINE": "1", "PROD": "3"}


def test_variables_of_another_organization_reach_nothing(world: World) -> None:
    stranger = replace(world.actor(), organization_id=organizations.ensure_organization("other"))
    variables.create_variable(stranger, {"name": "TOKEN", "value": "theirs"})
    step = planned(world)
    assert step_gets(step) == {}
    assert step.variables == {}


@pytest.mark.parametrize("change", ["value", "removed", "added", "mode"])
def test_no_plan_is_approved_whose_variables_have_changed(world: World, change: str) -> None:
    make(world, "KEY_FILE", "pem", mount_as_file=True)
    explained = world.finish_explain(planned(world))
    actor = world.actor()
    changes: dict[str, Any] = {
        "value": lambda: variables.update_variable(actor, "KEY_FILE", {"value": "other"}),
        "mode": lambda: variables.update_variable(actor, "KEY_FILE", {"file_permissions": 256}),
        "removed": lambda: variables.delete_variable(actor, "KEY_FILE"),
        "added": lambda: make(world, "NEW"),
    }
    changes[change]()
    with pytest.raises(DagctlError) as caught:
        plans.approve(actor, explained.id, door="rest")
    assert (caught.value.code, caught.value.kind.status) == ("variables_changed", 409)
    assert caught.value.extra["variables"] == (["NEW"] if change == "added" else ["KEY_FILE"])
    assert plans.get_plan(actor, explained.id).status == "pending", "it does not drift by itself"


def test_what_changes_nothing_for_a_plan_leaves_it_approvable(world: World) -> None:
    make(world)
    explained = world.finish_explain(planned(world))
    variables.update_variable(world.actor(), "TOKEN", {"value": PLANTED, "is_sensitive": True, "environments": ["prod"]})
    make(world, "ELSEWHERE", environments=["dev"])
    assert isinstance(plans.approve(world.actor(), explained.id, door="rest"), PlanApproved)


def test_a_further_try_and_a_retry_begin_with_nothing_else(world: World) -> None:
    make(world)
    done = plans.approve(world.actor(), world.finish_explain(planned(world)).id, door="rest")
    assert isinstance(done, PlanApproved)
    variables.update_variable(world.actor(), "TOKEN", {"value": "other"})
    clear(done.execute)
    assert granting.grant_all() == 1
    grant = grant_of(done.execute.dag_id, done.execute.run_id, "execute")
    assert grant is not None
    assert grant.refusal is not None
    assert (grant.refusal["code"], grant.request, grant.variables) == ("variables_changed", {}, None)
    assert "TOKEN" in grant.refusal["message"]
    assert letter_of(done.execute.dag_id, done.execute.run_id, "execute") is None
    failed = world.finish_execute(done.execute, "failed", error={"code": "variables_changed", "message": "changed"})
    with refused("variables_changed"):
        plans.retry(world.actor(), failed.id, door="rest")
    variables.update_variable(world.actor(), "TOKEN", {"value": PLANTED})
    assert step_gets(plans.retry(world.actor(), failed.id, door="rest")) == {"TOKEN": PLANTED}


def test_a_run_gets_what_is_there_now(world: World) -> None:
    make(world)
    project = world.project()
    execute = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(execute, PlanApproved)
    world.finish_execute(execute.execute)
    variables.update_variable(world.actor(), "TOKEN", {"value": "newer"})
    run = projects.run_project(world.actor(), project.id)
    dag_id = run_dag_id(str(project.dag_id))
    world.begin_task(dag_id, run.run_id, RUN)
    assert granting.grant_all() == 1
    assert {name: one.value for name, one in given_to(dag_id, run.run_id, RUN).items()} == {"TOKEN": "newer"}


def test_what_cannot_be_decrypted_is_told_and_stops_the_step(world: World) -> None:
    make(world)
    explained = world.finish_explain(planned(world))

    def spoil(session: Any) -> None:
        found = variable_rows.get_variable(session, world.organization_id, "TOKEN")
        assert found is not None
        variable_rows.update_variable(session, found.id, {"content": b"gAAAAnothing"})

    transactions.run(spoil)
    shown = variables.get_variable(world.actor(), "TOKEN")
    assert (shown.value, shown.readable) == (HIDDEN, False)
    with refused("variable_undecryptable"):
        plans.approve(world.actor(), explained.id, door="rest")
    step = planned(world, name="second")
    grant = grant_of(step.dag_id, step.run_id, "explain")
    assert grant is not None
    assert grant.refusal is not None
    assert grant.refusal["code"] == "variable_undecryptable"
    variables.update_variable(world.actor(), "TOKEN", {"value": PLANTED})
    assert isinstance(plans.approve(world.actor(), explained.id, door="rest"), PlanApproved)


def test_a_plan_with_other_variables_gives_way_to_a_new_one_and_only_when_it_is_asked_for(world: World) -> None:
    make(world)
    project = world.project()
    first = world.explained(project)
    again = plans.create_plan(world.actor(), project.id)
    assert again.outcome == "existing_plan"
    variables.update_variable(world.actor(), "TOKEN", {"value": "other"})
    assert not detection_plans(world)
    created = plans.create_plan(world.actor(), project.id)
    assert (created.outcome, plans.get_plan(world.actor(), first.id).status) == ("created", "rejected")
    assert created.step is not None
    done = plans.approve(world.actor(), world.finish_explain(created.step).id, door="rest")
    assert isinstance(done, PlanApproved)
    variables.update_variable(world.actor(), "TOKEN", {"value": "third"})
    assert plans.create_plan(world.actor(), project.id).outcome == "existing_plan", "it is being executed"
    world.finish_execute(done.execute, "failed", error={"code": "plan_failed", "message": "no"})
    assert plans.create_plan(world.actor(), project.id).outcome == "created"


def detection_plans(world: World) -> bool:
    """Whether polling would plan the commit again."""
    (project,) = projects.list_projects(world.actor())
    return transactions.run(lambda session: _is_new(session, project, sha(world.head)))


def test_what_nobody_approves_waits_when_its_variables_have_changed(world: World) -> None:
    make(world)
    step = planned(world, auto_apply=True)
    variables.update_variable(world.actor(), "TOKEN", {"value": "other"})
    assert world.finish_explain(step).status == "pending"
    variables.update_variable(world.actor(), "TOKEN", {"value": PLANTED})
    assert world.finish_explain(planned(world, name="second", auto_apply=True)).status == "approved"
