"""The lease: one holder at a time, handed on when it runs out or is given back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

from dagctl_provider.store import leases, transactions

NOON = datetime(2026, 4, 28, 12, 0, tzinfo=timezone.utc)


def take(holder: str, at: datetime) -> bool:
    return transactions.run(lambda session: leases.take_lease(session, "controller", holder, at, at + timedelta(seconds=20)))


def test_one_holder_at_a_time(database: None) -> None:
    assert take("a", NOON)
    assert not take("b", NOON + timedelta(seconds=10))
    assert take("a", NOON + timedelta(seconds=10)), "the holder extends"
    assert not take("b", NOON + timedelta(seconds=25))
    assert take("b", NOON + timedelta(seconds=31)), "it ran out"
    assert not take("a", NOON + timedelta(seconds=32))


def test_a_lease_given_back_is_free_at_once(database: None) -> None:
    assert take("a", NOON)
    transactions.run(lambda session: leases.drop_lease(session, "controller", "b"))
    assert not take("c", NOON)
    transactions.run(lambda session: leases.drop_lease(session, "controller", "a"))
    assert take("c", NOON)


def test_many_ask_at_once_and_one_gets_it(database: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda number: take(f"holder {number}", NOON), range(8))) == 1
