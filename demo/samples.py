"""The sample projects as data: the same shop in SQLMesh and in dbt, each in two commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FIRST_MESSAGE = "Shop: orders, revenue, customers"


@dataclass(frozen=True)
class Sample:
    """One sample project.

    :param kind: As ``KIND`` says it: a ``project_type`` of the API.
    :param label: The tool's name for people.
    :param contents: What the first commit holds, for people.
    :param first: Folders of the first commit, and where in the repository they go.
    :param second: Folder of the second commit.
    :param job: Command of the job that the demo makes.
    :param removed: Files that the second commit removes.
    :param second_message: Message of the second commit.
    :param wanted: What its plan has to show, by key of plan_output.
    :param project: Fields of the project besides name, type and repository.
    :param install: Arguments of the runner's ``install``.
    :param before: Query for the revenue by city after the first commit.
    :param added_model: Model that the second commit adds.
    :param after: Query for its rows: city, customers, orders, revenue.
    """

    kind: str
    label: str
    contents: str
    first: tuple[tuple[str, str], ...]
    second: str
    second_message: str
    wanted: Mapping[str, list[str]]
    added_model: str
    before: str
    after: str
    job: str
    removed: tuple[str, ...] = ()
    project: Mapping[str, Any] = field(default_factory=dict)
    install: tuple[str, ...] = ()


_BEFORE = "SELECT c.city, ROUND(SUM(o.revenue), 2) AS revenue FROM {orders} o JOIN {customers} c USING (customer_id)"
_BEFORE += " GROUP BY 1 ORDER BY 2 DESC"
_AFTER = "SELECT city, customers, orders, revenue FROM {added} ORDER BY revenue DESC"

SQLMESH = Sample(
    kind="sqlmesh",
    label="SQLMesh",
    contents="10 models, 2 unit tests and a DuckDB warehouse",
    first=(("sample", "."),),
    second="sample_change",
    second_message="Take discounts off revenue; add revenue per city",
    wanted={"directly_modified": ["marts.order_revenue"], "models_added": ["marts.city_revenue"]},
    added_model="marts.city_revenue",
    before=_BEFORE.format(orders="marts.order_revenue", customers="raw.customers"),
    after=_AFTER.format(added="marts.city_revenue"),
    job="sqlmesh janitor",
)
DBT = Sample(
    kind="dbt",
    label="dbt",
    contents="6 models, 4 seeds, 7 tests and a DuckDB warehouse",
    first=(("sample_dbt", "."), ("sample/seeds", "seeds")),
    second="sample_dbt_change",
    removed=("models/marts/product_sales.sql",),
    second_message="Take discounts off revenue; add revenue per city; drop product sales",
    wanted={
        "directly_modified": ["order_revenue"],
        "indirectly_modified": ["customer_value", "daily_revenue"],
        "models_added": ["city_revenue"],
        "models_removed": ["product_sales"],
    },
    added_model="city_revenue",
    before=_BEFORE.format(orders="order_revenue", customers="customers"),
    after=_AFTER.format(added="city_revenue"),
    job="dbt build",
    # A version in .dagctl/config.yaml would be one more thing to change for people who try commits of their own.
    project={"dbt_target": "prod", "version_strategy": "continuous"},
    install=("--tool", "dbt", "--extra", "duckdb"),
)
SAMPLES: Mapping[str, Sample] = {sample.kind: sample for sample in (SQLMESH, DBT)}
