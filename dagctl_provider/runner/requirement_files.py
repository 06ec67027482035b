"""Finds what Python packages a project asks for, by reading its files; none of its code runs and no installer sees them.

All sources count together: SQLMesh's own lock, the group or extra ``dagctl`` of pyproject.toml or else requirements.txt, and the
project's settings. What stands in two of them has to fit both. The other dependencies of a pyproject.toml are not read: they are
those of whatever else lives in the repository, and most often not wheels that a plan needs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.requirement_lines import Requirement, UnreadableRequirement, canonical_name, read_requirement

GROUP = "dagctl"
"""Dependency group or extra of pyproject.toml."""
REQUIREMENTS_FILE = "requirements.txt"
PROJECT_FILE = "pyproject.toml"
SETTING = "python_requirements"
SIZE_LIMIT = 1024 * 1024
FILES_LIMIT = 20
LINES_LIMIT = 2000

_HASH = re.compile(r"hash[= ](sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_COMMENT = re.compile(r"(^|\s)#.*")
_INCLUDE = re.compile(r"(?P<option>-r|-c|--requirement\b|--constraint\b)[ =]?\s*(?P<path>\S.*)")


@dataclass(frozen=True)
class Requirements:
    """What a project asks for; false when that is nothing.

    :param wanted: What is to be installed beside the tool.
    :param limits: What versions may be, should they be installed.
    """

    wanted: tuple[Requirement, ...] = ()
    limits: tuple[Requirement, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def told(self) -> str:
        """Names of the files, for messages."""
        return ", ".join(dict.fromkeys(row.where.rpartition(":")[0] for row in self.wanted))


def refused(where: str, why: str) -> RunnerError:
    """The end of a step whose project asks for something that it cannot have.

    :param where: File and line.
    :param why: The reason.
    """
    return RunnerError("requirements_failed", f"{where}: {why}")


def read_requirements(project: Path, root: Path, lock_file: str | None, setting: Sequence[str] = ()) -> Requirements:
    """What a project asks for.

    :param project: The project's folder.
    :param root: The checkout; nothing outside is read.
    :param lock_file: The tool's own list of requirements, if it has one.
    :param setting: Requirements of the project's settings.
    :raises RunnerError: ``requirements_failed``, naming file and line.
    """
    reader = _Reader(root.resolve())
    if lock_file and _is_there(project / lock_file):
        reader.read_lock(project / lock_file)
    listed = reader.read_group(project / PROJECT_FILE) if _is_there(project / PROJECT_FILE) else False
    # A repository whose requirements.txt is for something else says so by having the group.
    if not listed and _is_there(project / REQUIREMENTS_FILE):
        reader.read_list(project / REQUIREMENTS_FILE)
    for number, text in enumerate(setting, 1):
        reader.add(text, f"{SETTING}:{number}")
    return Requirements(tuple(reader.wanted), tuple(reader.limits))


def read_path(path: Path, lock_file: str | None) -> Requirements:
    """What a folder of a project, or a single list of requirements, asks for.

    :param path: The folder or the file.
    :param lock_file: The tool's own list of requirements, if it has one.
    :raises RunnerError: ``requirements_failed``.
    """
    if path.is_dir():
        return read_requirements(path, path, lock_file)
    reader = _Reader(path.resolve().parent)
    if path.name == lock_file:
        reader.read_lock(path)
    elif path.name == PROJECT_FILE:
        reader.read_group(path)
    else:
        reader.read_list(path)
    return Requirements(tuple(reader.wanted), tuple(reader.limits))


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


@dataclass
class _Reader:
    root: Path
    wanted: list[Requirement] = field(default_factory=list)
    limits: list[Requirement] = field(default_factory=list)
    _seen: dict[tuple[Path, bool], None] = field(default_factory=dict)

    def add(self, text: str, where: str, hashes: tuple[str, ...] = (), *, limit: bool = False) -> None:
        """Take one requirement."""
        try:
            row = replace(read_requirement(text, where), hashes=hashes)
        except UnreadableRequirement as error:
            raise refused(where, f"this line {error}.") from None
        rows = self.limits if limit else self.wanted
        if len(rows) >= LINES_LIMIT:
            raise refused(where, f"more than {LINES_LIMIT} requirements.")
        rows.append(row)

    def read_lock(self, path: Path) -> None:
        """SQLMesh's list: ``name==version`` each, and ``^name`` for what it shall not list itself."""
        for where, line in _lines(self._text(path), self._shown(path)):
            if line.startswith("^"):
                continue
            if "==" not in line:
                raise refused(where, "this line is not of the form name==version.")
            self.add(line, where)

    def read_list(self, path: Path, *, limit: bool = False) -> None:
        """A requirements.txt, with what it includes."""
        if (path.resolve(), limit) in self._seen:
            return
        self._seen[path.resolve(), limit] = None
        if len(self._seen) > FILES_LIMIT:
            raise refused(self._shown(path), f"more than {FILES_LIMIT} files of requirements.")
        for where, line in _lines(self._text(path), self._shown(path)):
            include = _INCLUDE.fullmatch(line)
            if include is not None:
                self._include(path, include["path"].strip("\"'"), where, limit or include["option"] in ("-c", "--constraint"))
                continue
            text, *options = re.split(r"\s--(?=\w)", line)
            hashes = [_HASH.fullmatch(option.strip()) for option in options]
            if not all(hashes):
                raise refused(where, "this line holds an option, and options other than --hash are not taken from a project.")
            self.add(text, where, tuple(found[1] for found in hashes if found), limit=limit)

    def _include(self, path: Path, name: str, where: str, limit: bool) -> None:
        if "://" in name:
            raise refused(where, "this line names an address; only files of the repository are read.")
        target = path.parent / name
        if not self._is_inside(target):
            raise refused(where, "this line leads out of the repository.")
        if not target.is_file():
            raise refused(where, f"{name[:80]!r} is not there.")
        self.read_list(target, limit=limit)

    def read_group(self, path: Path) -> bool:
        """The group or the extra ``dagctl``.

        :return: Whether there is one.
        """
        text, shown = self._text(path), self._shown(path)
        # Without the word there is nothing to read, and most files are without.
        if GROUP not in text:
            return False
        table = _parsed(text, shown)
        groups, project = _table(table.get("dependency-groups")), _table(table.get("project"))
        extras = _table(project.get("optional-dependencies"))
        own = canonical_name(str(project.get("name", "")))
        listed = list(_members(groups, GROUP, shown)) + _texts(extras.get(GROUP), shown)
        for entry in listed:
            where = f"{shown}:{_line_of(text, entry)}"
            self.add(entry, where)
            if own and self.wanted[-1].name == own:
                raise refused(
                    where, "this line names the project itself, and the package index may have another one of that name."
                )
        return GROUP in groups or GROUP in extras

    def _shown(self, path: Path) -> str:
        """The file's own name in the repository, also when it is a link."""
        folder = path.parent.resolve()
        return (folder / path.name).relative_to(self.root).as_posix() if folder.is_relative_to(self.root) else path.name

    def _is_inside(self, path: Path) -> bool:
        found = path.resolve()
        return found.is_relative_to(self.root) and not found.is_relative_to(self.root / ".git")

    def _text(self, path: Path) -> str:
        shown = self._shown(path)
        if not self._is_inside(path):
            raise refused(shown, "is a link that leaves the repository.")
        if not path.is_file():
            raise refused(shown, "is not a file.")
        if path.stat().st_size > SIZE_LIMIT:
            raise refused(shown, "is larger than 1 MiB.")
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: error.start].count(b"\n") + 1
            raise refused(f"{shown}:{line}", "is not UTF-8 text.") from None


def _lines(text: str, shown: str) -> Iterator[tuple[str, str]]:
    """Place and content of each line that says something; one that ends in a backslash goes on in the next."""
    begun, number = "", 0
    for count, line in enumerate([*text.split("\n"), ""], 1):
        content = _COMMENT.sub("", line.rstrip("\r")).strip()
        number = number if begun else count
        if content.endswith("\\"):
            begun += content[:-1] + " "
            continue
        if begun + content:
            yield f"{shown}:{number}", (begun + content).strip()
        begun = ""


def _parsed(text: str, shown: str) -> Mapping[str, Any]:
    try:
        tomllib = importlib.import_module("tomllib")
    except ImportError:
        if re.search(rf"(?m)^[^#\n]*\b{GROUP}\b[\"']?\s*=", text):
            raise refused(
                shown, f"can only be read where the step runs on Python 3.11 or newer; use {REQUIREMENTS_FILE}."
            ) from None
        return {}
    try:
        table: Mapping[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error))
        raise refused(f"{shown}:{line[1] if line else 1}", f"cannot be read: {error}.") from None
    return table


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: object, shown: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise refused(shown, f"{GROUP!r} must be a list of requirements.")
    return value


def _members(groups: Mapping[str, Any], name: str, shown: str, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The requirements of a dependency group, with those of the groups it includes."""
    known = {canonical_name(key): value for key, value in groups.items()}
    entries = known.get(canonical_name(name), [] if not above else None)
    if not isinstance(entries, list) or name in above:
        raise refused(shown, f"the dependency group {name[:80]!r} is absent, no list, or includes itself.")
    for entry in entries:
        included = entry.get("include-group") if isinstance(entry, dict) and len(entry) == 1 else None
        if isinstance(included, str):
            yield from _members(groups, included, shown, (*above, name))
        elif isinstance(entry, str):
            yield entry
        else:
            raise refused(shown, f"the dependency group {name[:80]!r} holds something that is no requirement.")


def _line_of(text: str, entry: str) -> int:
    """Where an entry is written; where its group is, for an entry that is written with escapes."""
    lines = text.split("\n")
    for wanted in (f'"{entry}"', f"'{entry}'", GROUP):
        for number, line in enumerate(lines, 1):
            if wanted in line.partition(" #")[0]:
                return number
    return 1
