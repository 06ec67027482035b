"""The pages of members and invitations, and the one on which somebody accepts an invitation."""

from __future__ import annotations

import re
from functools import partial

from flask import Response, request

from dagctl_provider.api.authentication import authenticate_person
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.invitations import SECRET_PREFIX
from dagctl_provider.domain.members import LONGEST_EMAIL, MemberRow
from dagctl_provider.domain.permissions import ROLES, Actor, Role
from dagctl_provider.services import invitations, members
from dagctl_provider.services.results import Invited
from dagctl_provider.store.session import utcnow
from dagctl_provider.ui.addresses import absolute, page_url
from dagctl_provider.ui.organization import ConfirmedAction, ask, section_page
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, page, signed_in

_INVITATION_COOKIE = "dagctl_invitation"
_INVITATION_SECONDS = 3600
_SECRET = re.compile(re.escape(SECRET_PREFIX) + r"[A-Za-z0-9_-]{16,160}")


def roles_to_give(actor: Actor) -> tuple[Role, ...]:
    """The roles that somebody may give; the services ask again."""
    return ROLES if actor.role == "owner" else ("developer", "reader")


class MemberPages(Pages):
    """Members of the organization."""

    @expose("/organization/members")
    def members(self) -> Response:
        """All members."""
        return _members(signed_in("read"))

    @expose("/organization/members/<user_id>/role", methods=("POST",))
    def role(self, user_id: str) -> Response:
        """Give a member another role."""
        actor = signed_in("manage_team")
        try:
            members.change_role(actor, check_id(user_id, "Member"), request.form.get("role", ""))
        except DagctlError as error:
            return _members(actor, error)
        return back_to(page_url("organization", "members", said="role_changed"))

    @expose("/organization/members/<user_id>/remove", methods=("GET", "POST"))
    def remove(self, user_id: str) -> Response:
        """Ask whether a member shall be removed, and do it."""
        actor = signed_in("manage_team")
        row = members.get_member(actor, check_id(user_id, "Member"))
        action = ConfirmedAction(
            f"Remove {row.user.name}?",
            "Remove",
            (
                "From their next request on they see nothing of this organization. They come in again by an invitation only.",
                "API tokens that they made belong to the organization and stay.",
            ),
            page_url("organization", "members", user_id, "remove"),
            page_url("organization", "members"),
        )
        if request.method == "GET":
            return ask(actor, "members", action)
        try:
            members.remove_member(actor, user_id)
        except DagctlError as error:
            return ask(actor, "members", action, error)
        return back_to(page_url("organization", "members", said="member_removed"))


def _members(actor: Actor, error: DagctlError | None = None) -> Response:
    rows = members.list_members(actor)
    return section_page(
        "members.html",
        actor,
        "members",
        status=error.kind.status if error is not None else 200,
        rows=rows,
        roles=roles_to_give(actor),
        may_change=partial(_may_change, actor),
        error=error,
    )


def _may_change(actor: Actor, row: MemberRow) -> bool:
    """Whether the form for a member's role is worth showing."""
    guarded = row.member.role in ("owner", "admin") and actor.role != "owner"
    return "manage_team" in actor.permissions and row.user.id != actor.user_id and not guarded


class InvitationPages(Pages):
    """Invitations of the organization."""

    @expose("/organization/invitations", methods=("GET", "POST"))
    def invitations(self) -> Response:
        """Invitations that are open, and a form for another one."""
        actor = signed_in("manage_team")
        if request.method == "GET":
            return _invitations(actor)
        try:
            made = invitations.invite(actor, request.form.get("email", "")[: LONGEST_EMAIL + 1], request.form.get("role", ""))
        except DagctlError as error:
            return _invitations(actor, error=error)
        return _invitations(actor, made)

    @expose("/organization/invitations/<invitation_id>/resend", methods=("POST",))
    def resend(self, invitation_id: str) -> Response:
        """Send an invitation again, with a new link."""
        actor = signed_in("manage_team")
        try:
            return _invitations(actor, invitations.resend(actor, check_id(invitation_id, "Invitation")))
        except DagctlError as error:
            return _invitations(actor, error=error)

    @expose("/organization/invitations/<invitation_id>/withdraw", methods=("POST",))
    def withdraw(self, invitation_id: str) -> Response:
        """Make the link of an invitation void."""
        actor = signed_in("manage_team")
        try:
            invitations.withdraw(actor, check_id(invitation_id, "Invitation"))
        except DagctlError as error:
            return _invitations(actor, error=error)
        return back_to(page_url("organization", "invitations", said="invitation_withdrawn"))


def _invitations(actor: Actor, made: Invited | None = None, error: DagctlError | None = None) -> Response:
    """The page, with the link where the inviter has to pass it on: it is shown this once."""
    return section_page(
        "invitations.html",
        actor,
        "invitations",
        status=error.kind.status if error is not None else 200,
        rows=invitations.list_invitations(actor),
        roles=roles_to_give(actor),
        now=utcnow(),
        made=made,
        link=absolute(made.link) if made is not None else "",
        error=error,
        sent=request.form if error is not None else {},
    )


class AcceptingPages(Pages):
    """Where the link of an invitation leads."""

    @expose("/invitations/<secret>")
    def follow(self, secret: str) -> Response:
        """Take the secret out of the address, so that neither another address nor a page that is gone to from here holds it."""
        if _SECRET.fullmatch(secret) is None:
            raise DagctlError("not_found", "There is no such invitation; the link may be cut off.")
        answer = back_to(page_url("invitations", "accept"))
        _keep(answer, secret, _INVITATION_SECONDS)
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    @expose("/invitations/accept", methods=("GET", "POST"))
    def accept(self) -> Response:
        """Show what is offered, and accept it."""
        actor = authenticate_person("page")
        secret = request.cookies.get(_INVITATION_COOKIE, "")
        if _SECRET.fullmatch(secret) is None:
            raise DagctlError("not_found", "Follow the link of the invitation once more.")
        if request.method == "GET":
            return page("accept.html", None, title="Invitation", offer=invitations.offer(actor, secret), person=actor)
        joined = invitations.accept(actor, secret)
        answer = page("joined.html", None, title="Welcome", joined=joined)
        _keep(answer, "", 0)
        return answer


def _keep(answer: Response, secret: str, seconds: int) -> None:
    """Have the browser keep the secret for the pages of invitations alone."""
    path = page_url("invitations")
    answer.set_cookie(_INVITATION_COOKIE, secret, seconds, path=path, secure=request.is_secure, httponly=True, samesite="Lax")
