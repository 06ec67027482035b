"""Members on the real tables: first visits, several organizations, roles, and two who act at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select

from dagctl_provider.domain.audit import first_fault
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import Actor, permissions_of, system_actor
from dagctl_provider.services import members, organizations
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.services.outside import airflow_users
from dagctl_provider.store import audit as audit_rows
from dagctl_provider.store import members as member_rows
from dagctl_provider.store import tables, transactions
from tests.services.people import Known, People, people
from tests.services.test_plans import refused

__all__ = ["people"]

pytestmark = pytest.mark.usefixtures("database")


def count(table: Any) -> int:
    return transactions.run(lambda session: session.execute(select(func.count()).select_from(table)).scalar() or 0)


def make_everybody(role: str) -> None:
    transactions.run(lambda session: session.execute(tables.member.update().values(role=role)))


def entries(organization_id: str) -> list[Any]:
    def work(session: Any) -> list[Any]:
        found = list(audit_rows.all_entries(session, organization_id))
        assert first_fault(found, audit_rows.get_head(session, organization_id), keys.audit_key(session), organization_id) is None
        return found

    return transactions.run(work)


def verbs(organization_id: str) -> list[tuple[str, str, str]]:
    return [(entry.actor_name, entry.verb, entry.object_name) for entry in entries(organization_id)]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What calls came to that were made at the same time: a value, or the code of an error."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except DagctlError as error:
            return error.code

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


class TestComingIn:
    def test_whoever_has_airflows_admin_right_becomes_owner(self, people: People) -> None:
        actor = people.comes("ada", email="ada@example.org", is_admin=True)
        default = organizations.default_organization_id()
        assert (actor.kind, actor.identifier, actor.name, actor.organization_id) == ("user", "id-ada", "ada", default)
        assert (actor.role, actor.email, actor.permissions) == ("owner", "ada@example.org", permissions_of("owner"))
        assert actor.user_id is not None
        assert actor.user_id.startswith("user_")
        assert verbs(default) == [("ada", "joined", "ada")]
        assert [(entry.door, entry.source) for entry in entries(default)] == [("page", "10.1.2.3")]

    def test_everybody_else_enters_with_the_role_of_the_setting(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        assert people.comes("eve").role == "reader"
        monkeypatch.setenv("AIRFLOW__DAGCTL__DEFAULT_ROLE", "developer")
        assert people.comes("dan").role == "developer"
        assert people.comes("eve").role == "reader", "a role on record is not changed by a setting"

    @pytest.mark.parametrize("word", ["", "emperor"])
    def test_nobody_enters_uninvited_without_a_role(self, people: People, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
        monkeypatch.setenv("AIRFLOW__DAGCTL__DEFAULT_ROLE", word)
        with refused("forbidden"):
            people.comes("eve")
        assert count(tables.member) == 0
        assert people.comes("ada", is_admin=True).role == "owner"

    def test_who_may_not_enter_airflow_leaves_no_trace(self, people: People) -> None:
        with refused("forbidden"):
            people.comes("eve", may_enter=False)
        assert count(tables.user) == 0

    def test_airflows_admins_are_asked_for_on_first_use_only(self, people: People) -> None:
        people.comes("eve")
        people.comes("eve", is_admin=True)
        assert people.comes("eve", is_admin=True).role == "reader"
        assert people.admins_asked == ["id-eve"]

    def test_two_first_requests_at_once_make_one_row(self, people: People) -> None:
        organizations.default_organization_id()
        found = at_once(*[lambda: people.comes("ada", is_admin=True)] * 6)
        assert len({actor.user_id for actor in found}) == 1
        assert (count(tables.user), count(tables.member)) == (1, 1)
        assert len(entries(organizations.default_organization_id())) == 1

    def test_a_visit_that_tells_nothing_new_writes_nothing(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        people.comes("ada")
        monkeypatch.setattr(member_rows, "update_user", lambda *args, **values: pytest.fail("written"))
        people.comes("ada")

    def test_names_and_addresses_are_kept_up_to_date(self, people: People) -> None:
        owner = people.comes("ada", is_admin=True)
        people.comes("eve", airflow_id="7", email="eve@example.org")
        people.comes("eva", airflow_id="7", email="eva@example.org")
        (_, row) = members.list_members(owner)
        assert (row.user.name, row.user.email, row.user.airflow_id) == ("eva", "eva@example.org", "7")

    def test_ids_that_differ_in_case_are_two_people(self, people: People) -> None:
        assert people.comes("a", airflow_id="Ann").user_id != people.comes("a", airflow_id="ann").user_id

    def test_where_the_database_cannot_tell_them_apart_the_second_stays_out(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(member_rows, "is_anothers", lambda session, airflow_id: airflow_id == "ann")
        people.comes("a", airflow_id="Ann")
        with refused("forbidden"):
            people.comes("a", airflow_id="ann")
        assert count(tables.user) == 1


class TestRemoved:
    def test_who_was_removed_does_not_come_back_by_themselves(self, people: People) -> None:
        owner, eve = people.comes("ada", is_admin=True), people.comes("eve")
        members.remove_member(owner, str(eve.user_id))
        with refused("forbidden"):
            people.comes("eve")
        with refused("not_found"):
            people.comes("eve", wanted=owner.organization_id)
        assert [row.user.name for row in members.list_members(owner)] == ["ada"]

    def test_an_admin_of_airflow_comes_back_only_where_nobody_owns_the_organization(self, people: People) -> None:
        owner, bob = people.comes("ada", is_admin=True), people.comes("bob", is_admin=True)
        members.remove_member(owner, str(bob.user_id))
        with refused("forbidden"):
            people.comes("bob", is_admin=True)
        make_everybody("reader")
        assert people.comes("bob", is_admin=True).role == "owner"


class TestOrganizations:
    def test_one_acts_where_one_is_a_member(self, people: People) -> None:
        eve = people.comes("eve")
        other = organizations.ensure_organization("other")
        for wanted in (other, "org-nothing"):
            with refused("not_found"):
                people.comes("eve", wanted=wanted)
        members.add_member(system_actor(other, "cli:root"), Person("id-eve", "eve"), "owner")
        there = people.comes("eve", wanted=other)
        assert (there.organization_id, there.role, there.user_id) == (other, "owner", eve.user_id)
        assert people.comes("eve").organization_id == eve.organization_id
        assert people.comes("eve", preferred=other).organization_id == other
        assert [row.organization_name for row in members.list_organizations(eve)] == ["default", "other"]
        members.remove_member(system_actor(eve.organization_id, "cli:root"), str(eve.user_id))
        assert people.comes("eve").organization_id == other
        assert people.comes("eve", preferred=eve.organization_id).organization_id == other

    def test_who_is_in_none_can_still_be_somebody(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__DAGCTL__DEFAULT_ROLE", "")
        nobody = people.outside("eve", email="eve@example.org")
        assert (nobody.organization_id, nobody.permissions, nobody.role) == ("", frozenset(), None)
        assert members.list_organizations(nobody) == []
        with refused("forbidden"):
            members.list_members(nobody)

    def test_a_member_of_one_sees_no_member_of_another(self, people: People) -> None:
        owner = people.comes("ada", is_admin=True)
        other = organizations.ensure_organization("other")
        theirs = members.add_member(system_actor(other, "cli:root"), Person("id-bob", "bob"), "owner")
        assert [row.user.name for row in members.list_members(owner)] == ["ada"]
        with refused("not_found"):
            members.change_role(owner, theirs.user.id, "reader")
        with refused("not_found"):
            members.remove_member(owner, theirs.user.id)


class TestRequiredActions:
    """People whom Airflow names by id."""

    @pytest.fixture
    def by_id(self, people: People, monkeypatch: pytest.MonkeyPatch) -> dict[str, Known]:
        found: dict[str, Known] = {}
        monkeypatch.setattr(airflow_users, "user_by_id", found.get)
        return found

    def test_members_answer_in_their_role_and_others_do_not(self, people: People, by_id: dict[str, Known]) -> None:
        other = organizations.ensure_organization("other")
        by_id["7"] = Known("7", "eve")
        default = organizations.default_organization_id()
        found = members.actor_by_airflow_id("7", default)
        assert found is not None
        assert (found.role, found.organization_id, found.door) == ("reader", default, "required_actions")
        with refused("forbidden"):
            members.actor_by_airflow_id("7", other)
        assert members.actor_by_airflow_id("8", default) is None


class TestRoles:
    @pytest.fixture
    def owner(self, people: People) -> Actor:
        return people.comes("ada", is_admin=True)

    def test_a_role_counts_from_the_next_request_on(self, people: People, owner: Actor) -> None:
        eve = people.comes("eve")
        changed = members.change_role(owner, str(eve.user_id), "developer")
        assert changed.member.role == "developer"
        assert people.comes("eve").permissions == permissions_of("developer")
        (_, _, entry) = entries(owner.organization_id)
        assert (entry.verb, entry.before, entry.after) == ("changed", '{"role":"reader"}', '{"role":"developer"}')
        members.change_role(owner, str(eve.user_id), "developer")
        assert len(entries(owner.organization_id)) == 3, "what changes nothing is not on record"

    def test_who_was_demoted_a_moment_ago_changes_nobody(self, people: People, owner: Actor) -> None:
        bob, eve = people.comes("bob", is_admin=True), people.comes("eve")
        members.change_role(owner, str(bob.user_id), "admin")
        with refused("forbidden"):
            members.change_role(bob, str(eve.user_id), "admin")
        members.change_role(owner, str(bob.user_id), "reader")
        with refused("forbidden"):
            members.change_role(bob, str(eve.user_id), "developer")
        members.remove_member(owner, str(bob.user_id))
        with refused("forbidden"):
            members.remove_member(bob, str(eve.user_id))

    def test_two_owners_who_demote_each_other_leave_one(self, people: People, owner: Actor) -> None:
        bob = people.comes("bob", is_admin=True)
        for _ in range(3):
            found = at_once(
                lambda: members.change_role(owner, str(bob.user_id), "reader"),
                lambda: members.change_role(bob, str(owner.user_id), "reader"),
            )
            assert sorted(isinstance(one, str) for one in found) == [False, True], found
            left = [row for row in members.list_members(owner) if row.member.role == "owner"]
            assert len(left) == 1
            make_everybody("owner")

    def test_two_owners_who_remove_each_other_leave_one(self, people: People, owner: Actor) -> None:
        bob = people.comes("bob", is_admin=True)
        at_once(
            lambda: members.remove_member(owner, str(bob.user_id)),
            lambda: members.remove_member(bob, str(owner.user_id)),
        )
        assert len(members.list_members(system_actor(owner.organization_id, "test"))) == 1

    @pytest.mark.parametrize("role", ["", "emperor", "Owner"])
    def test_unknown_roles_are_named(self, people: People, owner: Actor, role: str) -> None:
        eve = people.comes("eve")
        with pytest.raises(DagctlError) as caught:
            members.change_role(owner, str(eve.user_id), role)
        assert caught.value.extra["errors"] == [{"field": "role", "message": "must be one of owner, admin, developer, reader"}]

    @pytest.mark.parametrize("role", ["developer", "reader"])
    def test_others_change_nobody(self, people: People, owner: Actor, role: str) -> None:
        eve = people.comes("eve")
        asking = people.comes("dan")
        members.change_role(owner, str(asking.user_id), role)
        asking = people.comes("dan")
        for call in (
            lambda: members.change_role(asking, str(eve.user_id), "reader"),
            lambda: members.remove_member(asking, str(eve.user_id)),
        ):
            with refused("forbidden"):
                call()

    def test_limited_tokens_do_without_what_belongs_to_the_organization(self, owner: Actor) -> None:
        limited = Actor(
            *("token", "tok_1", "ci", owner.organization_id, permissions_of("owner")),
            role="owner",
            project_ids=frozenset(("proj_1",)),
        )
        for call in (
            lambda: members.list_members(limited),
            lambda: members.change_role(limited, str(owner.user_id), "reader"),
            lambda: members.remove_member(limited, str(owner.user_id)),
        ):
            with refused("forbidden"):
                call()


def test_members_are_added_at_the_command_line(people: People) -> None:
    organization_id = organizations.ensure_organization("other")
    root = system_actor(organization_id, "cli:root")
    made = members.add_member(root, Person("7", "bob", "bob@example.org"), "owner")
    assert (made.user.name, made.member.role) == ("bob", "owner")
    with refused("already_member"):
        members.add_member(root, Person("7", "bob"), "reader")
    with refused("last_owner"):
        members.remove_member(root, made.user.id)
    members.add_member(root, Person("8", "eve"), "owner")
    members.remove_member(root, made.user.id)
    assert members.add_member(root, Person("7", "bob"), "reader").member.role == "reader"
    assert [entry[1] for entry in verbs(organization_id)] == ["added", "added", "removed", "added"]
