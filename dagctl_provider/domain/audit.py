"""The record of changes and decisions: who did what, by which door, and what it was before and after.

The entries of an organization are numbered without gaps, and each carries a hash of itself and of the one before it. So an entry
that was changed, removed or put in between shows (:func:`first_fault`). Where the record ends is kept apart and sealed with a key
that only the API server has, so a record whose newest entries were removed shows as well.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any

START = "0" * 64
"""What stands for the hash before the first entry."""
LONGEST = 16_000
"""Characters of ``before`` and ``after`` that are kept; of more only the names of the fields are."""

DOORS = ("rest", "page", "required_actions", "command_line", "system")
"""The ways by which something is changed."""


@dataclass(frozen=True)
class Subject:
    """What something was done to.

    :param kind: ``project``, ``plan``, ``member``, ``invitation``, ``token``, ``variable``, ``protection``, ``organization``,
        ``job``, ``run``.
    :param project_id: The project it belongs to, if it belongs to one.
    """

    kind: str
    id: str
    name: str
    project_id: str | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One entry.

    :param number: From 1, without gaps in an organization.
    :param actor_kind: ``user``, ``token`` or ``system``.
    :param door: ``rest``, ``page``, ``required_actions``, ``command_line`` or ``system``.
    :param source: The address the request came from, where one is known.
    :param verb: What was done: ``created``, ``changed``, ``removed``, ``approved`` and so on.
    :param object_kind: What it was done to: ``project``, ``plan``, ``member``, ``token`` and so on.
    :param before: What it was, as canonical JSON without secrets; absent for what is new.
    :param after: What it is since; absent for what is gone.
    :param reason: What was said with it.
    :param hash: Of the entry and the hash before it.
    """

    organization_id: str
    number: int
    at: datetime
    actor_kind: str
    actor_id: str
    actor_name: str
    door: str
    verb: str
    object_kind: str
    object_id: str
    object_name: str
    source: str | None = None
    project_id: str | None = None
    before: str | None = None
    after: str | None = None
    reason: str | None = None
    hash: str = ""

    def hashed(self, previous: str) -> str:
        """The hash that the entry has after one with the hash ``previous``."""
        said = {part.name: getattr(self, part.name) for part in fields(self) if part.name != "hash"}
        said["at"] = _moment(self.at)
        return hashlib.sha256(f"{previous}\n{as_text(said)}".encode()).hexdigest()

    def shown(self) -> dict[str, Any]:
        """The entry for people and programs: without what is not known, ``before`` and ``after`` as values."""
        said = {part.name: getattr(self, part.name) for part in fields(self) if getattr(self, part.name) is not None}
        del said["organization_id"]
        return {**said, **{name: json.loads(said[name]) for name in ("before", "after") if name in said}}

    def as_json(self) -> str:
        """The entry as one line, for an export."""
        return as_text({**self.shown(), "at": _moment(self.at)})


@dataclass(frozen=True)
class AuditHead:
    """Where the record of an organization ends.

    :param seal: Proves number and hash; see :func:`seal_of`.
    """

    organization_id: str
    number: int
    hash: str
    seal: str


def _moment(at: datetime) -> str:
    """To the millisecond, for databases keep moments in different detail."""
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_text(value: object) -> str:
    """A value as canonical JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def told(values: Mapping[str, Any] | None) -> str | None:
    """What is kept of a state; of one that is too long, the names of its fields."""
    if values is None:
        return None
    text = as_text({name: value for name, value in values.items() if value is not None})
    return text if len(text) <= LONGEST else as_text({"too_long": sorted(values)})


def seal_of(key: str, organization_id: str, number: int, last_hash: str) -> str:
    """Proof that a record ends with this entry, by a key that only the API server has."""
    return hmac.new(key.encode(), f"{organization_id}\n{number}\n{last_hash}".encode(), hashlib.sha256).hexdigest()


def first_fault(entries: Iterable[AuditEntry], head: AuditHead | None, key: str, organization_id: str) -> str | None:
    """What is wrong with a record, in words; ``None`` when it is whole.

    :param entries: All of the organization, in their order.
    :param head: Where it should end; ``None`` when that is not on record.
    """
    previous, number = START, 0
    for entry in entries:
        number += 1
        if entry.number != number:
            return f"entry {number} is missing"
        if entry.hashed(previous) != entry.hash:
            return f"entry {number} was changed, or the one before it"
        previous = entry.hash
    if head is None:
        return "where the record ends is not known" if number else None
    if not hmac.compare_digest(head.seal, seal_of(key, organization_id, head.number, head.hash)):
        return "where the record ends was changed"
    if (head.number, head.hash) != (number, previous):
        return f"the record ends with entry {number}, and should with entry {head.number}"
    return None
