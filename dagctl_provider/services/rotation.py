"""What dagctl keeps encrypted, encrypted anew with Airflow's present Fernet key: its own keys, and environment variables.

``airflow rotate-fernet-key`` knows Airflow's own tables alone. Each value is a transaction of its own, so an API server goes on
meanwhile, and a command that was broken off is begun again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.orchestration.encryption import Undecryptable, decrypted, encrypted, is_encrypting
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import organizations as organization_rows
from dagctl_provider.store import transactions
from dagctl_provider.store import variables as variable_rows
from dagctl_provider.store.session import Session


@dataclass(frozen=True)
class Rotation:
    """What became of it.

    :param rotated: How many values are encrypted with the present key now.
    :param lost: What cannot be decrypted any more, in words.
    """

    rotated: int
    lost: tuple[str, ...]


def rotate() -> Rotation:
    """Encrypt everything anew.

    :raises DagctlError: ``encryption_missing``.
    """
    if not is_encrypting():
        raise DagctlError("encryption_missing", "Airflow has no Fernet key.")
    work = {f"key {name}": partial(keys.encrypt_anew, name=name) for name in transactions.run(keys.stored_names)}
    work |= {told: partial(_variable_anew, variable_id=found) for found, told in transactions.run(_variables).items()}
    lost = [told for told, one in work.items() if not transactions.run(one)]
    return Rotation(len(work) - len(lost), tuple(lost))


def _variables(session: Session) -> dict[str, str]:
    """Ids of all variables, with how each is called."""
    return {
        variable.id: f"variable {variable.name} of {organization.name}"
        for organization in organization_rows.list_organizations(session)
        for variable in variable_rows.list_variables(session, organization.id)
    }


def _variable_anew(session: Session, *, variable_id: str) -> bool:
    """Encrypt one anew; false when it cannot be read. One that is gone needs nothing."""
    content = variable_rows.read_content(session, variable_id)
    if content is None:
        return True
    try:
        anew = encrypted(decrypted(content.decode()))
    except Undecryptable:
        return False
    variable_rows.update_variable(session, variable_id, {"content": anew.encode()})
    return True
