"""What the pages of an organization have in common: their list, and the frame with the way from one to the next."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Response

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import organizations
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.pages import Pages, back_to, expose, page, signed_in


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


SECTIONS: tuple[Section, ...] = (Section("audit", "Record of changes", "read_audit"),)
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
