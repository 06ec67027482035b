"""Which macros and variables a node depends on, through every level.

dbt's own comparison looks only at macros named by the parsed commit: it misses an override that was deleted, a materialisation
of the project's own, and every variable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagctl_dbt.differ_types import Facts, Manifest, Node, project_of

#: Adapters that stand on another one's macros (their package metadata says so; a manifest does not).
ADAPTER_PARENTS = {"redshift": "postgres", "materialize": "postgres", "databricks": "spark", "synapse": "fabric",
                   "sqlserver": "fabric"}  # fmt: skip

_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_VARIABLE = re.compile(r"""(?<![\w.])var(?:\.has_var)?\(\s*(?:(['"])(?P<name>.+?)\1|(?P<dynamic>[^'"\s)]))""")
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
        self._materializations = self._find_materializations()

    def _find_materializations(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, macro in self.macros.items():
            if macro["name"].startswith("materialization_"):
                kind = macro["name"].removeprefix("materialization_").rpartition("_")[0]
                found.setdefault(kind, []).append(key)
        return found

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

    def below(self, start: str) -> frozenset[str]:
        """A macro and all it calls."""
        if start not in self._below:
            seen: set[str] = set()
            todo = [start]
            while todo:
                current = todo.pop()
                if current not in seen:
                    seen.add(current)
                    macro = self.macros[current]
                    calls = (macro.get("depends_on") or {}).get("macros") or []
                    todo += [key for call in calls if (key := self.resolve(call, macro["package_name"]))]
            self._below[start] = frozenset(seen)
        return self._below[start]

    def of(self, node: Node) -> dict[str, str]:
        """Macros of the project and its packages that a node reaches, with their code."""
        starts = list((node.get("depends_on") or {}).get("macros") or [])
        starts += self._materializations.get(str((node.get("config") or {}).get("materialized")), [])
        found = {self.resolve(key, node["package_name"]) for key in starts if key}
        reached = frozenset().union(*(self.below(key) for key in found if key))
        return {key: self.macros[key]["macro_sql"].strip() for key in sorted(reached) if self.own(key)}

    def variables(self, node: Node, macros: Mapping[str, str]) -> tuple[set[str], bool]:
        """Names of variables a node reads, and whether it also reads some by a computed name."""
        texts = [node.get("raw_code") or "" if node["resource_type"] != "seed" else "", *macros.values(), *hooks_of(node)]
        if node.get("test_metadata"):
            texts.append(json.dumps(node["test_metadata"].get("kwargs"), ensure_ascii=False).replace('\\"', '"'))
        hits = [hit for text in texts for hit in _VARIABLE.finditer(_JINJA_COMMENT.sub("", text))]
        return {hit["name"] for hit in hits if hit["name"]}, any(hit["dynamic"] for hit in hits)

    def value(self, package: str, name: str) -> object:
        """Value of a variable for a node of a package, in dbt's order: root project first, the package's own rows last."""
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


def differing_variables(old: MacroReach, new: MacroReach, package: str, names: Iterable[str]) -> list[str]:
    """Those of the variables that have another value for a package."""
    return sorted(name for name in names if old.value(package, name) != new.value(package, name))
