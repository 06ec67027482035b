"""Looks into the sample's DuckDB file, and works out by hand what must be in it.

DuckDB is installed where SQLMesh is, in the tool's own environment, and asked from there.
"""

from __future__ import annotations

import csv
import json
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.options import DemoError

_QUERY = """
import json, sys
import duckdb
cursor = duckdb.connect(sys.argv[1], read_only=True).execute(sys.argv[2])
print(json.dumps({"columns": [column[0] for column in cursor.description], "rows": cursor.fetchall()}, default=str))
"""


@dataclass(frozen=True)
class Table:
    """The answer of a query."""

    columns: list[str]
    rows: list[list[Any]]

    def lines(self) -> list[str]:
        """As text, in columns."""
        texts = [self.columns, *([str(value) for value in row] for row in self.rows)]
        widths = [max(len(row[number]) for row in texts) for number in range(len(self.columns))]
        numeric = [all(isinstance(row[number], (int, float)) for row in self.rows) for number in range(len(self.columns))]
        return [
            "  ".join(
                text.rjust(width) if right else text.ljust(width) for text, width, right in zip(row, widths, numeric, strict=True)
            )
            for row in texts
        ]


class Warehouse:
    """The sample's DuckDB file.

    :param path: The file.
    :param python: Interpreter that has DuckDB.
    """

    def __init__(self, path: Path, python: Path) -> None:
        self.path = path
        self._python = python

    def query(self, statement: str) -> Table:
        """Ask the warehouse.

        :raises DemoError: with what DuckDB said.
        """
        command = [str(self._python), "-c", _QUERY, str(self.path), statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, words of the demo
        if done.returncode != 0:
            raise DemoError(f"The warehouse could not be read: {done.stderr.strip().splitlines()[-1:]}", f"Its file: {self.path}")
        answer = json.loads(done.stdout)
        return Table(answer["columns"], answer["rows"])


def revenue_by_city(seeds: Path, discounts: bool) -> dict[str, float]:
    """What the project's models must come to, counted from the seed files without any SQL.

    :param seeds: Folder of the CSV files.
    :param discounts: Whether discounts are taken off.
    """
    cities = {row["customer_id"]: row["city"] for row in _rows(seeds / "customers.csv")}
    orders = {row["order_id"]: cities[row["customer_id"]] for row in _rows(seeds / "orders.csv") if row["status"] != "returned"}
    totals: dict[str, float] = defaultdict(float)
    for row in _rows(seeds / "order_items.csv"):
        if row["order_id"] in orders:
            share = 1 - float(row["discount"]) if discounts else 1.0
            totals[orders[row["order_id"]]] += int(row["quantity"]) * float(row["unit_price"]) * share
    return dict(totals)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def require_revenue(found: dict[str, float], expected: dict[str, float]) -> None:
    """Refuse a warehouse that says something else than the seed files; each order may be off by a rounding.

    :raises DemoError: naming both.
    """
    if found.keys() != expected.keys() or any(abs(found[city] - expected[city]) > 0.5 for city in expected):
        raise DemoError(f"The warehouse holds {found}, but it must hold {expected}.", "This is a bug.")
