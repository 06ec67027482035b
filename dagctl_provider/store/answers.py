"""What people answered in Airflow's Required Actions, until it has been judged."""

from __future__ import annotations

from sqlalchemy import and_, delete, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.answers import Answer
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.store import tables
from dagctl_provider.store.plans import get_step


def unjudged_answers(session: Session) -> list[tuple[Answer, PlanStep | None]]:
    """The answers nobody has judged yet, oldest first, each with the explain step it is about, if that still exists."""
    c, step = tables.answer.c, tables.plan_step.c
    # The run of a plan has the id of its group, and that is what has an index.
    about = and_(step.group_id == c.run_id, step.dag_id == c.dag_id, step.plan_type == "explain")
    query = select(*c, step.id.label("step_id")).select_from(tables.answer.outerjoin(tables.plan_step, about))
    rows = (dict(row._mapping) for row in session.execute(query.order_by(c.responded_at, c.id)))
    found = [(row.pop("step_id"), row) for row in rows]
    return [(Answer(**row), get_step(session, step_id) if step_id else None) for step_id, row in found]


def delete_answer(session: Session, answer_id: int) -> None:
    """Forget an answer that has been judged."""
    session.execute(delete(tables.answer).where(tables.answer.c.id == answer_id))
