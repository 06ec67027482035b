"""The warehouses that a dbt profile can be made for, as one table: where each field of the profile comes from.

What a connection's fields mean is what the documentation of its Airflow provider says; the fields of a profile are those of the
adapter's ``Credentials`` class, which the tests fill with what is made here.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Source:
    """Where a field of a profile comes from.

    :param places: Attributes of the connection, or ``extra.<name>``; the first that has a value counts.
    :param default: Value when none has.
    :param required: Whether dbt cannot do without.
    :param secret: Whether the value must not stand in the profile.
    :param joined: All places that have a value count, with dots between them.
    :param convert: Makes the connection's value dbt's.
    """

    places: tuple[str, ...] = ()
    default: Any = None
    required: bool = False
    secret: bool = False
    joined: bool = False
    convert: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Login:
    """One way to log in.

    :param fields: Fields of the profile that belong to it.
    :param told_by: Places of the connection, one of which has a value when this way is meant; none for the usual one.
    :param refused: Why dbt cannot log in this way.
    """

    fields: Mapping[str, Source]
    told_by: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True)
class Warehouse:
    """How connections of a type become profiles.

    :param adapter: dbt's name for the type.
    :param fields: Fields of the profile, whatever the way to log in.
    :param logins: Ways to log in; the last one is the usual one.
    """

    adapter: str
    fields: Mapping[str, Source]
    logins: Sequence[Login] = (Login({}),)


def _from(*places: str, **rules: Any) -> Source:
    return Source(places, **rules)


def _number(value: object) -> object:
    return int(str(value)) if str(value).isdigit() else value


def _without_scheme(value: str) -> str:
    return re.sub(r"^https?://", "", value).rstrip("/")


def _pem(value: str) -> str:
    """The key: newer Snowflake providers want its file in base64, older ones as it is; dbt takes PEM, or base64 of DER."""
    try:
        text = base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return value
    return text.lstrip() if text.lstrip().startswith("-----BEGIN") else value


def _account(value: object) -> object:
    """The last of a chain of impersonated accounts is the one to be."""
    chain = value if isinstance(value, list) else str(value).split(",")
    return str(chain[-1]).strip()


_SERVER = {
    "host": _from("host", required=True),
    "dbname": _from("schema", required=True),
    "schema": _from(default="public"),
    "sslmode": _from("extra.sslmode"),
    "connect_timeout": _from("extra.connect_timeout", convert=_number),
}
_USER = {"user": _from("login", required=True), "password": _from("password", secret=True, default="")}
_POSTGRES = Warehouse(
    "postgres",
    {
        **_SERVER,
        "port": _from("port", default=5432),
        "sslcert": _from("extra.sslcert"),
        "sslkey": _from("extra.sslkey"),
        "sslrootcert": _from("extra.sslrootcert"),
        "keepalives_idle": _from("extra.keepalives_idle", convert=_number),
    },
    (
        Login({}, ("extra.iam",), refused="its password is made by AWS each time, which dbt's adapter cannot do"),
        Login(_USER),
    ),
)
_REDSHIFT = Warehouse(
    "redshift",
    {**_SERVER, "port": _from("port", default=5439)},
    (
        Login(
            {
                "method": _from(default="iam"),
                "user": _from("login"),
                "cluster_id": _from("extra.cluster_identifier"),
                "iam_profile": _from("extra.profile"),
                "region": _from("extra.region"),
                "is_serverless": _from("extra.is_serverless"),
                "serverless_work_group": _from("extra.serverless_work_group"),
            },
            ("extra.iam",),
        ),
        Login(_USER),
    ),
)
_KEY_USER = {
    "user": _from("login", required=True),
    # The connection's password is the key's then.
    "private_key_passphrase": _from("extra.private_key_passphrase", "password", secret=True),
}
_SNOWFLAKE = Warehouse(
    "snowflake",
    {
        "account": _from("extra.account", "extra.region", required=True, joined=True),
        "database": _from("extra.database", required=True),
        "warehouse": _from("extra.warehouse"),
        "role": _from("extra.role"),
        "schema": _from("schema", required=True),
    },
    (
        Login(
            {
                "authenticator": _from(default="oauth"),
                "oauth_client_id": _from("login", required=True),
                "oauth_client_secret": _from("password", secret=True, required=True),
                "token": _from("extra.refresh_token", secret=True),
            },
            ("extra.refresh_token",),
        ),
        Login(
            {**_KEY_USER, "private_key": _from("extra.private_key_content", secret=True, convert=_pem)},
            ("extra.private_key_content",),
        ),
        Login({**_KEY_USER, "private_key_path": _from("extra.private_key_file")}, ("extra.private_key_file",)),
        Login(
            {
                "user": _from("login", required=True),
                "password": _from("password", secret=True),
                "authenticator": _from("extra.authenticator"),
            }
        ),
    ),
)
_BIGQUERY = Warehouse(
    "bigquery",
    {
        "dataset": _from("schema", required=True),
        "location": _from("extra.location"),
        "impersonate_service_account": _from("extra.impersonation_chain", convert=_account),
    },
    (
        Login(
            {
                "method": _from(default="service-account-json"),
                "project": _from("extra.project", "extra.project_id", "extra.keyfile_dict.project_id", required=True),
                "keyfile_json": _from("extra.keyfile_dict", secret=True),
            },
            ("extra.keyfile_dict",),
        ),
        Login(
            {
                "method": _from(default="service-account"),
                "project": _from("extra.project", "extra.project_id", required=True),
                "keyfile": _from("extra.key_path"),
            },
            ("extra.key_path",),
        ),
        Login({"method": _from(default="oauth"), "project": _from("extra.project", "extra.project_id", required=True)}),
    ),
)
_DATABRICKS = Warehouse(
    "databricks",
    {
        "host": _from("host", required=True, convert=_without_scheme),
        "http_path": _from("extra.http_path", required=True),
        "catalog": _from("extra.catalog"),
        "schema": _from("schema", default="default"),
    },
    (
        Login({"token": _from("extra.token", secret=True)}, ("extra.token",)),
        Login(
            {
                "auth_type": _from(default="oauth"),
                "azure_client_id": _from("login", required=True),
                "azure_client_secret": _from("password", secret=True, required=True),
            },
            ("extra.azure_tenant_id",),
        ),
        Login(
            {
                "auth_type": _from(default="oauth"),
                "client_id": _from("login", required=True),
                "client_secret": _from("password", secret=True, required=True),
            },
            ("extra.service_principal_oauth",),
        ),
        Login({"token": _from("password", secret=True, required=True)}),
    ),
)
_DUCKDB = Warehouse(
    "duckdb",
    {"path": _from("host", "extra.path", "extra.database", default=":memory:"), "schema": _from(default="main")},
)

WAREHOUSES: Mapping[str, Warehouse] = {
    "postgres": _POSTGRES,
    "redshift": _REDSHIFT,
    "snowflake": _SNOWFLAKE,
    "google_cloud_platform": _BIGQUERY,
    "gcpbigquery": _BIGQUERY,
    "databricks": _DATABRICKS,
    "duckdb": _DUCKDB,
}
"""Type of the Airflow connection -> how it becomes a profile."""
