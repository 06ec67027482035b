"""Which variables a node reads, by the keys that it takes from them, and which of those have another value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dagctl_dbt.differ_jinja import reading_of
from dagctl_dbt.differ_jinja_values import Path, Reading, Value, argument_of
from dagctl_dbt.differ_macros import MacroReach, hooks_of, texts_of
from dagctl_dbt.differ_types import Node

#: Materialisations whose code takes another branch once the table is there: one compilation does not show both.
_TWO_FACED = ("incremental", "snapshot")
_MOVING = re.compile(r"\b(?:run_started_at|invocation_id|modules|random|lipsum|thread_id)\b")
"""What makes a name another one by the clock or by chance: one compilation does not show all of them."""


@dataclass(frozen=True)
class Variables:
    """What a node reads.

    :param paths: By names that stand in the code, or are made of texts that do.
    :param any: Whether it reads others too, by names that only a run knows.
    :param shown: Whether those are in what compiles to its SQL, and nowhere else.
    """

    paths: frozenset[Path]
    any: bool = False
    shown: bool = True


def may_read(text: str) -> bool:
    """Whether a text can read a variable at all.

    :param text: Jinja.
    """
    return "var" in text or "context" in text or "builtins" in text


def variables_of(node: Node, reach: MacroReach) -> Variables:
    """Variables that a node reads, itself or by its macros, hooks and materialization.

    :param node: The node.
    :param reach: Of its manifest.
    """
    macros = reach.of(node)
    texts = texts_of(node)
    if not any(map(may_read, (*texts, *macros.values()))):
        return Variables(frozenset())
    places: dict[object, str] = dict([*enumerate(texts), *macros.items()])
    everything = _Everything(reach, node, places)
    paths, unsure = everything.read()
    hidden = unsure - _compiled(node, reach)
    two_faced = str((node.get("config") or {}).get("materialized")) in _TWO_FACED
    moving = any(map(_MOVING.search, places.values()))
    return Variables(frozenset(paths), bool(unsure), not (hidden or two_faced or moving))


def _compiled(node: Node, reach: MacroReach) -> set[object]:
    """Places whose reads show in the compiled SQL: the code, and macros that it alone calls."""
    found: set[object] = {0} if node["resource_type"] in ("model", "test") and node.get("language", "sql") == "sql" else set()
    if found and not hooks_of(node):
        found |= set(reach.reached(node, building=False))
    return found


class _Everything:
    """All texts that a node consists of.

    :param reach: Of its manifest.
    :param node: The node.
    :param texts: By place: a number for its own, a macro's unique id.
    """

    def __init__(self, reach: MacroReach, node: Node, texts: Mapping[object, str]) -> None:
        self._reach = reach
        self._texts = texts
        self._reached = reach.reached(node)
        self._readings: dict[object, Reading] | None = None

    def read(self) -> tuple[set[Path], set[object]]:
        """Paths that are read; and places that read what cannot be told."""
        paths: set[Path] = set()
        unsure: set[object] = set()
        for place, text in self._texts.items():
            if not may_read(text):
                continue
            reading = reading_of(text)
            paths |= reading.paths
            for value in reading.computed:
                names = self._names(value, frozenset())
                if names is None:
                    unsure.add(place)
                else:
                    paths |= {(name,) for name in names}
        return paths, unsure

    def _names(self, value: Value, seen: frozenset[tuple[str, str]]) -> set[str] | None:
        """Texts that a value may be; ``None`` when there may be others."""
        if value.unknown or value.paths or value.items or value.given & seen:
            return None
        found = set(value.texts)
        for macro, parameter in value.given:
            names = self._given(macro, parameter, seen | value.given)
            if names is None:
                return None
            found |= names
        return found

    def _given(self, macro: str, parameter: str, seen: frozenset[tuple[str, str]]) -> set[str] | None:
        readings = self._all().values()
        defined = [reading.macros[macro] for reading in readings if macro in reading.macros]
        plain = macro.partition("__")[2] or macro
        if len(defined) != 1 or self._called_otherwise({macro, plain}, readings):
            return None
        calls = [call for reading in readings for call in reading.calls]
        values = [value for name in {macro, plain} for value in argument_of(calls, name, defined[0], parameter)]
        names = [self._names(value, seen) for value in values]
        if not names or None in names:
            return None
        return set().union(*(found for found in names if found is not None))

    def _called_otherwise(self, names: set[str], readings: Iterable[Reading]) -> bool:
        """Whether a macro may be called by something else than a call that stands in one of the texts."""
        if any(not reading.sound or reading.looks_up or names & reading.values for reading in readings):
            return True
        for key in self._reached:
            if not self._reach.own(key):
                macro = self._reach.macros[key]
                calls = (macro.get("depends_on") or {}).get("macros") or []
                resolved = {self._reach.resolve(call, macro["package_name"]) for call in calls}
                if any(found and found.rpartition(".")[2] in names and self._reach.own(found) for found in resolved):
                    return True
        return False

    def _all(self) -> Mapping[object, Reading]:
        if self._readings is None:
            self._readings = {place: reading_of(text) for place, text in self._texts.items()}
        return self._readings


def differing_variables(old: MacroReach, new: MacroReach, package: str, paths: Iterable[Path]) -> list[str]:
    """Those of the variables that have another value for a package, as `name` or `name.key`.

    :param old: Of the deployed manifest.
    :param new: Of the commit's.
    :param package: Of the node that reads them.
    :param paths: Names, with keys behind them.
    """
    return sorted(".".join(path) for path in paths if old.value(package, path) != new.value(package, path))


def any_differing(old: MacroReach, new: MacroReach, package: str) -> list[str]:
    """All variables that have another value for a package."""
    names = old.names_of_variables() | new.names_of_variables()
    return differing_variables(old, new, package, ((name,) for name in names))
