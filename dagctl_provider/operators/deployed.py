"""What a run of the deployed state is asked to do, read when it starts from what dagctl publishes with each deployment.

Not from the run's conf: Airflow's scheduler and its Trigger button give none, what was deployed last may have changed while the
run waited for its turn, and whoever may start a Dag must not choose which repository gets a project's credentials.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Variable

from dagctl_provider.domain import wire
from dagctl_provider.domain.ids import job_name
from dagctl_provider.domain.names import RESULT_KEY, project_variable
from dagctl_provider.domain.runs import BY_ITSELF, run_step_id

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import DagRunProtocol, RuntimeTaskInstanceProtocol

_JOB_NAME = re.compile(r"[a-z0-9-]{1,63}")


class RunRefused(AirflowFailException):
    """The project must not run now."""


def run_request(context: Context) -> wire.requests.StepRequest:
    """The request for a run: the deployed commit as it was executed, with the project's credentials and resources of now.

    :raises RunRefused: when nothing is deployed, or the project is suspended and this run had not begun before.
    :raises WireError: when what is published was broken by hand; dagctl writes it again, so another try may find it whole.
    """
    instance, run = context["ti"], context["dag_run"]
    published = Variable.get(project_variable(instance.dag_id), default=None, deserialize_json=True)
    spec = wire.projects.RunSpec.from_json(published or {})
    step = run_step_id(instance.dag_id, run.run_id)
    if spec.request is None:
        raise _refused(instance, step, "plan_not_executed", "Nothing is deployed yet.", "Approve a first plan of the project.")
    # What had begun goes on, also with a worker that takes over from a lost one.
    if spec.suspended and instance.try_number == 1:
        raise _refused(instance, step, "project_suspended", "The project is suspended, so nothing is run.", "Resume it first.")
    runner = replace(spec.request.runner, step_id=step, plan_group_id=step)
    launcher = replace(spec.request.launcher, job_name=_job_name(run, runner.project_name))
    return replace(spec.request, runner=runner, launcher=launcher)


def _refused(instance: RuntimeTaskInstanceProtocol, step: str, code: str, message: str, hint: str) -> RunRefused:
    """The refusal, left as the run's result as well, so that it is told wherever runs are."""
    instance.xcom_push(key=RESULT_KEY, value={**wire.reports.failed(code, message, hint), "step_id": step})
    return RunRefused(f"{message} {hint}")


def _job_name(run: DagRunProtocol, project_name: str) -> str:
    """The name that was answered when the run was asked for, or one from the time when it was due: each try has the same."""
    asked = wire.requests.RunAsked.read(wire.requests.from_conf(run.conf))
    if asked is not None and asked.job_name is not None and _JOB_NAME.fullmatch(asked.job_name):
        return asked.job_name
    due: datetime = run.run_after
    return job_name(project_name, BY_ITSELF, due.astimezone(timezone.utc))
