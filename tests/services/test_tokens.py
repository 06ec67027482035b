"""API tokens: random, checked, hashed, shown once, expiring, revocable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from dagctl_provider.services import organizations, tokens
from dagctl_provider.store import tables, transactions
from dagctl_provider.store import tokens as token_rows
from dagctl_provider.store.session import utcnow
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
