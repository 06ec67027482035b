"""What of a project's own texts may render differently each time it is parsed: by the clock, or by chance.

Few projects have such texts where they count, in a configuration or around a ``ref``; only those pay for a second parse. What
dbt has of its own, ``run_started_at`` and ``invocation_id``, is pinned, see :mod:`dagctl_dbt.moments`: a parse that is kept for
later has an older moment in it, that is all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagctl_common.channel import StepFailed
from dagctl_common.digests import MOMENT, UNSTABLE

from dagctl_dbt.differ_macros import MacroReach
from dagctl_dbt.differ_types import Facts, Manifest, Node, built_nodes, test_nodes
from dagctl_dbt.digests import parts_of
from dagctl_dbt.journals import Step

PARTS = "parts"
"""The command of the second process."""
SECONDS = 120.0
_NAMED = 5

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_PINNED = re.compile(r"\b(?:run_started_at|invocation_id)\b")
_CHANCE = re.compile(
    r"\bmodules\b(?!\s*\.\s*(?:re|itertools|pytz)\b)|(?<!\|)\|\s*random\b|\blipsum\s*\(|\bthread_id\b|\bmap\(\s*['\"]random"
)
_NAMES = ("generate_schema_name", "generate_alias_name", "generate_database_name")
"""Macros that every node goes through when it is parsed."""
_CALL = re.compile(r"(?<![\w.])(?:config|ref|source)\s*\(")
_BRANCH = re.compile(r"\{%-?\s*(?:if|elif|for)\b(.*?)%\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*(?!\w*\s*=[^=])")
_CONSTANT = {"true", "false", "none", "not", "and", "or", "in", "is", "if", "else", "defined", "dict"}
_STEADY = {*_CONSTANT, "is_incremental", "execute", "target", "name", "var", "env_var", "flags", "this", "loop", "last", "first"}


@dataclass(frozen=True)
class Volatile:
    """A node whose parse may come out differently.

    :param unique_id: The node's.
    :param part: Name of its part of the digest.
    :param file: Where it is written.
    :param by_chance: Whether by more than the plan's moment.
    """

    unique_id: str
    part: str
    file: str
    by_chance: bool


def volatiles(manifest: Manifest, facts: Facts) -> list[Volatile]:
    """Nodes whose parse may come out differently each time.

    :param manifest: Of the commit.
    :param facts: Beside it.
    """
    reach = MacroReach(manifest, facts)
    texts = {key: _COMMENT.sub("", macro["macro_sql"]) for key, macro in manifest["macros"].items() if reach.own(key)}
    moving = {key: bool(_CHANCE.search(text)) for key, text in texts.items() if _moves(text)}
    named = [key for key in texts if key.rpartition(".")[2].rpartition("__")[2] in _NAMES]
    everywhere = _reached(reach, named, moving)
    parts = parts_of(manifest)
    return [
        Volatile(key, parts.get(key, key), str(node.get("original_file_path") or ""), chance)
        for key, node in _nodes(manifest)
        if (chance := _chance(node, reach, moving, everywhere)) is not None
    ]


def at_moment(rows: Iterable[Volatile]) -> list[str]:
    """Texts for people about what is another thing in the next plan, though the same in this one's execute.

    :param rows: Of :func:`volatiles`.
    """
    names = [f"{row.part.partition(':')[2] or row.part} ({row.file})" for row in rows if not row.by_chance]
    if not names:
        return []
    told = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return [f"run_started_at or invocation_id may decide how this is configured: {told}. Planned again, it is another plan."]


def by_chance(manifest: Manifest, facts: Facts, keys: Iterable[str]) -> list[str]:
    """Those nodes whose SQL may come out differently by the clock or by chance, when it is compiled.

    :param manifest: Of the commit.
    :param facts: Beside it.
    :param keys: Unique ids.
    """
    reach = MacroReach(manifest, facts)
    nodes = {key: manifest["nodes"][key] for key in keys}
    return [
        key
        for key, node in nodes.items()
        if any(_CHANCE.search(_COMMENT.sub("", text)) for text in (node.get("raw_code") or "", *reach.of(node).values()))
    ]


def _nodes(manifest: Manifest) -> Iterator[tuple[str, Node]]:
    yield from built_nodes(manifest).items()
    yield from test_nodes(manifest).items()
    # What is disabled now may not be the next time.
    for key, nodes in (manifest.get("disabled") or {}).items():
        yield from ((key, node) for node in nodes if "resource_type" in node and "package_name" in node)


def _moves(text: str) -> bool:
    return bool(_PINNED.search(text) or _CHANCE.search(text))


def _reached(reach: MacroReach, starts: list[str], moving: Mapping[str, bool]) -> list[bool]:
    return [moving[key] for start in starts if start in reach.macros for key in reach.below(start) if key in moving]


def _chance(node: Node, reach: MacroReach, moving: Mapping[str, bool], everywhere: list[bool]) -> bool | None:
    """Whether by chance or by the moment alone; ``None``: always the same."""
    found = list(everywhere)
    written = _outside_hooks(node)
    if "{{" in written and _moves(written):
        found.append(bool(_CHANCE.search(written)))
    if node["resource_type"] in ("model", "snapshot", "test") and node.get("language", "sql") == "sql":
        code = _COMMENT.sub("", node.get("raw_code") or "")
        called = (node.get("depends_on") or {}).get("macros") or []
        inside = [
            moving[key]
            for call in called
            if (start := reach.resolve(call, node["package_name"]))
            for key in reach.below(start)
            if key in moving
        ]
        if (inside or _moves(code)) and _decides(code):
            found += [*inside, bool(_CHANCE.search(code))]
    return any(found) if found else None


def _outside_hooks(node: Node) -> str:
    """Configuration as written, without hooks: these are rendered when they run."""
    config = node.get("unrendered_config") or {}
    return json.dumps({key: value for key, value in config.items() if not key.endswith(("hook", "hooks"))}, default=str)


def _decides(code: str) -> bool:
    """Whether code computes what it configures or reads, or decides whether to."""
    if any(_strange(_arguments(code, call.end()), _CONSTANT) for call in _CALL.finditer(code)):
        return True
    return any(_strange(branch[1], _STEADY) for branch in _BRANCH.finditer(code))


def _arguments(code: str, start: int) -> str:
    depth = 1
    for end in range(start, len(code)):
        depth += {"(": 1, ")": -1}.get(code[end], 0)
        if depth == 0:
            return code[start:end]
    return code[start:]


def _strange(text: str, known: set[str]) -> bool:
    return bool({word.lower() for word in _WORD.findall(_TEXT.sub("0", text))} - known)


def compute_again(step: Step, given: Mapping[str, str]) -> dict[str, str] | None:
    """The parts as another process finds them, with another clock and another seed.

    :param step: The step.
    :param given: Parts that are the same there: the plan's moment, and what was found out by compiling.
    :return: ``None`` when the second parse did not come to its end.
    """
    scratch = Path(step.job["scratch"]) / "again"
    scratch.mkdir(exist_ok=True)
    answer = scratch / "answer.json"
    job: dict[str, Any] = {**step.job, "command": PARTS, "scratch": str(scratch), "answer": str(answer)}
    job.update(events_fd=None, alive_fd=None, expected_digest_parts=dict(given), data_folder=step.job.get("data_folder"))
    path = scratch / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    environment = {**os.environ, "DBT_TARGET_PATH": str(scratch / "target")}
    with step.channel.stage("again"):
        try:
            subprocess.run(  # noqa: S603 - no shell, our interpreter
                [sys.executable, str(Path(__file__).parents[1]), str(path)],
                cwd=step.job["project"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
            )  # fmt: skip
            found: dict[str, str] = json.loads(answer.read_text(encoding="utf-8"))["parts"]
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            step.channel.line(f"the plan could not be computed a second time: {type(error).__name__}")
            return None
    return found


def unstable_parts(parts: Mapping[str, str], again: Mapping[str, str]) -> list[str]:
    """Names of the parts that came out differently.

    :param parts: The first time.
    :param again: The second.
    """
    return sorted(name for name in {*parts, *again} - {MOMENT} if parts.get(name) != again.get(name))


def mark_unstable(step: Step, parts: dict[str, str], names: list[str], files: Mapping[str, str]) -> list[dict[str, str]]:
    """Take what differs each time out of the comparison, and say so; or refuse it.

    :param step: Knows which of the two.
    :param parts: Of the plan; those get the value that says it.
    :param names: Names of the parts.
    :param files: Where they are written, by name of the part.
    :return: Rows for the reviewer.
    :raises StepFailed: ``plan_unstable``.
    """
    rows = []
    for part in names:
        parts[part] = UNSTABLE
        kind, _, name = part.partition(":")
        what = "its SQL" if kind == "rendered" else "what would be built" if kind == "selection" else "its configuration or place"
        row = {"kind": kind, "name": name, "file": files.get(part, ""), "what": f"{what} differs each time it is computed"}
        rows.append({key: value for key, value in row.items() if value})
    if rows and step.job.get("unstable") == "refuse":
        told = ", ".join(f"{row['kind']} {row.get('name', '')} ({row.get('file') or 'dbt_project.yml'})" for row in rows[:5])
        raise StepFailed("plan_unstable", f"It comes out differently each time it is computed: {told}")
    return rows
