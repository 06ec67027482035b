"""Organizations: who owns projects and tokens. One is made on first start; more are made on the command line."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services.lifecycle import auditing
from dagctl_provider.services.lifecycle import organizations as in_organizations
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session


def ensure_organization(name: str) -> str:
    """Id of the organization ``name``, made if it does not exist.

    :raises DagctlError: ``invalid_request`` for an empty or over-long name.
    """
    return transactions.run(lambda session: in_organizations.ensured(session, name)[0].id)


def create(actor: Actor, name: str) -> str:
    """Id of the organization ``name``, made if it does not exist, with that on record.

    :param actor: The product itself: who runs this Airflow makes organizations, at its command line.
    :raises DagctlError: ``invalid_request`` for an empty or over-long name.
    """

    def work(session: Session) -> str:
        found, is_new = in_organizations.ensured(session, name)
        if is_new:
            maker = replace(actor, organization_id=found.id, door="command_line")
            auditing.record(session, maker, "created", Subject("organization", found.id, found.name))
        return found.id

    return transactions.run(work)


def default_organization_id() -> str:
    """Id of the organization in which users of Airflow act unless they name another."""
    return ensure_organization(in_organizations.default_name())


def get_organization(actor: Actor) -> Organization:
    """The organization in which an actor acts.

    :raises DagctlError: ``not_found``.
    """
    found = transactions.run(lambda session: organization_rows.get_organization(session, identifier=actor.organization_id))
    if found is None:
        raise not_found("Organization", actor.organization_id)
    return found


def list_organizations() -> list[tuple[str, str, datetime]]:
    """Id, name and creation time of all organizations, oldest first."""
    return [(one.id, one.name, one.created_at) for one in transactions.run(organization_rows.list_organizations)]
