"""The shape of every request and answer about members, invitations and organizations."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import AfterValidator, Field, StrictStr

from dagctl_provider.api.models import Answer, Count, Request, Timestamp, storable
from dagctl_provider.domain.invitations import Invitation
from dagctl_provider.domain.members import LONGEST_EMAIL, MemberRow, Membership
from dagctl_provider.domain.permissions import ROLES, Role
from dagctl_provider.services.results import Invited

RoleWord = Annotated[Role, Field(description=f"One of {', '.join(ROLES)}")]
_LONGEST_SECRET = 200


class MemberAnswer(Answer):
    """A member of an organization."""

    id: str
    organization_id: str
    email: str | None = Field(None, description="Where Airflow's auth manager knows one")
    name: str
    picture: str | None = None
    role: RoleWord
    created_at: Timestamp
    updated_at: Timestamp
    last_login_at: Timestamp | None = None


class MemberList(Answer):
    """All members of an organization."""

    members: list[MemberAnswer]
    total: Count


class RoleBody(Request):
    """The role that a member is to have."""

    role: RoleWord


class MemberMessage(Answer):
    """What was done to a member."""

    member: MemberAnswer
    message: str


class InvitationAnswer(Answer):
    """An invitation, without its link."""

    id: str
    organization_id: str
    email: str
    role: RoleWord
    expired: bool = Field(description="Whether its link is void until it is sent again")
    created_by: str
    created_at: Timestamp
    expires_at: Timestamp
    sent_at: Timestamp | None = Field(None, description="When a mail server took the mail with the link")


class InvitationList(Answer):
    """Invitations that were neither accepted nor withdrawn."""

    invitations: list[InvitationAnswer]
    total: Count


class InvitationBody(Request):
    """Who is invited, and as what."""

    email: Annotated[StrictStr, Field(min_length=3, max_length=LONGEST_EMAIL), AfterValidator(storable)]
    role: RoleWord


class InvitationMessage(Answer):
    """An invitation that was made or sent anew."""

    invitation: InvitationAnswer
    message: str
    link: str | None = Field(None, description="Where no mail was sent: to be passed on, shown this once")
    mail_error: str | None = Field(None, description="Why no mail was sent")


class AcceptBody(Request):
    """The secret of an invitation: the last part of its link."""

    token: Annotated[StrictStr, Field(min_length=1, max_length=_LONGEST_SECRET), AfterValidator(storable)]


class OrganizationAnswer(Answer):
    """An organization, and the caller's role in it."""

    id: str
    name: str
    role: RoleWord
    created_at: Timestamp = Field(description="When the caller became a member")


class OrganizationList(Answer):
    """The organizations of the caller."""

    organizations: list[OrganizationAnswer]
    total: Count


class AcceptedAnswer(Answer):
    """Somebody became a member."""

    member: MemberAnswer
    organization_name: str
    message: str


def member(row: MemberRow) -> MemberAnswer:
    """A member for the API."""
    return MemberAnswer(
        id=row.user.id,
        organization_id=row.member.organization_id,
        email=row.user.email,
        name=row.user.name,
        picture=row.user.picture,
        role=row.member.role,
        created_at=row.member.created_at,
        updated_at=max(row.member.updated_at, row.user.updated_at),
        last_login_at=row.user.last_login_at,
    )


def invitation(record: Invitation) -> InvitationAnswer:
    """An invitation for the API."""
    return InvitationAnswer(
        id=record.id,
        organization_id=record.organization_id,
        email=record.email,
        role=record.role,
        expired=record.expires_at <= datetime.now(timezone.utc),
        created_by=record.created_by,
        created_at=record.created_at,
        expires_at=record.expires_at,
        sent_at=record.sent_at,
    )


def invited(made: Invited) -> InvitationMessage:
    """An invitation that was sent, or the link that the inviter has to pass on."""
    if made.not_sent is None:
        message = "Invitation sent successfully"
        return InvitationMessage(invitation=invitation(made.invitation), message=message, link=None, mail_error=None)
    message = "No mail was sent; pass the link on yourself"
    return InvitationMessage(invitation=invitation(made.invitation), message=message, link=made.link, mail_error=made.not_sent)


def organization(row: Membership) -> OrganizationAnswer:
    """An organization for the API."""
    return OrganizationAnswer(id=row.organization_id, name=row.organization_name, role=row.role, created_at=row.created_at)
