"""Rows of environment variables on SQLite, and statements for the others: bytes and lists come back as they went in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dagctl_provider.domain.variables import Variable
from dagctl_provider.store import tables
from dagctl_provider.store import variables as rows

NOW = datetime(2026, 4, 28, 10, tzinfo=timezone.utc)
VARIABLE = Variable(
    *("var_1", "org-1", "TOKEN", b"gAAAA\x00\xff", True, True, "ada", NOW, NOW),
    file_mount_path="/secrets/TOKEN",
    file_permissions=384,
    project_ids=("proj_1",),
    environments=("prod", "dev"),
)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    tables.metadata.create_all(engine)
    with Session(engine, autoflush=False) as made:
        made.execute(insert(tables.organization).values(id="org-1", name="acme", created_at=NOW))
        yield made


def test_a_row_comes_back_as_it_went_in(session: Session) -> None:
    rows.insert_variable(session, VARIABLE)
    assert rows.list_variables(session, "org-1") == [VARIABLE]
    assert rows.get_variable(session, "org-1", "TOKEN") == VARIABLE
    assert rows.get_variable(session, "org-2", "TOKEN") is None
    assert rows.read_content(session, "var_1") == VARIABLE.content


def test_what_is_taken_away_is_absent(session: Session) -> None:
    rows.insert_variable(session, VARIABLE)
    rows.update_variable(session, "var_1", {"project_ids": None, "environments": ("dev",), "content": b"other"})
    found = rows.get_variable(session, "org-1", "TOKEN")
    assert found is not None
    assert (found.project_ids, found.environments, found.content) == (None, ("dev",), b"other")
    rows.delete_variable(session, "var_1")
    assert rows.list_variables(session, "org-1") == []
    assert rows.read_content(session, "var_1") is None


def test_the_database_judges_whether_a_name_is_taken(session: Session) -> None:
    rows.insert_variable(session, VARIABLE)
    with pytest.raises(IntegrityError):
        rows.insert_variable(session, Variable(*("var_2", "org-1", "TOKEN", b"x", True, False, "ada", NOW, NOW)))
