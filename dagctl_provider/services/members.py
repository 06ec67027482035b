"""Members: who of Airflow's users acts in which organization and in which role, and who changes that.

Who comes for the first time becomes a person here and, as the settings say, a member of the default organization. From then
on the role that is on record counts, whatever Airflow says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dagctl_provider.config import setting
from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.members import (
    Member,
    MemberRow,
    Membership,
    Person,
    User,
    chosen,
    require_may_change,
    require_may_give,
    role_on_entry,
)
from dagctl_provider.domain.permissions import Actor, Role, known_role, permissions_of
from dagctl_provider.services.lifecycle import auditing
from dagctl_provider.services.lifecycle import organizations as in_organizations
from dagctl_provider.services.lifecycle.people import ensured_user, present_role
from dagctl_provider.services.outside import airflow_users
from dagctl_provider.store import members as member_rows
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


# Who somebody is


@dataclass(frozen=True)
class _Known:
    """A person with their memberships, oldest first."""

    user: User | None
    memberships: Sequence[Membership]


@dataclass(frozen=True)
class Visit:
    """How somebody came, for the record of what becomes of them.

    :param door: As an actor has it.
    :param source: The address that the request came from.
    """

    door: str = "system"
    source: str | None = None


def actor_for(user: BaseUser, wanted: str | None = None, preferred: str | None = None, visit: Visit = Visit()) -> Actor:
    """Somebody who is signed in to Airflow, as an actor in one of their organizations.

    :param user: As the auth manager gave it.
    :param wanted: The organization that the request names.
    :param preferred: The one that was chosen some time ago; it counts only while they are a member of it.
    :raises DagctlError: ``not_found`` for an organization that they are no member of, ``forbidden`` when they are in none.
    """
    person = airflow_users.person_of(user)
    known = _signed_in(user, person, wanted or preferred, visit)
    found = chosen(known.memberships, in_organizations.default_name(), wanted, preferred)
    if found is None and wanted is not None:
        raise not_found("Organization", wanted)
    if found is None or known.user is None:
        raise DagctlError("forbidden", "You are a member of no organization. Ask an owner or admin of one for an invitation.")
    return replace(
        _actor(person, known.user, visit),
        organization_id=found.organization_id,
        role=found.role,
        permissions=permissions_of(found.role),
        organizations=tuple((one.organization_id, one.organization_name) for one in known.memberships if not one.removed),
    )


def person_for(user: BaseUser, visit: Visit = Visit()) -> Actor:
    """Somebody who is signed in to Airflow, in no organization: what needs no membership is theirs.

    :raises DagctlError: ``forbidden``.
    """
    person = airflow_users.person_of(user)
    known = _signed_in(user, person, None, visit)
    found = known.user or transactions.run(partial(ensured_user, person=person))
    return _actor(person, found, visit)


def actor_by_airflow_id(airflow_id: str, organization_id: str) -> Actor | None:
    """The actor for a user whom Airflow recorded by id, as it does for answers to Required Actions.

    :param organization_id: Where they act.
    :return: ``None`` when the user is gone, locked, or the auth manager cannot look users up.
    :raises DagctlError: ``forbidden`` for those who are no members.
    """
    user = airflow_users.user_by_id(airflow_id)
    if user is None:
        return None
    try:
        return actor_for(user, organization_id, visit=Visit("required_actions"))
    except DagctlError as error:
        if error.code != "not_found":
            raise
        # They were asked about something of it, so that it exists is no secret.
        raise DagctlError("forbidden", "You are no member of the organization that this belongs to.") from None


def _actor(person: Person, user: User, visit: Visit) -> Actor:
    nowhere = Actor("user", person.airflow_id, person.name, "", user_id=user.id, email=person.email)
    return replace(nowhere, door=visit.door, source=visit.source)


def _signed_in(user: BaseUser, person: Person, named: str | None, visit: Visit) -> _Known:
    """What is known of somebody, once their visit is noted and they came in where they may.

    :param named: The organization that they named or chose.
    """
    known = transactions.run(partial(_noted, person=person))
    if any(not one.removed and one.organization_id == named for one in known.memberships):
        return known
    if any(not one.removed and one.organization_name == in_organizations.default_name() for one in known.memberships):
        return known
    # The auth manager may ask somebody else in its turn: not while a transaction is open.
    is_admin = airflow_users.is_admin(user)
    return transactions.run(partial(_came_in, person=person, is_admin=is_admin, visit=visit))


def _noted(session: Session, person: Person) -> _Known:
    user, memberships = member_rows.known(session, person.airflow_id)
    now = utcnow()
    if user is not None and user.is_stale(person, now):
        told = {"name": person.name, "email": person.email or user.email}
        touched = {"updated_at": now} if told != {"name": user.name, "email": user.email} else {}
        member_rows.update_user(session, user.id, last_login_at=now, **told, **touched)
    return _Known(user, memberships)


def _came_in(session: Session, person: Person, is_admin: bool, visit: Visit) -> _Known:
    """Make somebody a member of the default organization, if they become one by themselves."""
    organization = in_organizations.default_organization(session)
    if _role_to_come_in(session, organization.id, person, is_admin) is not None:
        organization_rows.hold_organization(session, organization.id)
        user = ensured_user(session, person)
        # Again, with nobody else at it.
        role = _role_to_come_in(session, organization.id, person, is_admin)
        if role is not None:
            actor = replace(_actor(person, user, visit), organization_id=organization.id, role=role)
            _join(session, actor, user, role)
    session.flush()
    return _Known(*member_rows.known(session, person.airflow_id))


def _role_to_come_in(session: Session, organization_id: str, person: Person, is_admin: bool) -> Role | None:
    user = member_rows.get_user(session, person.airflow_id)
    row = member_rows.get_member(session, organization_id, user.id) if user is not None else None
    owners = member_rows.count_owners(session, organization_id)
    return role_on_entry(is_admin, str(setting("default_role")).strip(), row.member if row is not None else None, owners)


def _join(session: Session, actor: Actor, user: User, role: Role) -> None:
    now, row = utcnow(), member_rows.get_member(session, actor.organization_id, user.id)
    if row is None:
        member_rows.insert_member(session, Member(actor.organization_id, user.id, role, now, now))
    else:
        member_rows.update_member(session, row.member, role=role, removed_at=None, updated_at=now)
    auditing.record(session, actor, "joined", Subject("member", user.id, user.name), after={"role": role})


# Their organizations


def list_organizations(actor: Actor) -> list[Membership]:
    """The organizations of a person, oldest membership first; of a token its own.

    :param actor: Of a person also one in no organization.
    """

    def work(session: Session) -> list[Membership]:
        if actor.kind == "user":
            return [one for one in member_rows.known(session, actor.identifier)[1] if not one.removed]
        found = organization_rows.get_organization(session, identifier=actor.organization_id)
        if found is None or actor.role is None:
            return []
        return [Membership(found.id, found.name, actor.role, found.created_at, removed=False)]

    return transactions.run(work)


# The members of an organization


def list_members(actor: Actor) -> list[MemberRow]:
    """The members of the actor's organization, longest first."""
    actor.require("read")
    actor.require_unlimited()
    return transactions.run(lambda session: member_rows.list_members(session, actor.organization_id))


def get_member(actor: Actor, user_id: str) -> MemberRow:
    """One member.

    :raises DagctlError: ``not_found``.
    """
    actor.require("read")
    actor.require_unlimited()
    return transactions.run(partial(_present, organization_id=actor.organization_id, user_id=user_id))


def change_role(actor: Actor, user_id: str, role: str) -> MemberRow:
    """Give a member another role.

    :raises DagctlError: ``not_found``, ``forbidden``, ``last_owner``, ``invalid_request`` for a role that there is not.
    """
    actor.require("manage_team")
    actor.require_unlimited()
    wanted = known_role(role)

    def work(session: Session) -> MemberRow:
        asking, row = _held(session, actor, user_id)
        member = row.member
        require_may_change(asking, member, wanted, member_rows.count_owners(session, member.organization_id))
        if member.role == wanted:
            return row
        now = utcnow()
        member_rows.update_member(session, member, role=wanted, updated_at=now)
        before, after = {"role": member.role}, {"role": wanted}
        auditing.record(session, actor, "changed", Subject("member", user_id, row.user.name), before=before, after=after)
        return MemberRow(replace(member, role=wanted, updated_at=now), row.user)

    return transactions.run(work)


def remove_member(actor: Actor, user_id: str) -> MemberRow:
    """Remove a member. They come in again by an invitation only.

    :raises DagctlError: ``not_found``, ``forbidden``, ``last_owner``.
    """
    actor.require("manage_team")
    actor.require_unlimited()

    def work(session: Session) -> MemberRow:
        asking, row = _held(session, actor, user_id)
        member = row.member
        require_may_change(asking, member, None, member_rows.count_owners(session, member.organization_id))
        now = utcnow()
        member_rows.update_member(session, member, removed_at=now, updated_at=now)
        auditing.record(session, actor, "removed", Subject("member", user_id, row.user.name), before={"role": member.role})
        return row

    return transactions.run(work)


def add_member(actor: Actor, person: Person, role: str) -> MemberRow:
    """Make somebody whom Airflow knows a member, without an invitation: for who runs this Airflow, at its command line.

    :param actor: The product itself.
    :raises DagctlError: ``already_member``, ``invalid_request``.
    """
    actor.require("manage_team")
    wanted = known_role(role)
    require_may_give(actor, wanted)

    def work(session: Session) -> MemberRow:
        organization_rows.hold_organization(session, actor.organization_id)
        user, now = ensured_user(session, person), utcnow()
        row = member_rows.get_member(session, actor.organization_id, user.id)
        if row is not None and row.member.removed_at is None:
            raise DagctlError("already_member", f"{user.name!r} is a member already, as {row.member.role}.")
        made = Member(actor.organization_id, user.id, wanted, now, now)
        if row is None:
            member_rows.insert_member(session, made)
        else:
            member_rows.update_member(session, row.member, role=wanted, removed_at=None, updated_at=now)
        auditing.record(session, actor, "added", Subject("member", user.id, user.name), after={"role": wanted})
        return MemberRow(made, user)

    return transactions.run(work)


def _held(session: Session, actor: Actor, user_id: str) -> tuple[Actor, MemberRow]:
    """The actor and a member, as they are once nobody else changes the organization's members."""
    organization_rows.hold_organization(session, actor.organization_id)
    return present_role(session, actor, "manage_team"), _present(session, actor.organization_id, user_id)


def _present(session: Session, organization_id: str, user_id: str) -> MemberRow:
    row = member_rows.get_member(session, organization_id, user_id)
    if row is None or row.member.removed_at is not None:
        raise not_found("Member", user_id)
    return row
