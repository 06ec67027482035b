"""Invitations: a link that makes whoever is invited a member, once.

The secret in the link is known to whoever got it alone; a hash of it is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import Person, folded_email
from dagctl_provider.domain.permissions import Role

LIFE = timedelta(days=7)
SECRET_PREFIX = "dinv_"  # noqa: S105 - what secrets begin with, not one of them

Bound = Literal["email", "link"]


@dataclass(frozen=True)
class Invitation:
    """An invitation, without its secret.

    :param created_by: Who invited, in words.
    :param sent_at: When a mail with the link was handed to a mail server; absent while the inviter has to pass it on.
    :param accepted_by: The user who became a member.
    """

    id: str
    organization_id: str
    email: str
    role: Role
    created_by: str
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    accepted_by: str | None = None
    withdrawn_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it can be accepted."""
        return self.accepted_at is None and self.withdrawn_at is None and self.expires_at > now


def require_acceptable(invitation: Invitation, person: Person, now: datetime) -> Bound:
    """Whether somebody may accept an invitation, and what binds it to them.

    Where Airflow knows an address of theirs it must be the invited one. Where it knows none, whoever holds the link accepts.

    :raises DagctlError: ``invitation_used``, ``invitation_over`` or ``invitation_for_another``.
    """
    if invitation.accepted_at is not None:
        raise DagctlError("invitation_used", "This invitation has been accepted already.")
    if not invitation.is_open(now):
        raise DagctlError("invitation_over", "This invitation has been withdrawn or has expired.")
    if person.email is None:
        return "link"
    if folded_email(person.email) != folded_email(invitation.email):
        raise DagctlError("invitation_for_another", "This invitation is for another e-mail address than Airflow has of you.")
    return "email"


def pending_key(organization_id: str, email: str) -> str:
    """What an organization has once at most while an invitation is open."""
    return hashlib.sha256(f"{organization_id}\n{folded_email(email)}".encode()).hexdigest()


def secret_hash(secret: str) -> str:
    """By which the secret of a link is recognised. It has 256 random bits: a fast hash is enough, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()
