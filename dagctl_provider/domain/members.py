"""People in organizations: who somebody is, in which role they are a member, and who may change that.

Airflow's auth manager says who somebody is; role and organization are this product's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import ROLES, Actor, Role

LOGIN_RESOLUTION = timedelta(minutes=1)
"""How exactly it is known when somebody was here last."""
_GUARDED: frozenset[Role] = frozenset(("owner", "admin"))
LONGEST_EMAIL = 320


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in to Airflow, as its auth manager knows them.

    :param airflow_id: The auth manager's own id of them.
    :param email: Where the auth manager knows one.
    """

    airflow_id: str
    name: str
    email: str | None = None


@dataclass(frozen=True)
class User:
    """A person as they are kept here; one, however many organizations they are members of."""

    id: str
    airflow_id: str
    name: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    picture: str | None = None
    last_login_at: datetime | None = None

    def is_stale(self, person: Person, now: datetime) -> bool:
        """Whether something is to be written because they are here now."""
        told = (person.name, person.email or self.email)
        return told != (self.name, self.email) or self.last_login_at is None or now - self.last_login_at > LOGIN_RESOLUTION


@dataclass(frozen=True)
class Member:
    """Somebody in an organization.

    :param created_at: When they came in.
    :param removed_at: When they were removed; they are no member since.
    """

    organization_id: str
    user_id: str
    role: Role
    created_at: datetime
    updated_at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True)
class MemberRow:
    """A member together with who they are."""

    member: Member
    user: User


@dataclass(frozen=True)
class Membership:
    """An organization that somebody is, or was, a member of.

    :param removed: Whether they were removed from it.
    """

    organization_id: str
    organization_name: str
    role: Role
    created_at: datetime
    removed: bool


def role_on_entry(is_admin: bool, default_role: str, present: Member | None, owners: int) -> Role | None:
    """The role in which somebody comes into the default organization by themselves; ``None`` when they do not.

    :param is_admin: Whether they have Airflow's admin right.
    :param default_role: The setting: the role of everybody else; empty: nobody enters uninvited.
    :param present: What is on record of them there.
    :param owners: How many owners the organization has.
    """
    if present is not None:
        # Who was removed stays out; but an organization that nobody owns any more is in Airflow's hands.
        return "owner" if present.removed_at is not None and is_admin and not owners else None
    if is_admin:
        return "owner"
    return next((role for role in ROLES if role == default_role), None)


def chosen(
    memberships: Sequence[Membership], default_name: str, wanted: str | None, preferred: str | None = None
) -> Membership | None:
    """The organization in which a request acts.

    :param memberships: Of whoever asks, oldest first.
    :param default_name: The name of the default organization.
    :param wanted: The one that was named: it or none.
    :param preferred: The one that was chosen some time ago; another one where that cannot be.
    """
    present = [one for one in memberships if not one.removed]
    if wanted is not None:
        return next((one for one in present if one.organization_id == wanted), None)
    in_order = [
        *(one for one in present if one.organization_id == preferred),
        *(one for one in present if one.organization_name == default_name),
        *present,
    ]
    return next(iter(in_order), None)


def require_may_give(actor: Actor, role: Role) -> None:
    """Only owners make owners and admins.

    :raises DagctlError: ``forbidden``.
    """
    if role in _GUARDED and actor.role not in ("owner", None):
        raise DagctlError("forbidden", f"Only owners give the role {role!r}.")


def require_may_change(actor: Actor, member: Member, role: Role | None, owners: int) -> None:
    """Whether somebody may give a member another role, or remove them.

    The product itself, which is who runs this Airflow at its command line, has no role and is bound by the last rule alone.

    :param role: The new one; ``None`` to remove them.
    :param owners: How many owners the organization has now.
    :raises DagctlError: ``forbidden`` or ``last_owner``.
    """
    what = "removed" if role is None else f"given the role {role!r}"
    if actor.user_id is not None and actor.user_id == member.user_id:
        detail = "Nobody removes themselves." if role is None else "Nobody changes their own role."
        raise DagctlError("forbidden", f"{detail} Ask another owner.")
    if member.role in _GUARDED and actor.role not in ("owner", None):
        raise DagctlError("forbidden", f"Members who are {member.role} are {what} by owners only.")
    if role is not None:
        require_may_give(actor, role)
    if member.role == "owner" and role != "owner" and owners <= 1:
        raise DagctlError("last_owner", f"The last owner cannot be {what}: make somebody else owner first.")


def folded_email(email: str) -> str:
    """An address as it is compared."""
    return email.strip().casefold()


def email_fault(email: str) -> str | None:
    """What is wrong with an address for an invitation; it is for people to read and for a mail server to judge."""
    local, at, domain = email.rpartition("@")
    if not at or not local or ("." not in domain.strip(".") and domain != "localhost"):
        return "must be an e-mail address"
    if len(email) > LONGEST_EMAIL:
        return f"must have at most {LONGEST_EMAIL} characters"
    # Mail programs read these as the start of another address or header.
    if not email.isprintable() or any(letter in ' ,;:<>"()[]\\' for letter in email):
        return "must be one plain e-mail address"
    return None
