"""The secrets of a project's steps, from Airflow connections to files that only the runner can read."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from dagctl_provider.config import project_connection
from dagctl_provider.domain import wire
from dagctl_provider.domain.names import EXPLAIN_SUFFIX, PLAN_KEY_CONNECTION
from dagctl_provider.domain.tools import tool_of
from dagctl_provider.hooks.profiles import ProfileError, make_profile
from dagctl_provider.runner.inputs import variable_hashes
from dagctl_provider.runner.organization import FILE as VARIABLES_FILE

if TYPE_CHECKING:
    from airflow.sdk import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProjectSecrets:
    """Files for the runner's secrets folder, by name (see docs/runner.md). ``repr`` shows names only."""

    files: dict[str, str] = field(default_factory=dict, repr=False)

    def write_to(self, folder: Path) -> None:
        """Write the files, readable by the owner only."""
        folder.mkdir(mode=0o700)
        for name, text in self.files.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)


class DagctlProjectHook(BaseHook):
    """Reads a connection of type ``dagctl``: environment variables for a project's steps, the warehouse of a dbt project that
    has no profile of its own, and git credentials.

    Extra fields: ``env`` (object of names and values), ``profile`` (``connection`` names an Airflow connection, the others are
    fields of the dbt profile), ``private_key``, ``known_hosts``. Password: token for https.

    :param dagctl_conn_id: Id of the connection.
    :param warehouse: Id of the connection from which a profile may be made. Whoever edits this connection could name any other
        one, and have its password handed to the project's code.
    """

    conn_name_attr = "dagctl_conn_id"
    default_conn_name = "dagctl_default"
    conn_type = "dagctl"
    hook_name = "dagctl project"

    def __init__(self, dagctl_conn_id: str = default_conn_name, warehouse: str | None = None) -> None:
        super().__init__()
        self.dagctl_conn_id = dagctl_conn_id
        self._bound = warehouse

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, object]:
        """Shows only the fields that mean something here."""
        return {
            "hidden_fields": ["host", "port", "login", "schema"],
            "relabeling": {"password": "Git token (https)"},
            "placeholders": {
                "extra": json.dumps(
                    {
                        "env": {"WAREHOUSE_PASSWORD": "…"},
                        "profile": {"connection": "warehouse", "schema": "analytics"},
                        "private_key": "",
                        "known_hosts": "",
                    }
                )
            },
        }

    def get_conn(self) -> Connection:
        """The Airflow connection."""
        return self.get_connection(self.dagctl_conn_id)

    def environment(self) -> dict[str, str]:
        """Environment variables for the tool's process.

        :raises ValueError: when ``env`` is no object of texts.
        """
        env = self.get_conn().extra_dejson.get("env") or {}
        if not isinstance(env, dict) or not all(isinstance(k, str) and isinstance(v, str) for k, v in env.items()):
            raise ValueError(f"'env' in the extra of connection {self.dagctl_conn_id!r} must map names to texts")
        return env

    def profile(self, target: str | None, warehouse: str | None = None) -> tuple[str, dict[str, str]] | None:
        """A dbt profile from the connection that ``profile`` names, and the variables with its secrets.

        :param target: Name of the target.
        :param warehouse: Id of another connection to make it from; the other fields stay.
        :return: ``None`` when there is no ``profile``.
        :raises ProfileError: when it cannot be made.
        """
        named = self.warehouse()
        if named is None:
            return None
        fields = {name: value for name, value in self.get_conn().extra_dejson["profile"].items() if name != "connection"}
        try:
            connection = self.get_connection(warehouse or named)
        except AirflowNotFoundException:
            raise ProfileError(
                f"There is no Airflow connection {warehouse or named!r}, which {self.dagctl_conn_id!r} names for the dbt profile."
            ) from None
        return make_profile(connection, target, fields)

    def warehouse(self) -> str | None:
        """Id of the connection that ``profile`` names; ``None`` when there is no ``profile``.

        :raises ProfileError: when ``profile`` names none, or one that the project is not bound to.
        """
        fields = self.get_conn().extra_dejson.get("profile")
        if fields is None:
            return None
        if not isinstance(fields, dict) or not isinstance(fields.get("connection"), str):
            raise ProfileError(f"'profile' in the extra of connection {self.dagctl_conn_id!r} must name a 'connection'.")
        named = str(fields["connection"])
        if named != self._bound:
            raise ProfileError(
                f"'profile' in the extra of connection {self.dagctl_conn_id!r} names the connection {named!r}, but the project "
                f"is bound to {self._bound!r}. If that is meant, set 'warehouse_connection_id' of the project to {named!r}."
            )
        return named


@dataclass(frozen=True)
class _Given:
    """What a tool gets to reach the warehouse.

    :param env: Variables of its environment.
    :param profile: A profiles.yml.
    """

    env: dict[str, str] = field(default_factory=dict, repr=False)
    profile: str | None = None


def project_secrets(request: wire.requests.StepRequest, kind: str) -> ProjectSecrets:
    """Collect what the steps of a project may know.

    :param request: It names the connections, never their contents, and brings the variables of the organization.
    :param kind: ``explain``, ``execute`` or ``run``.
    :raises AirflowNotFoundException: when a connection that the project needs is missing.
    :raises ProfileError: when a dbt profile is to be made and cannot be.
    """
    runner, launcher = request.runner, request.launcher
    conn_id = project_connection(runner.project_name)
    key = _plan_key(runner.project_id)
    files = {**_tool_files(request, conn_id, kind, key), **({"plan_key": key} if key else {})}
    if launcher.state_connection_id:
        files["state_connection.json"] = json.dumps(_state(BaseHook.get_connection(launcher.state_connection_id)))
    if launcher.git_auth_method != "none" and launcher.git_secret_ref:
        files.update(_git(launcher.git_auth_method, BaseHook.get_connection(launcher.git_secret_ref)))
    if request.variables:
        files[VARIABLES_FILE] = wire.variables.packed(request.variables)
    return ProjectSecrets(files)


def _tool_files(request: wire.requests.StepRequest, conn_id: str, kind: str, key: str | None) -> dict[str, str]:
    """Environment and profile of the tool. An explain has them from connections of its own, where there are any.

    :param key: The key by which the project's plans hide values.
    """
    runner, bound = request.runner, request.launcher.warehouse_connection_id
    profiled = tool_of(runner.tool).takes_profile
    own = _hook(conn_id, bound)
    reader = _hook(conn_id + EXPLAIN_SUFFIX, bound) if kind == "explain" else None
    if own is None:
        log.info("There is no connection %r; the step gets no environment variables of its own", conn_id)
    if own is None and reader is None:
        return {}
    usual = given = _given(own, own if profiled else None, runner.environment)
    files = {}
    if kind == "explain" and (reading := _given_to_explain(own, reader, profiled, runner.environment)) is not None:
        # The execute's values enter the plan, but code that nobody has approved must not meet them.
        files["approved.json"] = json.dumps(variable_hashes(usual.env, key, runner.project_id))
        given = reading
    files["env.json"] = json.dumps(given.env)
    if given.profile is not None:
        files["profiles.yml"] = given.profile
    return files


def _given(
    hook: DagctlProjectHook | None, profiled: DagctlProjectHook | None, target: str | None, warehouse: str | None = None
) -> _Given:
    """What a connection of a project gives to the tool.

    :param profiled: The connection whose ``profile`` counts, where one does.
    :param target: Name of the profile's target.
    :param warehouse: Id of another connection to the warehouse than the one that ``profile`` names.
    """
    env = hook.environment() if hook else {}
    made = profiled.profile(target, warehouse) if profiled else None
    return _Given({**env, **made[1]}, made[0]) if made else _Given(env)


def _given_to_explain(
    own: DagctlProjectHook | None, reader: DagctlProjectHook | None, profiled: bool, target: str | None
) -> _Given | None:
    """What an explain gets from connections of its own; ``None`` when there is none.

    :param profiled: Whether the tool takes a profile.
    """
    told = next((hook for hook in (reader, own) if hook and hook.warehouse()), None) if profiled else None
    named = f"{told.warehouse()}{EXPLAIN_SUFFIX}" if told else None
    warehouse = named if named and _exists(named) else None
    if reader is None and warehouse is None:
        return None
    return _given(reader or own, told, target, warehouse)


def _hook(conn_id: str, bound: str | None) -> DagctlProjectHook | None:
    return DagctlProjectHook(conn_id, bound) if _exists(conn_id) else None


def _exists(conn_id: str) -> bool:
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    return True


def _plan_key(project_id: str) -> str | None:
    """The key by which the project's plans hide values; of no use for another project's plans."""
    try:
        key = BaseHook.get_connection(PLAN_KEY_CONNECTION).password
    except AirflowNotFoundException:
        key = None
    if not key:
        log.info("There is no connection %r; this plan hides values without a key", PLAN_KEY_CONNECTION)
        return None
    return hmac.new(key.encode(), project_id.encode(), hashlib.sha256).hexdigest()


def _state(connection: Connection) -> dict[str, object]:
    return {
        "type": "postgres",
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "database": connection.schema,
    }


def _git(method: str, connection: Connection) -> dict[str, str]:
    if method != "ssh":
        return {"git_token": connection.password} if connection.password else {}
    extra = connection.extra_dejson
    found = {"git_ssh_key": extra.get("private_key") or connection.password, "git_known_hosts": extra.get("known_hosts")}
    return {name: text for name, text in found.items() if text}
