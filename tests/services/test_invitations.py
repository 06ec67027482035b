"""Invitations on the real tables: who is invited as what, links that work once, and mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import Actor, permissions_of, system_actor
from dagctl_provider.services import invitations, members, organizations
from dagctl_provider.services.outside import mails
from dagctl_provider.services.results import Accepted, Invited
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import utcnow
from tests.services.people import People, people
from tests.services.test_members import at_once, entries, verbs
from tests.services.test_plans import refused

__all__ = ["people"]

ADDRESS = "bob@example.org"


@pytest.fixture
def organization_id(database: None) -> str:
    """An organization that nobody enters by themselves."""
    return organizations.ensure_organization("other")


@pytest.fixture
def owner(people: People, organization_id: str) -> Actor:
    """Its owner."""
    members.add_member(system_actor(organization_id, "cli:root"), Person("id-ada", "ada"), "owner")
    return people.comes("ada", wanted=organization_id, email="ada@example.org")


def secret_of(made: Invited) -> str:
    return made.link.rpartition("/")[2]


def test_an_invited_person_becomes_a_member(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "developer")
    assert (made.invitation.email, made.invitation.role, made.invitation.created_by) == (ADDRESS, "developer", "ada")
    assert made.not_sent == mails.NO_CONNECTION
    bob = people.outside("bob", email="Bob@Example.org")
    offer = invitations.offer(bob, secret_of(made))
    assert (offer.organization.name, offer.invitation.role) == ("other", "developer")
    accepted = invitations.accept(bob, secret_of(made))
    assert (accepted.member.user.name, accepted.member.member.role) == ("bob", "developer")
    assert people.comes("bob", wanted=owner.organization_id).permissions == permissions_of("developer")
    assert invitations.list_invitations(owner) == []
    with refused("invitation_used"):
        invitations.accept(people.outside("eve", email=ADDRESS), secret_of(made))
    assert verbs(owner.organization_id)[1:] == [("ada", "created", ADDRESS), ("bob", "accepted", ADDRESS)]
    assert '"bound_by":"email"' in entries(owner.organization_id)[-1].after


def test_the_secret_is_stored_nowhere(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    everything = transactions.run(
        lambda session: [
            str(tuple(row)) for table in tables.metadata.sorted_tables for row in session.execute(select(*table.c)).all()
        ]
    )
    assert secret_of(made) not in "\n".join(everything)
    assert secret_of(made) not in repr(made)


def test_where_airflow_knows_an_address_it_must_be_the_invited_one(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    eve = people.outside("eve", email="eve@example.org")
    for call in (invitations.offer, invitations.accept):
        with refused("invitation_for_another"):
            call(eve, secret_of(made))
    nameless = people.outside("vera")
    invitations.accept(nameless, secret_of(made))
    assert '"bound_by":"link"' in entries(owner.organization_id)[-1].after


def test_a_token_never_becomes_a_member(owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    token = Actor("token", "tok_1", "ci", owner.organization_id, permissions_of("owner"), role="owner")
    with refused("forbidden"):
        invitations.accept(token, secret_of(made))


def test_of_two_who_accept_at_once_one_does(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    both = [people.outside("bob"), people.outside("eve")]
    found = at_once(*(lambda who=who: invitations.accept(who, secret_of(made)) for who in both))
    assert sorted(map(str, (one if isinstance(one, str) else "accepted" for one in found))) == ["accepted", "invitation_used"]
    assert sum(isinstance(one, Accepted) for one in found) == 1
    assert len(members.list_members(owner)) == 2


def test_an_expired_invitation_used_twice_at_once(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    expire(made)
    both = [people.outside("bob"), people.outside("eve")]
    found = at_once(*(lambda who=who: invitations.accept(who, secret_of(made)) for who in both))
    assert found == ["invitation_over", "invitation_over"]
    assert len(members.list_members(owner)) == 1


def expire(made: Invited) -> None:
    statement = update(tables.invitation).where(tables.invitation.c.id == made.invitation.id)
    past = utcnow() - timedelta(seconds=1)
    transactions.run(lambda session: session.execute(statement.values(expires_at=past)))


def test_unknown_cut_and_hostile_secrets_are_nothing(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    bob = people.outside("bob")
    for secret in ("", "dinv_", secret_of(made)[:-1], secret_of(made) + "x", "' OR 1=1 --", "\u00e4" * 100):
        with refused("not_found"):
            invitations.accept(bob, secret)


def test_resending_makes_a_new_link_and_voids_the_former(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    expire(made)
    again = invitations.resend(owner, made.invitation.id)
    assert again.invitation.expires_at > utcnow() + timedelta(days=6)
    bob = people.outside("bob")
    with refused("not_found"):
        invitations.accept(bob, secret_of(made))
    invitations.accept(bob, secret_of(again))
    with refused("invitation_used"):
        invitations.resend(owner, made.invitation.id)


def test_a_withdrawn_link_is_void_and_the_address_free_again(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    invitations.withdraw(owner, made.invitation.id)
    with refused("invitation_over"):
        invitations.accept(people.outside("bob"), secret_of(made))
    for call in (invitations.withdraw, invitations.resend):
        with refused("invitation_over"):
            call(owner, made.invitation.id)
    invitations.invite(owner, ADDRESS, "reader")


def test_nobody_is_invited_twice_or_while_they_are_a_member(people: People, owner: Actor) -> None:
    invitations.invite(owner, ADDRESS, "reader")
    with refused("already_invited"):
        invitations.invite(owner, "BOB@example.org", "developer")
    with refused("already_member"):
        invitations.invite(owner, "Ada@Example.org", "reader")
    found = at_once(*[lambda: invitations.invite(owner, "eve@example.org", "reader")] * 3)
    assert sorted(isinstance(one, str) for one in found) == [False, True, True]


def test_an_expired_invitation_gives_way(owner: Actor) -> None:
    first = invitations.invite(owner, ADDRESS, "reader")
    expire(first)
    second = invitations.invite(owner, ADDRESS, "reader")
    assert [one.id for one in invitations.list_invitations(owner)] == [second.invitation.id]


def test_who_is_a_member_already_keeps_their_role(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    nameless = people.comes("ada", wanted=owner.organization_id)
    with refused("already_member"):
        invitations.accept(Actor(**{**vars(nameless), "email": None}), secret_of(made))
    invitations.accept(people.outside("bob"), secret_of(made))


@pytest.mark.usefixtures("database")
def test_who_came_in_by_themselves_gets_the_role_that_they_were_invited_to(people: People) -> None:
    owner = people.comes("ada", is_admin=True)
    made = invitations.invite(owner, ADDRESS, "developer")
    bob = people.outside("bob", email=ADDRESS)
    assert people.comes("bob", email=ADDRESS).role == "reader", "the first visit made a reader of the default organization"
    accepted = invitations.accept(bob, secret_of(made))
    assert accepted.member.member.role == "developer"
    assert people.comes("bob", email=ADDRESS).role == "developer"
    with refused("already_member"):
        invitations.invite(owner, ADDRESS, "admin")


def test_who_was_removed_comes_back_by_an_invitation(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    accepted = invitations.accept(people.outside("bob"), secret_of(made))
    members.remove_member(owner, accepted.member.user.id)
    again = invitations.invite(owner, ADDRESS, "developer")
    invitations.accept(people.outside("bob"), secret_of(again))
    assert people.comes("bob", wanted=owner.organization_id).role == "developer"


@pytest.mark.parametrize("role", ["owner", "admin"])
def test_admins_invite_developers_and_readers_only(people: People, owner: Actor, role: str) -> None:
    members.add_member(system_actor(owner.organization_id, "cli:root"), Person("id-dan", "dan"), "admin")
    admin = people.comes("dan", wanted=owner.organization_id)
    with refused("forbidden"):
        invitations.invite(admin, ADDRESS, role)
    made = invitations.invite(owner, ADDRESS, role)
    for call in (invitations.resend, invitations.withdraw):
        with refused("forbidden"):
            call(admin, made.invitation.id)
    invitations.invite(admin, "eve@example.org", "developer")


@pytest.mark.parametrize(
    ("email", "role", "field"),
    [("nobody", "reader", "email"), ("a@b.org,c@d.org", "reader", "email"), (ADDRESS, "x", "role")],
)
def test_bad_input_is_named(owner: Actor, email: str, role: str, field: str) -> None:
    with pytest.raises(DagctlError) as caught:
        invitations.invite(owner, email, role)
    assert [error["field"] for error in caught.value.extra["errors"]] == [field]


def test_invitations_of_others_are_not_there(people: People, owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    stranger = people.comes("sam", is_admin=True)
    assert invitations.list_invitations(stranger) == []
    for call in (invitations.resend, invitations.withdraw):
        with refused("not_found"):
            call(stranger, made.invitation.id)


class Hook:
    """Stands in for the mail server's hook."""

    sent: list[dict[str, Any]] = []
    error: Exception | None = None

    def __init__(self, smtp_conn_id: str) -> None:
        assert smtp_conn_id == "smtp_default"

    def __enter__(self) -> Hook:
        if self.error is not None:
            raise self.error
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def send_email_smtp(self, **mail: Any) -> None:
        self.sent.append(mail)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> type[Hook]:
    from airflow.providers.smtp.hooks import smtp

    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", "smtp://user:hunter2@mail.example.org:25")
    monkeypatch.setattr(smtp, "SmtpHook", Hook)
    monkeypatch.setattr(Hook, "sent", [])
    monkeypatch.setattr(Hook, "error", None)
    return Hook


def test_the_link_is_mailed_where_airflow_has_a_mail_server(hook: type[Hook], owner: Actor) -> None:
    made = invitations.invite(owner, ADDRESS, "reader")
    (mail,) = hook.sent
    assert (made.not_sent, mail["to"]) == (None, ADDRESS)
    assert made.link in mail["html_content"]
    assert invitations.list_invitations(owner)[0].sent_at is not None


def test_what_is_in_a_mail_is_text(hook: type[Hook], people: People, database: None) -> None:
    organization_id = organizations.ensure_organization("<b>acme</b>")
    members.add_member(system_actor(organization_id, "cli:root"), Person("id-x", "<img src=x>"), "owner")
    invitations.invite(people.comes("<img src=x>", airflow_id="id-x", wanted=organization_id), ADDRESS, "reader")
    assert "<img" not in hook.sent[0]["html_content"]
    assert "&lt;b&gt;acme" in hook.sent[0]["html_content"]


def test_when_no_mail_can_be_sent_the_inviter_hears_why(
    hook: type[Hook], owner: Actor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hook, "error", OSError("535 hunter2 refused"))
    made = invitations.invite(owner, ADDRESS, "reader")
    assert made.not_sent == "The mail server of connection 'smtp_default' did not take the mail (OSError)."
    assert "hunter2" not in caplog.text
    assert secret_of(made) not in caplog.text
    assert invitations.list_invitations(owner)[0].sent_at is None
