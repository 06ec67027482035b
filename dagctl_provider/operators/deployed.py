"""What a run of the deployed state is asked to do, read when it starts from what dagctl publishes with each deployment.

Not from the run's conf: Airflow's scheduler and its Trigger button give none, what was deployed last may have changed while the
run waited for its turn, and whoever may start a Dag must not choose which repository gets a project's credentials.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Variable

from dagctl_provider.domain.ids import job_name
from dagctl_provider.domain.names import RESULT_KEY, project_variable
from dagctl_provider.domain.runs import BY_ITSELF, run_step_id

_JOB_NAME = re.compile(r"[a-z0-9-]{1,63}")


class RunRefused(AirflowFailException):
    """The project must not run now."""


def run_request(context: Any) -> dict[str, Any]:
    """The request for the runner: the deployed commit as it was executed, with the project's credentials and resources of now.

    :raises RunRefused: when nothing is deployed, or the project is suspended and this run had not begun before.
    """
    instance, run = context["ti"], context["dag_run"]
    published = Variable.get(project_variable(instance.dag_id), default=None, deserialize_json=True) or {}
    step = run_step_id(instance.dag_id, run.run_id)
    if not published.get("run"):
        raise _refused(instance, step, "plan_not_executed", "Nothing is deployed yet.", "Approve a first plan of the project.")
    # What had begun goes on, also with a worker that takes over from a lost one.
    if published.get("suspended") and instance.try_number == 1:
        raise _refused(instance, step, "project_suspended", "The project is suspended, so nothing is run.", "Resume it first.")
    deployed = json.loads(published["run"])
    return {**deployed, "step_id": step, "plan_group_id": step, "job_name": _job_name(run, str(deployed["project_name"]))}


def _refused(instance: Any, step: str, code: str, message: str, hint: str) -> RunRefused:
    """The refusal, left as the run's result as well, so that it is told wherever runs are."""
    error = {"code": code, "message": message, "hint": hint}
    instance.xcom_push(key=RESULT_KEY, value={"outcome": "failed", "step_id": step, "error": error})
    return RunRefused(f"{message} {hint}")


def _job_name(run: Any, project_name: str) -> str:
    """The name that was answered when the run was asked for, or one from the time when it was due: each try has the same."""
    asked = (run.conf or {}).get("dagctl")
    if isinstance(asked, dict) and _JOB_NAME.fullmatch(str(asked.get("job_name"))):
        return str(asked["job_name"])
    due: datetime = run.run_after
    return job_name(project_name, BY_ITSELF, due.astimezone(timezone.utc))
