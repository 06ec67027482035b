"""Rows of environment variables, as :class:`~dagctl_provider.domain.variables.Variable`; values come here encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.variables import Variable
from dagctl_provider.store import tables

_c = tables.variable.c
_LISTS = ("project_ids", "environments")


def list_variables(session: Session, organization_id: str) -> list[Variable]:
    """All variables of an organization, by name."""
    query = select(*_c).where(_c.organization_id == organization_id).order_by(_c.name)
    return [_variable(row) for row in session.execute(query)]


def get_variable(session: Session, organization_id: str, name: str) -> Variable | None:
    """A variable by its name in upper case."""
    row = session.execute(select(*_c).where(_c.organization_id == organization_id, _c.name == name)).first()
    return _variable(row) if row else None


def _variable(row: Any) -> Variable:
    values = dict(row._mapping)
    for name in _LISTS:
        values[name] = tuple(values[name]) if values[name] else None
    return Variable(**{**values, "content": bytes(values["content"])})


def insert_variable(session: Session, variable: Variable) -> None:
    """Add a variable. The name's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.variable).values(**_columns(asdict(variable))))


def update_variable(session: Session, variable_id: str, values: Mapping[str, object]) -> None:
    """Change columns of a variable."""
    session.execute(update(tables.variable).where(_c.id == variable_id).values(**_columns(values)))


def _columns(values: Mapping[str, object]) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def delete_variable(session: Session, variable_id: str) -> None:
    """Remove a variable."""
    session.execute(delete(tables.variable).where(_c.id == variable_id))


def read_content(session: Session, variable_id: str) -> bytes | None:
    """The encrypted value of a variable, held until the transaction ends; ``None`` when it is gone."""
    content = session.execute(select(_c.content).where(_c.id == variable_id).with_for_update()).scalar()
    return bytes(content) if content is not None else None
