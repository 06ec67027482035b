"""What of a project runs again and again, by a schedule or when somebody asks for it, each with a Dag of its own.

Each project has a default job, which runs what is deployed. Further ones are rows of the same table
(docs/decisions/job-and-target.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

DEFAULT_NAME = "scheduled-run"
"""Name of the default job: the example of the Jobs API document, and the kind in the job names of its runs."""

DEFAULT_COMMAND = "run"
"""The command of the default job, whatever the tool: run what is deployed. Other commands begin with the name of their tool."""


@dataclass(frozen=True)
class Job:
    """A job as stored.

    :param name: Unique in the project, whatever the case of its letters.
    :param command: What its runs do: :data:`DEFAULT_COMMAND`, or a command line of the project's tool.
    :param schedule: When it runs by itself; absent for a job that only runs when somebody asks.
    :param enabled: Whether it runs at all; the project's ``suspended`` is asked besides.
    :param dag_id: Id of its Dag; fixed for life, so that renaming keeps the history.
    :param settings: The other fields of the Jobs API document, by name. Absent means not set.
    """

    id: str
    project_id: str
    name: str
    command: str
    dag_id: str
    created_at: datetime
    updated_at: datetime
    schedule: str | None = None
    enabled: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
