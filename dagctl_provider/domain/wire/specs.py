"""What the Dags of a project are made from. Alone here, since it is all that Dag parsing needs of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from dagctl_provider.domain.wire.records import Record


@dataclass(frozen=True, kw_only=True)
class JobSpec(Record):
    """What the Dag of a job is made from that is not the default one.

    :param schedule: When it runs by itself now; absent while it does not.
    :param time_zone: By which the schedule is read; Airflow's when absent.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"schedule", "time_zone"})

    dag_id: str
    name: str
    schedule: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, kw_only=True)
class DagSpec(Record):
    """What the Dags of a project are made from. Settings of plans are not in it: they travel in the conf of the plan's run.

    What follows from the project's tool is written out, so that Dag parsing need not know the tools. The defaults of it are for
    letters of a time when it was not: nothing is said, and nothing is tried again.

    :param environment: ``None`` for the default target of a dbt profile.
    :param place: The environment in words, for the descriptions of Dags.
    :param airflow_may_retry: Whether Airflow may try an execute again by itself.
    :param schedule: When the default job runs by itself.
    :param time_zone: By which that is read; Airflow's when absent.
    :param jobs: The other jobs, each a :class:`JobSpec` as a letter.
    """

    # Absent rather than null: the Dags of a project without one are then what they were before there were schedules.
    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"schedule", "time_zone", "jobs"})

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
    time_zone: str | None = None
    jobs: list[Any] | None = None

    def further_jobs(self) -> list[JobSpec]:
        """The jobs besides the default one."""
        return [JobSpec.from_json(letter) for letter in self.jobs or ()]
