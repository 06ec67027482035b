"""What is told of a run of the deployed state. Names follow the API document where it has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RunStatus = Literal["pending", "running", "success", "failed"]
RUN_STATUSES: tuple[RunStatus, ...] = ("pending", "running", "success", "failed")


@dataclass(frozen=True)
class RunRecord:
    """One run of a project's deployed state.

    :param schedule_name: What started it by itself, the run Dag; ``None`` when somebody asked for it.
    :param updated_at: When its status last changed.
    """

    id: str
    project_id: str
    job_name: str
    schedule_name: str | None
    status: RunStatus
    triggered_by: str
    created_at: datetime
    updated_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    error_message: str | None = None
    pod_name: str | None = None
