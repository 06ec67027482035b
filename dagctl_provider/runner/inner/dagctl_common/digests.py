"""Hashes of what a plan would do: the whole of it is what an approval is for, the parts let a drift be named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from dagctl_common.channel import StepFailed


def hashes_of(parts: Mapping[str, object]) -> dict[str, str]:
    """One short hash per part of a plan."""
    return {name: _hash(value)[:16] for name, value in parts.items()}


def digest_of(parts: Mapping[str, str]) -> str:
    """The digest that an approval is for."""
    return f"sha256:{_hash(dict(parts))}"


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def changed_parts(words: Mapping[str, str], expected: Mapping[str, str] | None, found: Mapping[str, str]) -> str:
    """Which parts of two plans differ, for people.

    :param words: What a part is called.
    :param expected: Of the approved plan, when it is known.
    :param found: Of the plan as it is now.
    """
    if not expected:
        return ""
    return ", ".join(words.get(name, name) for name, value in found.items() if expected.get(name) != value)


def drift(what: str, summary: str, output: Mapping[str, object], parts: Mapping[str, str], **answer: object) -> StepFailed:
    """The end of an execute whose plan is not the approved one.

    :param what: Which parts differ, if it is known.
    :param summary: The plan as it is now, in one line.
    :param output: The plan as it is now.
    :param parts: Its hashes.
    :param answer: What else belongs into the answer.
    """
    text = f"The plan is not the approved one any more{': ' + what if what else ''}; now it is: {summary}"
    return StepFailed("plan_drifted", text, plan_output=output, digest=digest_of(parts), **answer)
