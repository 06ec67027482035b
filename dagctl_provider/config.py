"""Reads the ``[dagctl]`` section through the table in :mod:`dagctl_provider.domain.settings`, and some of Airflow's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf

from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.names import PAGES
from dagctl_provider.domain.settings import SECTION, SETTINGS


def setting(name: str) -> Any:
    """The value of a setting, typed as the table says.

    :param name: Key of :data:`~dagctl_provider.domain.settings.SETTINGS`.
    """
    row = SETTINGS[name]
    if row.kind == "boolean":
        return conf.getboolean(SECTION, name, fallback=row.default == "True")
    if row.kind == "integer":
        return conf.getint(SECTION, name, fallback=int(row.default))
    if row.kind == "float":
        return conf.getfloat(SECTION, name, fallback=float(row.default))
    return conf.get(SECTION, name, fallback=row.default)


def filled_in(name: str, **values: str) -> str:
    """A text setting with its ``<name>`` places filled in.

    Not Python's braces: Airflow formats defaults of its own accord and stumbles over names it does not know.
    """
    text = str(setting(name))
    for place, value in values.items():
        text = text.replace(f"<{place}>", value)
    return text


def project_connection(project_name: str) -> str:
    """Id of the Airflow connection whose variables reach a project's steps."""
    # Underscores, so that the connection can also be an environment variable.
    return filled_in("project_connection", project=slug(project_name).replace("-", "_"))


def cache_folder() -> Path:
    """Folder for git caches and tool environments."""
    configured = setting("cache_folder")
    if configured:
        return Path(configured)
    return Path(os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow"))) / "dagctl"


def plan_address(group_id: str) -> str:
    """The page of a plan as people outside reach it, from ``[api] base_url``."""
    return f"{str(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{PAGES}/plans/{quote(group_id, safe='')}"


def run_address(project_id: str, run_id: str) -> str:
    """The page of a run as people outside reach it."""
    place = f"{PAGES}/projects/{quote(project_id, safe='')}/runs/{quote(run_id, safe='')}"
    return f"{str(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{place}"


def invitation_address(secret: str) -> str:
    """Where an invitation is accepted, for whoever is invited."""
    return f"{str(conf.get('api', 'base_url', fallback='') or '').rstrip('/')}{PAGES}/invitations/{quote(secret, safe='')}"
