"""Rows of people and of their memberships, as records of :mod:`~dagctl_provider.domain.members`."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.members import Member, MemberRow, Membership, User
from dagctl_provider.store import tables

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

_user, _member, _organization = tables.user.c, tables.member.c, tables.organization.c
_BOTH = (*(_user[one.name].label(f"user_{one.name}") for one in fields(User)), *(_member[one.name] for one in fields(Member)))


def _as_user(found: RowMapping) -> User:
    return User(**{one.name: found[f"user_{one.name}"] for one in fields(User)})


def _as_member_row(found: RowMapping) -> MemberRow:
    return MemberRow(Member(**{one.name: found[one.name] for one in fields(Member)}), _as_user(found))


def get_user(session: Session, airflow_id: str) -> User | None:
    """A person, by the auth manager's id of them."""
    row = session.execute(select(*tables.user.c).where(_user.airflow_id == airflow_id)).first()
    # Some databases find ids that differ in case or in blanks at the end: those are other people.
    return User(**row._mapping) if row is not None and row.airflow_id == airflow_id else None


def is_anothers(session: Session, airflow_id: str) -> bool:
    """Whether the database takes an id for that of somebody else, as MySQL does where they differ in case alone."""
    found = session.execute(select(_user.airflow_id).where(_user.airflow_id == airflow_id)).scalar()
    return found is not None and found != airflow_id


def insert_user(session: Session, user: User) -> None:
    """Add a person. The id's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.user).values(**asdict(user)))


def update_user(session: Session, user_id: str, **values: object) -> None:
    """Change columns of a person."""
    session.execute(update(tables.user).where(_user.id == user_id).values(**values))


def known(session: Session, airflow_id: str) -> tuple[User | None, list[Membership]]:
    """A person and where they are or were a member, oldest membership first; in one statement, since every request asks."""
    joined = tables.user.outerjoin(tables.member, _member.user_id == _user.id).outerjoin(
        tables.organization, _organization.id == _member.organization_id
    )
    columns = (*_BOTH[: len(fields(User))], _member.role, _member.created_at, _member.removed_at)
    named = (_organization.id.label("organization_id"), _organization.name.label("organization_name"))
    query = select(*columns, *named).select_from(joined).where(_user.airflow_id == airflow_id)
    rows = [row for row in session.execute(query) if row.user_airflow_id == airflow_id]
    found = [
        Membership(row.organization_id, row.organization_name, row.role, row.created_at, row.removed_at is not None)
        for row in rows
        if row.organization_id is not None
    ]
    return (_as_user(rows[0]._mapping) if rows else None), sorted(found, key=lambda one: (one.created_at, one.organization_id))


def get_member(session: Session, organization_id: str, user_id: str) -> MemberRow | None:
    """Somebody in an organization, also when they were removed from it."""
    query = select(*_BOTH).select_from(tables.member.join(tables.user, _user.id == _member.user_id))
    row = session.execute(query.where(_member.organization_id == organization_id, _member.user_id == user_id)).first()
    return _as_member_row(row._mapping) if row is not None else None


def list_members(session: Session, organization_id: str) -> list[MemberRow]:
    """The members of an organization, longest first; those who were removed are left out."""
    query = select(*_BOTH).select_from(tables.member.join(tables.user, _user.id == _member.user_id))
    wanted = query.where(_member.organization_id == organization_id, _member.removed_at.is_(None))
    return [_as_member_row(row._mapping) for row in session.execute(wanted.order_by(_member.created_at, _member.user_id))]


def count_owners(session: Session, organization_id: str) -> int:
    """How many owners an organization has."""
    own = (_member.organization_id == organization_id, _member.role == "owner", _member.removed_at.is_(None))
    return session.execute(select(func.count()).select_from(tables.member).where(*own)).scalar() or 0


def insert_member(session: Session, member: Member) -> None:
    """Add a member. That there is one row of each is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.member).values(**asdict(member)))


def update_member(session: Session, member: Member, **values: object) -> None:
    """Change columns of a membership."""
    own = (_member.organization_id == member.organization_id, _member.user_id == member.user_id)
    session.execute(update(tables.member).where(*own).values(**values))
