"""Who may do what: a second table, role by role, against the one that tokens, Airflow users and documents go by."""

from __future__ import annotations

import itertools

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import PERMISSIONS, RANKS, ROLES, Actor, known_role, permissions_of, system_actor

DEVELOPER = {"read", "create_plan", "approve_plan", "cancel_plan", "manage_jobs", "run_project", "view_secrets"}
ADMIN = DEVELOPER | {"manage_projects", "manage_tokens", "manage_team", "manage_secrets", "read_audit"}
OWNER = ADMIN | {"override_rules"}
MAY = {"owner": OWNER, "admin": ADMIN, "developer": DEVELOPER, "reader": {"read"}}


def test_the_tables_name_the_same_roles_and_permissions():
    assert set(ROLES) == set(MAY)
    assert set(PERMISSIONS) == OWNER


@pytest.mark.parametrize("role", ROLES)
def test_each_role_holds_its_permissions_and_no_other(role):
    assert permissions_of(role) == MAY[role]


@pytest.mark.parametrize(("role", "permission"), list(itertools.product(ROLES, sorted(PERMISSIONS))))
def test_each_role_is_let_through_or_stopped_at_each_permission(role, permission):
    actor = Actor("token", "tok_1", "ci", "org-1", permissions_of(role))
    if permission in MAY[role]:
        actor.require(permission)
        return
    with pytest.raises(DagctlError, match=f"This needs the permission '{permission}'\\.") as refused:
        actor.require(permission)
    assert (refused.value.code, refused.value.kind.status) == ("forbidden", 403)
    assert refused.value.extra == {"permission": permission}


@pytest.mark.parametrize("permission", sorted(PERMISSIONS))
def test_each_permission_is_described(permission):
    assert PERMISSIONS[permission].description.endswith(".")


def test_nobody_in_particular_may_do_nothing():
    nobody = Actor("user", "1", "somebody", "org-1")
    for permission in [*PERMISSIONS, "", "everything"]:
        with pytest.raises(DagctlError):
            nobody.require(permission)


def test_the_product_itself_may_do_everything_that_has_a_name():
    actor = system_actor("org-1", "git_polling")
    assert (actor.kind, actor.identifier, actor.name, actor.organization_id) == ("system", "git_polling", "git_polling", "org-1")
    assert actor.permissions == set(PERMISSIONS)
    with pytest.raises(DagctlError):
        actor.require("everything")


def test_ranks_are_in_the_order_of_what_roles_hold():
    assert [RANKS[role] for role in ROLES] == sorted(RANKS.values(), reverse=True)
    for lower, higher in itertools.combinations(reversed(ROLES), 2):
        assert permissions_of(lower) < permissions_of(higher)


@pytest.mark.parametrize("word", ["", "Owner", "emperor", "owner "])
def test_other_words_are_no_roles(word):
    with pytest.raises(DagctlError) as refused:
        known_role(word)
    assert refused.value.extra["errors"][0]["field"] == "role"
