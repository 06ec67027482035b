"""The generated Dags: shape, gates, what a worker builds, and that both launchers serialise."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider import dag_factory
from dagctl_provider.dag_factory import build_dags
from dagctl_provider.domain.wire.specs import DagSpec
from dagctl_provider.services.lifecycle import publishing
from tests.plan_output import samples

SPEC = {
    "project_id": "proj_1",
    "organization_id": "org-1",
    "name": "Analytics",
    "slug": "analytics",
    "project_type": "sqlmesh",
    "environment": "prod",
    "dag_id": "dagctl__analytics__abc",
    "max_active_job_runs": 1,
}


def plan_dag(spec: dict[str, Any]) -> Any:
    return dag_factory.plan_dag(DagSpec.from_json(spec))


def run_dag(spec: dict[str, Any]) -> Any:
    return dag_factory.run_dags(DagSpec.from_json(spec))[0]


@pytest.mark.parametrize("launcher", ["process", "kubernetes"])
def test_explain_gates_execute(launcher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.serialising import DagSerialization

    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", launcher)
    dag = plan_dag(SPEC)
    assert [task.task_id for task in dag.topological_sort()] == ["explain", "await_approval", "execute"]
    assert dag.get_task("execute").pool == "dagctl__analytics__abc__writer"
    assert dag.get_task("explain").pool == "default_pool"
    assert dag.get_task("await_approval").retries == 10
    assert not dag.catchup
    run = run_dag(SPEC)
    assert run.get_task("run").pool == dag.get_task("execute").pool, "runs and executes take turns"
    for one in (dag, run):
        json.dumps(DagSerialization.to_dict(one))


def test_an_execute_of_dbt_is_not_tried_again_by_airflow() -> None:
    """It would begin from the beginning: only the API server can tell it how far it got."""
    projects = {kind: replace(samples.PROJECT, project_type=kind, settings={}) for kind in ("dbt", "sqlmesh")}  # type: ignore[arg-type]
    dags = {kind: dag_factory.plan_dag(publishing.dag_spec(project)) for kind, project in projects.items()}
    assert {kind: dag.get_task("execute").retries for kind, dag in dags.items()} == {"dbt": 0, "sqlmesh": 1}
    assert dags["dbt"].description == f"Plans of {samples.PROJECT.name} for the default target of its profile"
    assert dags["sqlmesh"].description == f"Plans of {samples.PROJECT.name} for environment prod"


def test_of_a_letter_that_an_earlier_version_wrote_airflow_tries_nothing_again() -> None:
    assert plan_dag(SPEC).get_task("execute").retries == 0
    assert plan_dag(SPEC).description == f"Plans of {SPEC['name']}"


def test_the_kubernetes_launcher_is_the_pod_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE", "dagctl-runs")
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    dag = plan_dag({**SPEC, "launcher": "process", "airflow_may_retry": True})
    for task_id in ("explain", "execute"):
        task = dag.get_task(task_id)
        assert isinstance(task, KubernetesPodOperator)
        assert task.namespace == "dagctl-runs"
        assert task.retries == 3, "each try finds the pod of a lost worker"


def test_an_unknown_launcher_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "docker")
    with pytest.raises(ValueError, match="'docker'"):
        plan_dag(SPEC)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two projects in Variables; the keys that were read."""
    other = {**SPEC, "project_id": "proj_2", "dag_id": "dagctl__other__def"}
    stored = {"dagctl__index": {"proj_1": SPEC, "proj_2": other}, SPEC["dag_id"]: SPEC, other["dag_id"]: other}
    read: list[str] = []

    def get(key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        read.append(key)
        return stored.get(key, default)

    monkeypatch.setattr(dag_factory.Variable, "get", get)
    return read


def parse_as(monkeypatch: pytest.MonkeyPatch, dag_id: str | None) -> set[str]:
    monkeypatch.setattr(dag_factory, "get_parsing_context", lambda: SimpleNamespace(dag_id=dag_id))
    return set(build_dags())


def test_the_dag_processor_builds_everything_from_one_variable(monkeypatch: pytest.MonkeyPatch, variables: list[str]) -> None:
    names = parse_as(monkeypatch, None)
    assert names == {f"{base}{suffix}" for base in ("dagctl__analytics__abc", "dagctl__other__def") for suffix in ("", "__run")}
    assert variables == ["dagctl__index"]


@pytest.mark.parametrize("suffix", ["", "__run"])
def test_a_worker_builds_one_dag_from_one_variable(monkeypatch: pytest.MonkeyPatch, variables: list[str], suffix: str) -> None:
    assert parse_as(monkeypatch, SPEC["dag_id"] + suffix) == {SPEC["dag_id"] + suffix}
    assert variables == [SPEC["dag_id"]]


@pytest.mark.parametrize("dag_id", ["somebody_elses", "dagctl__gone__xyz"])
def test_other_dags_cost_nothing_and_gone_ones_are_absent(
    monkeypatch: pytest.MonkeyPatch, variables: list[str], dag_id: str
) -> None:
    assert parse_as(monkeypatch, dag_id) == set()


JOBS = [
    {"dag_id": "dagctl__analytics__abc__hourly-1__run", "name": "hourly", "schedule": "0 * * * *", "time_zone": "Europe/Berlin"},
    {"dag_id": "dagctl__analytics__abc__off-2__run", "name": "off"},
]


def test_each_job_has_a_dag_of_its_own() -> None:
    default, hourly, off = dag_factory.run_dags(DagSpec.from_json({**SPEC, "schedule": "@daily", "jobs": JOBS}))
    assert [dag.dag_id for dag in (default, hourly, off)] == ["dagctl__analytics__abc__run", *(job["dag_id"] for job in JOBS)]
    assert [dag.dag_display_name for dag in (hourly, off)] == ["Analytics: hourly", "Analytics: off"]
    assert (str(hourly.timetable.timezone), hourly.timetable.expression) == ("Europe/Berlin", "0 * * * *")
    assert {dag.get_task("run").pool for dag in (default, hourly, off)} == {"dagctl__analytics__abc__writer"}
    assert not off.timetable.can_be_scheduled


def test_a_worker_makes_the_one_dag_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    asked = []
    published = {**SPEC, "jobs": JOBS}
    monkeypatch.setattr(dag_factory, "Variable", SimpleNamespace(get=lambda key, **_: asked.append(key) or published))
    for wanted in (JOBS[0]["dag_id"], "dagctl__analytics__abc__run", "dagctl__analytics__abc"):
        monkeypatch.setattr(dag_factory, "get_parsing_context", lambda wanted=wanted: SimpleNamespace(dag_id=wanted))
        assert list(dag_factory.build_dags()) == [wanted]
    monkeypatch.setattr(dag_factory, "get_parsing_context", lambda: SimpleNamespace(dag_id="dagctl__analytics__abc__gone-9__run"))
    assert dag_factory.build_dags() == {}, "a job that was deleted"
    assert set(asked) == {"dagctl__analytics__abc"}


def test_letters_of_a_time_without_jobs_are_read() -> None:
    assert DagSpec.from_json(SPEC).further_jobs() == []
    assert "jobs" not in DagSpec.from_json(SPEC).to_json()
