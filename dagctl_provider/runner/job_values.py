"""What the options and arguments of a job's command may hold, as one check per kind of value.

A value is never given to a shell. Still it reaches a tool that reads options out of what begins with a dash, opens files by path,
and has selectors that ask for the state of another deployment. So each kind says what it takes, rather than what it does not.
The module imports nothing but the standard library: the API server and the domain check with it as well.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Literal

Kind = Literal[
    "flag", "count", "threads", "number", "date", "moment", "name", "column", "environment", "pair", "test", "pattern",
    "sqlmesh_models", "dbt_nodes", "types", "access", "output", "key",
]  # fmt: skip
VALUE_LIMIT = 300

_NAME = re.compile(r"[\w\"][\w.\"$@ -]{0,254}")
_COLUMN = re.compile(r"\w[\w$ ]{0,127}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_]{1,63}")
_NUMBER = re.compile(r"[1-9]\d{0,4}")
_COUNT = re.compile(r"\d{1,2}")
_THREADS = re.compile(r"[1-9]\d?")
_KEY = re.compile(r"[A-Za-z_][\w.]{0,63}")
_RELATIVE = re.compile(r"(?:now|today|yesterday|\d{1,4} (?:second|minute|hour|day|week|month|year)s?(?: ago)?)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?:Z|\+00:00)?)?")
_DBT_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}:\d{2})?")
_GRAPH_BEFORE = re.compile(r"@|\d{0,9}\+")

_OF_STATE: Mapping[str, str] = {
    "state": "what was modified is found by a plan, which builds just that",
    "result": "what did not succeed in the last run is what 'dbt retry' runs again",
    "source_status": "earlier freshness results are not kept; select by tag, path or name",
}
"""dbt's methods that compare with another deployment, and what to do instead."""

_METHODS = frozenset(
    {
        "access", "config", "exposure", "file", "fqn", "group", "metric", "package", "path", "resource_type", "saved_query",
        "selector", "semantic_model", "source", "tag", "test_name", "test_type", "unit_test", "version", "wildcard",
    }
)  # fmt: skip

_CHOICES: Mapping[str, frozenset[str]] = {
    "types": frozenset(
        {
            "all", "analysis", "default", "exposure", "function", "metric", "model", "saved_query", "seed", "semantic_model",
            "snapshot", "source", "test", "unit_test",
        }
    ),
    "access": frozenset({"eager", "cautious", "buildable", "empty"}),
    "output": frozenset({"json", "name", "path", "selector"}),
}  # fmt: skip


class CommandRefused(ValueError):
    """A job's command that is not run; the text says what is refused, and where it belongs."""


def shown(text: str, limit: int = 60) -> str:
    """A text from outside as part of a message.

    :param text: Any text.
    :param limit: Most characters of it that are shown.
    """
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def check_value(kind: Kind, text: str, what: str) -> None:
    """Check one value.

    :param kind: What it is to be.
    :param text: The value.
    :param what: The option or argument that it is for, as people write it.
    :raises CommandRefused:
    """
    if not text.strip():
        raise CommandRefused(f"{what}: the value is empty.")
    if len(text) > VALUE_LIMIT:
        raise CommandRefused(f"{what}: the value is longer than {VALUE_LIMIT} characters.")
    if text.startswith("-"):
        raise CommandRefused(f"{what}: {shown(text)} begins with '-', which reads as an option; a value is missing.")
    _CHECKS[kind](text, what)


def check_path(text: str, what: str) -> None:
    """Refuse what leads out of the project's folder.

    :param text: A path, or a selector that may be one.
    :param what: As in :func:`check_value`.
    :raises CommandRefused:
    """
    parts = text.replace("\\", "/").split("/")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:/", text):
        raise CommandRefused(f"{what}: {shown(text)} is an absolute path; paths are those of the project's folder.")
    if ".." in parts:
        raise CommandRefused(f"{what}: {shown(text)} leads out of the project's folder with '..'.")


def _matching(pattern: re.Pattern[str], meaning: str) -> Callable[[str, str], None]:
    def check(text: str, what: str) -> None:
        if not pattern.fullmatch(text):
            raise CommandRefused(f"{what}: {shown(text)} is not {meaning}.")

    return check


def _one_of(kind: str) -> Callable[[str, str], None]:
    def check(text: str, what: str) -> None:
        if text.lower() not in _CHOICES[kind]:
            raise CommandRefused(f"{what}: {shown(text)} is none of {', '.join(sorted(_CHOICES[kind]))}.")

    return check


def _day(text: str, pattern: re.Pattern[str]) -> bool:
    if not pattern.fullmatch(text):
        return False
    try:
        datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        # Before Python 3.11 a part of a second has three or six digits; the day is what a calendar can refuse.
        try:
            datetime.date.fromisoformat(text[:10])
        except ValueError:
            return False
        return "." in text
    return True


def _date(text: str, what: str) -> None:
    if not _day(text, _DAY) and not _RELATIVE.fullmatch(text):
        raise CommandRefused(f"{what}: {shown(text)} is no date: write 2026-01-31, '2026-01-31 06:00:00' or '3 days ago'.")


def _moment(text: str, what: str) -> None:
    if not _day(text, _DBT_DAY):
        raise CommandRefused(f"{what}: {shown(text)} is no date: write 2026-01-31 or 2026-01-31T06:00:00.")


def _pair(text: str, what: str) -> None:
    source, found, target = text.partition(":")
    if not found or not source or not target or ":" in target:
        raise CommandRefused(f"{what}: {shown(text)} is not of the form source:target.")
    for part in (source, target):
        if not _NAME.fullmatch(part):
            raise CommandRefused(f"{what}: {shown(part)} is not the name of an environment or a table.")


def _test(text: str, what: str) -> None:
    path, _, _ = text.partition("::")
    check_path(path, what)


def _pattern(text: str, what: str) -> None:
    check_path(text, what)


def _sqlmesh_models(text: str, what: str) -> None:
    if re.search(r"(?<![\w.])git\s*:", text, re.IGNORECASE):
        raise CommandRefused(f"{what}: 'git:' compares with another commit; what a commit changes is what its plan applies.")
    check_path(text.lstrip("+^"), what)


def _dbt_nodes(text: str, what: str) -> None:
    for piece in re.split(r"[\s,]+", text.strip()):
        _dbt_node(piece, what)


def _dbt_node(piece: str, what: str) -> None:
    rest = _GRAPH_BEFORE.sub("", piece, count=1) if _GRAPH_BEFORE.match(piece) else piece
    if not rest or rest.startswith("-"):
        raise CommandRefused(f"{what}: {shown(piece)} selects nothing.")
    method, found, value = rest.partition(":")
    name = method.partition(".")[0]
    if found and name.lower() in _OF_STATE:
        raise CommandRefused(f"{what}: '{name}:' needs '--state', which a job has not; {_OF_STATE[name.lower()]}.")
    if found and name not in _METHODS:
        raise CommandRefused(f"{what}: {shown(name)} is no method of a selector; there are {', '.join(sorted(_METHODS))}.")
    check_path(value if found else rest, what)


_CHECKS: Mapping[Kind, Callable[[str, str], None]] = {
    "number": _matching(_NUMBER, "a number from 1 to 99999"),
    "count": _matching(_COUNT, "a number from 0 to 99"),
    "threads": _matching(_THREADS, "a number from 1 to 99"),
    "date": _date,
    "moment": _moment,
    "name": _matching(_NAME, "the name of a model, a table or a selector"),
    "column": _matching(_COLUMN, "the name of a column"),
    "environment": _matching(_ENVIRONMENT, "the name of an environment: letters, digits and '_'"),
    "pair": _pair,
    "test": _test,
    "pattern": _pattern,
    "sqlmesh_models": _sqlmesh_models,
    "dbt_nodes": _dbt_nodes,
    "types": _one_of("types"),
    "access": _one_of("access"),
    "output": _one_of("output"),
    "key": _matching(_KEY, "the name of a property"),
}
