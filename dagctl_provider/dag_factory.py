"""Generates the Dags of every project. The Dag file that users copy calls :func:`build_dags` and nothing else.

No database here: the Dag processor reads one Variable with all projects, a worker reads the Variable of the one project whose
Dag it runs. Settings of plans are not in the Dag, they come in the conf of the plan's run; what a run of the deployed state does
is read by its task. So a Dag changes only when its shape or its schedule does.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Variable, get_parsing_context

from dagctl_provider.config import setting
from dagctl_provider.domain.names import (
    APPROVAL,
    DAG_PREFIX,
    EXECUTE,
    EXPLAIN,
    INDEX_VARIABLE,
    RUN,
    RUN_SUFFIX,
    TAG,
    project_variable,
    run_dag_id,
    writer_pool,
)
from dagctl_provider.domain.wire.specs import DagSpec
from dagctl_provider.operators.launchers import step_operator
from dagctl_provider.sensors.approval import PlanApprovalSensor

_MAX_PLAN_RUNS = 16
# Airflow may trip over its own race while an approval waits; each further try finds the decision.
_APPROVAL_RETRIES = 10


def build_dags() -> dict[str, DAG]:
    """All generated Dags by id, or only the one a worker is about to run."""
    wanted = get_parsing_context().dag_id
    if wanted is None:
        index = Variable.get(INDEX_VARIABLE, default={}, deserialize_json=True)
        specs = [DagSpec.from_json(spec) for spec in index.values()]
        return {dag.dag_id: dag for spec in specs for dag in (plan_dag(spec), run_dag(spec))}
    if not wanted.startswith(DAG_PREFIX):
        return {}
    published = Variable.get(project_variable(wanted), default=None, deserialize_json=True)
    if published is None:
        return {}
    spec = DagSpec.from_json(published)
    dag = run_dag(spec) if wanted.endswith(RUN_SUFFIX) else plan_dag(spec)
    return {dag.dag_id: dag}


def _tags(spec: DagSpec, kind: str) -> list[str]:
    return [TAG, f"{TAG}:{kind}", f"{TAG}:{spec.slug}", spec.project_type]


def _place(spec: DagSpec, word: str) -> str:
    return f" {word} {spec.place}" if spec.place else ""


def _step_timeout() -> timedelta:
    """Airflow's own limit is the second one: the runner stops first and says that it was the time."""
    return timedelta(seconds=setting("step_timeout") + 120)


def plan_dag(spec: DagSpec) -> DAG:
    """The Dag that explains a commit, waits for a decision and executes what was approved.

    :param spec: As published for the project (``services.lifecycle.publishing.dag_spec``).
    """
    step = step_operator(setting("launcher"))
    with DAG(
        spec.dag_id,
        dag_display_name=f"{spec.name}: plan",
        description=f"Plans of {spec.name}{_place(spec, 'for')}",
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=_MAX_PLAN_RUNS,
        tags=_tags(spec, "plan"),
        default_args={"owner": "dagctl"},
    ) as dag:
        explain = step(task_id=EXPLAIN, kind="explain", execution_timeout=_step_timeout())
        approval = PlanApprovalSensor(task_id=APPROVAL, retries=_APPROVAL_RETRIES, retry_delay=timedelta(0))
        retries = {} if spec.airflow_may_retry else {"retries": 0}
        execute = step(
            task_id=EXECUTE, kind="execute", execution_timeout=_step_timeout(), pool=writer_pool(spec.dag_id), **retries
        )
        explain >> approval >> execute
    return dag


def run_dag(spec: DagSpec) -> DAG:
    """The Dag that runs the deployed state of a project (``sqlmesh run``, ``dbt build``), on its schedule if it has one.

    :param spec: As published for the project.
    """
    with DAG(
        run_dag_id(spec.dag_id),
        dag_display_name=f"{spec.name}: run",
        description=f"Runs of {spec.name}{_place(spec, 'in')}",
        schedule=spec.schedule,
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=spec.max_active_job_runs,
        tags=_tags(spec, "run"),
        default_args={"owner": "dagctl"},
    ) as dag:
        step_operator(setting("launcher"))(
            task_id=RUN, kind="run", execution_timeout=_step_timeout(), pool=writer_pool(spec.dag_id)
        )
    return dag
