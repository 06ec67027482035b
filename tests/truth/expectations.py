"""What a case expects, and what an explain says, in the same form.

Of both tools, exactly these and no others; what is not written down must not be there:

``added`` ``removed`` ``indirect`` ``metadata``  names; ``direct``: names with what is expected of each
``columns``     name -> ``+new``, ``-gone``, ``~other type``; only of the models named
``warnings``    texts of which each is part of a warning; ``quiet: true``: there is none
``error``       the code of a refusal, and ``message``, a part of its text; then there is no plan to look at
``details``     name -> texts of which each is in the row's details

SQLMesh: ``direct``, ``indirect`` and ``added`` are ``{name: category}``, where added ones may be names alone. ``backfill`` is
``{name: intervals}``, all of them, as ``2024-01-01..2024-01-03``; ``yesterday`` is the day before the test. ``followers`` are
models below one with other metadata, which are the same otherwise. ``destructive`` are models that would lose a column.

dbt: ``direct`` is ``{name: [reasons]}``. ``runs`` are all nodes that run, ``[]`` none. ``resources`` are texts like ``modified
macro x`` that are among those shown; ``broken`` are models whose contracts break. ``dbt_more`` and ``dbt_less`` are nodes that
``dbt ls --select state:modified+`` has or lacks beside ``runs``; a case with these says in ``tool_is_wrong`` why.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Output = Mapping[str, Any]
Expectation = Mapping[str, Any]
KNOWN = {
    "added", "removed", "direct", "indirect", "metadata", "columns", "warnings", "quiet", "error", "message", "details",
    "backfill", "destructive", "runs", "resources", "broken", "dbt_more", "dbt_less", "any_changes", "followers",
}  # fmt: skip


def differences(tool: str, expected: Expectation, result: Mapping[str, Any]) -> list[str]:
    """Where a result is not as expected, each as a sentence.

    :param tool: ``sqlmesh`` or ``dbt``.
    :param expected: Of the case.
    :param result: Of the runner's explain.
    """
    assert set(expected) <= KNOWN, f"no expectation has {set(expected) - KNOWN}"
    error = result.get("error") or {}
    found = _unequal("error", expected.get("error"), error.get("code"), hint=str(error.get("message", "")))
    if expected.get("message") and expected["message"] not in error.get("message", ""):
        found.append(f"the message {error.get('message')!r} has no {expected['message']!r}")
    output = result.get("plan_output") or {}
    if error or expected.get("error"):
        return found + _unequal("destructive", expected.get("destructive") or [], _destructive(output, expected))
    exact = _SQLMESH if tool == "sqlmesh" else _DBT
    for key, shown in exact.items():
        found += _unequal(key, _plain(tool, key, expected), shown(output, expected))
    return found + _texts(expected, output)


def says(output: Output, tool: str) -> str:
    """What a plan says, in one line for the table.

    :param output: Plan output of an explain.
    :param tool: ``sqlmesh`` or ``dbt``.
    """
    exact = _SQLMESH if tool == "sqlmesh" else _DBT
    parts = {key: shown(output, {}) for key, shown in exact.items() if key != "any_changes"}
    return "; ".join(f"{key} {_short(value)}" for key, value in parts.items() if value) or "nothing"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} ({_short(item)})" if item else key for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _unequal(key: str, expected: Any, shown: Any, hint: str = "") -> list[str]:
    if expected == shown:
        return []
    return [f"{key}: expected {expected!r}, got {shown!r}{f' ({hint})' if hint else ''}"]


def _plain(tool: str, key: str, expected: Expectation) -> Any:
    value = expected.get(key)
    if key == "any_changes":
        return expected.get(key, any(expected.get(name) for name in _CHANGES))
    if key == "metadata":
        return sorted(value or [])
    if key in ("direct", "backfill", "columns") or (key == "indirect" and tool == "sqlmesh") or isinstance(value, Mapping):
        return {name: sorted(item) if isinstance(item, list) else item for name, item in (value or {}).items()}
    return sorted(value or [])


_CHANGES = ("followers", "added", "removed", "direct", "indirect", "metadata", "backfill", "runs", "resources")


def _names(key: str) -> Callable[[Output, Expectation], Any]:
    return lambda output, expected: sorted(output[key])


def _categories(key: str, change: str) -> Callable[[Output, Expectation], Any]:
    """Names with categories where the case has them, names alone otherwise."""

    def shown(output: Output, expected: Expectation) -> Any:
        rows = {row["name"]: row["category"] for row in output["models"] if row["change"] == change}
        return sorted(rows) if change == "added" and not isinstance(expected.get(key), Mapping) else rows

    return shown


def _followers(output: Output, _expected: Expectation) -> list[str]:
    """Models of which nothing changed but what they read, and of that nothing but metadata."""
    below = (row["name"] for row in output["models"] if row["change"] == "indirectly_modified" and row["category"] == "metadata")
    return sorted({*below, *(output.get("metadata_followers") or ())})


def _indirect(output: Output, expected: Expectation) -> dict[str, str]:
    rows: dict[str, str] = _categories("indirect", "indirectly_modified")(output, expected)
    return {name: category for name, category in rows.items() if category != "metadata"}


def _backfill(output: Output, _expected: Expectation) -> dict[str, str]:
    rows = {row["name"]: ", ".join(map(_interval, row["backfill"])) for row in output["models"] if row.get("backfill")}
    assert len(rows) == output["modelsNeedingBackfill"], "modelsNeedingBackfill is another number than there are rows"
    return rows


def _interval(interval: Mapping[str, str]) -> str:
    start, end = interval["start"], interval["end"]
    yesterday = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).strftime("%Y-%m-%d")
    return (
        f"{start}..{'yesterday' if end == yesterday else end}" if start != end else f"{'yesterday' if end == yesterday else end}"
    )


def _destructive(output: Output, _expected: Expectation) -> list[str]:
    return sorted({row["name"] for row in output.get("destructive") or ()})


def _columns(output: Output, expected: Expectation) -> dict[str, list[str]]:
    wanted = expected.get("columns") or {}
    rows = {row["name"]: row for row in output["models"]}
    return {name: sorted(_moved(rows.get(name) or {})) for name in wanted}


def _moved(row: Mapping[str, Any]) -> Iterable[str]:
    yield from (f"+{name}" for name in row.get("columns_added") or ())
    yield from (f"-{name}" for name in row.get("columns_removed") or ())
    yield from (f"~{item['name']}" for item in row.get("columns_changed") or ())


def _reasons(output: Output, _expected: Expectation) -> dict[str, list[str]]:
    return {row["name"]: sorted(row["reasons"]) for row in output["models"] if row["change"] == "directly_modified"}


def plain_name(unique_id: str) -> str:
    """Name of a dbt node as people say it: without kind, the project's own package and hashes.

    :param unique_id: Of a manifest.
    """
    kind, package, *rest = unique_id.split(".")
    name = ".".join(rest[:-1]) if kind == "test" and re.fullmatch(r"[0-9a-f]{8,}", rest[-1]) else ".".join(rest)
    name = rest[-1] if kind == "unit_test" else name
    return name if package == "shop" else f"{package}.{name}"


def _runs(output: Output, _expected: Expectation) -> list[str]:
    return sorted(map(plain_name, output["selection"]["nodes"]))


_SQLMESH: Mapping[str, Callable[[Output, Expectation], Any]] = {
    "added": _categories("added", "added"),
    "direct": _categories("direct", "directly_modified"),
    "indirect": _indirect,
    "followers": _followers,
    "metadata": _names("metadata_modified"),
    "removed": _names("models_removed"),
    "backfill": _backfill,
    "destructive": _destructive,
    "columns": _columns,
    "any_changes": lambda output, _: output["has_changes"],
}
_DBT: Mapping[str, Callable[[Output, Expectation], Any]] = {
    "added": _names("models_added"),
    "direct": _reasons,
    "indirect": _names("indirectly_modified"),
    "metadata": _names("metadata_modified"),
    "removed": _names("models_removed"),
    "runs": _runs,
    "broken": lambda output, _: sorted({row["model"] for row in output["contracts_broken"]}),
    "columns": _columns,
    "any_changes": lambda output, _: output["has_changes"],
}


def _texts(expected: Expectation, output: Output) -> list[str]:
    """What is only looked for: parts of warnings and details, and resources."""
    warnings = output["warnings"]
    found = [
        f"no warning has {text!r}, there are {warnings}"
        for text in expected.get("warnings") or ()
        if not any(text in row for row in warnings)
    ]
    if expected.get("quiet") and warnings:
        found.append(f"there are warnings: {warnings}")
    resources = {f"{row['change']} {row['type']} {row['name']}" for row in output.get("resources") or ()}
    found += [
        f"no resource is {text!r}, there are {sorted(resources)}"
        for text in expected.get("resources") or ()
        if text not in resources
    ]
    rows = {row["name"]: " | ".join(map(str, row.get("details") or ())) for row in output["models"]}
    for name, texts in (expected.get("details") or {}).items():
        found += [f"details of {name} have no {text!r}: {rows.get(name)}" for text in texts if text not in (rows.get(name) or "")]
    return found
