"""The keys of this Airflow: the one that signs what workers are told, and the one that seals what they leave.

Both are made once, on first use, and kept in our own table, encrypted. The private half of the first never leaves the API server.
The second is published as the password of an Airflow connection, which tasks can read and Airflow's API does not show; whoever
may edit connections can overwrite it there, and then nothing runs until it is written again.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dagctl_provider.domain import proofs
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
_PLAN_KEY = "plan_key"
# Longer than anything that was signed is worth.
_KEPT = timedelta(days=8)


def ensure(session: Session) -> None:
    """Make the keys that there are not, and publish the key of plans again where somebody changed or removed it."""
    _signing_key(session)
    plan_key(session)


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
    secret_rows.write_secret(session, _PLAN_KEY, encrypted(plan_key(session)))
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
    """The key by which plans hide values and workers seal what they leave; the connection has it afterwards."""
    published, kept = connections.read_plan_key(session), kept_plan_key(session)
    if kept is None:
        # A lock, so that two servers at once make one key. What an earlier version published goes on: with another, all plans
        # differ.
        leases.touch_lock(session, _LOCK)
        kept = kept_plan_key(session) or published or connections.new_plan_key()
        secret_rows.write_secret(session, _PLAN_KEY, encrypted(kept))
    if kept != published:
        connections.write_plan_key(session, kept)
    return kept


def kept_plan_key(session: Session) -> str | None:
    """The key of plans, ``None`` when there is none that can be decrypted."""
    try:
        return _read(session, _PLAN_KEY)
    except Undecryptable:
        return None


def _read(session: Session, name: str) -> str | None:
    content = secret_rows.read_secret(session, name)
    return decrypted(content) if content is not None else None
