"""Whether Airflow still wants a task that it ends: a cancel is for the step, the end of a worker is not."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

# Airflow kills a task that it stops after five seconds.
_ANSWER_SECONDS = 3.0
# States of a task that is to go on: as it is, or, where Airflow took its worker for lost, with the next try.
_WANTED = frozenset({"running", "up_for_retry", "scheduled", "queued"})


def is_wanted(instance: RuntimeTaskInstanceProtocol) -> bool:
    """Whether Airflow still wants the task to run, as far as it can be asked now: a cancel puts it into another state."""
    ask: Callable[..., dict[str, Any]] | None = getattr(instance, "get_task_states", None)
    if ask is None:
        return False
    answers: list[dict[str, Any]] = []

    def look() -> None:
        with contextlib.suppress(Exception):
            answers.append(ask(dag_id=instance.dag_id, task_ids=[instance.task_id], run_ids=[instance.run_id]))

    # In a thread, since what was interrupted may be talking to Airflow itself and then never lets go.
    thread = threading.Thread(target=look, name="dagctl-wanted", daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    if not answers:
        return True
    return str((answers[0].get(instance.run_id) or {}).get(instance.task_id)) in _WANTED
