"""Which macros and variables a node depends on, through every level.

dbt's own comparison looks only at macros named by the parsed commit: it misses an override that was deleted, a materialisation
of the project's own, and every variable.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagctl_dbt.differ_types import Facts, Manifest, project_of

#: Adapters that stand on another one's macros (their package metadata says so; a manifest does not).
ADAPTER_PARENTS = {"redshift": "postgres", "materialize": "postgres", "databricks": "spark", "synapse": "fabric",
                   "sqlserver": "fabric"}  # fmt: skip

_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_VARIABLE = re.compile(r"""(?<![\w.])var(?:\.has_var)?\(\s*(?:(['"])(?P<name>.+?)\1|(?P<dynamic>[^'"\s)]))""")
_MISSING = object()


def internal_packages(manifest: Manifest) -> frozenset[str]:
    """Packages that come with dbt and the adapter. They differ between versions without the project having changed."""
    adapter = str((manifest.get("metadata") or {}).get("adapter_type") or "")
    return frozenset({"dbt", f"dbt_{adapter}", f"dbt_{ADAPTER_PARENTS.get(adapter, adapter)}"})


class MacroReach:
    """For one manifest: what each node reaches.

    :param manifest: A manifest.
    :param facts: Beside it; without `vars`, variables have no value here.
    """

    def __init__(self, manifest: Manifest, facts: Facts) -> None:
        self.macros: Mapping[str, Any] = manifest["macros"]
        self.internal = internal_packages(manifest)
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

    def below(self, key: str) -> frozenset[str]:
        """A macro and all it calls."""
        if key not in self._below:
            seen: set[str] = set()
            todo = [key]
            while todo:
                current = todo.pop()
                if current not in seen and current in self.macros:
                    seen.add(current)
                    todo += (self.macros[current].get("depends_on") or {}).get("macros") or []
            self._below[key] = frozenset(seen)
        return self._below[key]

    def of(self, node: Mapping[str, Any]) -> dict[str, str]:
        """Macros of the project and its packages that a node reaches, with their code."""
        starts = list((node.get("depends_on") or {}).get("macros") or [])
        starts += self._materializations.get(str((node.get("config") or {}).get("materialized")), [])
        reached = frozenset().union(*(self.below(key) for key in starts if key))
        return {key: self.macros[key]["macro_sql"].strip() for key in sorted(reached) if self.own(key)}

    def variables(self, node: Mapping[str, Any], macros: Mapping[str, str]) -> tuple[set[str], bool]:
        """Names of variables a node reads, and whether it also reads some by a computed name."""
        texts = [node.get("raw_code") or "" if node["resource_type"] != "seed" else "", *macros.values()]
        if node.get("test_metadata"):
            texts.append(json.dumps(node["test_metadata"].get("kwargs"), ensure_ascii=False).replace('\\"', '"'))
        hits = [hit for text in texts for hit in _VARIABLE.finditer(_JINJA_COMMENT.sub("", text))]
        return {hit["name"] for hit in hits if hit["name"]}, any(hit["dynamic"] for hit in hits)

    def value(self, package: str, name: str) -> Any:
        """Value of a variable for a node of a package, in dbt's order: root project first, the package's own rows last."""
        everywhere = self.facts.vars or {}
        for project in (self.project, package):
            rows = everywhere.get(project or "", {})
            for scope in (rows.get(package), rows):
                if isinstance(scope, Mapping) and name in scope:
                    return scope[name]
        return _MISSING

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
