"""Makes a dbt profile from an Airflow connection, for projects that have none for their target.

Secrets never stand in the profile: it names variables that dbt masks in its output and that models cannot read
(``DBT_ENV_SECRET_…``), and their values travel beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from dagctl_provider.hooks.warehouses import Login, Source, Warehouse

PROFILE = "dagctl"
DEFAULT_TARGET = "dagctl"
_VARIABLE = "DBT_ENV_SECRET_DAGCTL_{}"
_THREADS = 4
# Of a key file, and of fields of the project's own, which are in no table. No others: what is hidden is also cut out of logs and
# manifests, and the project of a key file stands in every relation's name.
_SECRET_NAME = re.compile(r"(pass|password|passphrase|secret|secret_access_key|token|private_key|private_key_id)$", re.IGNORECASE)


class ProfileError(ValueError):
    """The connection cannot be made into a profile; the text names the connection and what is wrong, never a value of it."""


def make_profile(connection: Connection, target: str | None, overrides: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """A profiles.yml with one profile of one target, and the variables it names.

    :param connection: An Airflow connection.
    :param target: Name of the target; any when absent.
    :param overrides: Fields of the profile that win over what the connection says, for example ``schema`` or ``threads``.
    :raises ProfileError: for a type of connection that is not in the table, a way to log in that dbt does not have, or a field
        that dbt cannot do without.
    """
    # Only here, since Dag parsing, which makes no profile, would load this table each time.
    from dagctl_provider.hooks.warehouses import WAREHOUSES

    warehouse = WAREHOUSES.get(connection.conn_type or "")
    if warehouse is None:
        raise ProfileError(
            f"The Airflow connection {connection.conn_id!r} is of type {connection.conn_type!r}, from which no dbt profile can "
            f"be made; possible are {', '.join(WAREHOUSES)}. Put a profiles.yml into the project instead."
        )
    sources = {**warehouse.fields, **_login(connection, warehouse, overrides).fields}
    secrets: dict[str, str] = {}
    output: dict[str, Any] = {"type": warehouse.adapter, "threads": _THREADS}
    for name, value in _fields(connection, sources, overrides).items():
        hidden = sources[name].secret if name in sources else isinstance(value, str) and _SECRET_NAME.search(name)
        output[name] = _hidden(name, value, secrets) if hidden else value
    name = target or DEFAULT_TARGET
    document = {PROFILE: {"target": name, "outputs": {name: output}}}
    # In block style, which the runner reads without a YAML library.
    return yaml.safe_dump(document, default_flow_style=False, sort_keys=False, width=10_000), secrets


def _login(connection: Connection, warehouse: Warehouse, overrides: Mapping[str, object]) -> Login:
    """The way to log in that the connection tells, or else the project's own fields."""
    *special, usual = warehouse.logins
    told = [login for login in special if any(_value(connection, place) for place in login.told_by)]
    asked = [login for login in special if (login.fields.keys() - usual.fields.keys()) & overrides.keys()]
    login = next(iter([*told, *asked]), usual)
    if login.refused:
        raise ProfileError(f"dbt cannot log in as the Airflow connection {connection.conn_id!r} says: {login.refused}.")
    return login


def _fields(connection: Connection, sources: Mapping[str, Source], overrides: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, Any] = {}
    for name, source in sources.items():
        value = overrides.get(name, _given(connection, source))
        if value is not None:
            found[name] = value
        elif source.required:
            where = " or ".join(f"'{place}'" for place in source.places)
            raise ProfileError(
                f"The Airflow connection {connection.conn_id!r} has no {where}, which dbt needs as {name!r}; "
                "it can also be given in 'profile' in the extra of the project's connection."
            )
    return {**found, **{name: value for name, value in overrides.items() if name not in found}}


def _given(connection: Connection, source: Source) -> object:
    values = [value for place in source.places if (value := _value(connection, place)) not in (None, "")]
    if not values:
        return source.default
    value = ".".join(map(str, values)) if source.joined else values[0]
    return source.convert(value) if source.convert else value


def _value(connection: Connection, place: str) -> object:
    if not place.startswith("extra."):
        return getattr(connection, place, None)
    name, _, member = place.removeprefix("extra.").partition(".")
    extra = connection.extra_dejson
    # Older providers write their own fields with a prefix.
    value = extra.get(name, extra.get(f"extra__{connection.conn_type}__{name}"))
    return _key_file(value).get(member) if value and member else value


def _key_file(value: object) -> dict[str, object]:
    try:
        members = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise ProfileError("The key file in the connection's extra is no JSON object.")
    return members


def _hidden(name: str, value: object, secrets: dict[str, str]) -> object:
    """A reference to a variable that holds the value; for a key file, one for each of its secrets."""
    if name == "keyfile_json":
        return {
            key: _hidden(f"{name}_{key}", member, secrets) if _SECRET_NAME.search(key) else member
            for key, member in _key_file(value).items()
        }
    variable = _VARIABLE.format("".join(letter if letter.isalnum() else "_" for letter in name).upper())
    secrets[variable] = str(value)
    return "{{ env_var('" + variable + "') }}"
