"""What the Dags of a project are made from. Alone here, since it is all that Dag parsing needs of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dagctl_provider.domain.wire.records import Record


@dataclass(frozen=True, kw_only=True)
class DagSpec(Record):
    """What the Dags of a project are made from. Settings of plans are not in it: they travel in the conf of the plan's run.

    :param environment: ``None`` for the default target of a dbt profile.
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
    launcher: str
    max_active_job_runs: int
    schedule: str | None = None
