"""What makes two plans the same plan: a flat list of parts, each a short text, and one hash over all of them.

A part is named ``kind`` or ``kind:name`` (``model:shop.orders``, ``variable:TENANT``, ``warehouse:host``). An approval is for the
hash of all; the parts themselves let an execute say what is not as it was, by name, before its first statement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from dagctl_common.channel import StepFailed

UNSTABLE = "unstable"
"""Value of a part that comes out differently each time it is computed: named to the reviewer, and not compared."""
MOMENT = "moment"
"""The part that carries the plan's one moment to its execute. It is no fact about the plan, so the digest is without it."""
READABLE = ("warehouse", "state", "tool")
"""Kinds whose values people may read, behind their hash: what is masked on its way out can still be compared."""
PLAIN = ("package", "moment")
"""Kinds whose values are short and no secret: no hash."""
CAUSES = ("tool", "commit", "environment", "gateway", "tests", "credentials", "warehouse", "state", "variable", "file", "package")
"""Kinds that make others change: where only some drifts can be named, these are."""
MASK = "***"
FORMAT = {"format": "3"}
"""A part of every plan: with other parts than these a comparison would name all of them."""
FORMAT_WORD = {"format": "it was explained by another version of dagctl"}
NAMED_LIMIT = 6
"""Drifts that a message names; all of them stand in ``plan_output``."""


@dataclass(frozen=True)
class Drift:
    """One part that is not as it was approved.

    :param kind: Kind of the part.
    :param name: Its name, empty for kinds that have one part only.
    :param before: Value when the plan was explained; absent for hashes and for what was not there.
    :param after: Value now.
    :param change: ``changed``, ``added`` or ``removed``.
    """

    kind: str
    name: str
    change: str
    before: str | None = None
    after: str | None = None


def hash_of(value: object) -> str:
    """Short hash of a JSON value, the same in every process."""
    return _hash(value)[:16]


def hashes_of(parts: Mapping[str, object]) -> dict[str, str]:
    """One short hash per part of a plan."""
    return {name: hash_of(value) for name, value in parts.items()}


def named(kind: str, values: Mapping[str, str]) -> dict[str, str]:
    """Parts of one kind.

    :param kind: Their kind.
    :param values: By name; texts as they shall stand in the plan.
    """
    return {f"{kind}:{name}": readable(value) if kind in READABLE else value for name, value in values.items()}


def readable(value: str) -> str:
    """A part's value that people may read.

    :param value: The value itself.
    """
    return f"{hash_of(value)} {value}"


def digest_of(parts: Mapping[str, str]) -> str:
    """The digest that an approval is for."""
    return f"sha256:{_hash({name: value for name, value in parts.items() if name != MOMENT})}"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def excused(expected: Mapping[str, str] | None, found: Mapping[str, str]) -> dict[str, str]:
    """Parts as they are now, without what the reviewer was told cannot be compared.

    :param expected: Parts of the approved plan.
    :param found: Parts as they are now.
    """
    unstable = {name for name, value in (expected or {}).items() if value == UNSTABLE}
    return {name: UNSTABLE if name in unstable else value for name, value in found.items()}


def drifts_between(expected: Mapping[str, str] | None, found: Mapping[str, str]) -> list[Drift]:
    """Which parts of two plans differ, in the order of their names.

    :param expected: Of the approved plan; nothing is said without it.
    :param found: Of the plan as it is now.
    """
    if expected and expected.get("format") != FORMAT["format"]:
        return [Drift("format", "", "changed")]
    rows = []
    for part in sorted({*expected, *found} - {MOMENT}) if expected else ():
        before, after = (expected or {}).get(part), found.get(part)
        kind, _, name = part.partition(":")
        if _same(kind, before, after):
            continue
        if MASK in name or (before is None and any(MASK in key for key in expected or () if key.startswith(f"{kind}:"))):
            # Its name was hidden on the way out; the digest has compared it all the same.
            continue
        change = "added" if before is None else "removed" if after is None else "changed"
        rows.append(Drift(kind, name, change, *_shown(kind, before, after)))
    return rows


def _same(kind: str, before: str | None, after: str | None) -> bool:
    if kind in READABLE and before and after:
        return before.split(" ", 1)[0] == after.split(" ", 1)[0]
    return before == after or (kind in PLAIN and before is not None and MASK in before)


def _shown(kind: str, before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Values for people; none where they say nothing."""
    if kind in READABLE:
        shown = [value.partition(" ")[2] or None if value else None for value in (before, after)]
        return (shown[0], shown[1]) if MASK not in (shown[0] or "") else (None, None)
    return (before, after) if kind in PLAIN else (None, None)


def told(drifts: Iterable[Drift], words: Mapping[str, str]) -> str:
    """Drifts for people, in one line, causes before what follows from them.

    :param drifts: All of them.
    :param words: What the kinds are called; a kind that is not there is called by its own name.
    """
    texts = [_text(drift, words) for drift in sorted(drifts, key=lambda drift: drift.kind not in CAUSES)]
    more = [f"and {len(texts) - NAMED_LIMIT} more"] if len(texts) > NAMED_LIMIT else []
    return ", ".join(texts[:NAMED_LIMIT] + more)


def _text(drift: Drift, words: Mapping[str, str]) -> str:
    word = words.get(drift.kind, drift.kind)
    subject = f"{word} {drift.name}" if drift.name else word
    if drift.before is not None and drift.after is not None:
        return f"{subject} ({drift.before} -> {drift.after})"
    if not drift.name:
        return subject
    return subject if drift.change == "changed" else f"{subject} ({'new' if drift.change == 'added' else 'not there any more'})"


def early_drift(expected: Mapping[str, str] | None, found: Mapping[str, str], words: Mapping[str, str]) -> StepFailed | None:
    """The end of an execute that can be known before anything is planned; ``None`` when nothing speaks against going on.

    :param expected: Parts of the approved plan, when they are known.
    :param found: Parts that are known so early; others are not missed.
    :param words: What the kinds of parts are called.
    """
    known = excused(expected, found)
    kept = {name: value for name, value in (expected or {}).items() if name in known or name in FORMAT}
    rows = drifts_between(kept, {**known, **FORMAT}) if expected else []
    if not rows:
        return None
    text = f"The plan is not the approved one any more: {told(rows, words)}. Nothing was begun."
    return StepFailed("plan_drifted", text, plan_output={"drifts": _listed(rows)})


def _listed(rows: Iterable[Drift]) -> list[dict[str, str]]:
    return [{key: value for key, value in asdict(row).items() if value is not None} for row in rows]


def drift(
    expected: Mapping[str, str] | None,
    found: Mapping[str, str],
    words: Mapping[str, str],
    summary: str,
    output: Mapping[str, object],
    **answer: object,
) -> StepFailed:
    """The end of an execute whose plan is not the approved one.

    :param expected: Parts of the approved plan, when they are known.
    :param found: Parts as they are now.
    :param words: What the kinds of parts are called.
    :param summary: The plan as it is now, in one line.
    :param output: The plan as it is now.
    :param answer: What else belongs into the answer.
    """
    rows = drifts_between(expected, found)
    what = told(rows, words)
    text = f"The plan is not the approved one any more{': ' + what if what else ''}; now it is: {summary}"
    plan = {**output, "digest_parts": dict(found), **({"drifts": _listed(rows)} if rows else {})}
    return StepFailed("plan_drifted", text, plan_output=plan, digest=digest_of(found), **answer)
