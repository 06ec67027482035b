"""The button on a task in Airflow: there for the tasks of plans, before they run, and for no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.dag_factory import plan_dag
from dagctl_provider.domain.names import APPROVAL, EXECUTE, EXPLAIN
from dagctl_provider.domain.wire.specs import DagSpec
from dagctl_provider.operators.links import PlanLink
from tests.serialising import DagSerialization

SPEC: dict[str, Any] = {
    "dag_id": "dagctl__shop-1",
    "name": "Shop",
    "slug": "shop",
    "environment": "prod",
    "project_type": "sqlmesh",
    "launcher": "process",
    "max_active_job_runs": 1,
}

SHOW = """
import json, sys
from tests.serialising import DagSerialization

dag = DagSerialization.deserialize_dag(json.load(open(sys.argv[1])))
links = {task.task_id: list(task.extra_links) for task in dag.tasks}
operators = ("dagctl_provider.operators.p", "dagctl_provider.sensors.")
print(json.dumps({"links": links, "operators loaded": [name for name in sys.modules if name.startswith(operators)]}))
"""


def key(dag_id: str, run_id: str) -> Any:
    return SimpleNamespace(dag_id=dag_id, run_id=run_id)


def test_the_address_is_that_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://air.example.com/flow/")
    link = PlanLink().get_link(None, ti_key=key("dagctl__shop-1", "plangroup_1/..?x"))
    assert link == "https://air.example.com/flow/pluginsv2/dagctl/runs/dagctl__shop-1/plangroup_1%2F..%3Fx"
    assert PlanLink().get_link(None, ti_key=key("dagctl__shop-1__run", "run_1")) == ""
    assert PlanLink().get_link(None, ti_key=key("other", "plangroup_1")) == ""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["process", "kubernetes"])
def test_airflow_shows_it_on_every_task_of_a_plan(launcher: str, tmp_path: Path) -> None:
    """In a process of its own, as the API server does it: from the serialised Dag alone, no operator loaded."""
    serialised = tmp_path / "dag.json"
    serialised.write_text(json.dumps(DagSerialization.serialize_dag(plan_dag(DagSpec.from_json({**SPEC, "launcher": launcher})))))
    shown = subprocess.run(
        [sys.executable, "-c", SHOW, str(serialised)], check=True, capture_output=True, text=True, timeout=280
    ).stdout.splitlines()[-1]
    assert json.loads(shown) == {
        "links": {EXPLAIN: ["Plan"], APPROVAL: ["Plan"], EXECUTE: ["Plan"]},
        "operators loaded": [],
    }
