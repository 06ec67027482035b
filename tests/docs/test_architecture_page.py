"""docs/architecture.md speaks of files, functions, letters and rooms that are there, and leaves none out that it must name."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from dagctl_provider.domain import names, wire
from dagctl_provider.domain.wire.records import Record, WireError
from docs import generate

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dagctl_provider"
PAGE = ROOT / "docs" / "architecture.md"
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
NAME = re.compile(r"[\w./-]+")


def named(text: str) -> set[str]:
    """What stands in backticks and is the name of a file, a folder or something in a module: with a slash, or of a room."""
    words = {word for word in re.findall(r"`([^`\n]+)`", text) if NAME.fullmatch(word) and not word.startswith("/")}
    return {word for word in words if "/" in word or word.partition(".")[0] in {*ROOMS, ""}}


def exists(name: str) -> bool:
    """Whether a name leads somewhere: from the package or the root to a file, or into a module of the package."""
    if (PACKAGE / name).exists() or (ROOT / name).exists():
        return True
    folder, _, last = name.rpartition("/")
    module, *members = last.split(".")
    places = (PACKAGE / folder / f"{module}.py", PACKAGE / folder / module / "__init__.py")
    body = next((ast.parse(place.read_text(encoding="utf-8")).body for place in places if place.exists()), None)
    for member in members:
        found = [node for node in body or [] if member in defined(node)]
        body = found[0].body if found and isinstance(found[0], ast.ClassDef) else [] if found else None
    return body is not None


def defined(node: ast.stmt) -> set[str]:
    """The names that a statement of a module or class makes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def section(heading: str) -> str:
    """What stands below a heading of the second level."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


class TestNames:
    def test_all_of_them_exist(self) -> None:
        found = named(PAGE.read_text(encoding="utf-8"))
        assert len(found) > 150
        assert {name for name in found if not exists(name)} == set()

    @pytest.mark.parametrize(
        "name",
        [
            "services/plans.py",
            "services/turns/",
            "services/plans.approve",
            "services/showing/plan_view.get_view",
            "operators/pod.PodStepOperator.on_kill",
            "domain/plans.TRANSITIONS",
            "dag_factory.build_dags",
            "tests/docs/test_architecture_page.py",
            ".importlinter",
        ],
    )
    def test_what_is_there(self, name: str) -> None:
        assert named(f"in `{name}` or so") == {name}
        assert exists(name)

    @pytest.mark.parametrize(
        "name",
        [
            "services/plan.py",
            "services/turn/",
            "services/plans.aprove",
            "services/plans.approve.more",
            "services/plans.transactions",
            "operators/pod.PodStepOperator.kill",
            "dag_factory.dags",
            "tests/docs/test_nothing.py",
        ],
    )
    def test_what_is_not(self, name: str) -> None:
        assert named(f"in `{name}` or so") == {name}
        assert not exists(name)

    def test_what_is_no_name(self) -> None:
        assert named("`/api/v1`, `plan_…`, `services/<word>.py`, `make test`, `request.json`, `explain`") == set()


class TestLetters:
    def test_each_key_is_named(self) -> None:
        rows = section("Processes")
        keys = {value for name, value in vars(names).items() if name.endswith("_KEY")}
        assert len(keys) > 5
        assert {key for key in keys if f"XCom `{key}`" not in rows} == set()
        assert f"Variable `{names.INDEX_VARIABLE}`" in rows

    def test_each_record_is_named(self) -> None:
        rows = section("Processes")
        modules = [import_module(f"{wire.__name__}.{name}") for name in wire.__all__]
        classes = {
            name: one
            for module in modules
            for name, one in vars(module).items()
            if isinstance(one, type) and one.__module__ == module.__name__ and not name.startswith("_")
        }
        bases = {Record, WireError, *(base for one in classes.values() for base in one.__bases__)}
        letters = {name for name, one in classes.items() if one not in bases}
        assert len(letters) > 10
        assert {name for name in letters if f"`{name}`" not in rows} == set()


class TestFloors:
    def test_every_room_stands_on_one(self) -> None:
        standing = [room for floor in generate.floors("layers") for room in floor.rooms]
        assert sorted(standing) == sorted(ROOMS - {"get_provider_info"})

    def test_every_module_of_a_room_with_wings_stands_on_one(self) -> None:
        for room, building in generate.wings().items():
            standing = [wing for floor in building for wing in floor.rooms]
            inside = {path.with_suffix("").relative_to(PACKAGE).as_posix() for path in (PACKAGE / room).iterdir()}
            assert sorted(standing) == sorted(name for name in inside if not name.rpartition("/")[2].startswith("__"))

    def test_neighbours_are_strangers_where_the_contract_says_so(self) -> None:
        by_room = {room: floor for floor in generate.floors("layers") for room in floor.rooms}
        assert by_room["api"].rooms == ("api", "cli", "ui")
        assert not by_room["api"].strangers
        assert by_room["hooks"].strangers

    def test_all_are_drawn_once(self) -> None:
        lines = [line.strip().removesuffix(":::worker") for line in generate.picture().splitlines()]
        for floor in [*generate.floors("layers"), *(floor for inside in generate.wings().values() for floor in inside)]:
            for room in floor.rooms:
                drawn = f"{room.replace('/', '_')}[{room.rpartition('/')[2]}]" if "/" in room else room
                assert lines.count(drawn) + lines.count(f"subgraph {drawn}") == 1, room

    def test_a_room_is_told_in_the_first_sentence_of_its_docstring(self, tmp_path: Path) -> None:
        source = tmp_path / "room.py"
        source.write_text('"""Reads ``a|b`` through\n:mod:`~dagctl_provider.domain.plans`. And more."""\n')
        assert generate.first_sentence(source) == r"Reads `a\|b` through `domain/plans`."
        source.write_text("ROOM = 1\n")
        with pytest.raises(ValueError, match="does not say what it is for"):
            generate.first_sentence(source)


class TestMarkers:
    def test_only_what_stands_between_them_changes(self) -> None:
        text = "Before\n<!-- one -->\nold\n<!-- end -->\nafter\n"
        assert generate.filled(text, {"one": lambda: "new"}) == "Before\n<!-- one -->\n\nnew\n\n<!-- end -->\nafter\n"

    @pytest.mark.parametrize("text", ["", "<!-- one -->\nwithout an end\n", "<!-- one -->\n<!-- end -->\n" * 2])
    def test_a_page_without_them_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="<!-- one -->"):
            generate.filled(text, {"one": str})
