"""The secrets of a project's steps, from Airflow connections to files that only the runner can read."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.sdk import BaseHook

from dagctl_provider.config import filled_in
from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.tools import DEFAULT_TOOL, tool_of
from dagctl_provider.hooks.profiles import ProfileError, make_profile

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
            with os.fdopen(descriptor, "w") as file:
                file.write(text)


class DagctlProjectHook(BaseHook):
    """Reads a connection of type ``dagctl``: environment variables for a project's steps, the warehouse of a dbt project that
    has no profile of its own, and git credentials.

    Extra fields: ``env`` (object of names and values), ``profile`` (``connection`` names an Airflow connection, the others are
    fields of the dbt profile), ``private_key``, ``known_hosts``. Password: token for https.

    :param dagctl_conn_id: Id of the connection.
    """

    conn_name_attr = "dagctl_conn_id"
    default_conn_name = "dagctl_default"
    conn_type = "dagctl"
    hook_name = "dagctl project"

    def __init__(self, dagctl_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.dagctl_conn_id = dagctl_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
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

    def get_conn(self) -> Any:
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

    def profile(self, target: str | None) -> tuple[str, dict[str, str]] | None:
        """A dbt profile from the connection that ``profile`` names, and the variables with its secrets.

        :param target: Name of the target.
        :return: ``None`` when there is no ``profile``.
        :raises ProfileError: when it cannot be made.
        """
        fields = self.get_conn().extra_dejson.get("profile")
        if fields is None:
            return None
        if not isinstance(fields, dict) or not isinstance(fields.get("connection"), str):
            raise ProfileError(f"'profile' in the extra of connection {self.dagctl_conn_id!r} must name a 'connection'.")
        try:
            connection = self.get_connection(fields["connection"])
        except AirflowNotFoundException:
            raise ProfileError(
                f"There is no Airflow connection {fields['connection']!r}, "
                f"which {self.dagctl_conn_id!r} names for the dbt profile."
            ) from None
        return make_profile(connection, target, {name: value for name, value in fields.items() if name != "connection"})


def project_secrets(request: dict[str, Any]) -> ProjectSecrets:
    """Collect what the steps of a project may know.

    :param request: The runner request; it names the connections, never their contents.
    :raises AirflowNotFoundException: when a connection that the project needs is missing.
    :raises ProfileError: when a dbt profile is to be made and cannot be.
    """
    files: dict[str, str] = {}
    # Underscores, so that the connection can also be an environment variable.
    conn_id = filled_in("project_connection", project=slug(str(request["project_name"])).replace("-", "_"))
    hook = DagctlProjectHook(conn_id)
    try:
        env = hook.environment()
        made = hook.profile(request.get("environment")) if tool_of(request.get("tool", DEFAULT_TOOL)).takes_profile else None
        if made is not None:
            files["profiles.yml"], secrets = made
            env = {**env, **secrets}
        files["env.json"] = json.dumps(env)
    except AirflowNotFoundException:
        log.info("There is no connection %r; the step gets no environment variables of its own", conn_id)
    if request.get("state_connection_id"):
        files["state_connection.json"] = json.dumps(_state(BaseHook.get_connection(request["state_connection_id"])))
    if request.get("git_auth_method", "none") != "none" and request.get("git_secret_ref"):
        files.update(_git(request["git_auth_method"], BaseHook.get_connection(request["git_secret_ref"])))
    return ProjectSecrets(files)


def _state(connection: Any) -> dict[str, Any]:
    return {
        "type": "postgres",
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "database": connection.schema,
    }


def _git(method: str, connection: Any) -> dict[str, str]:
    if method != "ssh":
        return {"git_token": connection.password} if connection.password else {}
    extra = connection.extra_dejson
    found = {"git_ssh_key": extra.get("private_key") or connection.password, "git_known_hosts": extra.get("known_hosts")}
    return {name: text for name, text in found.items() if text}
