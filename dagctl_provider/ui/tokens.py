"""The pages of API tokens: the list, a form for a new one, and what is asked before one is rotated or revoked."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, request

from dagctl_provider.domain.errors import DagctlError, invalid_field, not_found
from dagctl_provider.domain.permissions import RANKS, ROLES, Actor
from dagctl_provider.domain.tokens import LONGEST_LIFE, LONGEST_OVERLAP, OVERLAP, Token, may_manage
from dagctl_provider.services import members, projects, tokens
from dagctl_provider.store.session import utcnow
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.form_fields import FormField
from dagctl_provider.ui.organization import ConfirmedAction, ask, section_page
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, signed_in

_NEEDED = "manage_tokens"


class TokenPages(Pages):
    """API tokens of the organization."""

    @expose("/organization/tokens", methods=("GET", "POST"))
    def tokens(self) -> Response:
        """All tokens, and a form for another one, whose secret is shown this once."""
        actor = signed_in(_NEEDED)
        if request.method == "GET":
            return _tokens(actor)
        try:
            life = _number("expires_in_days", LONGEST_LIFE.days, optional=True)
            made = tokens.create(
                actor,
                request.form.get("name", "")[:256],
                request.form.get("role", ""),
                project_ids=request.form.getlist("project_ids") or None,
                expires_in=timedelta(days=life) if life is not None else None,
            )
        except DagctlError as error:
            return _tokens(actor, error=error)
        return _tokens(actor, made.token, made.secret)

    @expose("/organization/tokens/<token_id>/rotate", methods=("GET", "POST"))
    def rotate(self, token_id: str) -> Response:
        """Ask whether another token shall take the place of one, and do it."""
        actor = signed_in(_NEEDED)
        token = _find(actor, token_id)
        action = ConfirmedAction(
            f"Rotate {token.name}?",
            "Rotate",
            (
                "A new token of the same kind is made; its secret is shown this once.",
                "The former one is good until it expires, so that there is time to change it everywhere.",
            ),
            page_url("organization", "tokens", token_id, "rotate"),
            page_url("organization", "tokens"),
        )
        hours = str(int(OVERLAP.total_seconds()) // 3600)
        fields = [FormField("overlap_hours", "Hours for which the former token is good", "0: not at all.", hours)]
        if request.method == "GET":
            return ask(actor, "tokens", action, fields=fields)
        try:
            overlap = _number("overlap_hours", int(LONGEST_OVERLAP.total_seconds()) // 3600)
            made = tokens.rotate(actor, token_id, timedelta(hours=overlap or 0))
        except DagctlError as error:
            return ask(actor, "tokens", action, error, fields=fields)
        return _tokens(actor, made.token, made.secret)

    @expose("/organization/tokens/<token_id>/revoke", methods=("GET", "POST"))
    def revoke(self, token_id: str) -> Response:
        """Ask whether a token shall be useless, and make it so."""
        actor = signed_in(_NEEDED)
        token = _find(actor, token_id)
        action = ConfirmedAction(
            f"Revoke {token.name}?",
            "Revoke",
            ("It is useless at once, for everybody and everything that has it. This cannot be undone.",),
            page_url("organization", "tokens", token_id, "revoke"),
            page_url("organization", "tokens"),
        )
        if request.method == "GET":
            return ask(actor, "tokens", action)
        try:
            tokens.revoke(actor, token_id)
        except DagctlError as error:
            return ask(actor, "tokens", action, error)
        return back_to(page_url("organization", "tokens", said="token_revoked"))


def _find(actor: Actor, token_id: str) -> Token:
    identifier = check_id(token_id, "Token")
    found = next((token for token in tokens.list_tokens(actor) if token.id == identifier), None)
    if found is None:
        raise not_found("Token", identifier)
    return found


def _number(name: str, most: int, *, optional: bool = False) -> int | None:
    """A whole number of a form."""
    text = request.form.get(name, "").strip()
    if not text and optional:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= most):
        raise invalid_field(name, f"must be a whole number up to {most}")
    return int(text)


def _tokens(actor: Actor, made: Token | None = None, secret: str = "", error: DagctlError | None = None) -> Response:
    now, present = utcnow(), projects.list_projects(actor)
    return section_page(
        "tokens.html",
        actor,
        "tokens",
        status=error.kind.status if error is not None else 200,
        rows=[(token, _state(token), may_manage(actor, token.role, token.project_ids)) for token in tokens.list_tokens(actor)],
        projects=present,
        names={project.id: project.name for project in present},
        makers={row.user.id: row.user.name for row in members.list_members(actor)} if actor.project_ids is None else {},
        roles=[role for role in ROLES if actor.role is None or RANKS[role] <= RANKS[actor.role]],
        now=now,
        made=made,
        secret=secret,
        error=error,
        sent=request.form if error is not None else {},
        chosen=request.form.getlist("project_ids") if error is not None else [],
    )


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if not token.is_active(utcnow()):
        return "expired"
    return "rotated" if token.replaced_by is not None else "active"
