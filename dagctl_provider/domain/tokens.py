"""API tokens as everybody but their owner knows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dagctl_provider.domain.permissions import Role


@dataclass(frozen=True)
class Token:
    """An API token as it may be shown: never the secret, nor what it is recognised by.

    :param prefix: How the secret begins, so that people can tell their tokens apart.
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
