"""Who may do what: one table from permission to roles, used for tokens, Airflow users, OpenAPI and docs.

``approve_plan`` is named in the Plans API document. The other names are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dagctl_provider.domain.errors import DagctlError

Role = Literal["owner", "admin", "developer", "reader"]
ROLES: tuple[Role, ...] = ("owner", "admin", "developer", "reader")


@dataclass(frozen=True)
class Permission:
    """One row of the permission table.

    :param roles: Token roles that hold the permission.
    :param airflow_right: What a user of Airflow must be allowed in Airflow itself, as (resource, verb), besides the
        permission of this name on the ``dagctl`` view. Auth managers that know no such view (SimpleAuthManager)
        decide by this right alone.
    :param description: For people.
    """

    roles: frozenset[Role]
    airflow_right: tuple[Literal["dag", "connection"], Literal["GET", "POST", "PUT"]]
    description: str


_ALL: frozenset[Role] = frozenset(ROLES)
_DEVELOPERS: frozenset[Role] = frozenset(("owner", "admin", "developer"))
_ADMINS: frozenset[Role] = frozenset(("owner", "admin"))

PERMISSIONS: Mapping[str, Permission] = {
    "read": Permission(_ALL, ("dag", "GET"), "See projects, plans and logs."),
    "create_plan": Permission(_DEVELOPERS, ("dag", "PUT"), "Create a plan for the branch HEAD."),
    "approve_plan": Permission(_DEVELOPERS, ("dag", "PUT"), "Approve, reject, retry or delete plans."),
    "cancel_plan": Permission(_DEVELOPERS, ("dag", "PUT"), "Cancel running or approved plans."),
    "run_project": Permission(_DEVELOPERS, ("dag", "PUT"), "Start a run of the deployed project."),
    "manage_projects": Permission(_ADMINS, ("connection", "POST"), "Create, change, deploy, undeploy and delete projects."),
    "manage_tokens": Permission(_ADMINS, ("connection", "POST"), "Create, list and revoke API tokens."),
}


def permissions_of(role: Role) -> frozenset[str]:
    """All permissions that ``role`` holds."""
    return frozenset(name for name, permission in PERMISSIONS.items() if role in permission.roles)


@dataclass(frozen=True)
class Actor:
    """Whoever asks: an API token, a user of Airflow, or the product itself.

    :param kind: ``token``, ``user`` or ``system``.
    :param identifier: Token id, Airflow user id, or the name of the part that acts.
    :param name: For people and the record of decisions.
    :param organization_id: The organization in which this request acts.
    :param permissions: Names from :data:`PERMISSIONS`.
    """

    kind: Literal["token", "user", "system"]
    identifier: str
    name: str
    organization_id: str
    permissions: frozenset[str] = field(default_factory=frozenset)

    def require(self, permission: str) -> None:
        """Raise ``forbidden`` unless this actor holds ``permission``.

        :raises DagctlError: ``forbidden``.
        """
        if permission not in self.permissions:
            raise DagctlError("forbidden", f"This needs the permission {permission!r}.", permission=permission)


PLANNED_AGAIN = "planned_again"
"""The part of the product that withdraws the approval of a drifted plan, to plan its commit again."""


def system_actor(organization_id: str, part: str) -> Actor:
    """The product acting for itself (polling, auto-apply), with every permission.

    :param part: What acts, for the record: ``git_polling``, ``auto_apply``.
    """
    return Actor("system", part, part, organization_id, frozenset(PERMISSIONS))
