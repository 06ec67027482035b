"""Makes a dbt profile from an Airflow connection, for projects that have none for their target.

One table says where each field of a profile comes from. Secrets never stand in the profile: it names variables that dbt masks
in its output and that models cannot read (``DBT_ENV_SECRET_…``), and their values travel beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

PROFILE = "dagctl"
DEFAULT_TARGET = "dagctl"
_VARIABLE = "DBT_ENV_SECRET_DAGCTL_{}"
_THREADS = 4


class ProfileError(ValueError):
    """The connection cannot be made into a profile; the text names the connection and what is wrong, never a value of it."""


@dataclass(frozen=True)
class Source:
    """Where a field of a profile comes from.

    :param places: Attributes of the connection, or ``extra.<name>``; the first that has a value counts.
    :param default: Value when none has.
    :param required: Whether dbt cannot do without.
    :param secret: Whether the value must not stand in the profile.
    :param unless: Another field that makes this one unnecessary.
    """

    places: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    secret: bool = False
    unless: str | None = None


def _from(*places: str, **rules: Any) -> Source:
    return Source(places, **rules)


_POSTGRES = {
    "host": _from("host", required=True),
    "port": _from("port", default=5432),
    "user": _from("login", required=True),
    "password": _from("password", secret=True, default=""),
    "dbname": _from("schema", required=True),
    "schema": _from(default="public"),
    "sslmode": _from("extra.sslmode"),
    "sslcert": _from("extra.sslcert"),
    "sslkey": _from("extra.sslkey"),
    "sslrootcert": _from("extra.sslrootcert"),
    "connect_timeout": _from("extra.connect_timeout"),
}
_REDSHIFT = {**_POSTGRES, "port": _from("port", default=5439)}
_SNOWFLAKE = {
    "account": _from("extra.account", required=True),
    "user": _from("login", required=True),
    "private_key": _from("extra.private_key_content", secret=True),
    "private_key_path": _from("extra.private_key_file"),
    "private_key_passphrase": _from("extra.private_key_passphrase", secret=True),
    "password": _from("password", secret=True),
    "authenticator": _from("extra.authenticator"),
    "database": _from("extra.database", required=True),
    "warehouse": _from("extra.warehouse"),
    "role": _from("extra.role"),
    "schema": _from("schema", required=True),
}
_BIGQUERY = {
    "project": _from("extra.project", "extra.project_id", required=True),
    "dataset": _from("schema", required=True),
    "keyfile": _from("extra.key_path", "extra.keyfile_path"),
    "keyfile_json": _from("extra.keyfile_dict", secret=True, unless="keyfile"),
    "location": _from("extra.location"),
}
_DATABRICKS = {
    "host": _from("host", required=True),
    "http_path": _from("extra.http_path", required=True),
    "token": _from("password", "extra.token", secret=True, required=True),
    "catalog": _from("extra.catalog"),
    "schema": _from("schema", default="default"),
}
_DUCKDB = {
    "path": _from("host", "extra.path", "extra.database", default=":memory:"),
    "schema": _from(default="main"),
}

MAPPINGS: Mapping[str, tuple[str, Mapping[str, Source]]] = {
    "postgres": ("postgres", _POSTGRES),
    "redshift": ("redshift", _REDSHIFT),
    "snowflake": ("snowflake", _SNOWFLAKE),
    "google_cloud_platform": ("bigquery", _BIGQUERY),
    "gcpbigquery": ("bigquery", _BIGQUERY),
    "databricks": ("databricks", _DATABRICKS),
    "duckdb": ("duckdb", _DUCKDB),
}
"""Type of the Airflow connection -> dbt's adapter, and where the fields of its profile come from."""


def make_profile(connection: Any, target: str | None, overrides: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """A profiles.yml with one profile of one target, and the variables it names.

    :param connection: An Airflow connection.
    :param target: Name of the target; any when absent.
    :param overrides: Fields of the profile that win over what the connection says, for example ``schema`` or ``threads``.
    :raises ProfileError: for a type of connection that is not in the table, or a field that dbt cannot do without.
    """
    if connection.conn_type not in MAPPINGS:
        raise ProfileError(
            f"The Airflow connection {connection.conn_id!r} is of type {connection.conn_type!r}, from which no dbt profile can "
            f"be made; possible are {', '.join(MAPPINGS)}. Put a profiles.yml into the project instead."
        )
    adapter, sources = MAPPINGS[connection.conn_type]
    fields = _fields(connection, sources, overrides)
    secrets: dict[str, str] = {}
    output: dict[str, Any] = {"type": adapter, "threads": _THREADS, **_PRESETS.get(adapter, _nothing)(fields)}
    for name, value in fields.items():
        if name in sources and sources[name].secret:
            output[name] = _hidden(name, value, secrets)
        else:
            output[name] = value
    name = target or DEFAULT_TARGET
    document = {PROFILE: {"target": name, "outputs": {name: output}}}
    # In block style, which the runner reads without a YAML library.
    return yaml.safe_dump(document, default_flow_style=False, sort_keys=False, width=10_000), secrets


def _fields(connection: Any, sources: Mapping[str, Source], overrides: Mapping[str, Any]) -> dict[str, Any]:
    extra = connection.extra_dejson
    found: dict[str, Any] = {}
    for name, source in sources.items():
        values = (_value(connection, extra, place) for place in source.places)
        value = overrides.get(name, next((value for value in values if value not in (None, "")), source.default))
        if value is not None and not (source.unless and source.unless in found):
            found[name] = value
        elif source.required:
            where = " or ".join(f"'{place}'" for place in source.places)
            raise ProfileError(
                f"The Airflow connection {connection.conn_id!r} has no {where}, which dbt needs as {name!r}; "
                "it can also be given in 'profile' in the extra of the project's connection."
            )
    return {**found, **{name: value for name, value in overrides.items() if name not in found}}


def _value(connection: Any, extra: Mapping[str, Any], place: str) -> Any:
    if not place.startswith("extra."):
        return getattr(connection, place, None)
    name = place.removeprefix("extra.")
    # Older providers write their own fields with a prefix.
    return extra.get(name, extra.get(f"extra__{connection.conn_type}__{name}"))


def _hidden(name: str, value: Any, secrets: dict[str, str]) -> Any:
    """A reference to a variable that holds the value; for a key file, one for each of its members."""
    if name == "keyfile_json":
        members = json.loads(value) if isinstance(value, str) else value
        if not isinstance(members, dict):
            raise ProfileError("The key file in the connection's extra is no JSON object.")
        return {key: _hidden(f"{name}_{key}", member, secrets) for key, member in members.items()}
    variable = _VARIABLE.format("".join(letter if letter.isalnum() else "_" for letter in name).upper())
    secrets[variable] = str(value)
    return "{{ env_var('" + variable + "') }}"


def _bigquery(fields: Mapping[str, Any]) -> dict[str, Any]:
    if "keyfile" in fields:
        return {"method": "service-account"}
    return {"method": "service-account-json" if "keyfile_json" in fields else "oauth"}


def _nothing(_fields: Mapping[str, Any]) -> dict[str, Any]:
    return {}


_PRESETS = {"bigquery": _bigquery}
