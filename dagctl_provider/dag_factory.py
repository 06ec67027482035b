"""Generates the Dags of every project. The Dag file that users copy calls :func:`build_dags` and nothing else.

No database here: the Dag processor reads one Variable with all projects, a worker reads the Variable of the one project whose
Dag it runs. Settings of plans are not in the Dag, they come in the conf of the plan's run; what a run of the deployed state does
is read by its task. So a Dag changes only when its shape or its schedule does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from airflow.sdk import DAG, CronTriggerTimetable, Variable, get_parsing_context

from dagctl_provider.config import setting
from dagctl_provider.domain.names import (
    APPROVAL,
    DAG_PREFIX,
    EXECUTE,
    EXPLAIN,
    INDEX_VARIABLE,
    RUN,
    TAG,
    project_variable,
    run_dag_id,
    writer_pool,
)
from dagctl_provider.domain.schedules import cron_of
from dagctl_provider.domain.wire.specs import DagSpec, JobSpec
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
        return {dag.dag_id: dag for spec in specs for dag in (plan_dag(spec), *run_dags(spec))}
    if not wanted.startswith(DAG_PREFIX):
        return {}
    published = Variable.get(project_variable(wanted), default=None, deserialize_json=True)
    if published is None:
        return {}
    spec = DagSpec.from_json(published)
    if wanted == spec.dag_id:
        return {wanted: plan_dag(spec)}
    return {dag_id: make() for dag_id, make in _run_dags(spec).items() if dag_id == wanted}


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


def run_dags(spec: DagSpec) -> list[DAG]:
    """The Dags of a project's jobs, the default one first.

    :param spec: As published for the project.
    """
    return [make() for make in _run_dags(spec).values()]


def _run_dags(spec: DagSpec) -> dict[str, Callable[[], DAG]]:
    """How to make the Dag of each job, by its id: a worker makes one of them only."""
    default = JobSpec(dag_id=run_dag_id(spec.dag_id), name="run", schedule=spec.schedule, time_zone=spec.time_zone)
    return {job.dag_id: partial(run_dag, spec, job) for job in (default, *spec.further_jobs())}


def run_dag(spec: DagSpec, job: JobSpec) -> DAG:
    """The Dag that runs a job on the deployed state of a project (``sqlmesh run``, ``dbt build``), on its schedule if it has one.

    :param spec: As published for the project.
    """
    with DAG(
        job.dag_id,
        dag_display_name=f"{spec.name}: {job.name}",
        description=f"Runs of {spec.name}{_place(spec, 'in')}",
        schedule=_timetable(job),
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


def _timetable(job: JobSpec) -> str | CronTriggerTimetable | None:
    """A schedule in a time zone of its own is a timetable; another one is left to Airflow and its settings."""
    if job.schedule is None or job.time_zone is None:
        return job.schedule
    return CronTriggerTimetable(cron_of(job.schedule), timezone=job.time_zone)
