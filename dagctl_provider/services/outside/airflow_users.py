"""People who are signed in to Airflow, as actors.

What a person may do is asked of whatever auth manager the deployment has, in two questions per permission: may they do
the thing of this name on the ``dagctl`` view, and do they hold the Airflow right that the permission table names. Auth
managers that know no ``dagctl`` view (SimpleAuthManager) say yes to the first, so the second decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import PERMISSIONS, Actor, Permission
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

T = TypeVar("T")

VIEW_NAME = "dagctl"
ANSWER_TIMEOUT = 30.0
"""Seconds an auth manager may take to judge a credential."""

_server_loop: asyncio.AbstractEventLoop | None = None


def answer_on(loop: asyncio.AbstractEventLoop | None) -> None:
    """Have credentials judged on the API server's own event loop.

    Auth managers keep caches and HTTP clients that belong to that loop and stand no second thread.

    :param loop: The server's loop; ``None`` when the server stops.
    """
    global _server_loop
    _server_loop = loop


def user_from_token(token: str) -> BaseUser:
    """The user of the auth manager whom one of Airflow's own tokens stands for.

    :param token: From the Authorization header or the session cookie.
    :raises DagctlError: ``unauthenticated``.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from jwt import InvalidTokenError

    if not token.isascii() or token.count(".") != 2:
        raise _not_valid()
    try:
        return _wait_for(get_auth_manager().get_user_from_token(token))
    except InvalidTokenError:
        raise _not_valid() from None


def _not_valid() -> DagctlError:
    return DagctlError("unauthenticated", "The credential is not valid or has expired.")


def _wait_for(answer: Coroutine[object, object, T]) -> T:
    """Await ``answer`` from a thread that has no event loop."""
    if _server_loop is not None and _server_loop.is_running():
        return asyncio.run_coroutine_threadsafe(answer, _server_loop).result(ANSWER_TIMEOUT)
    return asyncio.run(answer)


def actor_for_airflow_user(user: BaseUser, organization_id: str) -> Actor:
    """A user of the auth manager as an actor.

    :param user: As the auth manager gave it.
    :param organization_id: Where they act.
    """
    held_rights: dict[tuple[str, str], bool] = {}
    permissions = frozenset(name for name, permission in PERMISSIONS.items() if _holds(user, name, permission, held_rights))
    return Actor("user", str(user.get_id()), str(user.get_name()), organization_id, permissions)


def _holds(user: BaseUser, name: str, permission: Permission, held_rights: dict[tuple[str, str], bool]) -> bool:
    """Both questions; the second is asked once for permissions that share a right."""
    from airflow.api_fastapi.app import get_auth_manager

    manager = get_auth_manager()
    resource, verb = permission.airflow_right
    if permission.airflow_right not in held_rights:
        ask = manager.is_authorized_dag if resource == "dag" else manager.is_authorized_connection
        held_rights[permission.airflow_right] = bool(ask(method=verb, user=user))
    # Auth managers take any word for what is done to a custom view.
    can: Any = f"can_{name}"
    return held_rights[permission.airflow_right] and bool(
        manager.is_authorized_custom_view(method=can, resource_name=VIEW_NAME, user=user)
    )


def actor_for_airflow_user_id(user_id: str, organization_id: str) -> Actor | None:
    """The actor for a user whom Airflow recorded by id, as it does for answers to Required Actions.

    :param user_id: As recorded.
    :param organization_id: Where they act.
    :return: ``None`` when the user is gone, locked, or the auth manager cannot look users up.
    """
    user = _user_by_id(str(user_id))
    return None if user is None else actor_for_airflow_user(user, organization_id)


def _user_by_id(user_id: str) -> BaseUser | None:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):
        return _simple_user(manager, user_id)
    if isinstance(manager, FabAuthManager):
        return _fab_user(manager, user_id)
    return None


def _simple_user(manager: SimpleAuthManager, user_id: str) -> BaseUser | None:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    if everyone_is_admin():
        return SimpleAuthManagerUser(username=user_id, role="ADMIN")
    users: Any = manager.get_users()
    if not AIRFLOW_V_3_2_PLUS:
        users = [SimpleAuthManagerUser(**fields) for fields in users]
    return next((user for user in users if user.username == user_id), None)


def _fab_user(manager: FabAuthManager, user_id: str) -> BaseUser | None:
    """Asked on the server's loop where there is one, for the manager's cache stands no second thread."""
    load = partial(manager.deserialize_user, {"sub": user_id})
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _wait_for(_quietly(load))
    return _answer_or_none(load)


async def _quietly(load: Callable[[], BaseUser]) -> BaseUser | None:
    return _answer_or_none(load)


def _answer_or_none(load: Callable[[], BaseUser]) -> BaseUser | None:
    try:
        return load()
    except ValueError:  # not a number, no such user, or one that is locked
        return None


def everyone_is_admin() -> bool:
    """Whether the SimpleAuthManager lets everybody in as admin, without signing in."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.configuration import conf

    return isinstance(get_auth_manager(), SimpleAuthManager) and conf.getboolean("core", "simple_auth_manager_all_admins")


def public_host() -> str:
    """Host and port of Airflow as browsers know it, from ``[api] base_url``; empty when that is not set."""
    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
