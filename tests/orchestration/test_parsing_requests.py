"""Asking the Dag processor to parse the Dag file, while it takes such requests away as it pleases."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from airflow.models.dagbag import DagPriorityParsingRequest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import OperationalError

from dagctl_provider.orchestration import dags
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, transaction

pytestmark = pytest.mark.usefixtures("database")

PLACE = ("dags-folder", "dagctl_dags.py")


def ask(session: Session) -> None:
    dags.request_parsing(session, *PLACE)


def ask_and_say(session: Session) -> str:
    ask(session)
    return "asked"


def asked() -> int:
    return transactions.run(
        lambda session: session.execute(select(func.count()).select_from(DagPriorityParsingRequest)).scalar_one()
    )


def consume(session: Session) -> None:
    """What the Dag processor does before it parses."""
    session.execute(delete(DagPriorityParsingRequest))


def test_asking_twice_in_one_transaction_is_asking_once() -> None:
    """Airflow's sessions do not flush by themselves, so what was added is not seen by the next query."""

    def work(session: Session) -> None:
        assert session.autoflush is False
        ask(session)
        ask(session)

    with transaction() as session:
        work(session)
    assert asked() == 1


def test_asking_again_after_the_dag_processor_took_the_request_asks_again() -> None:
    transactions.run(ask)
    transactions.run(ask)
    assert asked() == 1
    transactions.run(consume)
    transactions.run(ask)
    assert asked() == 1


def test_a_request_that_stands_stays_until_what_it_is_for_is_committed() -> None:
    """The Dag processor must not take a standing request and parse what was there before this transaction."""
    transactions.run(ask)
    taking = select(DagPriorityParsingRequest).with_for_update(nowait=True)
    with transaction() as session:
        ask(session)
        with pytest.raises(OperationalError, match="could not obtain lock"), transaction() as dag_processor:
            dag_processor.execute(taking)
    transactions.run(consume)
    assert asked() == 0


def test_two_that_ask_at_once_both_go_through() -> None:
    ready = threading.Barrier(2)
    answers: list[Any] = []

    def work() -> None:
        ready.wait(30)
        answers.append(transactions.run(ask_and_say))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == ["asked", "asked"]
    assert asked() == 1
