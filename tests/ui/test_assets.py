"""The committed scripts and styles are what their sources and the lock make, and their licences are with them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from dagctl_provider.ui.assets import STATIC

FRONTEND = Path(__file__).parents[2] / "frontend"


def test_they_were_built_from_the_sources_as_they_are() -> None:
    recorded = json.loads((STATIC / "built-from.json").read_text())["sources"]
    now = {name: hashlib.sha256((FRONTEND / name).read_bytes()).hexdigest() for name in recorded}
    assert recorded == now, "run 'make assets'"


def test_every_source_goes_into_them() -> None:
    recorded = set(json.loads((STATIC / "built-from.json").read_text())["sources"])
    here = {str(path.relative_to(FRONTEND)) for path in (FRONTEND / "src").rglob("*") if path.is_file()}
    assert here - recorded == set()


def test_every_library_has_its_licence() -> None:
    dependencies = json.loads((FRONTEND / "package.json").read_text())["dependencies"]
    lock = json.loads((FRONTEND / "package-lock.json").read_text())["packages"]
    headings = r"^((?:@[\w.-]+/)?[\w.-]+) (\d[\w.-]*) \([^)]+\)$"
    told = dict(re.findall(headings, (STATIC / "LICENSES.txt").read_text(), re.MULTILINE))
    assert set(dependencies) <= set(told)
    for name, version in told.items():
        assert lock[f"node_modules/{name}"]["version"] == version


def test_the_lock_names_no_registry() -> None:
    assert "http" not in re.sub(r'"(?:funding|url)": "[^"]*"', "", (FRONTEND / "package-lock.json").read_text())


def test_they_are_small() -> None:
    sizes = {str(path.relative_to(STATIC)): path.stat().st_size for path in STATIC.rglob("*") if path.is_file()}
    assert sum(size for name, size in sizes.items() if name.endswith((".js", ".css"))) < 1_000_000


def test_they_ask_for_nothing_elsewhere() -> None:
    for path in (*STATIC.rglob("*.js"), *STATIC.rglob("*.css")):
        found = set(re.findall(r"https?://[\w.-]+", path.read_text())) - {"http://www.w3.org"}
        assert found == set(), path.name
