"""Names of runs of the deployed state, whoever started them: dagctl, Airflow's scheduler, or a person in Airflow."""

from __future__ import annotations

import hashlib
import re

_PREFIX = "run_"
_OWN = re.compile(_PREFIX + "[0-9a-z]{20}")

REQUESTED = "scheduled-run-manual"
"""Kind in the job names of runs that were asked for: ``analytics-scheduled-run-manual-20260428-120000`` in the document."""

BY_ITSELF = "scheduled-run"
"""Kind in the job names of the other runs."""


def run_step_id(dag_id: str, run_id: str) -> str:
    """The id of a run as a step, for pods, logs and our table; the worker and the API server come to the same.

    :param run_id: Of the Dag run. dagctl's own are such ids already; Airflow's hold times and are unique in their Dag only.
    """
    if _OWN.fullmatch(run_id):
        return run_id
    return _PREFIX + hashlib.sha256(f"{dag_id}/{run_id}".encode()).hexdigest()[:20]
