"""No test finds what another has left: between two, the database is as `airflow db migrate` made it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from tests.database import empty, someone_waits
from tests.postgres import PostgreSQL
from tests.services.world import World
from tests.waiting import wait_for


def rows(postgres: PostgreSQL) -> dict[str, int]:
    """Rows of each table that the database has, whether the code knows it or not."""
    names = [name for (name,) in postgres.query("airflow", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    counts = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {name}" for name in names)
    return dict(postgres.query("airflow", counts))


def test_what_a_test_leaves_in_any_table_is_gone(database: None, postgres: PostgreSQL, request: pytest.FixtureRequest) -> None:
    made = rows(postgres)
    assert made["slot_pool"] == 1
    world: World = request.getfixturevalue("world")
    approved = plans.approve(world.actor(), world.explained(world.project()).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    postgres.query("airflow", "INSERT INTO slot_pool (pool, slots, include_deferred) VALUES ('mine', 1, false)")
    filled = {name for name, count in rows(postgres).items() if count != made[name]}
    assert {"dagctl_plan_step", "dag_run", "task_instance", "serialized_dag", "xcom", "variable", "slot_pool"} <= filled

    empty()
    assert rows(postgres) == made


def test_who_still_writes_is_waited_for(database: None, postgres: PostgreSQL) -> None:
    """What came in after the deletion would be found by the next test."""
    with postgres.connect("airflow") as writer, ThreadPoolExecutor(1) as pool:
        writer.autocommit = False
        with writer.cursor() as cursor:
            cursor.execute("INSERT INTO variable (key, val, is_encrypted) VALUES ('late', 'x', false)")
        emptied = pool.submit(empty)
        wait_for("the deletion to wait", someone_waits)
        writer.commit()
        emptied.result(timeout=60)
    assert postgres.query("airflow", "SELECT key FROM variable") == []
