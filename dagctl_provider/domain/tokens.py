"""API tokens as everybody but their owner knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dagctl_provider.domain.permissions import Role


@dataclass(frozen=True)
class Token:
    """An API token as it may be shown: never the secret, nor what it is recognised by.

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
