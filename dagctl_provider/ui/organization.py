"""What the pages of an organization have in common: their list, and the frame with the way from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from flask import Response, request

from dagctl_provider.api.authentication import ORGANIZATION_COOKIE
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import organizations
from dagctl_provider.ui import live
from dagctl_provider.ui.addresses import airflow_root, page_url
from dagctl_provider.ui.pages import Pages, back_to, expose, page, signed_in

REMEMBERED = 365 * 24 * 3600
"""Seconds for which a browser remembers the organization that somebody works in."""


@dataclass(frozen=True)
class Section:
    """One page of the organization.

    :param word: In its address, below ``/organization``.
    :param permission: Who sees it in the list.
    :param unlimited: Whether tokens that are limited to projects do without it.
    """

    word: str
    title: str
    permission: str
    unlimited: bool = True


SECTIONS: tuple[Section, ...] = (
    Section("members", "Members", "read"),
    Section("invitations", "Invitations", "manage_team"),
    Section("tokens", "API tokens", "manage_tokens", unlimited=False),
    Section("variables", "Environment variables", "view_secrets"),
    Section("environments", "Environments and rules", "manage_secrets"),
    Section("audit", "Record of changes", "read_audit"),
)
"""In the order in which they are offered."""


def sections_of(actor: Actor) -> tuple[Section, ...]:
    """The pages that an actor may open."""
    limited = actor.project_ids is not None
    return tuple(row for row in SECTIONS if row.permission in actor.permissions and not (limited and row.unlimited))


def section_page(template: str, actor: Actor, word: str, *, title: str = "", status: int = 200, **context: object) -> Response:
    """A page in the frame of the organization's pages.

    :param template: Below ``organization/``; it extends ``organization/frame.html``.
    :param word: Which of :data:`SECTIONS` it belongs to.
    :param title: Of the window, where it is another one than the section's.
    """
    section = next(row for row in SECTIONS if row.word == word)
    return page(
        f"organization/{template}",
        actor,
        title=title or section.title,
        nav="organization",
        status=status,
        section=section,
        sections=sections_of(actor),
        organization=organizations.get_organization(actor),
        **context,
    )


class OrganizationPages(Pages):
    """Where the pages of the organization begin."""

    @expose("/organization")
    def organization(self) -> Response:
        """The first page of the organization that this person may open."""
        actor = signed_in("read")
        found = sections_of(actor)
        if not found:
            raise DagctlError("forbidden", "There is nothing of the organization that you may see.")
        return back_to(page_url("organization", found[0].word))

    @expose("/organization/choose", methods=("POST",))
    def choose(self) -> Response:
        """Work in another one of one's organizations from now on."""
        actor = signed_in("read")
        wanted = request.form.get("organization_id", "")
        if wanted not in dict(actor.organizations):
            raise not_found("Organization", wanted)
        answer = back_to(page_url("projects", said="organization_chosen"))
        # The stream of events stands beside the pages.
        for path in (page_url(), f"{airflow_root()}{live.PREFIX}"):
            answer.set_cookie(
                ORGANIZATION_COOKIE, wanted, REMEMBERED, path=path, secure=request.is_secure, httponly=True, samesite="Lax"
            )
        return answer


class ConfirmedAction(NamedTuple):
    """Something that is asked for before it is done.

    :param title: What is asked.
    :param label: On the button.
    :param consequences: Sentences on what it brings about.
    :param address: Where the form goes.
    :param back: Where one goes otherwise.
    """

    title: str
    label: str
    consequences: tuple[str, ...]
    address: str
    back: str


def ask(actor: Actor, word: str, action: ConfirmedAction, error: DagctlError | None = None, **context: object) -> Response:
    """Ask whether something shall be done.

    :param word: The section that it belongs to.
    :param error: What stood in the way a moment ago.
    :param context: Fields of the form, for example.
    """
    status = error.kind.status if error is not None else 200
    return section_page(
        "confirm.html", actor, word, title=action.title, status=status, action=action, error=error, **{"fields": [], **context}
    )
