"""The audit says what it found, and never that all is well when nobody was asked; and small habits that hold it up."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.store.test_migrations import FROZEN

ROOT = Path(__file__).parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its records look themselves up.
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


audit = _load()
FINE = {"name": "fine", "version": "1", "vulns": []}
HOLE = {"name": "holed", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
UNASKED = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("rows", "ignored", "must_ask", "passes", "said"),
    [
        ([FINE], {}, True, True, "Holes: 1 packages asked of, 0 findings."),
        ([FINE, HOLE], {}, False, False, "holed 1: CVE-1 PYSEC-1; fixed in 2"),
        ([FINE, HOLE], {"CVE-1": "why"}, True, True, "0 findings"),
        ([FINE], {"CVE-1": "why"}, False, False, "CVE-1 is ignored and found no longer"),
        ([FINE, UNASKED], {}, False, True, "COULD NOT BE ASKED: the database knows nothing of 1 packages (unknown)"),
        ([FINE, UNASKED], {}, True, False, "COULD NOT BE ASKED"),
        ([UNASKED], {"CVE-1": "why"}, False, True, "Holes: 0 packages asked of"),
        ([HOLE, UNASKED], {}, False, False, "holed 1"),
    ],
)
def test_what_a_report_means(rows: list[Any], ignored: dict[str, str], must_ask: bool, passes: bool, said: str) -> None:
    lines, passed = audit.told(audit.judge({"dependencies": rows}, ignored), must_ask)
    assert passed is passes
    assert said in "\n".join(lines)


def test_an_audit_without_a_report_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The real program, with a database that is not there."""
    monkeypatch.setattr(audit, "_tool", lambda name: "/bin/false")
    assert audit.audit_holes(must_ask=False)
    assert not audit.audit_holes(must_ask=True)
    assert "COULD NOT BE ASKED" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "licence", "allowed"),
    [
        ("a", "MIT", True),
        ("a", "Apache Software License; BSD License", True),
        ("a", "ISC License (ISCL)", True),
        ("a", "GPL-3.0 OR Apache-2.0", True),
        ("a", "MIT AND PSF-2.0", True),
        ("a", "MIT AND GPL-3.0", False),
        ("a", "GNU General Public License (GPL)", False),
        ("a", "UNKNOWN", False),
        ("a", "", False),
        ("psycopg2_binary", "GNU Library or Lesser General Public License (LGPL)", True),
    ],
)
def test_which_licences_pass(name: str, licence: str, allowed: bool) -> None:
    assert (audit.refused_licences([{"Name": name, "License": licence}]) == []) is allowed


def test_exceptions_have_reasons_and_are_needed() -> None:
    tables = {**audit.IGNORED, **audit.LICENCE_EXCEPTIONS}
    assert all(len(reason) > 20 for reason in tables.values())
    assert set(audit.LICENCE_EXCEPTIONS) <= set(audit.runtime())


def test_all_that_is_installed_for_the_package_has_an_allowed_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.audit_licences(), capsys.readouterr().out


def test_a_bill_of_materials_holds_what_the_package_brings_and_no_tool_of_development() -> None:
    names = set(audit.runtime())
    assert {"apache-airflow", "uv", "sqlalchemy"} <= names
    assert not {"pytest", "ruff", "mypy"} & names


def test_what_is_left_out_of_a_bill_leaves_its_graph_whole() -> None:
    document = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"bom-ref": "a==1", "name": "A"}, {"bom-ref": "t==1", "name": "tool"}],
        "dependencies": [{"ref": "root", "dependsOn": ["a==1", "t==1"]}, {"ref": "a==1"}, {"ref": "t==1", "dependsOn": ["a==1"]}],
    }
    limited = audit.limited(document, {"a"})
    assert [row["name"] for row in limited["components"]] == ["A"]
    assert limited["dependencies"] == [{"ref": "root", "dependsOn": ["a==1"]}, {"ref": "a==1"}]
    assert json.loads(json.dumps(limited)) == limited


# Habits


def test_each_exception_from_the_security_lint_says_why() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("dagctl_provider", "demo", "docs", "requirements")
        for path in (ROOT / folder).rglob("*.py")
        # Migrations that somebody may have run stay as they are.
        if path.name not in FROZEN
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"# noqa: S\d+\s*$", line)
    ]
    assert bare == []


def test_actions_are_pinned_by_commit() -> None:
    found = 0
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        assert yaml.safe_load(text)["permissions"] == {"contents": "read"}, path.name
        for used in re.findall(r"uses: (.*)", text):
            found += 1
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{path.name}: {used}"
    assert found
