"""Proof of who wrote a letter. Whoever may use Airflow's REST API can write XComs, Variables and the conf of a run, so none of
these is believed for where it lies.

The API server *signs* what it tells workers (Ed25519, RFC 8032): the private key never leaves it, a worker needs the public one.
A worker *seals* what it leaves for the API server (HMAC-SHA-256, RFC 2104) with a key that tasks can read and Airflow's API does
not show. Both say what they are about, so that a letter which is moved elsewhere, or kept for later, proves nothing there.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dagctl_provider.domain.wire.records import Record, canonical

_ABOUT = "about"
_LOCKED = "variables"
_NONCE_BYTES = 12
SEAL = "seal"
TRY = "try_id"


class ProofError(ValueError):
    """A letter is not proven; the message says why, for people."""


@dataclass(frozen=True)
class SigningKey:
    """A key that signs. ``repr`` hides the private half.

    :param id: Names its public half in letters.
    """

    id: str
    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    @classmethod
    def new(cls) -> SigningKey:
        """A key of its own."""
        return cls.of(Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def of(cls, private: bytes) -> SigningKey:
        """The key whose private half has these 32 bytes."""
        key = Ed25519PrivateKey.from_private_bytes(private)
        return cls(key_id(key.public_key().public_bytes_raw()), key)

    @property
    def public(self) -> str:
        """The public half as text, for workers."""
        return base64.b64encode(self.private.public_key().public_bytes_raw()).decode()


def key_id(public: bytes) -> str:
    """How a public key is named in letters."""
    return hashlib.sha256(public).hexdigest()[:16]


def read_public_key(text: str) -> tuple[str, Ed25519PublicKey]:
    """A public key from its text, with its name.

    :raises ProofError: when it is none.
    """
    try:
        raw = base64.b64decode(text, validate=True)
        return key_id(raw), Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise ProofError(f"{text!r} is no public key of Ed25519 in base64") from None


@dataclass(frozen=True, kw_only=True)
class Signed(Record):
    """A letter as it was signed.

    :param payload: The letter and what it is about, as text: what was signed is what is read, whatever a store does to objects.
    """

    payload: str
    signature: str
    key_id: str


def sign(key: SigningKey, about: str, letter: Record | Mapping[str, object]) -> dict[str, object]:
    """The signed form of a letter.

    :param about: What kind of letter it is; no other kind is read out of it.
    """
    content = letter.to_json() if isinstance(letter, Record) else dict(letter)
    payload = canonical({_ABOUT: about, "letter": content}).decode()
    signature = base64.b64encode(key.private.sign(payload.encode())).decode()
    return Signed(payload=payload, signature=signature, key_id=key.id).to_json()


def verified(keys: Mapping[str, Ed25519PublicKey], about: str, letter: object) -> dict[str, Any]:
    """What a signed letter says.

    :param keys: Those that are believed, by name.
    :raises ProofError: when it is not signed by one of them, or as another kind of letter.
    """
    signed = Signed.read(letter)
    if signed is None:
        raise ProofError("it is not signed")
    if signed.key_id not in keys:
        raise ProofError(f"it is signed with the key {signed.key_id[:32]!r}, which is none of dagctl's")
    try:
        keys[signed.key_id].verify(base64.b64decode(signed.signature, validate=True), signed.payload.encode())
        content = json.loads(signed.payload)
    except (InvalidSignature, ValueError):
        raise ProofError("its signature is not dagctl's") from None
    if content.get(_ABOUT) != about:
        raise ProofError(f"it is not the {about} that it was put in the place of")
    return dict(content["letter"])


@dataclass(frozen=True)
class Place:
    """Where a letter of a worker lies, and which try of a task left it.

    :param key: Of the XCom.
    :param try_id: Airflow's id of the task instance, another one for each try.
    """

    dag_id: str
    run_id: str
    task_id: str
    key: str
    try_id: str


def derived(secret: str, *purpose: str) -> str:
    """A key made from another one, which cannot be found from it.

    :param purpose: What it is for; the same words make the same key.
    """
    return hmac.new(secret.encode(), "\0".join(purpose).encode(), hashlib.sha256).hexdigest()


def locked(secret: str, try_id: str, content: bytes) -> str:
    """Something for one try of a step, encrypted (AES-256-GCM): anybody may see where it lies.

    :param secret: The key of seals, which tasks can read.
    :param try_id: Nothing but this try's key opens it.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(secret, try_id).encrypt(nonce, content, try_id.encode())).decode()


def opened(secret: str, try_id: str, text: str) -> bytes:
    """What :func:`locked` has locked.

    :raises ProofError: when it was locked for another try, with another key, or was changed since.
    """
    try:
        raw = base64.b64decode(text, validate=True)
        return _cipher(secret, try_id).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], try_id.encode())
    except (InvalidTag, ValueError):
        raise ProofError("what it is given was not locked for this try") from None


def _cipher(secret: str, try_id: str) -> AESGCM:
    return AESGCM(bytes.fromhex(derived(secret, _LOCKED, try_id)))


def sealed(key: str, place: Place, letter: Mapping[str, object]) -> dict[str, object]:
    """A letter of a worker with its seal and the try that left it."""
    told = {**letter, TRY: place.try_id}
    return {**told, SEAL: _seal(key, place, told)}


def unsealed(key: str, place: Place, letter: Mapping[str, object]) -> bool:
    """Whether the worker of this place left this letter as it is.

    :param letter: As it was found.
    """
    told = {name: value for name, value in letter.items() if name != SEAL}
    return told.get(TRY) == place.try_id and hmac.compare_digest(str(letter.get(SEAL)).encode(), _seal(key, place, told).encode())


def _seal(key: str, place: Place, told: Mapping[str, object]) -> str:
    about = (place.dag_id, place.run_id, place.task_id, place.key, place.try_id)
    content = json.dumps(about).encode() + canonical(told)
    return hmac.new(derived(key, "seal").encode(), content, hashlib.sha256).hexdigest()
