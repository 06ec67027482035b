"""Which macros and variables a node depends on, through every level.

dbt's own comparison looks only at macros named by the parsed commit: it misses an override that was deleted, a materialisation
of the project's own, and every variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagctl_dbt.differ_jinja import reading_of
from dagctl_dbt.differ_jinja_values import Path
from dagctl_dbt.differ_types import Facts, Manifest, Node, project_of

#: Adapters that stand on another one's macros (their package metadata says so; a manifest does not).
ADAPTER_PARENTS = {"redshift": "postgres", "materialize": "postgres", "databricks": "spark", "synapse": "fabric",
                   "sqlserver": "fabric"}  # fmt: skip

_WORDS = re.compile(r"[A-Za-z_]\w*")
_LOOKING_UP = re.compile(r"\b(?:context|builtins|dispatch)\b")
_MISSING = object()


def dispatch_prefixes(manifest: Manifest) -> list[str]:
    """What `adapter.dispatch` looks for, in its order: the adapter, the one it stands on, the default."""
    adapter = str((manifest.get("metadata") or {}).get("adapter_type") or "")
    return list(dict.fromkeys([adapter, ADAPTER_PARENTS.get(adapter, adapter), "default"]))


def internal_packages(manifest: Manifest) -> list[str]:
    """Packages that come with dbt and the adapter. They differ between versions without the project having changed."""
    return [*(f"dbt_{name}" for name in dispatch_prefixes(manifest)[:-1]), "dbt"]


def hooks_of(node: Node) -> list[str]:
    """Texts of a node's own hooks, as written."""
    config = node.get("config") or {}
    rows = [hook for key in ("pre-hook", "post-hook") for hook in config.get(key) or []]
    return [str(hook.get("sql") or "") if isinstance(hook, Mapping) else str(hook) for hook in rows]


def texts_of(node: Node) -> list[str]:
    """Texts of a node that are Jinja: its code, its hooks, and what a generic test is called with."""
    code = node.get("raw_code") or ""
    own = [code] if node["resource_type"] != "seed" and node.get("language", "sql") == "sql" else []
    kwargs = (node.get("test_metadata") or {}).get("kwargs")
    return [*own, *hooks_of(node), *_strings(kwargs)]


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)


def _looks_up(text: str) -> bool:
    """Whether a text looks something up by a name that does not stand there."""
    return bool(_LOOKING_UP.search(text)) and reading_of(text).looks_up


class MacroReach:
    """For one manifest: what each node reaches.

    :param manifest: A manifest.
    :param facts: Beside it; without `vars`, variables have no value here.
    """

    def __init__(self, manifest: Manifest, facts: Facts) -> None:
        self.macros: Mapping[str, Any] = manifest["macros"]
        self.internal = internal_packages(manifest)
        self.prefixes = dispatch_prefixes(manifest)
        self.project = project_of(manifest)
        self.facts = facts
        self._below: dict[str, frozenset[str]] = {}
        self._reached: dict[tuple[str, bool], frozenset[str]] = {}
        self._looking: dict[str, bool] = {}
        self._materializations = self._find_materializations()
        self._names = {self._plain(macro["name"]) for key, macro in self.macros.items() if self.own(key)}
        self._names |= {macro["name"] for key, macro in self.macros.items() if self.own(key)}

    def _find_materializations(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, macro in self.macros.items():
            if macro["name"].startswith("materialization_"):
                kind = macro["name"].removeprefix("materialization_").rpartition("_")[0]
                found.setdefault(kind, []).append(key)
        return found

    def _plain(self, name: str) -> str:
        """A macro's name without the adapter's mark."""
        prefix, mark, plain = name.partition("__")
        return plain if mark and prefix in self.prefixes else name

    def own(self, key: str) -> bool:
        """Whether a macro is the project's or a package's, and not dbt's."""
        return key in self.macros and self.macros[key]["package_name"] not in self.internal

    def resolve(self, key: str, caller: str) -> str | None:
        """The macro that a call runs: dbt notes what it found when it parsed the caller, partial parsing long ago.

        Overrides by the project and `adapter.dispatch` are worked out again here: the project first, then the caller's package,
        dbt last; and within each the adapter's implementation before the default one.

        :param key: Unique id that the caller is noted to call.
        :param caller: Package of the caller.
        """
        parts = key.split(".", 2)
        package, name = (parts[1], parts[2]) if len(parts) == 3 else ("", key)
        prefix, mark, plain = name.partition("__")
        if mark and prefix in self.prefixes:
            names, packages = [f"{one}__{plain}" for one in self.prefixes], [self.project, caller, package, *self.internal]
        elif key not in self.macros or package in self.internal:
            names, packages = [name], [self.project, package, caller, *self.internal]
        else:
            return key
        candidates = (f"macro.{one}.{other}" for one in packages for other in names)
        return next((candidate for candidate in candidates if candidate in self.macros), None)

    def named(self, name: str, caller: str) -> list[str]:
        """Macros that a name may stand for which is no call: `name`, `package.name`, or what `adapter.dispatch` makes of it.

        :param name: The name.
        :param caller: Package of the text.
        """
        package, mark, plain = name.rpartition(".")
        packages = [package] if mark else [caller, self.project, *self.internal]
        names = [plain, *(f"{prefix}__{plain}" for prefix in self.prefixes)]
        return [key for one in packages for other in names if (key := f"macro.{one}.{other}") in self.macros]

    def handed_on(self, text: str, caller: str, called: Iterable[str] = ()) -> list[str]:
        """Macros that a text names and dbt does not note: without a call, or with one that happens only while a model runs.

        :param text: Jinja.
        :param caller: Package of the text.
        :param called: Unique ids of macros that are noted.
        """
        if "{" not in text:
            return []
        known = {name for key in called for name in (key.rpartition(".")[2], self._plain(key.rpartition(".")[2]))}
        if not _LOOKING_UP.search(text) and not (self._names & set(_WORDS.findall(text))) - known:
            return []
        reading = reading_of(text)
        names = sorted(reading.values | reading.called | reading.looked_up)
        return [key for name in names if name.rpartition(".")[2] in self._names for key in self.named(name, caller)]

    def below(self, start: str) -> frozenset[str]:
        """A macro and all it calls or hands on."""
        if start not in self._below:
            self._below[start] = self._closure([start])
        return self._below[start]

    def _closure(self, starts: Iterable[str]) -> frozenset[str]:
        seen: set[str] = set()
        todo = list(starts)
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                macro = self.macros[current]
                package, calls = macro["package_name"], (macro.get("depends_on") or {}).get("macros") or []
                todo += [key for call in calls if (key := self.resolve(call, package))]
                if self.own(current):
                    todo += self.handed_on(macro["macro_sql"], package, [*calls, current])
        return frozenset(seen)

    def of(self, node: Node) -> dict[str, str]:
        """Macros of the project and its packages that a node reaches, with their code."""
        return {key: self.macros[key]["macro_sql"].strip() for key in sorted(self.reached(node)) if self.own(key)}

    def reached(self, node: Node, *, building: bool = True) -> frozenset[str]:
        """All macros that a node reaches.

        :param node: The node.
        :param building: Also by what builds it: its materialization and its strategies.
        """
        key = node["unique_id"], building
        if key not in self._reached:
            self._reached[key] = self._reach(node, building)
        return self._reached[key]

    def _reach(self, node: Node, building: bool) -> frozenset[str]:
        package, texts = node["package_name"], texts_of(node)
        called = list((node.get("depends_on") or {}).get("macros") or [])
        starts = {found for key in called if key and (found := self.resolve(key, package))}
        starts.update(key for text in texts for key in self.handed_on(text, package, called))
        if building:
            starts.update(self._builders(node))
        reached = frozenset().union(*map(self.below, starts))
        while more := self._looked_up(texts, reached, package) - reached:
            reached |= self._closure(more)
        return reached

    def _builders(self, node: Node) -> list[str]:
        """What runs around a node's code: dbt looks these up by name when it builds."""
        config, package = node.get("config") or {}, node["package_name"]
        found = [self.resolve(key, package) for key in self._materializations.get(str(config.get("materialized")), [])]
        names = []
        if config.get("incremental_strategy"):
            names.append(f"get_incremental_{str(config['incremental_strategy']).replace('+', '_')}_sql")
        if node["resource_type"] == "snapshot" and config.get("strategy"):
            names.append(f"snapshot_{config['strategy']}_strategy")
        return [*filter(None, found), *(key for name in names for key in self.named(name, package))]

    def _looked_up(self, texts: list[str], reached: frozenset[str], package: str) -> set[str]:
        """Macros whose names stand as texts somewhere, if something is looked up by a name that is computed."""
        own = [key for key in reached if self.own(key)]
        if not any(map(self._looks_up, own)) and not any(map(_looks_up, texts)):
            return set()
        everything = [*texts, *(self.macros[key]["macro_sql"] for key in own)]
        names = {name for text in everything for name in reading_of(text).texts if name in self._names}
        return {key for name in names for key in self.named(name, package)}

    def _looks_up(self, key: str) -> bool:
        if key not in self._looking:
            self._looking[key] = _looks_up(self.macros[key]["macro_sql"])
        return self._looking[key]

    def value(self, package: str, path: str | Path) -> object:
        """Value of a variable for a node of a package, in dbt's order: root project first, the package's own rows last.

        :param package: The node's.
        :param path: The variable's name; keys of its value behind it.
        """
        name, keys = (path, ()) if isinstance(path, str) else (path[0], path[1:])
        found = self._variable(package, name)
        for key in keys:
            if not isinstance(found, Mapping):
                # Not what the code takes it for: what it makes of that, nobody knows.
                return found
            found = found.get(key, _MISSING)
        return found

    def _variable(self, package: str, name: str) -> object:
        everywhere = self.facts.vars or {}
        for project in (self.project, package):
            rows = everywhere.get(project or "", {})
            for scope in (rows.get(package), rows):
                if isinstance(scope, Mapping) and name in scope:
                    return scope[name]
        return _MISSING

    def knows(self, package: str, name: str) -> bool:
        """Whether a variable has a value for nodes of a package."""
        return self.value(package, name) is not _MISSING

    def names_of_variables(self) -> set[str]:
        """All that are set anywhere."""
        found: set[str] = set()
        for rows in (self.facts.vars or {}).values():
            for name, value in rows.items():
                found.add(name)
                if isinstance(value, Mapping):
                    found.update(map(str, value))
        return found


def changed_macros(old: MacroReach, new: MacroReach) -> dict[str, str]:
    """Macros of project and packages that differ: unique id -> added, modified or removed."""
    result = {}
    for key in sorted({*old.macros, *new.macros}):
        if not (old.own(key) or new.own(key)):
            continue
        if key not in old.macros:
            result[key] = "added"
        elif key not in new.macros:
            result[key] = "removed"
        elif old.macros[key]["macro_sql"].strip() != new.macros[key]["macro_sql"].strip():
            result[key] = "modified"
    return result


def differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Keys whose texts are not the same on both sides."""
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
