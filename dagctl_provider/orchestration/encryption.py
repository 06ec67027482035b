"""Encrypts as Airflow encrypts connections, with the keys of ``[core] fernet_key``."""

from __future__ import annotations

from airflow.models.crypto import get_fernet
from cryptography.fernet import InvalidToken


class Undecryptable(Exception):
    """It was encrypted with a Fernet key that Airflow does not have any more."""


def encrypted(content: str) -> str:
    """The content, for a database."""
    return get_fernet().encrypt(content.encode()).decode()


def decrypted(content: str) -> str:
    """What was encrypted.

    :raises Undecryptable: when it cannot be read.
    """
    try:
        return get_fernet().decrypt(content.encode()).decode()
    except InvalidToken:
        raise Undecryptable from None


def is_encrypting() -> bool:
    """Whether Airflow has a Fernet key; without one it keeps secrets as they are."""
    return bool(get_fernet().is_encrypted)
