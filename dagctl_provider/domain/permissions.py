"""Who may do what: one table from permission to roles, used for members and tokens, OpenAPI and docs.

``approve_plan`` is named in the Plans API document. The other names are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dagctl_provider.domain.errors import DagctlError, invalid_field

Role = Literal["owner", "admin", "developer", "reader"]
ROLES: tuple[Role, ...] = ("owner", "admin", "developer", "reader")


@dataclass(frozen=True)
class Permission:
    """One row of the permission table.

    :param roles: Roles of members and tokens that hold the permission.
    :param description: For people.
    """

    roles: frozenset[Role]
    description: str


_ALL: frozenset[Role] = frozenset(ROLES)
_DEVELOPERS: frozenset[Role] = frozenset(("owner", "admin", "developer"))
_OWNERS: frozenset[Role] = frozenset(("owner",))
_ADMINS: frozenset[Role] = frozenset(("owner", "admin"))

PERMISSIONS: Mapping[str, Permission] = {
    "read": Permission(_ALL, "See projects, plans and logs."),
    "create_plan": Permission(_DEVELOPERS, "Create a plan for the branch HEAD."),
    "approve_plan": Permission(_DEVELOPERS, "Approve, reject, retry or delete plans."),
    "cancel_plan": Permission(_DEVELOPERS, "Cancel running or approved plans."),
    "run_project": Permission(_DEVELOPERS, "Start and cancel runs of the deployed project."),
    "manage_jobs": Permission(_DEVELOPERS, "Create, change and delete jobs."),
    "manage_projects": Permission(_ADMINS, "Create, change, deploy, undeploy and delete projects."),
    "manage_tokens": Permission(_ADMINS, "Create, list, rotate and revoke API tokens."),
    "manage_team": Permission(_ADMINS, "Invite and remove members, and change their roles."),
    "view_secrets": Permission(_DEVELOPERS, "See environment variables, and their values where not sensitive."),
    "manage_secrets": Permission(_ADMINS, "Change environment variables, protections and their rules."),
    "read_audit": Permission(_ADMINS, "Read and export the record of changes."),
    "override_rules": Permission(_OWNERS, "Approve against the rules of an environment, with a reason."),
}

ENTRY = "read"
"""The one permission that Airflow's auth manager is asked for: whether somebody may come in at all. The role decides the rest."""


RANKS: Mapping[Role, int] = {role: len(ROLES) - place for place, role in enumerate(ROLES)}
"""A role with a greater rank holds all that one with a smaller rank does."""


def known_role(role: str) -> Role:
    """A word as a role.

    :raises DagctlError: ``invalid_request``.
    """
    found = next((one for one in ROLES if one == role), None)
    if found is None:
        raise invalid_field("role", f"must be one of {', '.join(ROLES)}")
    return found


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
    :param role: In the organization; ``None`` for the product itself.
    :param user_id: Of people: their id here (``user_…``), which is another one than Airflow's.
    :param email: Of people whose address Airflow knows.
    :param project_ids: The projects that a token is limited to; ``None`` for all of the organization.
    :param organizations: Of people: id and name of each organization that they are a member of.
    :param door: By which way the request came.
    :param source: The address it came from, where one is known.
    """

    kind: Literal["token", "user", "system"]
    identifier: str
    name: str
    organization_id: str
    permissions: frozenset[str] = field(default_factory=frozenset)
    role: Role | None = None
    user_id: str | None = None
    email: str | None = None
    project_ids: frozenset[str] | None = None
    organizations: tuple[tuple[str, str], ...] = ()
    door: str = "system"
    source: str | None = None

    def require(self, permission: str) -> None:
        """Raise ``forbidden`` unless this actor holds ``permission``.

        :raises DagctlError: ``forbidden``.
        """
        if permission not in self.permissions:
            raise DagctlError("forbidden", f"This needs the permission {permission!r}.", permission=permission)

    def sees(self, project_id: str) -> bool:
        """Whether a project of the organization exists for this actor."""
        return self.project_ids is None or project_id in self.project_ids

    def require_unlimited(self) -> None:
        """Raise ``forbidden`` for tokens that are limited to projects: what belongs to the organization is not theirs.

        :raises DagctlError: ``forbidden``.
        """
        if self.project_ids is not None:
            raise DagctlError("forbidden", "This token is limited to projects; this belongs to the organization.")


PLANNED_AGAIN = "planned_again"
"""The part of the product that withdraws the approval of a drifted plan, to plan its commit again."""


def system_actor(organization_id: str, part: str) -> Actor:
    """The product acting for itself (polling, auto-apply), with every permission.

    :param part: What acts, for the record: ``git_polling``, ``auto_apply``.
    """
    return Actor("system", part, part, organization_id, frozenset(PERMISSIONS))
