"""The pages of protected environments: the list, one as a form, and what comes of removing it."""

from __future__ import annotations

from flask import Response, request

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import ROLES, Actor
from dagctl_provider.domain.protections import Protection
from dagctl_provider.services import protections
from dagctl_provider.ui import protection_form
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.organization import section_page
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, signed_in
from dagctl_provider.ui.protection_form import Shown

WORD = "environments"
PERMISSION = "manage_secrets"


class ProtectionPages(Pages):
    """Protected environments and their rules."""

    @expose("/organization/environments")
    def environments(self) -> Response:
        """All of them."""
        actor = signed_in(PERMISSION)
        rows = [(one, said_of(one)) for one in protections.list_protections(actor)]
        return section_page("environments.html", actor, WORD, rows=rows)

    @expose("/organization/environments/new", methods=("GET", "POST"))
    def new(self) -> Response:
        """Protect an environment."""
        actor = signed_in(PERMISSION)
        if request.method == "GET":
            return _form(actor, None, Shown(excepted_roles=("owner", "admin")))
        values = protection_form.read_form(request.form)
        try:
            protections.create_protection(actor, values)
        except DagctlError as error:
            return _refused(actor, None, protection_form.shown_again(values), error)
        return back_to(page_url("organization", WORD, said="protection_created"))

    @expose("/organization/environments/<protection_id>", methods=("GET", "POST"))
    def edit(self, protection_id: str) -> Response:
        """Change a protection."""
        actor = signed_in(PERMISSION)
        found = protections.get_protection(actor, check_id(protection_id, "Protection")).protection
        if request.method == "GET":
            return _form(actor, found, protection_form.shown_of(found))
        values = protection_form.read_form(request.form)
        try:
            protections.update_protection(actor, found.id, values)
        except DagctlError as error:
            return _refused(actor, found, protection_form.shown_again(values), error)
        return back_to(page_url("organization", WORD, said="protection_saved"))

    @expose("/organization/environments/<protection_id>/remove", methods=("GET", "POST"))
    def remove(self, protection_id: str) -> Response:
        """Ask, and remove a protection."""
        actor = signed_in(PERMISSION)
        found = protections.get_protection(actor, check_id(protection_id, "Protection")).protection
        if request.method == "GET":
            return section_page("environment_remove.html", actor, WORD, title="Remove protection", protection=found)
        protections.delete_protection(actor, found.id)
        return back_to(page_url("organization", WORD, said="protection_removed"))


def _refused(actor: Actor, protection: Protection | None, shown: Shown, error: DagctlError) -> Response:
    if error.code not in ("invalid_request", "name_taken"):
        raise error
    return _form(actor, protection, shown, error)


def _form(actor: Actor, protection: Protection | None, shown: Shown, error: DagctlError | None = None) -> Response:
    offered = protections.choices(actor)
    listed = error.extra.get("errors") if error is not None else None
    return section_page(
        "environment_form.html",
        actor,
        WORD,
        title=f"Environment {protection.environment_name}" if protection is not None else "Protect an environment",
        status=error.kind.status if error is not None else 200,
        protection=protection,
        shown=shown,
        environments=offered.environments,
        members=offered.people.members,
        tokens=offered.people.tokens,
        roles=ROLES,
        numbers=protection_form.NUMBERS,
        flags=protection_form.FLAGS,
        error=error,
        errors=listed if isinstance(listed, list) else [],
    )


def said_of(protection: Protection) -> str:
    """The rules of an environment in one line."""
    rules = protection.rules
    said = [f"{rules.quorum} approval{'' if rules.quorum == 1 else 's'}"]
    said += [f"{len(rules.groups)} group{'' if len(rules.groups) == 1 else 's'}"] if rules.groups else []
    said += [text for holds, text in ((rules.codeowners, "code owners"), (rules.forbid_author, "not by the author")) if holds]
    said += [f"{len(rules.windows)} window{'' if len(rules.windows) == 1 else 's'}"] if rules.windows else []
    return ", ".join(said)
