"""What of a model's metadata was edited, key by key, for people: SQLMesh's own diff is silent on audits and more."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlmesh.core.audit import Audit
    from sqlmesh.core.node import Node

KEYS = (
    "description", "owner", "tags", "cron", "cron_tz", "start", "end", "retention", "grains", "column_descriptions", "stamp",
    "grants", "grants_target_layer", "session_properties", "virtual_properties", "physical_properties", "allow_partials",
    "batch_size", "batch_concurrency", "lookback", "dialect", "project", "blocking", "skip",
)  # fmt: skip
LONGEST = 60
"""Characters of a value that is shown as it was and as it is."""


def edited(old: Node, new: Node) -> list[str]:
    """One text for each key that differs.

    :param old: As deployed.
    :param new: In the commit.
    """
    texts = []
    for key in KEYS:
        before, after = (_shown(getattr(node, key, None)) for node in (old, new))
        if before != after:
            short = len(before) <= LONGEST and len(after) <= LONGEST
            texts.append(f"{key}: {before or 'none'} -> {after or 'none'}" if short else f"{key} changed")
    return texts + list(_audits(old, new)) + list(_signals(old, new))


def _shown(value: object) -> str:
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(_shown(item) for item in value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in sorted(value.items(), key=lambda pair: str(pair[0])))
    return " ".join(str(getattr(value, "key", None) or value).split())


def _arguments(calls: Any) -> dict[str, list[str]]:
    """Arguments of each call by its name; one name may be called more than once."""
    found: dict[str, list[str]] = {}
    for name, arguments in calls or ():
        found.setdefault(str(name), []).append(_shown({key: value.sql() for key, value in dict(arguments or {}).items()}))
    return {name: sorted(texts) for name, texts in found.items()}


def _audits(old: Node, new: Node) -> Iterator[str]:
    before, after = (_arguments(getattr(node, "audits", None)) for node in (old, new))
    definitions = [dict(getattr(node, "audit_definitions", None) or {}) for node in (old, new)]
    for name in sorted({*before, *after, *definitions[0], *definitions[1]}):
        was, now = name in before or name in definitions[0], name in after or name in definitions[1]
        if was != now:
            yield f"audit {name}: {'added' if now else 'removed'}"
        elif before.get(name) != after.get(name):
            yield f"audit {name}: arguments changed"
        if was and now:
            yield from (f"audit {name}: {text}" for text in _definition(definitions[0].get(name), definitions[1].get(name)))


def _definition(old: Audit | None, new: Audit | None) -> Iterator[str]:
    if old is None or new is None:
        return
    for key, words in (("blocking", ("blocking", "not blocking")), ("skip", ("skipped", "not skipped"))):
        was, now = bool(getattr(old, key, False)), bool(getattr(new, key, False))
        if was != now:
            yield f"{words[0 if was else 1]} -> {words[0 if now else 1]}"
    if body_of(old) != body_of(new):
        yield "body changed"


def body_of(audit: Audit) -> str:
    """The query of an audit, as it is written."""
    try:
        return str(audit.query.sql(dialect=audit.dialect or None, pretty=True))
    except Exception:
        return str(getattr(audit, "query", ""))


def _signals(old: Node, new: Node) -> Iterator[str]:
    before, after = (_arguments(getattr(node, "signals", None)) for node in (old, new))
    if before != after:
        yield f"signals: {', '.join(before) or 'none'} -> {', '.join(after) or 'none'}"


def audits_changed(details: list[str]) -> bool:
    """Whether an execute has to look at rows again: SQLMesh runs changed audits over all that is loaded.

    :param details: What :func:`edited` found.
    """
    return any(text.startswith("audit ") and not text.endswith(": removed") for text in details)


def audit_diff(old: Node, new: Node) -> str:
    """Diffs of the bodies of audits.

    :param old: As deployed.
    :param new: In the commit.
    """
    before, after = (dict(getattr(node, "audit_definitions", None) or {}) for node in (old, new))
    texts = []
    for name in sorted(before.keys() & after.keys()):
        was, now = body_of(before[name]), body_of(after[name])
        if was != now:
            lines = difflib.unified_diff(was.splitlines(), now.splitlines(), f"audit {name}", f"audit {name}", lineterm="")
            texts.append("\n".join(lines))
    return "\n".join(texts)
