"""Protected environments: where the allowlist decides who may change them, rather than the role alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.fields import TARGET_PATTERN
from dagctl_provider.domain.permissions import ROLES
from dagctl_provider.domain.rules import Rules, invalid
from dagctl_provider.domain.standings import Standing

MOST_EXCEPTED = 500


@dataclass(frozen=True)
class Exceptions:
    """The allowlist: who may change the environment although it is protected. Empty: nobody."""

    user_ids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    token_ids: tuple[str, ...] = ()

    def hold(self, somebody: Standing) -> bool:
        """Whether somebody is on it, as they are now."""
        if somebody.role is None:
            return False
        own = somebody.user_id in self.user_ids if somebody.kind == "user" else somebody.id in self.token_ids
        return own or somebody.role in self.roles

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {"user_ids": list(self.user_ids), "roles": list(self.roles), "token_ids": list(self.token_ids)}

    @classmethod
    def stored(cls, value: Mapping[str, Any]) -> Exceptions:
        """As it was stored."""
        return cls(*(tuple(value.get(name) or ()) for name in ("user_ids", "roles", "token_ids")))


@dataclass(frozen=True)
class Protection:
    """A protected environment of an organization.

    :param enabled: Switched off, it is as if it were not there, and neither are its rules.
    """

    id: str
    organization_id: str
    environment_name: str
    enabled: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    exceptions: Exceptions = field(default_factory=Exceptions)
    rules: Rules = field(default_factory=Rules)

    def told(self) -> dict[str, Any]:
        """What the record of changes keeps of it."""
        return {
            "environment_name": self.environment_name,
            "enabled": self.enabled,
            "exceptions": self.exceptions.to_json(),
            "rules": self.rules.to_json(),
        }


def key_of(environment: str) -> str:
    """Environments whose names differ only in case are one in most warehouses."""
    return environment.casefold()[:100]


def check_name(environment: str) -> str:
    """An environment's name, if it can be one.

    :raises DagctlError: ``invalid_request``.
    """
    if not re.fullmatch(TARGET_PATTERN, environment):
        raise invalid({"environment_name": "must be the name of an environment: letters, digits, '_', '.' and '-'"})
    return environment


def check_roles(roles: tuple[str, ...]) -> None:
    """Refuse roles that are none.

    :raises DagctlError: ``invalid_request``.
    """
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        raise invalid({"excepted_roles": f"has {unknown[0][:64]!r}, which is none of {', '.join(ROLES)}"})


def refused(environment: str, name: str) -> DagctlError:
    """The answer to somebody who is not on the allowlist."""
    return DagctlError(
        "environment_protected",
        f"The environment {environment!r} is protected, and {name[:255]!r} is not among those who may change it.",
        environment=environment,
    )
