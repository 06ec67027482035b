"""The profiles that are made from Airflow connections, as the adapters themselves read them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagctl_provider.hooks.warehouses import WAREHOUSES
from tests.hooks.test_profiles import CASES, made
from tests.runner.conftest import ROOT
from tests.runner.dbt_shop import NEWEST

pytestmark = [pytest.mark.slow, pytest.mark.long]

READ = """
import argparse, dataclasses, json, os, sys
from dbt.config.profile import Profile
from dbt.config.renderer import ProfileRenderer
from dbt.flags import set_from_args
from dbt_common.clients.system import convert_path
from dbt_common.context import set_invocation_context
import yaml
from dbt.adapters.databricks import credentials as databricks
# It would log in at once.
databricks.DatabricksCredentialManager.create_from = classmethod(lambda cls, given: None)
found = {}
set_from_args(argparse.Namespace(), None)
for name, (text, variables) in json.load(sys.stdin).items():
    set_invocation_context({**os.environ, **variables})
    profile = Profile.from_raw_profile_info(yaml.safe_load(text)["dagctl"], "dagctl", ProfileRenderer({}))
    credentials = profile.credentials
    names = {field.name for field in dataclasses.fields(credentials)} | set(credentials._ALIASES)
    given = yaml.safe_load(text)["dagctl"]["outputs"]["prod"].keys() - {"type", "threads"}
    check = getattr(credentials, "validate_creds", None)
    if check:
        check()
    found[name] = {"class": type(credentials).__name__, "unknown": sorted(given - names), "values": str(credentials.to_dict())}
json.dump(found, sys.stdout)
"""


def test_every_adapter_takes_what_is_made_for_it(tool_environments: Path) -> None:
    extras = [part for adapter in sorted({row.adapter for row in WAREHOUSES.values()}) for part in ("--extra", adapter)]
    command = [sys.executable, "-m", "dagctl_provider.runner", "install", "--tool", "dbt", "--version", NEWEST, *extras]
    env = {**os.environ, "DAGCTL_ENVIRONMENTS_DIR": str(tool_environments)}
    installed = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    profiles = {name: (text, secrets) for name, (_, secrets, text) in ((name, made(row[0])) for name, row in CASES.items())}
    read = subprocess.run(
        [installed.stdout.split()[-1], "-c", READ], input=json.dumps(profiles), capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    assert {name: row["unknown"] for name, row in found.items()} == {name: [] for name in CASES}
    assert "s3cret-value" in found["postgres"]["values"]
    assert "BEGIN PRIVATE KEY" in found["snowflake by key"]["values"]
