"""Who comes in as what, in which organization a request acts, and who may change whose role."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.invitations import Invitation, pending_key, require_acceptable
from dagctl_provider.domain.members import (
    Member,
    Membership,
    Person,
    User,
    chosen,
    email_fault,
    require_may_change,
    require_may_give,
    role_on_entry,
)
from dagctl_provider.domain.permissions import ROLES, Actor, Role, permissions_of, system_actor

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
HERE = Member("org-1", "user_1", "reader", NOW, NOW)
GONE = replace(HERE, removed_at=NOW)


def actor(role: Role, user_id: str | None = "user_me") -> Actor:
    return Actor("user", "7", "me", "org-1", permissions_of(role), role=role, user_id=user_id)


@pytest.mark.parametrize(
    ("is_admin", "default_role", "present", "owners", "role"),
    [
        (True, "reader", None, 0, "owner"),
        (True, "", None, 3, "owner"),
        (False, "reader", None, 0, "reader"),
        (False, "developer", None, 1, "developer"),
        (False, "", None, 1, None),
        (False, "emperor", None, 1, None),
        (False, "Reader", None, 1, None),
        # On record already: whatever Airflow says now.
        (True, "reader", HERE, 0, None),
        (False, "owner", HERE, 1, None),
        # Removed: stays removed, but for an admin where nobody owns the organization any more.
        (True, "reader", GONE, 1, None),
        (True, "reader", GONE, 0, "owner"),
        (False, "reader", GONE, 0, None),
    ],
)
def test_role_on_entry(is_admin, default_role, present, owners, role):
    assert role_on_entry(is_admin, default_role, present, owners) == role


def membership(identifier: str, name: str, removed: bool = False) -> Membership:
    return Membership(identifier, name, "reader", NOW, removed)


def test_which_organization_a_request_acts_in():
    first, default, left = membership("org-1", "first"), membership("org-2", "default"), membership("org-3", "left", True)
    mine = [first, default, left]
    assert chosen(mine, "default", None) == default
    assert chosen(mine, "default", "org-1") == first
    assert chosen(mine, "default", None, "org-1") == first
    assert chosen(mine, "default", "org-2", "org-1") == default, "what is named counts more than what was chosen"
    assert chosen([first], "default", None) == first
    for elsewhere in ("org-3", "org-4"):
        assert chosen(mine, "default", elsewhere) is None
        assert chosen(mine, "default", None, elsewhere) == default, "a choice that cannot be any more is forgotten"
    assert chosen([left], "left", None) is None
    assert chosen([], "default", None) is None


# Role of who asks, role of the member, new role (None: removed): whether it is allowed, among several owners.
CHANGES = {
    (mine, theirs, new): mine == "owner"
    or (mine == "admin" and theirs in ("developer", "reader") and new not in ("owner", "admin"))
    for mine, theirs, new in itertools.product(("owner", "admin"), ROLES, (*ROLES, None))
}


@pytest.mark.parametrize(("mine", "theirs", "new"), CHANGES, ids=str)
def test_who_changes_whose_role(mine, theirs, new):
    member = replace(HERE, role=theirs)
    if CHANGES[mine, theirs, new]:
        require_may_change(actor(mine), member, new, owners=2)
        return
    with pytest.raises(DagctlError) as refused:
        require_may_change(actor(mine), member, new, owners=2)
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("new", [*ROLES, None])
@pytest.mark.parametrize("mine", ["owner", "admin"])
def test_nobody_changes_or_removes_themselves(mine, new):
    with pytest.raises(DagctlError) as refused:
        require_may_change(actor(mine, "user_1"), replace(HERE, role=mine), new, owners=5)
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize("new", ["admin", "developer", "reader", None])
@pytest.mark.parametrize("who", [actor("owner"), actor("owner", None), system_actor("org-1", "cli:root")])
def test_the_last_owner_stays(who, new):
    with pytest.raises(DagctlError) as refused:
        require_may_change(who, replace(HERE, role="owner"), new, owners=1)
    assert (refused.value.code, refused.value.kind.status) == ("last_owner", 409)
    require_may_change(who, replace(HERE, role="owner"), new, owners=2)


@pytest.mark.parametrize(("role", "given"), list(itertools.product(("owner", "admin"), ROLES)))
def test_only_owners_make_owners_and_admins(role, given):
    if role == "owner" or given in ("developer", "reader"):
        require_may_give(actor(role), given)
    else:
        with pytest.raises(DagctlError, match="Only owners"):
            require_may_give(actor(role), given)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from((*ROLES, None))),
        max_size=40,
    )
)
def test_whatever_is_tried_somebody_owns_it_and_no_admin_made_an_admin(tries):
    roles: dict[int, Role] = {0: "owner", 1: "admin", 2: "developer", 3: "owner"}
    for asking, target, new in tries:
        if asking not in roles or target not in roles or "manage_team" not in permissions_of(roles[asking]):
            continue
        guarded = {one for one, role in roles.items() if role in ("owner", "admin")}
        was = roles[asking]
        owners = sum(role == "owner" for role in roles.values())
        try:
            require_may_change(actor(was, f"user_{asking}"), Member("o", f"user_{target}", roles[target], NOW, NOW), new, owners)
        except DagctlError:
            continue
        if new is None:
            del roles[target]
        else:
            roles[target] = new
        assert "owner" in roles.values()
        if was == "admin":
            assert guarded == {one for one, role in roles.items() if role in ("owner", "admin")}


@pytest.mark.parametrize(
    "email", ["ann@example.org", "Ann.O'Neil+dagctl@sub.example.org", "ann@localhost", "\u00e4nn@ex\u00e4mple.org"]
)
def test_addresses(email):
    assert email_fault(email) is None


@pytest.mark.parametrize(
    "email",
    [
        *("", "ann", "@example.org", "ann@", "ann@org", "a b@c.org", "a@b.org,c@d.org", "<a@b.org>"),
        *("a@b.org\nBcc: c@d.org", "a" * 400 + "@b.org"),
    ],
)
def test_what_is_no_address(email):
    assert email_fault(email) is not None


def test_a_visit_is_written_down_at_most_once_a_minute_and_when_something_is_new():
    user = User("user_1", "7", "Ann", NOW, NOW, email="a@b.org", last_login_at=NOW)
    person = Person("7", "Ann", "a@b.org")
    assert not user.is_stale(person, NOW + timedelta(seconds=60))
    assert user.is_stale(person, NOW + timedelta(seconds=61))
    assert user.is_stale(Person("7", "Anna", "a@b.org"), NOW)
    assert user.is_stale(Person("7", "Ann", "c@d.org"), NOW)
    assert not user.is_stale(Person("7", "Ann"), NOW), "an address that is not told is not forgotten"


INVITATION = Invitation("inv_1", "org-1", "Ann@Example.org", "reader", "ada", NOW, NOW + timedelta(days=7))


@pytest.mark.parametrize(
    ("invitation", "email", "after", "outcome"),
    [
        (INVITATION, "ann@example.ORG", timedelta(0), "email"),
        (INVITATION, None, timedelta(0), "link"),
        (INVITATION, "bob@example.org", timedelta(0), "invitation_for_another"),
        (INVITATION, None, timedelta(days=7), "invitation_over"),
        (replace(INVITATION, withdrawn_at=NOW), None, timedelta(0), "invitation_over"),
        (replace(INVITATION, accepted_at=NOW), None, timedelta(0), "invitation_used"),
        (replace(INVITATION, accepted_at=NOW), "bob@example.org", timedelta(days=9), "invitation_used"),
    ],
)
def test_who_may_accept(invitation, email, after, outcome):
    person = Person("7", "Ann", email)
    if outcome in ("email", "link"):
        assert require_acceptable(invitation, person, NOW + after) == outcome
        return
    with pytest.raises(DagctlError) as refused:
        require_acceptable(invitation, person, NOW + after)
    assert refused.value.code == outcome


def test_an_address_is_invited_once_to_each_organization():
    assert pending_key("org-1", " Ann@Example.org") == pending_key("org-1", "ann@example.org")
    assert pending_key("org-1", "ann@example.org") != pending_key("org-2", "ann@example.org")
