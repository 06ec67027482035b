"""A small dbt project and its second commit, the same for all tests of the runner with real dbt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.runner.conftest import Driver, Outcome, approved

NEWEST = "1.12.6"

Files = dict[str, "str | None"]

PROJECT = "name: shop\nversion: '1.0'\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: table}}\n"
PROFILE = """shop:
  target: prod
  outputs:
    prod:
      type: duckdb
      path: "{{ env_var('WAREHOUSE') }}"
      threads: 2
"""

FIRST: Files = {
    "dbt_project.yml": PROJECT,
    "profiles.yml": PROFILE,
    "seeds/raw_orders.csv": "id,customer,amount\n1,ann,10\n2,bob,20\n3,ann,30\n",
    "models/stg_orders.sql": "select id, customer, amount from {{ ref('raw_orders') }}",
    "models/eph_orders.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('stg_orders') }}",
    "models/fct_customers.sql": "select customer, sum(amount) as amount from {{ ref('eph_orders') }} group by 1",
    "models/v_names.sql": "{{ config(materialized='view') }} select distinct customer from {{ ref('raw_orders') }}",
    "models/old_report.sql": "select count(*) as n from {{ ref('v_names') }}",
    "models/schema.yml": """version: 2
models:
  - name: fct_customers
    columns: [{name: customer, tests: [not_null, unique]}]
""",
}

SECOND: Files = {
    "models/stg_orders.sql": "select id, customer, amount from {{ ref('raw_orders') }} where amount > 10",
    "models/old_report.sql": None,
    "models/new_report.sql": "select count(*) as n from {{ ref('v_names') }}, {{ ref('fct_customers') }}",
}


def prepare(driver: Driver, version: str = NEWEST) -> Path:
    """Make a driver's requests dbt's; the warehouse is a file beside its repository.

    :return: The warehouse.
    """
    warehouse = driver.folder / "warehouse.duckdb"
    driver.request.update(tool="dbt", tool_version=version)
    del driver.request["environment"]
    (driver.secrets / "env.json").write_text(json.dumps({"WAREHOUSE": str(warehouse)}))
    return warehouse


def deployed(outcome: Outcome, **more: str) -> dict[str, Any]:
    """The ``inputs`` of the next step."""
    return {"inputs": {**outcome.result["artifacts"], **more}}


def apply(driver: Driver, commit: str, **request: Any) -> tuple[Outcome, Outcome]:
    """Explain a commit and execute it."""
    explained = driver.step("explain", commit_sha=commit, **request)
    assert explained.status == 0, explained.output
    executed = driver.step("execute", commit_sha=commit, **{**approved(explained), **request})
    return explained, executed
