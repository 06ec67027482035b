"""API tokens as everybody but their owner knows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import RANKS, Actor, Role

MOST_PROJECTS = 100
"""That a token is limited to."""
LONGEST_LIFE = timedelta(days=3650)
LONGEST_OVERLAP = timedelta(days=30)
OVERLAP = timedelta(days=1)
"""How long a rotated token is still good, unless something else is asked for."""


@dataclass(frozen=True)
class Token:
    """An API token as it may be shown: never the secret, nor what it is recognised by.

    :param created_by: Who answers for it: the id of a member, or the account of the machine at whose command line it was made.
    :param prefix: How the secret begins, so that people can tell their tokens apart.
    :param project_ids: The projects that it is limited to; ``None`` for all of the organization.
    :param replaced_by: The token that takes its place, once it was rotated.
    """

    id: str
    organization_id: str
    name: str
    role: Role
    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    project_ids: tuple[str, ...] | None = None
    replaced_by: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


def may_manage(actor: Actor, role: Role, project_ids: Collection[str] | None) -> bool:
    """Whether somebody may make, rotate or revoke a token of this kind: nobody hands out more than they have.

    :param project_ids: What the token is limited to.
    """
    if actor.role is not None and RANKS[role] > RANKS[actor.role]:
        return False
    return actor.project_ids is None or (project_ids is not None and actor.project_ids >= set(project_ids))


def require_may_manage(actor: Actor, role: Role, project_ids: Collection[str] | None) -> None:
    """:func:`may_manage`, or an error.

    :raises DagctlError: ``forbidden``.
    """
    if not may_manage(actor, role, project_ids):
        detail = (
            f"A token with the role {role!r} is above your own role."
            if actor.project_ids is None
            else ("This token may manage tokens up to its own role and its own projects only.")
        )
        raise DagctlError("forbidden", detail)
