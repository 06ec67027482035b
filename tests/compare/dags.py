"""The generated Dags as Airflow stores them, and what their tasks show and start: the request for approval, the pods."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.compare.believing import believing
from tests.compare.doors import Answers
from tests.plan_output.outputs import dbt_output, hostile_output, large_output, small_output

_PARSED_AS = "_AIRFLOW_PARSING_CONTEXT_DAG_ID"
_INDEX = "dagctl__index"


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables, for a while."""
    with mock.patch.dict(os.environ, values):
        yield


def as_environment(stored: Mapping[str, str], launcher: str) -> dict[str, str]:
    """The Variables as environment variables, which come before the database; with another launcher in them."""
    return {f"AIRFLOW_VAR_{key.upper()}": text.replace('"process"', f'"{launcher}"') for key, text in stored.items()}


def build(stored: Mapping[str, str], launcher: str = "process", wanted: str | None = None) -> dict[str, Any]:
    """What a Dag file has after it called ``build_dags``.

    :param stored: The Variables that the product wrote.
    :param wanted: The one Dag that a worker asks for.
    """
    from dagctl_provider.dag_factory import build_dags

    with environment(**as_environment(stored, launcher), **({_PARSED_AS: wanted} if wanted else {})):
        return dict(build_dags())


def stored_variables() -> dict[str, str]:
    """The product's Variables as they stand in the database."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        found = session.execute(select(Variable).where(Variable.key.like("dagctl%"))).scalars()
        return {variable.key: variable.get_val() for variable in found}


def write_dags(answers: Answers) -> None:
    """All Dags for both launchers, as the Dag processor serialises them, and each as a worker builds it."""
    from tests.serialising import DagSerialization

    stored = stored_variables()
    for launcher in ("process", "kubernetes"):
        for dag_id, dag in sorted(build(stored, launcher).items()):
            answers.write_json(f"dags/{launcher} {dag_id}", DagSerialization.to_dict(dag))
            alone = build(stored, launcher, wanted=dag_id)
            answers.write_json(f"dags/{launcher} {dag_id} on a worker", [DagSerialization.to_dict(one) for one in alone.values()])
    answers.write_json("dags/of others", [sorted(build(stored, wanted=name)) for name in ("somebody_elses", "dagctl__gone")])


def parse(fileloc: Path) -> None:
    """Store the Dags in Airflow as its Dag processor does."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    dags = []
    for dag in build(stored_variables()).values():
        dag.fileloc, dag.relative_fileloc = str(fileloc), fileloc.name
        dags.append(LazyDeserializedDAG.from_dag(dag))
    errors: dict[tuple[str, str], str] = {}
    with create_session(scoped=False) as session:
        update_dag_parsing_results_in_db(
            "dags-folder", None, dags, import_errors=errors, parse_duration=None, warnings=set(), session=session
        )
    if errors:
        raise RuntimeError(f"Airflow does not take the Dags: {errors}")


class _ParkedError(Exception):
    """Stands for Airflow's own way of letting a task wait."""


def write_requests(answers: Answers) -> None:
    """Subject and Markdown of the request for approval, and how the sensor takes decisions."""
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    dags = build(stored_variables())
    sensor = next(dag.get_task("await_approval") for name, dag in sorted(dags.items()) if not name.endswith("__run"))
    outputs = {
        "small": small_output(),
        "dbt": dbt_output(),
        "hostile": hostile_output(),
        "large": large_output(300, 500),
        "none": {},
    }

    def park(self: Any, context: Any) -> None:
        raise _ParkedError(f"{self.subject}\n\n{self.body}")

    with mock.patch.object(ApprovalOperator, "execute", park), believing():
        for name, output in outputs.items():
            answers.write(f"approval/{name}", _said(sensor, {"result": {"plan_output": output}}))
        for decision in ("approved", "rejected", "discarded", "cancelled", "deleted"):
            told = {"decision": {"decision": decision, "decided_by": "Ada"}}
            answers.write(f"approval/{decision}", _said(sensor, told))


_CONF = {
    "tool": "sqlmesh",
    "tool_version": "0.236.4",
    "project_name": "Analytics {{ 7 * 7 }}",
    "project_id": "proj_1",
    "organization_id": "org-1",
    "plan_group_id": "plangroup_1",
    "step_id": "plan_1",
    "job_name": "analytics-plan-explain-20260428-100000",
    "commit_sha": "f6e5d4c" * 5 + "abcde",
    "commit_message": "Tune; $(rm -rf /) {{ conn.x }}\n# <b>x</b>",
    "commit_author": "Ada *L*",
    "repository_url": "https://example.com/shop",
    "branch": "main",
    "environment": "prod",
    "git_auth_method": "ssh",
    "git_secret_ref": "deploy-key",
    "state_connection_id": "dagctl_state_proj_1",
    "resources": {"cpu_request": "500m", "cpu_limit": "2000m", "memory_request": "1Gi", "memory_limit": "4Gi"},
}


def _said(sensor: Any, xcoms: Mapping[str, Any]) -> str:
    task = SimpleNamespace(xcom_pull=lambda task_ids, key: xcoms.get(key))
    context = {"ti": task, "dag_run": SimpleNamespace(conf={"dagctl": _CONF})}
    try:
        return f"passed: {json.dumps(sensor.execute(context))}"
    except Exception as ended:
        return f"{type(ended).__name__}: {ended}"
