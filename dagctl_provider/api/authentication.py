"""Who is asking: an API token with its organization, or somebody signed in to Airflow.

A token is proof by itself. A session cookie is sent by browsers whatever page they are on, so a write with a cookie also
needs a sign that it comes from Airflow's own pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal
from urllib.parse import urlsplit

from flask import request

from dagctl_provider.api import limits
from dagctl_provider.api.limits import release_session
from dagctl_provider.api.requests import is_identifier
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import members, tokens
from dagctl_provider.services.members import Visit
from dagctl_provider.services.outside import airflow_users

TOKEN_PREFIX = "dctl_"  # noqa: S105 - what tokens begin with, not one of them
SESSION_COOKIE = "_token"
ORGANIZATION_HEADER = "X-Organization-ID"
ORGANIZATION_COOKIE = "dagctl_organization"
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
OWN_PAGE_HEADERS = ("X-Requested-With", "X-Dagctl-Request")
_LONGEST_CREDENTIAL = 8192


def authenticate(door: Literal["rest", "page"]) -> Actor:
    """The actor of the current request, which counts as one of theirs until it ends.

    :param door: By which way it came. Pages remember an organization that somebody chose; requests name theirs each time.
    :raises DagctlError: ``unauthenticated``, ``organization_required``, ``cross_site_request``, ``not_found``, ``forbidden`` or
        ``too_many_requests``.
    """
    token, credential = _credential()
    if token is not None:
        return _counted(_token_actor(token), door)
    user = airflow_users.user_from_token(credential)
    preferred = chosen_before(request.cookies) if door == "page" else None
    return _counted(members.actor_for(user, _named_organization(), preferred, Visit(door, request.remote_addr)), door)


def authenticate_person(door: Literal["rest", "page"]) -> Actor:
    """Whoever sends the current request, where no membership is needed: a person is in no organization then.

    :raises DagctlError: as :func:`authenticate`.
    """
    token, credential = _credential()
    if token is not None:
        return _counted(_token_actor(token), door)
    user = airflow_users.user_from_token(credential)
    return _counted(members.person_for(user, Visit(door, request.remote_addr)), door)


def _counted(actor: Actor, door: str) -> Actor:
    limits.begin(actor)
    # Auth managers leave a database session open; a request that waits for a git remote must not keep it that long.
    release_session()
    return replace(actor, door=door, source=request.remote_addr)


def chosen_before(cookies: Mapping[str, str]) -> str | None:
    """The organization that a browser remembers as the one that somebody works in."""
    found = cookies.get(ORGANIZATION_COOKIE, "")
    return found if is_identifier(found) else None


def _credential() -> tuple[str | None, str]:
    """What the request proves by who sends it: an API token, or a credential of Airflow's."""
    credential = _bearer()
    if credential is not None and credential.startswith(TOKEN_PREFIX):
        return credential, ""
    if credential is None:
        credential = request.cookies.get(SESSION_COOKIE)
        if not credential:
            raise DagctlError("unauthenticated", "No credentials were sent.")
        _require_own_page()
    elif airflow_users.everyone_is_admin() and _is_foreign():
        # In that mode Airflow itself puts a credential on every request, wherever it comes from.
        raise _cross_site()
    if len(credential) > _LONGEST_CREDENTIAL:
        raise DagctlError("unauthenticated", "The credential is not valid.")
    return None, credential


def _bearer() -> str | None:
    """The credential of the Authorization header; the first one when there are several, joined by commas."""
    header = request.headers.get("Authorization", "").split(",")[0].strip()
    if not header:
        return None
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise DagctlError("unauthenticated", "The Authorization header must be 'Bearer' and a credential.")
    return credential.strip()


def _token_actor(secret: str) -> Actor:
    organization_id = request.headers.get(ORGANIZATION_HEADER, "").strip()
    if not organization_id:
        raise DagctlError("organization_required", f"The header {ORGANIZATION_HEADER} is missing.")
    if not is_identifier(secret) or not is_identifier(organization_id):
        raise DagctlError("unauthenticated", "The token is not valid for this organization.")
    return tokens.authenticate(secret, organization_id)


def _named_organization() -> str | None:
    """The organization that the request names.

    :raises DagctlError: ``not_found`` for what is no id.
    """
    organization_id = request.headers.get(ORGANIZATION_HEADER, "").strip()
    if organization_id and not is_identifier(organization_id):
        raise not_found("Organization", organization_id)
    return organization_id or None


def _require_own_page() -> None:
    """Refuse writes that a foreign page may have made a browser send."""
    if request.method in SAFE_METHODS or any(name in request.headers for name in OWN_PAGE_HEADERS):
        return
    sent_from = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if sent_from == "same-origin" or (origin is not None and _is_own_origin(origin) and sent_from is None):
        return
    raise _cross_site()


def _is_foreign() -> bool:
    """Whether a browser says that this write comes from another site."""
    if request.method in SAFE_METHODS:
        return False
    origin = request.headers.get("Origin")
    foreign_origin = origin is not None and not _is_own_origin(origin)
    return foreign_origin or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")


def _is_own_origin(origin: str) -> bool:
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc in {request.host, airflow_users.public_host()}


def _cross_site() -> DagctlError:
    return DagctlError("cross_site_request", "This write does not come from a page of this Airflow.")
