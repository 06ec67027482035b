"""A dbt project of twelve nodes whose builds fail or die where a test says, and the comparison with a clean build."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tests.runner.dbt_inner import Project
from tests.runner.dbt_shop import NEWEST, Files

PLUGIN = """
import os, pathlib, re, signal
from dbt.adapters.duckdb.environments import local
from dbt.adapters.duckdb.impl import DuckDBAdapter
from dbt.adapters.duckdb.plugins import BasePlugin

FATE = pathlib.Path(os.environ["FATE"])
execute = local.DuckDBCursorWrapper.execute

def fated(cursor, sql, *args, **kwargs):
    wanted = FATE.read_text().split() if FATE.exists() else []
    if wanted and is_for(sql, *wanted[1:]):
        if wanted[0] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if wanted[0] == "fail":
            raise RuntimeError("the fate of " + wanted[1])
        os.kill(os.getpid(), signal.SIGTERM)
    return execute(cursor, sql, *args, **kwargs)

def is_for(sql, node, when):
    return f"fate: {node} {when}" in sql or (f"fate: {node} batch" in sql and re.search(f">= [^ ]{when}-", sql))

local.DuckDBCursorWrapper.execute = fated

strategies = DuckDBAdapter.valid_incremental_strategies
DuckDBAdapter.valid_incremental_strategies = lambda adapter: [*strategies(adapter), "microbatch"]

class Plugin(BasePlugin):
    pass
"""

PROJECT = """name: shop
version: '1.0'
config-version: 2
profile: shop
flags: {send_anonymous_usage_stats: false}
models:
  shop:
    +materialized: table
    +pre-hook: "select 1 /* fate: {{ this.name }} before */"
    +post-hook: "select 1 /* fate: {{ this.name }} after */"
seeds:
  shop:
    +pre-hook: "select 1 /* fate: {{ this.name }} before */"
    +post-hook: "select 1 /* fate: {{ this.name }} after */"
"""

PROFILE = """shop:
  target: prod
  outputs:
    prod:
      type: duckdb
      path: "{{ env_var('WAREHOUSE') }}"
      threads: 2
      module_paths: ["{{ env_var('MODULES') }}"]
      plugins: [{module: fates}]
"""

INCREMENT = "{{ config(materialized='incremental') }} select id, amount * %s as amount from {{ ref('stg_orders') }}\n"
INCREMENT += "{%% if is_incremental() %%} where id > (select max(id) from {{ this }}) {%% endif %%}"

ONE: Files = {
    "dbt_project.yml": PROJECT,
    "profiles.yml": PROFILE,
    "seeds/raw_orders.csv": "id,customer,amount\n1,ann,10\n2,bob,20\n3,ann,30\n",
    "seeds/raw_names.csv": "customer,city\nann,Rome\nbob,Oslo\n",
    "models/stg_orders.sql": "select id, customer, amount from {{ ref('raw_orders') }}",
    "models/stg_names.sql": "{{ config(materialized='view') }} select * from {{ ref('raw_names') }}",
    "models/eph_orders.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('stg_orders') }}",
    "models/inc_orders.sql": INCREMENT % 1,
    "models/fct_customers.sql": "select customer, sum(amount) as amount from {{ ref('eph_orders') }} group by 1",
    "models/fct_cities.sql": "select city, amount from {{ ref('fct_customers') }} join {{ ref('stg_names') }} using (customer)",
    "models/v_cities.sql": "{{ config(materialized='view') }} select * from {{ ref('fct_cities') }}",
    "models/rep_total.sql": "select sum(amount) as total from {{ ref('fct_cities') }}",
    "models/rep_inc.sql": "select count(*) as n, sum(amount) as total from {{ ref('inc_orders') }}",
    "models/rep_all.sql": "select total from {{ ref('rep_total') }} union all select total from {{ ref('rep_inc') }}",
}


def changed(factor: int) -> Files:
    """A commit that changes a seed's columns, code at the top, an increment and a report, each by a factor."""
    return {
        "seeds/raw_names.csv": f"customer,city,zip\nann,Rome,{factor}\nbob,Oslo,{factor}\n",
        "models/stg_orders.sql": f"select id, customer, amount * {factor} as amount from {{{{ ref('raw_orders') }}}}",
        "models/inc_orders.sql": INCREMENT % factor,
        "models/rep_all.sql": ONE["models/rep_all.sql"].replace("union all", f"union all select {factor} union all"),  # type: ignore[union-attr]
    }


class Halves:
    """One project, its warehouse, and states of both to go back to.

    :param folder: Private.
    """

    def __init__(self, folder: Path, version: str = NEWEST, one: Files | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.one = one or ONE
        self.warehouse, self.fate = folder / "warehouse.duckdb", folder / "fate"
        modules = folder / "modules"
        modules.mkdir()
        (modules / "fates.py").write_text(PLUGIN)
        places = {"WAREHOUSE": self.warehouse, "MODULES": modules, "FATE": self.fate, "PYTHONPATH": modules}
        variables = {name: str(place) for name, place in places.items()}
        self.project = Project(folder / "project", version=version, variables=variables)
        self.left: list[dict[str, Any]] = []

    def deploy(self, files: Files, **job: Any) -> dict[str, Any]:
        """Explain and execute, successfully, whatever is left from before."""
        self.fate.write_text("")
        self.project.write(files)
        explained = self.project.explain(**self.inputs(), **job)
        executed = self.project.execute(explained, **self.inputs(), **job)
        assert executed["outcome"] == "succeeded", executed["log"]
        self.left = []
        return explained

    def inputs(self) -> dict[str, Any]:
        """What the API server hands out: the deployed state, and what is left."""
        return {"inputs": self.project.inputs(leftovers={"rows": self.left} if self.left else None)}

    def keep(self, name: str) -> None:
        """Remember the state as it is."""
        kept = self.folder / name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        shutil.copy(self.warehouse, kept)
        if self.project.deployed:
            shutil.copy(self.project.deployed, kept)
        if (self.project.folder / "shared").is_dir():
            shutil.copytree(self.project.folder / "shared", kept / "shared")

    def back(self, name: str) -> None:
        """Go back to a state."""
        kept = self.folder / name
        shutil.rmtree(self.project.folder / "shared", ignore_errors=True)
        if (kept / "shared").is_dir():
            shutil.copytree(kept / "shared", self.project.folder / "shared")
        shutil.copy(kept / self.warehouse.name, self.warehouse)
        self.warehouse.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        if self.project.deployed:
            shutil.copy(kept / self.project.deployed.name, self.project.deployed)

    def break_off(self, explained: dict[str, Any], fate: str, **job: Any) -> dict[str, Any]:
        """Execute, and let it end as the fate says: ``fail``, ``kill`` or ``cancel``, a node, ``before`` or ``after``."""
        self.fate.write_text(fate)
        executed = self.project.execute(explained, **self.inputs(), **job)
        self.fate.write_text("")
        plan = {"plan_id": explained["tool_plan_id"], "commit": "c" * 40}
        rows = executed.get("left")
        if rows is None:
            # As the API server does it when nobody answered: all that would have run may have been begun.
            nodes = explained["plan_output"]["selection"]["nodes"]
            rows = [{"node": key, "name": key} for key in nodes if not key.startswith(("test.", "unit_test."))]
        self.left = [{**row, **plan} for row in rows]
        return executed

    def tables(self) -> dict[str, Any]:
        """Columns and rows of all that is in the warehouse."""
        return tables(self.project, self.warehouse)

    def clean(self, files: Files) -> dict[str, Any]:
        """What a clean build of some files makes."""
        other = Halves(self.folder / f"clean{len(list(self.folder.iterdir()))}", self.project.version, {**self.one, **files})
        other.deploy(other.one)
        return other.tables()


def tables(project: Project, warehouse: Path) -> dict[str, Any]:
    """Columns and rows of all relations of a DuckDB file, by name."""
    names = project.ask(warehouse, "select table_name from information_schema.tables where table_schema = 'main' order by 1")
    query = "select to_json([column_name, data_type]) from information_schema.columns where table_name = '{}' order by 1"
    return {
        name: {
            "columns": [row[0] for row in project.ask(warehouse, query.format(name))],
            "rows": sorted(map(str, project.ask(warehouse, f'select * from (from "{name}") order by all'))),
        }
        for (name,) in names
    }
