"""The keys by which a task knows what dagctl's API server wrote, and by which that server knows what the task wrote.

The public keys come from the API server that the task gets its orders from anyway (``[core] execution_api_server_url``), or from
``[dagctl] public_keys``: from configuration either way, never from anything that can be changed over Airflow's REST API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from airflow.configuration import conf
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from dagctl_provider.config import setting
from dagctl_provider.domain.names import PUBLIC_KEYS, SEAL_KEY_CONNECTION
from dagctl_provider.domain.proofs import ProofError, read_public_key

if TYPE_CHECKING:
    import ssl

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_TIMEOUT_SECONDS = 10.0
_MOST_KEYS = 100


class KeysUnavailable(Exception):
    """The keys could not be had; the message says why, for people."""


def public_keys() -> Mapping[str, Ed25519PublicKey]:
    """The keys that sign for dagctl, by name.

    :raises KeysUnavailable: when they cannot be had now.
    """
    configured = str(setting("public_keys"))
    try:
        return (
            dict(read_public_key(text.strip()) for text in configured.split(",")) if configured else dict(fetched(keys_address()))
        )
    except ProofError as error:
        raise KeysUnavailable(f"[dagctl] public_keys: {error}" if configured else f"{keys_address()}: {error}") from None


def fetched(address: str) -> list[tuple[str, Ed25519PublicKey]]:
    """The keys that a server says it signs by.

    :raises KeysUnavailable: when it does not say it.
    :raises ProofError: when what it says are no keys.
    """
    # Here, since Dags are parsed far more often than a step starts.
    import httpx

    # To read the authorities takes longer than all else; where nothing is encrypted they are of no use.
    verify = _trusted() if address.startswith("https") else False
    try:
        with httpx.Client(verify=verify, timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client:
            answer = client.get(address)
        answer.raise_for_status()
        texts = answer.json()["keys"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise KeysUnavailable(f"{address} does not say by which keys dagctl signs: {error}") from None
    return [read_public_key(str(text)) for text in list(texts)[:_MOST_KEYS]]


def keys_address() -> str:
    """Where the API server of this task says by which keys it signs."""
    base = str(conf.get("api", "base_url", fallback="") or "/")
    server = base if "://" in base else f"http://localhost:8080{base}"
    execution = conf.get("core", "execution_api_server_url", fallback=f"{server.rstrip('/')}/execution/")
    return urljoin(f"{str(execution).rstrip('/')}/", f"..{PUBLIC_KEYS}")


def _trusted() -> ssl.SSLContext:
    """The authorities that Airflow's own tasks trust."""
    import ssl

    import certifi

    context = ssl.create_default_context(cafile=certifi.where())
    if certificate := conf.get("api", "ssl_cert", fallback=""):
        context.load_verify_locations(certificate)
    return context


_read: dict[str, str] = {}


def forget() -> None:
    """Ask again for the key of seals the next time."""
    _read.clear()


def seal_key(reader: str) -> str | None:
    """The key by which tasks seal what they leave; ``None`` when there is none.

    :param reader: The id of the try that asks: one process asks once for each.
    """
    if reader not in _read:
        try:
            key = BaseHook.get_connection(SEAL_KEY_CONNECTION).password
        except AirflowNotFoundException:
            key = None
        if not key:
            return None
        _read.clear()
        _read[reader] = str(key)
    return _read[reader]
