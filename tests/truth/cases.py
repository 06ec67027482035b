"""The corpus: cases as they stand in the YAML files of ``sqlmesh`` and ``dbt``, one file for each theme.

A file has ``project``, the files that its cases share, ``raw`` where they share that, too, and ``cases``. A case has a name,
which is a sentence, and:

``files``         further files of its first commit, or others than those of ``project``; null: not there
``raw``           SQL that other programs did in the warehouse before the first commit
``change``        second commit: path -> new text; null: removed; [[old, new], ...]: parts of it; {from: path}: moved
``between``       SQL that other programs did before the second commit
``fails``         the code with which the execute fails; the tool's own command has to fail then, too
``told``          texts that the result of the execute has to hold, such as the name of an audit that found rows
``env``           the project's variables; ``new_env``: what they are from the second commit on
``expect``        what the explain of the second commit says; see :mod:`tests.truth.expectations`
``then``          further commits, each with ``change``, ``between``, ``new_env`` and ``expect``
``first``         what the explain of the first commit says, where that matters
``seen``          where it was met: a public issue or project, or a report
``known``         what is wrong today: the case is reported as a known fault until it holds
``tool_is_wrong`` where the tool's own command does something else, and why that is wrong
``twin``          arguments of the tool's command on the other warehouse, see :mod:`tests.truth.twins`
``whole``         true: also goes through the whole runner
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
Edit = Any
_STEP = {"change", "between", "new_env", "expect", "twin", "fails", "told"}
_CASE = _STEP | {"name", "files", "raw", "env", "then", "first", "seen", "known", "tool_is_wrong", "whole"}


class CorpusError(Exception):
    """A case is wrong in itself: nothing can be said about the product."""


@dataclass(frozen=True)
class Commit:
    """A commit after the first one.

    :param change: Path to what becomes of it.
    :param expect: What its explain says.
    :param between: SQL before it.
    :param new_env: Variables from now on.
    :param twin: Commands of the twin, where they are others than usual.
    :param fails: Code with which its execute fails, where it has to.
    :param told: What its execute has to say.
    """

    change: Mapping[str, Edit]
    expect: Mapping[str, Any]
    between: str | None = None
    new_env: Mapping[str, str] = field(default_factory=dict)
    twin: str | None = None
    fails: str | None = None
    told: Sequence[str] = ()


@dataclass(frozen=True)
class Case:
    """A small project, its changes, and what is true of them.

    :param tool: ``sqlmesh`` or ``dbt``.
    :param theme: Name of the file.
    :param name: A sentence.
    :param files: Of the first commit.
    :param commits: The others.
    :param row: All that stands in the file.
    """

    tool: str
    theme: str
    name: str
    files: Mapping[str, str]
    commits: Sequence[Commit]
    row: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Its name in a report."""
        return f"{self.tool}/{self.theme}: {self.name}"

    @property
    def beginning(self) -> str:
        """Names all that a case is until its first commit is deployed."""
        text = json.dumps([self.tool, self.files, self.row.get("raw"), self.row.get("env")], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(tool: str) -> list[Case]:
    """All cases of a tool.

    :param tool: ``sqlmesh`` or ``dbt``.
    """
    return [case for path in sorted((HERE / tool).glob("*.yaml")) for case in _cases(tool, path)]


def _cases(tool: str, path: Path) -> list[Case]:
    content = yaml.safe_load(path.read_text())
    _refuse_unknown(path.name, content, {"project", "raw", "cases"})
    shared = {"raw": content["raw"]} if "raw" in content else {}
    return [_case(tool, path.stem, content.get("project") or {}, {**shared, **row}) for row in content["cases"]]


def _case(tool: str, theme: str, project: Mapping[str, str], row: Mapping[str, Any]) -> Case:
    _refuse_unknown(row["name"], row, _CASE)
    own = {key: value for key, value in row.items() if key in _STEP}
    for step in row.get("then") or ():
        _refuse_unknown(row["name"], step, _STEP)
    files = {name: text for name, text in {**project, **(row.get("files") or {})}.items() if text is not None}
    commits = [Commit(**{"change": {}, **step}) for step in [own, *(row.get("then") or ())]]
    if not row.get("tool_is_wrong") and any({"dbt_more", "dbt_less"} & set(commit.expect) for commit in commits):
        raise CorpusError(f"{row['name']}: dbt selects something else, and nobody says why that is wrong")
    return Case(tool, theme, row["name"], files, commits, row)


def _refuse_unknown(where: str, row: Mapping[str, Any], known: set[str]) -> None:
    unknown = set(row) - known
    if unknown:
        raise CorpusError(f"{where}: no case has {sorted(unknown)}")


def changed(files: Mapping[str, str], change: Mapping[str, Edit]) -> dict[str, str]:
    """Files after a change.

    :param files: Files before.
    :param change: Of a commit.
    :raises CorpusError: When there is nothing to change: a mistake in the corpus.
    """
    after = dict(files)
    for path, edit in change.items():
        if edit is None:
            del after[path]
        elif isinstance(edit, str):
            if files.get(path) == edit:
                raise CorpusError(f"{path} is the same as before")
            after[path] = edit
        elif isinstance(edit, Mapping):
            after[path] = after.pop(edit["from"])
        else:
            for old, new in edit:
                if old not in after[path]:
                    raise CorpusError(f"{path} has no {old!r}")
                after[path] = after[path].replace(old, new, 1)
    return after
