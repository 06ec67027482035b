"""Invitations: make, send, resend, withdraw and accept them.

A link works once and for seven days. Its secret is in the mail, or shown to the inviter where no mail could be sent, and nowhere
else.
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from dagctl_provider.config import invitation_address
from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, invalid_field, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.invitations import LIFE, SECRET_PREFIX, Invitation, pending_key, require_acceptable, secret_hash
from dagctl_provider.domain.members import Member, MemberRow, Person, User, email_fault, folded_email, require_may_give
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.domain.permissions import RANKS, Actor, known_role, permissions_of
from dagctl_provider.services.lifecycle import auditing
from dagctl_provider.services.lifecycle.people import present_role
from dagctl_provider.services.outside import mails
from dagctl_provider.services.results import Accepted, Invited, Offer
from dagctl_provider.store import invitations as invitation_rows
from dagctl_provider.store import members as member_rows
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow


def list_invitations(actor: Actor) -> list[Invitation]:
    """Invitations of the actor's organization that were neither accepted nor withdrawn, newest first, also expired ones."""
    actor.require("manage_team")
    actor.require_unlimited()
    return transactions.run(lambda session: invitation_rows.list_open(session, actor.organization_id))


def invite(actor: Actor, email: str, role: str) -> Invited:
    """Invite somebody by their e-mail address.

    :raises DagctlError: ``forbidden``, ``already_member``, ``already_invited``, ``invalid_request``.
    """
    actor.require("manage_team")
    actor.require_unlimited()
    address, wanted, secret = email.strip(), known_role(role), _new_secret()
    if (fault := email_fault(address)) is not None:
        raise invalid_field("email", fault)

    def work(session: Session) -> Invitation:
        organization_rows.hold_organization(session, actor.organization_id)
        asking = present_role(session, actor, "manage_team")
        require_may_give(asking, wanted)
        _require_new(session, actor.organization_id, address)
        now = utcnow()
        made = Invitation(new_id("inv_"), actor.organization_id, address, wanted, actor.name, now, now + LIFE)
        key = pending_key(actor.organization_id, address)
        invitation_rows.insert_invitation(session, made, token_hash=secret_hash(secret), pending_key=key)
        auditing.record(session, asking, "created", _subject(made), after={"role": wanted, "expires_at": made.expires_at})
        return made

    return _sent(actor, transactions.run(work), secret)


def _require_new(session: Session, organization_id: str, address: str) -> None:
    """Refuse to invite who is there or is invited; an invitation that has expired gives way.

    :raises DagctlError: ``already_member``, ``already_invited``.
    """
    members = member_rows.list_members(session, organization_id)
    if any(row.user.email is not None and folded_email(row.user.email) == folded_email(address) for row in members):
        raise DagctlError("already_member", f"{address!r} is a member already.")
    open_one = invitation_rows.get_invitation(session, pending_key=pending_key(organization_id, address))
    if open_one is None:
        return
    now = utcnow()
    if open_one.is_open(now):
        raise DagctlError("already_invited", f"{address!r} is invited already.", invitation_id=open_one.id)
    invitation_rows.change_open(session, open_one, withdrawn_at=now, pending_key=None)


def resend(actor: Actor, invitation_id: str) -> Invited:
    """Make a new link for an invitation and send it; the former link is void.

    :raises DagctlError: ``not_found``, ``forbidden``, ``invitation_used``, ``invitation_over`` for a withdrawn one.
    """
    actor.require("manage_team")
    actor.require_unlimited()
    secret = _new_secret()

    def work(session: Session) -> Invitation:
        asking, found = _held(session, actor, invitation_id)
        now = utcnow()
        invitation_rows.change_open(session, found, token_hash=secret_hash(secret), expires_at=now + LIFE, sent_at=None)
        auditing.record(session, asking, "resent", _subject(found), after={"expires_at": now + LIFE})
        return replace(found, expires_at=now + LIFE, sent_at=None)

    return _sent(actor, transactions.run(work), secret)


def withdraw(actor: Actor, invitation_id: str) -> Invitation:
    """Make the link of an invitation void.

    :raises DagctlError: ``not_found``, ``forbidden``, ``invitation_used``, ``invitation_over`` for one that is withdrawn already.
    """
    actor.require("manage_team")
    actor.require_unlimited()

    def work(session: Session) -> Invitation:
        asking, found = _held(session, actor, invitation_id)
        now = utcnow()
        invitation_rows.change_open(session, found, withdrawn_at=now, pending_key=None)
        auditing.record(session, asking, "withdrawn", _subject(found), before={"role": found.role})
        return replace(found, withdrawn_at=now)

    return transactions.run(work)


def _held(session: Session, actor: Actor, invitation_id: str) -> tuple[Actor, Invitation]:
    """An invitation that is neither accepted nor withdrawn and whose role the actor may give: they may come to see its link."""
    organization_rows.hold_organization(session, actor.organization_id)
    asking = present_role(session, actor, "manage_team")
    found = invitation_rows.get_invitation(session, identifier=invitation_id)
    if found is None or found.organization_id != actor.organization_id:
        raise not_found("Invitation", invitation_id)
    require_may_give(asking, found.role)
    if found.accepted_at is not None:
        raise DagctlError("invitation_used", "This invitation has been accepted already.")
    if found.withdrawn_at is not None:
        raise DagctlError("invitation_over", "This invitation has been withdrawn.")
    return asking, found


def _sent(actor: Actor, invitation: Invitation, secret: str) -> Invited:
    """Send the link by mail, and note that; what stands in the way is told, for the inviter to pass the link on."""
    link = invitation_address(secret)
    organization = transactions.run(lambda session: _organization(session, invitation.organization_id))
    not_sent = mails.send(
        invitation.email,
        f"Invitation to {organization.name} in dagctl",
        [
            f"{actor.name} invites you to the organization {organization.name}, as {invitation.role}.",
            f"Sign in to Airflow and accept here: {link}",
            f"The link works once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC. Do not pass it on.",
        ],
    )
    if not_sent is None:
        now = utcnow()
        invitation = replace(invitation, sent_at=now)
        transactions.run(lambda session: invitation_rows.note_sent(session, invitation.id, secret_hash(secret), now))
    return Invited(invitation, link, not_sent)


def offer(actor: Actor, secret: str) -> Offer:
    """What an invitation offers to whoever holds its link and is signed in.

    :raises DagctlError: ``forbidden`` for tokens, ``not_found``, ``invitation_used``, ``invitation_over``,
        ``invitation_for_another``.
    """
    person = _person(actor)

    def work(session: Session) -> Offer:
        found = _by_secret(session, secret)
        require_acceptable(found, person, utcnow())
        return Offer(found, _organization(session, found.organization_id))

    return transactions.run(work)


def accept(actor: Actor, secret: str) -> Accepted:
    """Become a member by an invitation. Of two who accept at once one does.

    :param actor: A person; which organization they are in now does not matter.
    :raises DagctlError: as :func:`offer`, and ``already_member``.
    """
    person = _person(actor)

    def work(session: Session) -> Accepted:
        found = _by_secret(session, secret)
        organization_rows.hold_organization(session, found.organization_id)
        found = _by_secret(session, secret)
        now = utcnow()
        bound = require_acceptable(found, person, now)
        user = member_rows.get_user(session, person.airflow_id)
        if user is None:
            raise DagctlError("unauthenticated", "Sign in again: who you are is not on record any more.")
        member = _member(session, found, user)
        invitation_rows.change_open(session, found, accepted_at=now, accepted_by=user.id, pending_key=None)
        joined = replace(actor, organization_id=found.organization_id, role=found.role, permissions=permissions_of(found.role))
        # What it was bound by: "link" says that Airflow knew no address to compare.
        after = {"role": found.role, "email": found.email, "user_id": user.id, "bound_by": bound}
        auditing.record(session, joined, "accepted", _subject(found), after=after)
        return Accepted(MemberRow(member, user), _organization(session, found.organization_id))

    return transactions.run(work)


def _member(session: Session, invitation: Invitation, user: User) -> Member:
    """Make a user the member that an invitation makes.

    Whoever came in by themselves a moment ago, as a reader for example, gets the role of the invitation; nobody loses one.
    """
    now = utcnow()
    row = member_rows.get_member(session, invitation.organization_id, user.id)
    if row is not None and row.member.removed_at is None:
        if RANKS[invitation.role] > RANKS[row.member.role]:
            member_rows.update_member(session, row.member, role=invitation.role, updated_at=now)
            return replace(row.member, role=invitation.role, updated_at=now)
        raise DagctlError("already_member", f"You are a member already, as {row.member.role}.")
    made = Member(invitation.organization_id, user.id, invitation.role, now, now)
    if row is None:
        member_rows.insert_member(session, made)
    else:
        member_rows.update_member(session, row.member, role=made.role, removed_at=None, created_at=now, updated_at=now)
    return made


def _person(actor: Actor) -> Person:
    if actor.kind != "user" or actor.user_id is None:
        raise DagctlError("forbidden", "Only people accept invitations: a token never becomes a member.")
    return Person(actor.identifier, actor.name, actor.email)


def _by_secret(session: Session, secret: str) -> Invitation:
    found = invitation_rows.get_invitation(session, token_hash=secret_hash(secret))
    if found is None:
        raise DagctlError("not_found", "There is no such invitation; the link may be cut off, or another one was sent since.")
    return found


def _organization(session: Session, identifier: str) -> Organization:
    found = organization_rows.get_organization(session, identifier=identifier)
    if found is None:
        raise not_found("Organization", identifier)
    return found


def _subject(invitation: Invitation) -> Subject:
    return Subject("invitation", invitation.id, invitation.email)


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(32)
