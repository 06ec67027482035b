"""What people answer in Airflow's Required Actions. An answer is a request to decide, not yet a decision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Answer:
    """One answer that nobody has judged yet.

    :param dag_id: Of the plan Dag; with ``run_id`` it says which plan is meant.
    :param user_id: As Airflow's auth manager knows the person.
    """

    id: int
    dag_id: str
    run_id: str
    user_id: str
    user_name: str
    chosen_options: list[str]
    responded_at: datetime
