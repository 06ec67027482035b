"""API tokens: random, checked, hashed, shown once, expiring, revocable."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import select

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import RANKS, ROLES, Role
from dagctl_provider.services import organizations, projects, tokens
from dagctl_provider.store import tables, transactions
from dagctl_provider.store import tokens as token_rows
from dagctl_provider.store.session import utcnow
from tests.services.test_members import at_once, entries
from tests.services.test_plans import refused
from tests.services.world import World


def test_a_token_authenticates_as_its_role_and_only_its_hash_is_kept(world: World) -> None:
    made = tokens.create_token(world.organization_id, "ci", "developer", "test")
    assert made.secret.startswith("dctl_")
    actor = tokens.authenticate(made.secret, world.organization_id)
    assert (actor.kind, actor.name, actor.organization_id) == ("token", "ci", world.organization_id)
    assert "approve_plan" in actor.permissions
    assert "manage_projects" not in actor.permissions
    rows = transactions.run(lambda session: [dict(r._mapping) for r in session.execute(select(tables.api_token))])
    assert made.secret not in str(rows)
    assert tokens.list_tokens(world.actor())[0].last_used_at is not None


def test_wrong_revoked_expired_and_foreign_tokens_answer_alike(world: World) -> None:
    made = tokens.create_token(world.organization_id, "ci", "owner", "test", timedelta(hours=1))
    other = organizations.ensure_organization("other")
    details = set()
    mistyped = made.secret[:-1] + ("A" if made.secret[-1] != "A" else "B")
    for secret, organization in ((mistyped, world.organization_id), (made.secret, other), ("dctl_", other), ("x" * 51, other)):
        with pytest.raises(Exception, match="not valid") as caught:
            tokens.authenticate(secret, organization)
        details.add(str(caught.value))
    transactions.run(lambda session: token_rows.update_token(session, made.token.id, expires_at=utcnow()))
    with refused("unauthenticated"):
        tokens.authenticate(made.secret, world.organization_id)
    fresh = tokens.create_token(world.organization_id, "ci", "owner", "test")
    tokens.revoke(world.actor(), fresh.token.id)
    tokens.revoke(world.actor(), fresh.token.id)
    with pytest.raises(Exception, match="not valid") as caught:
        tokens.authenticate(fresh.secret, world.organization_id)
    assert {str(caught.value)} == details


def test_a_mistyped_token_costs_no_query(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokens.create_token(world.organization_id, "ci", "owner", "test")
    monkeypatch.setattr(transactions, "run", lambda work: pytest.fail("the database was asked"))
    with refused("unauthenticated"):
        tokens.authenticate(made.secret[:-1] + "!", world.organization_id)


@pytest.mark.parametrize(("name", "role"), [("", "owner"), ("x" * 256, "owner"), ("a\nb", "owner"), ("ci", "emperor")])
def test_bad_input_is_refused(world: World, name: str, role: str) -> None:
    with refused("invalid_request"):
        tokens.create_token(world.organization_id, name, role, "test")
    assert tokens.list_tokens(world.actor()) == []


def test_tokens_of_other_organizations_cannot_be_revoked(world: World) -> None:
    made = tokens.create_token(world.organization_id, "ci", "owner", "test")
    with refused("not_found"):
        tokens.revoke(World(organizations.ensure_organization("other")).actor(), made.token.id)


class TestManaging:
    """Who makes, lists, revokes and rotates which tokens."""

    @pytest.mark.parametrize(("mine", "asked"), list(itertools.product(("owner", "admin"), ROLES)))
    def test_nobody_makes_what_is_above_them(self, world: World, mine: str, asked: Role) -> None:
        if RANKS[asked] <= RANKS[mine]:  # type: ignore[index]
            assert tokens.create(world.actor(mine), "x", asked).token.role == asked
        else:
            with refused("forbidden"):
                tokens.create(world.actor(mine), "x", asked)

    def test_admins_leave_the_tokens_of_owners_alone(self, world: World) -> None:
        made = tokens.create(world.actor("owner"), "x", "owner").token
        admin = world.actor("admin")
        for call in (tokens.revoke, tokens.rotate):
            with refused("forbidden"):
                call(admin, made.id)
        assert [one.id for one in tokens.list_tokens(admin)] == [made.id]

    @pytest.mark.parametrize("role", ["developer", "reader"])
    def test_others_manage_none(self, world: World, role: str) -> None:
        made = tokens.create(world.actor("owner"), "x", "reader").token
        somebody = world.actor(role)
        for call in (
            lambda: tokens.create(somebody, "x", "reader"),
            lambda: tokens.list_tokens(somebody),
            lambda: tokens.revoke(somebody, made.id),
            lambda: tokens.rotate(somebody, made.id),
        ):
            with refused("forbidden"):
                call()

    def test_a_limited_token_sees_its_projects_alone(self, world: World) -> None:
        first, second = world.project("first"), world.project("second")
        made = tokens.create(world.actor(), "x", "owner", project_ids=[first.id, first.id])
        limited = tokens.authenticate(made.secret, world.organization_id)
        assert (made.token.project_ids, limited.project_ids, limited.role) == ((first.id,), frozenset((first.id,)), "owner")
        assert [project.id for project in projects.list_projects(limited)] == [first.id]
        assert projects.get_project(limited, first.id).id == first.id
        with refused("not_found"):
            projects.get_project(limited, second.id)
        with refused("forbidden"):
            projects.create_project(limited, {"name": "third", "repository_url": "https://example.com/acme/shop"})

    def test_a_limited_token_manages_tokens_within_its_limits(self, world: World) -> None:
        first, second = world.project("first"), world.project("second")
        wide = tokens.create(world.actor(), "wide", "reader").token
        other = tokens.create(world.actor(), "other", "reader", project_ids=[second.id]).token
        made = tokens.create(world.actor(), "x", "admin", project_ids=[first.id])
        limited = tokens.authenticate(made.secret, world.organization_id)
        assert [one.id for one in tokens.list_tokens(limited)] == [made.token.id]
        for limits in (None, [second.id], [first.id, second.id]):
            with refused("forbidden"):
                tokens.create(limited, "y", "reader", project_ids=limits)
        for foreign in (wide, other):
            for call in (tokens.revoke, tokens.rotate):
                with refused("not_found"):
                    call(limited, foreign.id)
        assert tokens.create(limited, "y", "reader", project_ids=[first.id]).token.project_ids == (first.id,)

    @pytest.mark.parametrize("limits", [[], ["proj_nothing"], ["x"] * 101])
    def test_limits_name_projects_of_the_organization(self, world: World, limits: list[str]) -> None:
        with pytest.raises(DagctlError) as caught:
            tokens.create(world.actor(), "x", "reader", project_ids=limits)
        assert [error["field"] for error in caught.value.extra["errors"]] == ["project_ids"]

    def test_projects_of_others_limit_nothing(self, world: World) -> None:
        project = world.project()
        stranger = World(organizations.ensure_organization("other")).actor()
        with refused("invalid_request"):
            tokens.create(stranger, "x", "reader", project_ids=[project.id])

    def test_rotation_overlaps(self, world: World) -> None:
        project = world.project()
        former = tokens.create(world.actor(), "ci", "developer", project_ids=[project.id], expires_in=timedelta(days=90))
        made = tokens.rotate(world.actor(name="bob"), former.token.id, timedelta(hours=2))
        assert (made.token.name, made.token.role, made.token.project_ids) == ("ci", "developer", (project.id,))
        assert made.token.created_by == "bob"
        assert made.former.replaced_by == made.token.id
        assert made.former.expires_at is not None
        assert timedelta(hours=1) < made.former.expires_at - utcnow() < timedelta(hours=3)
        assert made.token.expires_at is not None
        assert timedelta(days=89) < made.token.expires_at - utcnow() < timedelta(days=91)
        for secret in (former.secret, made.secret):
            assert tokens.authenticate(secret, world.organization_id).name == "ci"
        with refused("token_not_active"):
            tokens.rotate(world.actor(), former.token.id)
        transactions.run(lambda session: token_rows.update_token(session, former.token.id, expires_at=utcnow()))
        with refused("unauthenticated"):
            tokens.authenticate(former.secret, world.organization_id)

    def test_without_overlap_the_former_is_useless_at_once(self, world: World) -> None:
        former = tokens.create(world.actor(), "ci", "developer")
        tokens.rotate(world.actor(), former.token.id, timedelta(0))
        with refused("unauthenticated"):
            tokens.authenticate(former.secret, world.organization_id)

    def test_rotation_makes_no_token_live_longer(self, world: World) -> None:
        former = tokens.create(world.actor(), "ci", "developer", expires_in=timedelta(hours=1))
        made = tokens.rotate(world.actor(), former.token.id, timedelta(days=30))
        assert made.former.expires_at == former.token.expires_at
        tokens.revoke(world.actor(), former.token.id)
        assert tokens.authenticate(made.secret, world.organization_id).name == "ci", "the new one stays"

    def test_what_is_revoked_is_not_rotated(self, world: World) -> None:
        made = tokens.create(world.actor(), "ci", "developer")
        tokens.revoke(world.actor(), made.token.id)
        with refused("token_not_active"):
            tokens.rotate(world.actor(), made.token.id)

    def test_of_two_who_rotate_at_once_one_does(self, world: World) -> None:
        made = tokens.create(world.actor(), "ci", "developer")
        found = at_once(*[lambda: tokens.rotate(world.actor(), made.token.id)] * 3)
        assert sorted(isinstance(one, str) for one in found) == [False, True, True]
        assert len(tokens.list_tokens(world.actor())) == 2

    def test_all_of_it_is_on_record_without_a_secret(self, world: World) -> None:
        made = tokens.create(world.actor(), "ci", "developer")
        rotated = tokens.rotate(world.actor(), made.token.id)
        tokens.revoke(world.actor(), made.token.id)
        found = entries(world.organization_id)
        assert [(entry.verb, entry.object_kind, entry.actor_name) for entry in found] == [
            (verb, "token", "ada") for verb in ("created", "rotated", "revoked")
        ]
        for secret in (made.secret, rotated.secret):
            assert secret not in str(found)
            assert secret not in repr((made, rotated))
