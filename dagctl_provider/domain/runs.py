"""Runs of jobs, whoever started them: dagctl, Airflow's scheduler, or a person in Airflow; and the names they have."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagctl_provider.domain.names import RUN

_PREFIX = "run_"
_OWN = re.compile(_PREFIX + "[0-9a-z]{20}")

BY_ITSELF = "scheduled-run"
"""Kind in the job names of the default job's runs."""

MANUALLY = "-manual"
"""What a kind ends with where somebody asked for the run: ``analytics-scheduled-run-manual-20260428-120000`` in the document."""


@dataclass(frozen=True)
class ProjectRun:
    """A run of a job as stored; how it went stands in its :class:`~dagctl_provider.domain.executions.Execution`.

    :param job_id: Of the job it is a run of.
    :param job_name: Its own name, as a CronJob would name its jobs.
    :param settings: What travels in the conf of its Dag run.
    :param dispatched_at: When Airflow had it; absent while it waits for its Dag.
    """

    id: str
    project_id: str
    job_id: str
    job_name: str
    dag_id: str
    run_id: str
    settings: dict[str, Any]
    triggered_by: str
    created_at: datetime
    dispatched_at: datetime | None = None

    @property
    def task_id(self) -> str:
        """The task of its Dag run that does it."""
        return RUN


def run_step_id(dag_id: str, run_id: str) -> str:
    """The id of a run as a step, for pods, logs and our table; the worker and the API server come to the same.

    :param run_id: Of the Dag run. dagctl's own are such ids already; Airflow's hold times and are unique in their Dag only.
    """
    if _OWN.fullmatch(run_id):
        return run_id
    return _PREFIX + hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:20]
