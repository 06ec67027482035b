"""The keys by which workers know what dagctl decided: told to workers, and changed by who runs this Airflow."""

from __future__ import annotations

from functools import partial

from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import transactions


def public_texts() -> list[str]:
    """The public keys that workers should believe, as text, newest first."""
    return transactions.run(keys.public_texts)


def rotate(at_once: bool = False) -> str:
    """Have a new key sign from now on.

    :param at_once: Believe nothing any more that the former keys have signed.
    :return: The new public key.
    """
    return transactions.run(partial(keys.rotate, at_once=at_once))
