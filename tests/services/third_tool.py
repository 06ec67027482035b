"""The row of a tool that does not exist. It imports the table alone, so that it can be there before anything is made from it."""

from __future__ import annotations

from dagctl_provider.domain.fields import Field
from dagctl_provider.domain.tools import Form, Loading, Tool, UnnamedEnvironment

PLAIN_SQL = Tool(
    label="Plain SQL",
    fields={
        "plain_sql_database": Field("string", "Database that the scripts are for", nullable=True),
        "plain_sql_version": Field("string", "Version of the tool"),
    },
    form=Form(
        fields=("plain_sql_database", "plain_sql_version"),
        labels={"plain_sql_database": "Database of the scripts", "plain_sql_version": "Version of the scripts' tool"},
    ),
    environment_field="plain_sql_database",
    default_environment=None,
    unnamed_environment=UnnamedEnvironment("the scripts' own database", "the scripts' own database", "their own database"),
    version_field="plain_sql_version",
    project_files=("migrations.sql",),
    find_gateways=None,
    find_name=None,
    read_manifest=None,
    has_state=True,
    takes_profile=False,
    airflow_may_retry=False,
    follows_releases=False,
    loading=Loading("apply", "applied"),
    categories={},
    publishes_at_end=False,
    drops_removed=False,
    tested_in="execute",
    run_does="checks that every script was applied",
    command="plain-sql apply",
)
