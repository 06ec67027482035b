"""The keys of this Airflow: the one that signs what workers are told, the one that seals what they leave, and the one of plans.

Both are made once, on first use, and kept in our own table, encrypted. The private half of the first never leaves the API server.
The second is published as the password of an Airflow connection, which tasks can read and Airflow's API does not show; whoever
may edit connections can overwrite it there, and then nothing runs until it is written again. So is the key by which plans hide
values; an earlier version kept that one in its connection alone, so the first look takes it over.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import PLAN_KEY_CONNECTION, SEAL_KEY_CONNECTION
from dagctl_provider.domain.proofs import SigningKey
from dagctl_provider.domain.wire.records import Record
from dagctl_provider.orchestration import connections
from dagctl_provider.orchestration.encryption import Undecryptable, decrypted, encrypted
from dagctl_provider.store import grants as grant_rows
from dagctl_provider.store import leases
from dagctl_provider.store import secrets as secret_rows
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

_LOCK = "keys"
_SIGNING = "signing:"
_PLAN_KEY, _SEAL_KEY, _AUDIT_KEY, _VARIABLES_KEY = "plan_key", "seal_key", "audit_key", "variables_key"
_OWN = (_AUDIT_KEY, _VARIABLES_KEY)
_CONNECTIONS = {_PLAN_KEY: PLAN_KEY_CONNECTION, _SEAL_KEY: SEAL_KEY_CONNECTION}
# Longer than anything that was signed is worth.
_KEPT = timedelta(days=8)


def ensure(session: Session) -> None:
    """Make the keys that there are not, and publish those of workers again where somebody changed or removed them."""
    _signing_key(session)
    plan_key(session)
    seal_key(session)


def signed(session: Session, about: str, letter: Record) -> dict[str, object]:
    """A letter to a worker, signed.

    :param about: See :func:`dagctl_provider.domain.proofs.sign`.
    """
    return proofs.sign(_signing_key(session), about, letter)


def _signing_key(session: Session) -> SigningKey:
    return _stored(session) or _made(session)


def _stored(session: Session) -> SigningKey | None:
    name = next((half.name for half in secret_rows.public_halves(session) if half.retired_at is None), None)
    if name is None:
        return None
    try:
        private = _read(session, name)
    except Undecryptable:
        log.warning("The key that signs for workers was encrypted with another Fernet key; a new one takes its place")
        return None
    return SigningKey.of(bytes.fromhex(private)) if private else None


def _made(session: Session) -> SigningKey:
    leases.touch_lock(session, _LOCK)
    # Another server may have made it while this one waited.
    return _stored(session) or _replaced(session)


def _replaced(session: Session) -> SigningKey:
    secret_rows.retire_all(session)
    key = SigningKey.new()
    private = encrypted(key.private.private_bytes_raw().hex())
    secret_rows.write_secret(session, _SIGNING + key.id, private, key.public)
    session.flush()
    return key


def rotate(session: Session, at_once: bool = False) -> str:
    """Have a new key sign from now on; secrets are encrypted anew with Airflow's present Fernet key.

    :param at_once: Believe nothing any more that the former key has signed; what is under way is granted anew.
    :return: The public half of the new key.
    """
    leases.touch_lock(session, _LOCK)
    secret_rows.forget_retired(session, utcnow() - _KEPT)
    for name in _CONNECTIONS:
        secret_rows.write_secret(session, name, encrypted(_published(session, name)))
    for name in _OWN:
        secret_rows.write_secret(session, name, encrypted(_own(session, name)))
    key = _replaced(session)
    if at_once:
        secret_rows.forget_retired(session, utcnow() + _KEPT)
        grant_rows.expire_all(session)
    return key.public


def public_keys(session: Session) -> dict[str, Ed25519PublicKey]:
    """The keys that workers believe, by name."""
    return dict(proofs.read_public_key(text) for text in public_texts(session))


def public_texts(session: Session) -> list[str]:
    """The public halves of the keys that sign or have signed, as text; there is at least one."""
    _signing_key(session)
    return [half.public for half in secret_rows.public_halves(session)]


def plan_key(session: Session) -> str:
    """The key by which plans hide values; the connection has it afterwards."""
    return _published(session, _PLAN_KEY)


def seal_key(session: Session) -> str:
    """The key by which tasks seal what they leave; the connection has it afterwards."""
    return _published(session, _SEAL_KEY)


def audit_key(session: Session) -> str:
    """The key that proves where the record of changes ends. Nobody but the API server has it."""
    return _own(session, _AUDIT_KEY)


def variables_key(session: Session) -> str:
    """The key by which plans say which variables they were explained with. Nobody but the API server has it."""
    return _own(session, _VARIABLES_KEY)


def _own(session: Session, name: str) -> str:
    kept = _kept(session, name)
    if kept is None:
        leases.touch_lock(session, _LOCK)
        kept = _kept(session, name) or connections.new_key()
        secret_rows.write_secret(session, name, encrypted(kept))
    return kept


def stored_names(session: Session) -> list[str]:
    """Names of all keys that are kept."""
    return secret_rows.stored_names(session)


def encrypt_anew(session: Session, name: str) -> bool:
    """Encrypt a key with Airflow's present Fernet key; false when it cannot be read any more."""
    leases.touch_lock(session, _LOCK)
    try:
        content = _read(session, name)
    except Undecryptable:
        return False
    if content is not None:
        secret_rows.replace_content(session, name, encrypted(content))
    return True


def kept_seal_key(session: Session) -> str | None:
    """The key of seals, ``None`` when there is none that can be decrypted."""
    return _kept(session, _SEAL_KEY)


def _published(session: Session, name: str) -> str:
    conn_id = _CONNECTIONS[name]
    published, kept = connections.read_key(session, conn_id), _kept(session, name)
    if kept is None:
        # A lock, so that two servers at once make one key.
        leases.touch_lock(session, _LOCK)
        # With another key all plans would differ, so the one that an earlier version published goes on. What only proves who
        # wrote something is never taken from where others can write.
        found = published if name == _PLAN_KEY else None
        kept = _kept(session, name) or found or connections.new_key()
        secret_rows.write_secret(session, name, encrypted(kept))
    if kept != published:
        connections.write_key(session, conn_id, kept)
    return kept


def _kept(session: Session, name: str) -> str | None:
    try:
        return _read(session, name)
    except Undecryptable:
        return None


def _read(session: Session, name: str) -> str | None:
    content = secret_rows.read_secret(session, name)
    return decrypted(content) if content is not None else None
