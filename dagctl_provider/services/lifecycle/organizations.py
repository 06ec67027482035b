"""Organizations inside a transaction of the caller: found, and made where there is none of the name."""

from __future__ import annotations

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store.session import Session, utcnow


def ensured(session: Session, name: str) -> tuple[Organization, bool]:
    """The organization ``name``, made if it does not exist, and whether it was made.

    :raises DagctlError: ``invalid_request`` for an empty or over-long name.
    """
    name = name.strip()
    if not 1 <= len(name) <= 255 or not name.isprintable():
        raise DagctlError("invalid_request", "An organization name has 1 to 255 printable characters.")
    found = organization_rows.get_organization(session, name=name)
    if found is not None:
        return found, False
    made = Organization(new_id("org-"), name, utcnow())
    organization_rows.insert_organization(session, made)
    session.flush()
    return made, True


def default_name() -> str:
    """Name of the default organization."""
    return str(setting("default_organization")).strip()


def default_organization(session: Session) -> Organization:
    """The organization in which users of Airflow act unless they choose another."""
    return ensured(session, default_name())[0]
