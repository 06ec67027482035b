"""What the Dags of a project are made from. Alone here, since it is all that Dag parsing needs of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dagctl_provider.domain.wire.records import Record


@dataclass(frozen=True, kw_only=True)
class DagSpec(Record):
    """What the Dags of a project are made from. Settings of plans are not in it: they travel in the conf of the plan's run.

    What follows from the project's tool is written out, so that Dag parsing need not know the tools. The defaults of it are for
    letters of a time when it was not: nothing is said, and nothing is tried again.

    :param environment: ``None`` for the default target of a dbt profile.
    :param place: The environment in words, for the descriptions of Dags.
    :param airflow_may_retry: Whether Airflow may try an execute again by itself.
    :param schedule: When the deployed state runs by itself.
    """

    # Absent rather than null: the Dags of a project without one are then what they were before there were schedules.
    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"schedule"})

    project_id: str = ""
    organization_id: str = ""
    name: str
    slug: str
    project_type: str
    environment: str | None = None
    dag_id: str
    max_active_job_runs: int
    place: str | None = None
    airflow_may_retry: bool = False
    schedule: str | None = None
