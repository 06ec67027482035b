"""Organizations: who owns projects and tokens. One is made on first start; more are made on the command line."""

from __future__ import annotations

from datetime import datetime

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow


def ensure_organization(name: str) -> str:
    """Id of the organization ``name``, made if it does not exist.

    :raises DagctlError: ``invalid_request`` for an empty or over-long name.
    """
    name = name.strip()
    if not 1 <= len(name) <= 255 or not name.isprintable():
        raise DagctlError("invalid_request", "An organization name has 1 to 255 printable characters.")

    def work(session: Session) -> str:
        found = organization_rows.get_organization(session, name=name)
        if found is not None:
            return found.id
        identifier = new_id("org-")
        organization_rows.insert_organization(session, Organization(identifier, name, utcnow()))
        return identifier

    return transactions.run(work)


def default_organization_id() -> str:
    """Id of the organization in which users of Airflow act unless they name another."""
    return ensure_organization(setting("default_organization"))


def get_organization(actor: Actor) -> Organization:
    """The organization in which an actor acts.

    :raises DagctlError: ``not_found``.
    """
    found = transactions.run(lambda session: organization_rows.get_organization(session, identifier=actor.organization_id))
    if found is None:
        raise not_found("Organization", actor.organization_id)
    return found


def organization_exists(identifier: str) -> bool:
    """Whether there is an organization of this id."""
    return transactions.run(lambda session: organization_rows.get_organization(session, identifier=identifier)) is not None


def list_organizations() -> list[tuple[str, str, datetime]]:
    """Id, name and creation time of all organizations, oldest first."""
    return [(one.id, one.name, one.created_at) for one in transactions.run(organization_rows.list_organizations)]
