"""Why a node that is on both sides is not the same: one function per reason, in one table.

The rules are dbt's own (`same_contents` of its graph nodes, newest version), written on manifest dicts so that they work for
manifests of any version, and widened where dbt's miss something; docs/dbt-differences.md lists where and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dagctl_dbt.differ_macros import MacroReach, differing
from dagctl_dbt.differ_texts import dialect_known, only_layout
from dagctl_dbt.differ_told import told
from dagctl_dbt.differ_types import Column, Facts, Manifest, Node, name_of, parents_of
from dagctl_dbt.differ_variables import any_differing, differing_variables, may_read, variables_of

RELATION_KEYS = ("database", "schema", "alias")
#: Keys of a node's configuration that dbt compares elsewhere or not at all.
NOT_CONFIG = {*RELATION_KEYS, "tags", "group", "description", "contract", "access"}
#: Further keys that mean nothing for what is built; only left out where dbt does not tell what was written.
NOT_BUILT = {*NOT_CONFIG, "meta", "docs"}


@dataclass(frozen=True)
class Sides:
    """Both manifests with what stands beside them.

    :param anew: Unique ids of what is made from scratch.
    :param unaffected: Unique ids of what reads variables that are not known, and compiles to the same with both values.
    :param unsure: Gets those whose only reason is that they may read a variable.
    """

    old: Manifest
    new: Manifest
    old_facts: Facts
    new_facts: Facts
    old_reach: MacroReach
    new_reach: MacroReach
    anew: frozenset[str] = frozenset()
    unaffected: frozenset[str] = frozenset()
    unsure: set[str] = field(default_factory=set)

    @property
    def dialect(self) -> str | None:
        """sqlglot's name of the warehouse's dialect."""
        return dialect_known(str((self.new.get("metadata") or {}).get("adapter_type")))

    @property
    def same_target(self) -> bool:
        """Whether rendered values can be compared: both were parsed for the same target."""
        return self.old_facts.target is not None and self.old_facts.target == self.new_facts.target

    @property
    def same_version(self) -> bool:
        """Whether both come from the same minor version of dbt, which then wrote the same things down."""
        old, new = (str((side.get("metadata") or {}).get("dbt_version", "")).split(".")[:2] for side in (self.old, self.new))
        return old == new

    @property
    def knows_variables(self) -> bool:
        """Whether variables can be compared."""
        return self.old_facts.vars is not None and self.new_facts.vars is not None


Check = Callable[[Sides, Node, Node], "list[str] | None"]


def body(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Code. dbt counts white space and comments, and so does this; it only says so."""
    before, after = old.get("raw_code") or "", new.get("raw_code") or ""
    if new["resource_type"] == "seed" or before == after:
        return None
    same = only_layout(before, after, sides.dialect, new.get("language") or "sql", _inserted(sides, old, new))
    return ["only white space or comments changed"] if same else []


def _inserted(sides: Sides, old: Node, new: Node) -> Iterator[str]:
    """What comes into the code from elsewhere: macros, and variables, of which any may be meant."""
    for reach, facts, node in ((sides.old_reach, sides.old_facts, old), (sides.new_reach, sides.new_facts, new)):
        macros = reach.of(node)
        yield from macros.values()
        if any(map(may_read, (node.get("raw_code") or "", *macros.values()))):
            yield from _texts(facts.vars)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def seed_data(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """A seed's rows. Above 1 MiB dbt compares the path only; a hash of the file is then used when both sides have one."""
    if new["resource_type"] != "seed":
        return None
    before, after = ((node.get("checksum") or {}) for node in (old, new))
    mine, other = (
        facts.seeds.get(node["unique_id"], {}).get("sha256") for facts, node in ((sides.new_facts, new), (sides.old_facts, old))
    )
    if after.get("name") == "path" and before.get("name") == "path" and mine and other:
        return None if mine == other else []
    return None if before == after else []


def config(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Configuration as written; and as it came out, which shows a variable, macro or default of dbt_project.yml behind it."""
    written = differing_keys(old.get("unrendered_config") or {}, new.get("unrendered_config") or {}, NOT_CONFIG)
    before, after = old.get("config") or {}, new.get("config") or {}
    if not sides.same_version:
        # Versions write down different keys and forms. Only a key whose outcome both know, and know differently, counts.
        written = {key for key in written if _known_apart(before, after, key)} - NOT_BUILT
    elif sides.same_target:
        written |= {key for key in before if key in after and before[key] != after[key]} - NOT_BUILT
    return [text for key in sorted(written) for text in _config_texts(key, old, new)] if written else None


def differing_keys(old: Mapping[str, object], new: Mapping[str, object], ignored: set[str]) -> set[str]:
    """Keys that only one side has, or both with different values."""
    return {key for key in {*old, *new} - ignored if key not in old or key not in new or old[key] != new[key]}


def _known_apart(before: Mapping[str, object], after: Mapping[str, object], key: str) -> bool:
    return key in before and key in after and before[key] != after[key]


def _config_texts(key: str, old: Node, new: Node) -> list[str]:
    """As it came out, or as written where it came out the same."""
    for name in ("config", "unrendered_config"):
        before, after = (_statements((node.get(name) or {}).get(key), key) for node in (old, new))  # type: ignore[attr-defined]
        if texts := told(key, before, after):
            return texts
    return [key]


def _statements(value: object, key: str) -> object:
    """Of hooks, their SQL."""
    if key not in ("pre-hook", "post-hook", "pre_hook", "post_hook"):
        return value
    rows = value if isinstance(value, list) else [] if value is None else [value]
    return [str(row.get("sql")) if isinstance(row, Mapping) else str(row) for row in rows]


def relation(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Where the node lies in the warehouse."""
    before, after = old.get("unrendered_config") or {}, new.get("unrendered_config") or {}
    written = [key for key in RELATION_KEYS if before.get(key) != after.get(key)]
    moved = sides.same_target and relation_of(old) != relation_of(new) and None not in (relation_of(old), relation_of(new))
    if moved:
        return [f"moves from {relation_of(old)} to {relation_of(new)}"]
    return written or None


def relation_of(node: Node) -> str | None:
    """Database, schema and table; None for what has no place in the warehouse."""
    if (node.get("config") or {}).get("materialized") == "ephemeral":
        return None
    parts = [node.get("database"), node.get("schema"), node.get("alias") or node.get("identifier")]
    return ".".join(str(part) for part in parts if part) or None


def contract(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """An enforced contract, column by column: the checksums of dbt's versions are not comparable."""
    before, after = enforced(old), enforced(new)
    if before != after:
        return ["now enforced" if after else "no longer enforced"]
    if not after:
        return None
    columns = differing(_promise(old), _promise(new))
    return columns or None


def enforced(node: Node) -> bool:
    """Whether a contract is enforced."""
    return bool(((node.get("config") or {}).get("contract") or node.get("contract") or {}).get("enforced"))


def _promise(node: Node) -> dict[str, str]:
    rows = {name: f"{column.get('data_type')} {constraints(column)}" for name, column in (node.get("columns") or {}).items()}
    return {**rows, "constraints": str(constraints(node))}


def constraints(node: Node | Column) -> list[tuple[str, str, str]]:
    """Constraints of a model or column as comparable values: type, columns, expression."""
    rows = node.get("constraints") or []
    return sorted((str(row.get("type")), ",".join(row.get("columns") or []), str(row.get("expression") or "")) for row in rows)


def macro(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Macros of the project and its packages, on every level."""
    changed = differing(sides.old_reach.of(old), sides.new_reach.of(new))
    if not changed:
        return None
    return [_macro_name(sides, key) for key in changed]


def _macro_name(sides: Sides, key: str) -> str:
    found = sides.new_reach.macros.get(key) or sides.old_reach.macros[key]
    return name_of(found, sides.new_reach.project)


def variables(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Variables read by the code, its macros and hooks, by value and key. One read by a name that is not known counts as all of
    them, until the SQL has been compared."""
    if not sides.knows_variables or sides.old_facts.vars == sides.new_facts.vars:
        return None
    read, package, key = variables_of(new, sides.new_reach), new["package_name"], new["unique_id"]
    changed = differing_variables(sides.old_reach, sides.new_reach, package, read.paths)
    if read.any and not changed and key not in sides.unaffected:
        changed = any_differing(sides.old_reach, sides.new_reach, package)
        if changed and read.shown:
            sides.unsure.add(key)
    return changed or None


def reference(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """The same code, but its refs now mean something else: another latest version, an override, a model of another package."""
    if (old.get("raw_code") or "") != (new.get("raw_code") or "") or set(parents_of(old)) == set(parents_of(new)):
        return None
    gone, came = sorted(set(parents_of(old)) - set(parents_of(new))), sorted(set(parents_of(new)) - set(parents_of(old)))
    return [f"reads {', '.join(came) or 'nothing'} instead of {', '.join(gone) or 'nothing'}"]


def persisted_description(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Descriptions that dbt writes into the warehouse (`persist_docs`)."""
    settings = (new.get("config") or {}).get("persist_docs") or {}
    found = []
    if settings.get("relation") and (old.get("description") or "") != (new.get("description") or ""):
        found.append("description")
    if settings.get("columns"):
        found += [f"column {name}" for name in differing(column_texts(old), column_texts(new))]
    return found or None


def column_texts(node: Node) -> dict[str, str]:
    """Descriptions of columns, those that have one."""
    texts = {name: row.get("description") for name, row in (node.get("columns") or {}).items()}
    return {name: text for name, text in texts.items() if text}


def selected(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """What the default selector left out until now was not built, whatever has changed since."""
    key = new["unique_id"]
    come = key in sides.old_facts.outside and key not in sides.new_facts.outside
    return ["the default selector left it out until now"] if come else None


def path(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """A file moved to another folder, which dbt counts because folders carry configuration."""
    if old.get("fqn") == new.get("fqn"):
        return None
    return [f"moved from {old.get('original_file_path')} to {new.get('original_file_path')}"]


def version(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Which version is the latest: unpinned refs follow it."""
    return _field(old, new, "latest_version")


def access(sides: Sides, old: Node, new: Node) -> list[str] | None:
    """Who may read a model, and until when it lives: dbt builds it again."""
    found = [*(_field(old, new, "access") or []), *(_field(old, new, "deprecation_date") or [])]
    return found or None


def _field(old: Mapping[str, object], new: Mapping[str, object], key: str) -> list[str] | None:
    if key not in old or key not in new or old[key] == new[key]:
        return None
    return [f"{key}: {old[key]} -> {new[key]}"]


#: In the order people want to read them.
REASONS: tuple[tuple[str, Check], ...] = (
    ("body", body),
    ("seed_data", seed_data),
    ("config", config),
    ("relation", relation),
    ("contract", contract),
    ("macro", macro),
    ("vars", variables),
    ("ref", reference),
    ("description", persisted_description),
    ("path", path),
    ("version", version),
    ("access", access),
    ("selector", selected),
)

#: What a data test is compared by. A generic one with other arguments is another test: its unique id has them in it.
TEST_REASONS = tuple((name, check) for name, check in REASONS if name in ("body", "config", "macro", "vars", "path"))


def reasons(sides: Sides, old: Node, new: Node, table: tuple[tuple[str, Check], ...] = REASONS) -> tuple[list[str], list[str]]:
    """Reasons why a node is modified, and their details as texts. Both empty: it is as deployed.

    :param sides: Both manifests.
    :param old: The deployed node.
    :param new: The commit's.
    :param table: Which checks to make.
    """
    found: list[str] = []
    details: list[str] = []
    for name, check in table:
        texts = check(sides, old, new)
        if texts is not None:
            found.append(name)
            details += [f"{name}: {text}" for text in texts]
    return found, details


def metadata(sides: Sides, old: Node, new: Node) -> tuple[list[str], list[str]]:
    """Differences that change nothing in the warehouse: what they are, and the same for people."""
    before, after = old.get("config") or {}, new.get("config") or {}
    rows = {
        "description": [*told("description", old.get("description") or "", new.get("description") or ""),
                        *told("column", column_texts(old), column_texts(new))],
        "tags": told("tags", sorted(old.get("tags") or []), sorted(new.get("tags") or [])),
        "group": told("group", old.get("group") or None, new.get("group") or None),
        "columns": told("column", _documented(old), _documented(new)),
    }  # fmt: skip
    if not sides.same_version:
        # Other versions of dbt write down other keys, so these rebuild nothing here; known apart, they are told.
        rows |= {key: told(key, before[key], after[key]) for key in ("meta", "docs") if _known_apart(before, after, key)}
    found = {name: texts for name, texts in rows.items() if texts}
    return list(found), [text for texts in found.values() for text in texts]


def _documented(node: Node) -> dict[str, object]:
    """What is written about columns beside their texts."""
    return {name: {key: value for key in ("data_type", "meta", "tags") if (value := row.get(key))} or "mentioned"
            for name, row in (node.get("columns") or {}).items()}  # fmt: skip
