"""People who are signed in to Airflow, as the deployment's auth manager knows them: who somebody is, whether they may come in,
and whether they have Airflow's admin right. What they may do here is their role as a member.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import LONGEST_EMAIL, Person
from dagctl_provider.domain.permissions import ENTRY, PERMISSIONS
from dagctl_provider.orchestration import accounts
from dagctl_provider.store import transactions
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

T = TypeVar("T")

VIEW_NAME = "dagctl"
ANSWER_TIMEOUT = 30.0
"""Seconds an auth manager may take to judge a credential."""

_LONGEST_NAME = 255
# What Flask AppBuilder gives users whose address it was not told.
_MADE_UP = "@email.notfound"
_ONLY_ADMINS = (("connection", "DELETE"), ("variable", "DELETE"), ("pool", "DELETE"), ("configuration", "PUT"))
"""Rights in Airflow that, together, only its admins have."""

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


def person_of(user: BaseUser) -> Person:
    """A user of the auth manager as a person, if they may come in at all.

    That is two questions: may they read on the ``dagctl`` view, and may they see Dags. Auth managers that know no such view
    (SimpleAuthManager) say yes to the first, so the second decides. What somebody may do inside follows from their role here.

    :param user: As the auth manager gave it.
    :raises DagctlError: ``forbidden``.
    """
    from airflow.api_fastapi.app import get_auth_manager

    manager = get_auth_manager()
    # Auth managers take any word for what is done to a custom view.
    can: Any = f"can_{ENTRY}"
    if not (
        manager.is_authorized_dag(method="GET", user=user)
        and manager.is_authorized_custom_view(method=can, resource_name=VIEW_NAME, user=user)
    ):
        raise DagctlError("forbidden", f"Airflow lets you in here only with {can!r} on {VIEW_NAME!r} and the right to see Dags.")
    airflow_id, name = str(user.get_id()), str(user.get_name())
    if not 1 <= len(airflow_id) <= _LONGEST_NAME or not airflow_id.isprintable():
        raise DagctlError("forbidden", f"Airflow's id of you must have 1 to {_LONGEST_NAME} printable characters.")
    return Person(airflow_id, name.replace("\0", "")[:_LONGEST_NAME], _email_of(user))


def _email_of(user: BaseUser) -> str | None:
    """The address that the auth manager has of somebody; what it made up where it was told none does not count."""
    return _told_email(getattr(user, "email", None))


def _told_email(found: object) -> str | None:
    if not isinstance(found, str) or "@" not in found or found.endswith(_MADE_UP):
        return None
    return found.replace("\0", "")[:LONGEST_EMAIL]


def is_admin(user: BaseUser) -> bool:
    """Whether somebody has Airflow's admin right.

    Two auth managers know admins. Of others, an admin is who holds all of :data:`_ONLY_ADMINS` and all permissions of the
    ``dagctl`` view.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):
        return everyone_is_admin() or str(getattr(user, "role", None)).upper() == "ADMIN"
    if isinstance(manager, FabAuthManager):
        return _is_fab_admin(manager, user)
    asked: Any = manager
    return all(getattr(asked, f"is_authorized_{what}")(method=verb, user=user) for what, verb in _ONLY_ADMINS) and all(
        asked.is_authorized_custom_view(method=f"can_{name}", resource_name=VIEW_NAME, user=user) for name in PERMISSIONS
    )


def _is_fab_admin(manager: FabAuthManager, user: object) -> bool:
    """Whether somebody is in the role that Flask AppBuilder is told is the admins' one."""
    app = manager.flask_app
    named = app.config.get("AUTH_ROLE_ADMIN", "Admin") if app is not None else "Admin"
    return any(getattr(role, "name", None) == named for role in getattr(user, "roles", ()))


def user_by_id(user_id: str) -> BaseUser | None:
    """A user whom Airflow recorded by id, as it does for answers to Required Actions.

    :param user_id: As recorded.
    :return: ``None`` when the user is gone, locked, or the auth manager cannot look users up.
    """
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    manager = get_auth_manager()
    if isinstance(manager, SimpleAuthManager):
        return _simple_user(manager, user_id)
    if isinstance(manager, FabAuthManager):
        return _fab_user(manager, user_id)
    return None


def find_person(text: str) -> Person | None:
    """Somebody whom the configured auth manager knows, by name or id, where no API server runs: at the command line.

    :return: ``None`` when there is nobody of that name. Auth managers that cannot be asked are believed to know the id.
    """
    from airflow.configuration import conf

    kind = str(conf.get("core", "auth_manager")).rpartition(".")[2]
    if kind == "FabAuthManager":
        found = transactions.run(lambda session: accounts.find_account(session, text))
        if found is None:
            return None
        return Person(found.id, found.username[:_LONGEST_NAME], _told_email(found.email))
    if kind == "SimpleAuthManager" and not conf.getboolean("core", "simple_auth_manager_all_admins"):
        names = [user.partition(":")[0] for user in conf.getlist("core", "simple_auth_manager_users")]
        return Person(text, text) if text in names else None
    return Person(text, text) if 1 <= len(text) <= _LONGEST_NAME and text.isprintable() else None


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
