"""A small SQLMesh project in two commits, written by code so that each test can bend it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

DUCKDB = "type: duckdb\n      database: {warehouse}"

CONFIG = """
gateways:
  main:
    connection:
      {connection}
default_gateway: main
model_defaults:
  dialect: {dialect}
  start: 2024-01-01
"""

FIRST: Mapping[str, str] = {
    "seeds/raw_orders.csv": "id,customer,amount,day\n1,ann,10,2024-01-01\n2,bob,20,2024-01-02\n3,ann,30,2024-01-03\n",
    "models/raw_orders.sql": """MODEL (name shop.raw_orders, kind SEED (path '../seeds/raw_orders.csv'),
  columns (id INT, customer TEXT, amount INT, day DATE));""",
    "models/stg_orders.sql": """MODEL (name shop.stg_orders, kind FULL, cron '@daily');
SELECT id, customer, amount, day FROM shop.raw_orders""",
    "models/fct_orders.sql": """MODEL (name shop.fct_orders, kind FULL);
SELECT customer, SUM(amount) AS total FROM shop.stg_orders GROUP BY customer""",
    "models/agg_daily.sql": """MODEL (name shop.agg_daily, kind FULL);
SELECT day, COUNT(*) AS orders FROM shop.raw_orders GROUP BY day""",
    "models/fo_events.sql": """MODEL (name shop.fo_events, kind INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true),
  start '2024-01-01', end '2024-01-10');
SELECT 1 AS id, CAST(@start_ds AS DATE) AS day""",
    "models/v_names.sql": """MODEL (name shop.v_names, kind VIEW, owner ann);
SELECT DISTINCT customer FROM shop.raw_orders""",
    "models/old_report.sql": """MODEL (name shop.old_report, kind FULL);
SELECT COUNT(*) AS n FROM shop.raw_orders""",
    "tests/test_fct.yaml": """test_fct_orders:
  model: shop.fct_orders
  inputs:
    shop.stg_orders:
      rows:
      - {id: 1, customer: ann, amount: 1, day: '2024-01-01'}
      - {id: 2, customer: ann, amount: 2, day: '2024-01-01'}
  outputs:
    query:
      rows:
      - {customer: ann, total: 3}
""",
}

SEED = {name: FIRST[name] for name in ("seeds/raw_orders.csv", "models/raw_orders.sql")}

SECOND: Mapping[str, str | None] = {
    "models/stg_orders.sql": """MODEL (name shop.stg_orders, kind FULL, cron '@daily');
SELECT id, customer, amount, day FROM shop.raw_orders WHERE amount > 10""",
    "models/agg_daily.sql": """MODEL (name shop.agg_daily, kind FULL);
SELECT day, COUNT(*) AS orders, SUM(amount) AS amount FROM shop.raw_orders GROUP BY day""",
    "models/fo_events.sql": """MODEL (name shop.fo_events, kind INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true),
  start '2024-01-01', end '2024-01-10');
SELECT 1 AS id, CAST(@start_ds AS DATE) AS day, 'x' AS source""",
    "models/v_names.sql": """MODEL (name shop.v_names, kind VIEW, owner bob);
SELECT DISTINCT customer FROM shop.raw_orders""",
    "models/old_report.sql": None,
    "models/new_report.sql": """MODEL (name shop.new_report, kind FULL);
SELECT MAX(amount) AS most FROM shop.stg_orders""",
}


class Repository:
    """A git repository on this disk.

    :param folder: Its work tree.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """Address for a request."""
        return f"file://{self.folder}"

    def git(self, *arguments: str) -> str:
        """Run git in the work tree."""
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        done = subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None]) -> str:
        """Write files (``None`` removes one), commit, and return the commit's hash."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


def config(warehouse: Path | None = None, connection: str | None = None, dialect: str = "duckdb") -> dict[str, str]:
    """The project's config file."""
    return {"config.yaml": CONFIG.format(connection=connection or DUCKDB.format(warehouse=warehouse), dialect=dialect)}
