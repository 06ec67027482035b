"""People inside a transaction of the caller: found or made, and what they are at this moment."""

from __future__ import annotations

from dataclasses import replace

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.members import Person, User
from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.store import members as member_rows
from dagctl_provider.store.session import Session, utcnow


def ensured_user(session: Session, person: Person) -> User:
    """A person as a row of ours, made if there is none. Of two who make it at once one is told to look again.

    :raises DagctlError: ``forbidden`` where the database cannot tell them from somebody else.
    """
    found = member_rows.get_user(session, person.airflow_id)
    if found is not None:
        return found
    if member_rows.is_anothers(session, person.airflow_id):
        detail = "Somebody was here before whose id in Airflow differs from yours in case or accents alone."
        raise DagctlError("forbidden", detail)
    now = utcnow()
    made = User(new_id("user_"), person.airflow_id, person.name, now, now, email=person.email, last_login_at=now)
    member_rows.insert_user(session, made)
    session.flush()
    return made


def present_role(session: Session, actor: Actor, permission: str) -> Actor:
    """The actor with the role that they have now, which another one may have changed since they were asked who they are.

    :param permission: What they must hold still.
    :raises DagctlError: ``forbidden``.
    """
    if actor.user_id is None:
        return actor
    row = member_rows.get_member(session, actor.organization_id, actor.user_id)
    present = row is not None and row.member.removed_at is None
    held = permissions_of(row.member.role) if row is not None and present else frozenset[str]()
    found = replace(actor, role=row.member.role if row is not None and present else actor.role, permissions=held)
    found.require(permission)
    return found
