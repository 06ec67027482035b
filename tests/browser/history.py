"""What happened to the project of the scene, put on record: days, a run with hostile names, one of very many models."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.airflow.site import Site
from tests.plan_output.samples import HOSTILE
from tests.services.executions import NOON, made, put

HOSTILE_MODEL = " ".join(HOSTILE).replace("\x00", "")[:255]
"""The name of a model that means harm."""
MANY = 2000


def put_on_record(site: Site, project_id: str) -> dict[str, str]:
    """Runs of a project.

    :return: Ids of ``run``, which has every kind of text in it, and of ``large_run``.
    """
    own = site.stack.secrets()
    address = f"postgresql+psycopg2://airflow:{own['airflow_password']}@127.0.0.1:{own['postgres_port']}/airflow"
    text = " ".join(HOSTILE).replace("\x00", "")
    told = {"error_code": HOSTILE[0][:64], "error_message": text, "triggered_by": text[:255], "command": text}
    few = made(
        *(project_id, "Scene"),
        *(("shop.raw", 0, 5, "success"), ("shop.orders", 5, 29, "failed"), (HOSTILE_MODEL, 2, 8, "success")),
        *(("shop.board", 29, 29, "skipped"), ("shop.late", 29, 29, "not_ready"), ("shop.ended", 29, 29, "cancelled")),
        **{"status": "partial", **told},
    )
    many = made(
        project_id, "Scene", *((f"shop.model_{number:04}", number, number + 1 + number % 7, "success") for number in range(MANY))
    )
    # Not pending or running: the controller would look for what became of them.
    statuses = ("success", "partial", "failed", "error")
    days = [
        made(project_id, "Scene", (HOSTILE_MODEL, 0, 5 + day, "success"), status=statuses[day % 4], at=NOON - timedelta(days=day))
        for day in range(1, 12)
    ]
    with Session(create_engine(address)) as session:
        for execution, models in (*days, few, many):
            put(session, execution, models)
        session.commit()
    return {"run": few[0].id, "large_run": many[0].id}
