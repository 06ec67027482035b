"""The table of attacks, and what it comes to."""

from __future__ import annotations

from collections import Counter

from benchmarks.attacks.airflows import MANAGERS, ROLES
from benchmarks.attacks.cells import Attack
from benchmarks.attacks.judging import BROKEN, Judgement
from benchmarks.common import Verdict, table


def report(attacks: list[Attack], judged: list[Judgement]) -> int:
    """Print the table, why things ran, and the totals.

    :return: Exit code.
    """
    found = {(id(one.cell.attack), *_column(one)): one for one in judged}
    columns = [(manager, role) for manager in MANAGERS for role in ROLES if (manager, role) in map(_column, judged)]
    played = [attack for attack in attacks if any((id(attack), *column) in found for column in columns)]
    rows = [[a.theme, a.title, *(_word(found.get((id(a), *column))) for column in columns)] for a in played]
    print(table(["with", "attack", *(f"{manager} {role}" for manager, role in columns)], rows))
    for one in judged:
        if one.reasons:
            print(f"\n{one.line()}")
    counts = Counter(one.verdict for one in judged)
    through = [attack for attack in played if any(one.failed for one in judged if one.cell.attack is attack)]
    passwords = sum("password" in reason for one in judged for reason in one.reasons)
    print(f"\n{len(judged)} plays: " + ", ".join(f"{verdict} {number}" for verdict, number in sorted(counts.items())))
    print(f"{len(through)} of {len(played)} attacks got through. Planted passwords handed to others' steps: {passwords} times.\n")
    verdict = Verdict()
    verdict.require(not through, f"{len(through)} attacks got through")
    verdict.require(not passwords, "planted passwords were handed to steps other than their own")
    verdict.require(not counts[BROKEN], f"{counts[BROKEN]} attacks could not be played")
    return verdict.tell()


def _column(judged: Judgement) -> tuple[str, str]:
    return judged.cell.name.rpartition("-")[2], judged.cell.person.role


def _word(judged: Judgement | None) -> str | None:
    return judged.verdict if judged is not None else None
