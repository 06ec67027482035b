"""A small dbt project in a git repository, on a DuckDB warehouse of its own, that counts how often each model was built."""

from __future__ import annotations

from pathlib import Path

from tests.airflow.site import Shop

PROJECT = """
name: shop
version: "1.0.0"
config-version: 2
profile: shop
on-run-start: "create table if not exists main.built (model varchar)"
models:
  +materialized: table
  +post-hook: "insert into main.built values ('{{ this.name }}')"
"""
WAITS = """
import os
import time


def model(dbt, session):
    dbt.ref("orders")
    while not os.path.exists("%s"):
        time.sleep(0.05)
    return session.sql("select 1 as n")
"""
NEEDS = """
import os


def model(dbt, session):
    dbt.ref("slow")
    if not os.path.exists("%s"):
        raise ValueError("the export of the till is missing")
    return session.sql("select 2 as n")
"""


class DbtShop(Shop):
    """``gate`` is a file that the model ``slow`` waits for; ``needy``, which reads it, fails without the file ``export``."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "repository"
        self.warehouse = folder / "warehouse.duckdb"
        self.gate = folder / "gate"
        self.export = folder / "export"
        self.path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("dbt_project.yml", PROJECT)
        self.write(
            "profiles.yml",
            f"""
            shop:
              target: dev
              outputs:
                dev:
                  type: duckdb
                  path: "{self.warehouse}"
                  threads: 1
            """,
        )
        self.write("models/orders.sql", "select 1 as id, 10 as amount\n")
        self.write("models/totals.sql", "select sum(amount) as total from {{ ref('orders') }}\n")
        self.write("models/dates.sql", "select current_date as today\n")
        self.write("models/schema.yml", "models: [{name: totals, columns: [{name: total, data_tests: [not_null]}]}]\n")
        self.commit("Orders and totals")

    def add_slow_model(self) -> None:
        """A model that waits for the gate, and one that fails without the export."""
        self.write("models/slow.py", WAITS % self.gate)
        self.write("models/needy.py", NEEDS % self.export)
