"""Delivers one notification to a webhook: signed, to a public host, in one request that is never redirected."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import httpx

from dagctl_provider.config import setting
from dagctl_provider.domain.hosts import HostRefused, check_host
from dagctl_provider.domain.notifications import EVENT_ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.errors import GitError
from dagctl_provider.git.hosts import resolve_and_check_host
from dagctl_provider.orchestration.connections import StoredConnection, read_connection

_TIMEOUT_SECONDS = 10.0


class WebhookError(Exception):
    """A delivery did not succeed. The text is shown to administrators and holds neither address nor secret."""


def deliver(conn_id: str, event_id: str, payload: Mapping[str, object]) -> None:
    """Send a notification.

    :param conn_id: Airflow connection: ``host`` is the whole address, ``password`` the secret of the signature. ``path`` in its
        extra, for addresses that are secret themselves, is put behind the host.
    :param event_id: The same for every attempt, so that a receiver can tell repetitions.
    :raises WebhookError: when it was not taken, or must not be sent at all.
    """
    connection = read_connection(conn_id)
    if connection is None:
        raise WebhookError(f"The Airflow connection {conn_id!r} does not exist.")
    if not connection.password:
        raise WebhookError(f"The Airflow connection {conn_id!r} has no password; it is the secret that requests are signed with.")
    address = _address(connection)
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "dagctl",
        EVENT_ID_HEADER: event_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(connection.password, timestamp, body),
    }
    _post(address, body, headers)


def _address(connection: StoredConnection) -> SplitResult:
    try:
        parts = urlsplit(f"{(connection.host or '').rstrip('/')}/{str(connection.extra.get('path') or '').lstrip('/')}")
        port = parts.port or connection.port
        host = check_host(parts.netloc.rpartition("@")[2].removesuffix(f":{parts.port}"), allow_private=_allow_private())
    except (HostRefused, ValueError) as error:
        raise WebhookError(f"The host in the connection {connection.conn_id!r} is refused: {error}") from None
    if parts.username is not None or parts.scheme not in (("https", "http") if _allow_private() else ("https",)):
        raise WebhookError(f"'host' of the connection {connection.conn_id!r} must be an address that begins with https://.")
    return parts._replace(netloc=f"{host}:{port}" if port else host, fragment="")


def _allow_private() -> bool:
    return bool(setting("allow_private_hosts"))


def _post(address: SplitResult, body: bytes, headers: dict[str, str]) -> None:
    host = str(address.hostname) if ":" not in str(address.hostname) else f"[{address.hostname}]"
    try:
        judged = resolve_and_check_host(
            RepositoryAddress("https", address.path, host), allow_private=_allow_private(), timeout=_TIMEOUT_SECONDS
        )
        extensions = {}
        if judged:
            # To the very address that was judged: a second answer of the name server must not lead elsewhere.
            port = f":{address.port}" if address.port else ""
            headers["Host"] = address.netloc
            extensions["sni_hostname"] = host
            address = address._replace(netloc=(f"[{judged[0]}]" if ":" in judged[0] else judged[0]) + port)
        # The status is all that counts; a body, of whatever length, is not read.
        with (
            httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client,
            client.stream("POST", address.geturl(), content=body, headers=headers, extensions=extensions) as answer,
        ):
            status, taken = answer.status_code, answer.is_success
    except GitError as error:
        raise WebhookError(f"The host cannot be used: {type(error).__name__}.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # Texts of these errors may repeat the address.
        raise WebhookError(f"No answer: {type(error).__name__}.") from None
    if not taken:
        raise WebhookError(f"The receiver answered {status}.")
