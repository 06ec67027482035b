"""What each operation on members, invitations and organizations does: call one service, say the answer."""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.common import Message
from dagctl_provider.api.v1.team import schemas
from dagctl_provider.services import invitations, members


def list_organizations(call: Call) -> Result:
    found = members.list_organizations(call.actor)
    return 200, schemas.OrganizationList(organizations=[schemas.organization(row) for row in found], total=len(found))


def list_members(call: Call) -> Result:
    found = members.list_members(call.actor)
    return 200, schemas.MemberList(members=[schemas.member(row) for row in found], total=len(found))


def change_role(call: Call) -> Result:
    body: schemas.RoleBody = call.body
    row = members.change_role(call.actor, call.ids["userId"], body.role)
    return 200, schemas.MemberMessage(member=schemas.member(row), message="Member role updated successfully")


def remove_member(call: Call) -> Result:
    members.remove_member(call.actor, call.ids["userId"])
    return 200, Message(message="Member removed successfully")


def list_invitations(call: Call) -> Result:
    found = invitations.list_invitations(call.actor)
    return 200, schemas.InvitationList(invitations=[schemas.invitation(record) for record in found], total=len(found))


def invite(call: Call) -> Result:
    body: schemas.InvitationBody = call.body
    return 201, schemas.invited(invitations.invite(call.actor, body.email, body.role))


def resend_invitation(call: Call) -> Result:
    return 200, schemas.invited(invitations.resend(call.actor, call.ids["invitationId"]))


def withdraw_invitation(call: Call) -> Result:
    invitations.withdraw(call.actor, call.ids["invitationId"])
    return 200, Message(message="Invitation withdrawn successfully")


def accept_invitation(call: Call) -> Result:
    body: schemas.AcceptBody = call.body
    made = invitations.accept(call.actor, body.token)
    message = "Invitation accepted successfully"
    return 200, schemas.AcceptedAnswer(
        member=schemas.member(made.member), organization_name=made.organization.name, message=message
    )
