"""Executions and their models put on record by a test, as if they had happened."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy.orm import Session

from dagctl_provider.domain.executions import FINISHED, Execution, ModelExecution, ModelStatus
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.projects import Project
from dagctl_provider.store import executions, transactions

NOON = datetime.now(timezone.utc).replace(hour=0, minute=5, second=0, microsecond=0)
"""Of today: what is asked for by days counts from the present."""

Took = tuple[str, float, float, ModelStatus]
"""Name of a model, its start and end in seconds since its execution began, and its status."""


def recorded(project: Project, *took: Took, **values: Any) -> Execution:
    """An execution with its models, put on record; see :func:`made`."""
    execution, models = made(project.id, project.name, *took, **values)
    transactions.run(lambda session: put(session, execution, models))
    return execution


def put(session: Session, execution: Execution, models: list[ModelExecution]) -> None:
    """Put an execution on record as if it were over, or as far as it is."""
    executions.insert_execution(session, execution)
    executions.insert_models(session, models)
    executions.add_to_days(session, models)


def made(
    project_id: str, project_name: str, *took: Took, at: datetime = NOON, status: Any = "success", **values: Any
) -> tuple[Execution, list[ModelExecution]]:
    """An execution with its models.

    :param at: When it began.
    :param values: Other members of the execution.
    """
    over = status in FINISHED
    seconds = max((end for _, _, end, _ in took), default=60.0)
    execution = Execution(
        **{
            "id": new_id("run_"),
            "project_id": project_id,
            "job_type": "run",
            "job_name": f"{project_name}-scheduled-run-{at:%Y%m%d-%H%M%S}",
            "status": status,
            "triggered_by": "ada",
            "created_at": at,
            "updated_at": at,
            "start_time": at if status != "pending" else None,
            "end_time": at + timedelta(seconds=seconds) if over else None,
            "duration_seconds": seconds if over else None,
            "models_total": len(took),
            "models_succeeded": sum(status == "success" for *_, status in took),
            "models_failed": sum(status == "failed" for *_, status in took),
            "models_skipped": sum(status == "skipped" for *_, status in took),
            **values,
        }
    )
    return execution, [_model(execution, number, *one, at) for number, one in enumerate(took)]


def _model(
    execution: Execution, number: int, name: str, start: float, end: float, status: ModelStatus, at: datetime
) -> ModelExecution:
    ran = status in ("success", "failed")
    return ModelExecution(
        id=f"mx_{execution.id.removeprefix('run_')}_{number:05}",
        execution_id=execution.id,
        project_id=execution.project_id,
        job_type=execution.job_type,
        model_name=name,
        status=status,
        created_at=at + timedelta(seconds=start),
        updated_at=at,
        start_time=at + timedelta(seconds=start) if ran else None,
        end_time=at + timedelta(seconds=end) if ran else None,
        duration_seconds=end - start if ran else None,
        rows_processed=1000 if status == "success" else None,
        error_message="division by zero" if status == "failed" else None,
    )
