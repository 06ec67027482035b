"""Packages of a project are resolved once, locked and installed whole, or not at all; here with an installer that pretends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner import environments, packages
from dagctl_provider.runner.environments import LOCK_FILE, READY_MARKER, make_spec
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.packages import (
    Preparation,
    installed_packages,
    packages_diff,
    pins,
    preferred_versions,
    project_python,
)
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.requirement_files import Requirements
from dagctl_provider.runner.requirement_lines import read_requirement
from dagctl_provider.runner.stopping import Stop

A, B = "a" * 64, "b" * 64
TOOL_VERSION = "0.228.5"
PRETENDER = """#!{python}
import json, pathlib, sys
folder, arguments = pathlib.Path({folder!r}), sys.argv[1:]
rules = json.loads((folder / "rules.json").read_text())
with (folder / "calls").open("a") as log:
    log.write(" ".join(arguments) + chr(10))
if arguments[0] == "venv":
    home = pathlib.Path(arguments[-1])
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").write_text("#!/bin/sh")
    (home / "bin" / "python").chmod(0o755)
elif arguments[1] == "compile":
    wanted = pathlib.Path(arguments[2]).read_text()
    out = pathlib.Path(arguments[arguments.index("--output-file") + 1])
    (folder / "wanted").write_text(wanted)
    (folder / "preferred").write_text(out.read_text())
    for text, said in rules["refuses"].items():
        if text in wanted and said[1] not in arguments:
            print(said[0], file=sys.stderr)
            sys.exit(1)
    lines = [line for line in rules["lock"] if line.split("==")[0] in wanted or line.startswith("sqlmesh")]
    out.write_text("".join(line + chr(10) for line in lines))
elif arguments[1] == "sync":
    lock = pathlib.Path(arguments[-1])
    if rules["install"]:
        print(rules["install"], file=sys.stderr)
        sys.exit(1)
    home = lock.parent
    for line in lock.read_text().splitlines():
        if "==" in line:
            name, version = line.split()[0].replace("-", "_").split("==")
            (home / "lib" / "python3.11" / "site-packages" / (name + "-" + version + ".dist-info")).mkdir(parents=True)
"""


class Installer:
    """A stand-in for the installer, and a project that asks it for packages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "uv"
        self.path.write_text(PRETENDER.format(python=sys.executable, folder=str(folder)))
        self.path.chmod(0o755)
        self.rules: dict[str, Any] = {
            "lock": [
                f"sqlmesh=={TOOL_VERSION} \\\n    --hash=sha256:{A}",
                f"Fak.er==30.0 \\\n    --hash=sha256:{B} \\\n    --hash=sha256:{A}",
            ],
            "refuses": {},
            "install": "",
        }

    def calls(self, verb: str) -> list[str]:
        log = self.folder / "calls"
        return [line for line in log.read_text().splitlines() if f"{verb} " in line] if log.exists() else []

    def ready(self, *texts: str, request: dict[str, Any] | None = None, hashes: tuple[str, ...] = ()) -> Preparation:
        (self.folder / "rules.json").write_text(json.dumps(self.rules))
        wanted = []
        for number, text in enumerate(texts, 1):
            row = read_requirement(text, f"requirements.txt:{number}")
            wanted.append(row if not hashes else type(row)(row.name, row.text, row.versions, row.where, hashes))
        asked = Request("https://example.com/a/b.git", "0" * 40, "proj_1", "plan_1", **(request or {}))
        spec = make_spec("sqlmesh", TOOL_VERSION)
        return project_python(spec, Requirements(tuple(wanted)), asked, Progress(io.StringIO()), Stop())

    def refusal(self, *texts: str, **more: Any) -> str:
        with pytest.raises(RunnerError) as caught:
            self.ready(*texts, **more)
        assert caught.value.code == "requirements_failed"
        assert not list((self.folder / "cache").glob("environments/*/bin")), "nothing half installed stays"
        return caught.value.message


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installer:
    found = Installer(tmp_path)
    for module in (environments, packages):
        monkeypatch.setattr(module, "find_uv", lambda: str(found.path))
    monkeypatch.setenv("DAGCTL_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("DAGCTL_ENVIRONMENTS_DIR", "DAGCTL_TOOL_PYTHON", "DAGCTL_EXCLUDE_NEWER", "DAGCTL_ALLOW_SOURCE_PACKAGES"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_a_project_without_requirements_has_the_tools_shared_environment(installer: Installer) -> None:
    ready = installer.ready()
    assert ready.spec == make_spec("sqlmesh", TOOL_VERSION)
    assert not installer.calls("compile")
    assert not (installer.folder / "cache" / "requirements").exists()


def test_tool_and_packages_are_locked_together_and_installed_once(installer: Installer) -> None:
    ready = installer.ready("Fak.er>=30")
    assert ready.packages == {"fak-er": "30.0", "sqlmesh": TOOL_VERSION}
    assert (installer.folder / "wanted").read_text() == f"sqlmesh=={TOOL_VERSION}\npsycopg2-binary\nFak.er>=30\n"
    # What the tool brings keeps the versions of the tool's day, and only the tool is resolved as of that day.
    assert (installer.folder / "preferred").read_text() == f"sqlmesh=={TOOL_VERSION}\n"
    alone, together = installer.calls("compile")
    assert "--exclude-newer 2026-01-23" in alone
    assert "--exclude-newer" not in together
    assert "--generate-hashes" in together
    assert "--only-binary :all:" in together
    (sync,) = installer.calls("sync")
    assert "--require-hashes --only-binary :all:" in sync
    home = ready.python.parents[1]
    assert (home / LOCK_FILE).read_text() == ready.spec.lock
    assert (home / READY_MARKER).is_file()
    assert installer.ready("Fak.er>=30") == ready
    assert (len(installer.calls("compile")), len(installer.calls("sync"))) == (2, 1)


def test_the_lock_is_the_name_of_the_environment(installer: Installer) -> None:
    ready = installer.ready("Fak.er>=30")
    same = installer.ready("Fak.er<31")
    assert same.python == ready.python
    assert len(installer.calls("sync")) == 1
    assert ready.spec.name != make_spec("sqlmesh", TOOL_VERSION).name


def test_versions_that_are_known_are_kept(installer: Installer) -> None:
    deployed = {"deployed_packages": {"fak-er": "29.0"}, "deployed_tool_version": TOOL_VERSION}
    installer.ready("Fak.er", request=deployed)
    assert "fak-er==29.0\n" in (installer.folder / "preferred").read_text()
    # A lock of another machine or day may have other versions: an execute takes one only if it is that of the approved plan.
    approved = {"expected_digest_parts": {"package:fak-er": "30.0", "package:sqlmesh": TOOL_VERSION, "models": "x"}}
    compiled = len(installer.calls("compile"))
    installer.ready("Fak.er", request={**deployed, **approved})
    assert len(installer.calls("compile")) == compiled
    other = {"expected_digest_parts": {"package:fak-er": "29.0", "package:sqlmesh": TOOL_VERSION}}
    installer.ready("Fak.er", request={**deployed, **other})
    assert "fak-er==29.0\n" in (installer.folder / "preferred").read_text()
    assert len(installer.calls("compile")) == compiled + 2


def test_another_version_of_the_tool_does_not_inherit_versions() -> None:
    known = Request("u", "c", "p", "s", deployed_packages={"a": "1"}, deployed_tool_version="0.228.4")
    assert preferred_versions(known, TOOL_VERSION) == {}
    assert preferred_versions(known, "0.228.4") == {"a": "1"}


def test_another_index_has_other_locks(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    installer.ready("Fak.er")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:hunter22@index.example.com")
    installer.ready("Fak.er")
    assert len(installer.calls("compile")) == 4
    kept = "".join(path.read_text() for path in (installer.folder / "cache" / "requirements").iterdir())
    assert "hunter22" not in kept


def test_a_day_that_the_deployment_sets_counts_for_all(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_EXCLUDE_NEWER", "2026-02-03")
    installer.ready("Fak.er")
    assert all("--exclude-newer 2026-02-03" in call for call in installer.calls("compile"))
    monkeypatch.setenv("DAGCTL_EXCLUDE_NEWER", "off")
    installer.ready("Fak.er")
    assert not any("--exclude-newer" in call for call in installer.calls("compile")[2:])


def test_a_broken_lock_is_made_again(installer: Installer) -> None:
    installer.ready("Fak.er")
    (kept,) = (installer.folder / "cache" / "requirements").glob("*.json")
    kept.write_text('{"lock": ')
    installer.ready("Fak.er")
    assert len(installer.calls("compile")) == 4


def test_what_contradicts_the_tool_names_line_and_both_sides(installer: Installer) -> None:
    said = "  \u00d7 No solution found:\n  ╰─▶ Because sqlmesh==0.228.5 depends on sqlglot>=28 and you require sqlglot==20, no."
    installer.rules["refuses"] = {"sqlglot": [said, "-"]}
    message = installer.refusal("six", "sqlglot==20")
    assert message.startswith("requirements.txt:2: sqlglot==20: this does not fit SQLMesh 0.228.5. ")
    assert "Because sqlmesh==0.228.5 depends on sqlglot>=28 and you require sqlglot==20" in message
    installer.rules["refuses"] = {"sqlmesh==0.1": ["Because you require sqlmesh==0.228.5 and sqlmesh==0.1, no.", "-"]}
    assert "Set 'sqlmesh_version' or change the line" in installer.refusal("sqlmesh==0.1")
    installer.rules["refuses"] = {"six": ["out of luck", "-"]}
    assert installer.refusal("six") == "requirements.txt: this does not fit SQLMesh 0.228.5. out of luck"


def test_what_comes_as_source_only_is_refused_unless_allowed(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Because docopt==0.6.2 has no usable wheels\nhint: Wheels are required for `docopt` because"
    installer.rules["refuses"] = {"docopt": [said, "docopt"]}
    installer.rules["lock"].append("docopt==0.6.2 --hash=sha256:00")
    assert installer.refusal("docopt==0.6.2").startswith("requirements.txt:1: docopt==0.6.2: docopt comes as source only")
    monkeypatch.setenv("DAGCTL_ALLOW_SOURCE_PACKAGES", "Docopt, other")
    assert installer.ready("docopt==0.6.2").packages["docopt"] == "0.6.2"
    assert "--no-binary docopt --no-binary other" in installer.calls("sync")[-1]
    monkeypatch.setenv("DAGCTL_ALLOW_SOURCE_PACKAGES", ":all:")
    installer.rules["refuses"] = {}
    installer.ready("docopt==0.6.2")
    assert "--only-binary" not in installer.calls("compile")[-1]


def test_what_the_tool_itself_needs_as_source_is_built(installer: Installer) -> None:
    installer.rules["refuses"] = {"psycopg2-binary": ["Because Psycopg2.binary==2.9 has no usable wheels", "psycopg2-binary"]}
    assert installer.ready("Fak.er").spec.built == ("psycopg2-binary",)
    installer.rules["refuses"] = {"psycopg2-binary": ["rien ne va plus", "-"]}
    with pytest.raises(RunnerError, match=r"sqlmesh 0\.228\.5: rien ne va plus") as caught:
        installer.ready("Fak.er<40")
    assert caught.value.code == "tool_install_failed"


@pytest.mark.parametrize("which", ["psycopg2", "Fak.er"])
def test_an_index_that_is_away_is_told(installer: Installer, which: str) -> None:
    said = "error: Request failed after 3 retries in 6.3s\n  cause: Failed to fetch: http://127.0.0.1:9/simple/six/\n"
    installer.rules["refuses"] = {which: [said, "-"]}
    assert installer.refusal("Fak.er") == (
        "requirements.txt:1: Fak.er: the package index did not answer. Request failed after 3 retries in 6.3s "
        "Failed to fetch: http://127.0.0.1:9/simple/six/"
    )


def test_an_installation_that_fails_leaves_nothing(installer: Installer) -> None:
    installer.rules["install"] = "error: Hash mismatch for `Fak.er==30.0`"
    assert "Hash mismatch" in installer.refusal("Fak.er")
    installer.rules["install"] = ""
    assert installer.ready("Fak.er").packages


def test_hashes_of_the_project_hold(installer: Installer) -> None:
    assert f"fak-er==30.0 \\\n    --hash=sha256:{A}\n" in installer.ready("Fak.er==30.0", hashes=(f"sha256:{A}",)).spec.lock
    with pytest.raises(
        RunnerError, match=r"requirements.txt:1: the package index has no file of fak-er 30.0 with a hash"
    ) as caught:
        installer.ready("Fak.er==30.0", hashes=(f"sha256:{'c' * 64}",))
    assert caught.value.code == "requirements_failed"


def test_an_image_has_to_hold_what_is_asked_for(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", sys.executable)
    monkeypatch.setattr(environments, "_require_same_tool", lambda *_: None)
    installer.ready("pytest>=7", "six ; python_version < '3'")
    message = installer.refusal("pytest>=7", "no-such-package-at-all", "pytest<1")
    assert message.startswith(
        "The image does not hold what the project asks for: requirements.txt:2: no-such-package-at-all; "
        "requirements.txt:3: pytest<1 (it has "
    )
    assert f"make image TOOL=sqlmesh VERSION={TOOL_VERSION} REQUIREMENTS=requirements.txt" in message
    assert not installer.calls("")


def test_an_image_that_does_not_answer_is_told(installer: Installer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", "/bin/false")
    assert "could not be asked what it holds" in installer.refusal("six")


def test_what_is_installed_is_read_from_the_names_of_folders(tmp_path: Path) -> None:
    for name in (
        "ibis_framework-12.0.0.dist-info",
        "Jinja2-3.1.6.dist-info",
        "faker",
        "zope.interface-5.0.dist-info",
        "x.dist-info",
    ):
        (tmp_path / "lib" / "python3.12" / "site-packages" / name).mkdir(parents=True)
    assert installed_packages(tmp_path / "bin" / "python") == {
        "ibis-framework": "12.0.0",
        "jinja2": "3.1.6",
        "zope-interface": "5.0",
    }


def test_a_change_of_packages_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages_diff(None, {"a": "1"}) is None
    assert packages_diff({}, {"a": "1"}) is None
    assert packages_diff({"a": "1"}, {"a": "1"}) is None
    assert packages_diff({"a": "1", "b": "1"}, {"a": "2", "c": "3"}) == "- a==1\n+ a==2\n- b==1\n+ c==3"
    monkeypatch.setattr(packages, "DIFF_LIMIT", 10)
    assert packages_diff({"a": "1", "b": "1"}, {"a": "2", "c": "3"}) == "- a==1\n…"


def test_the_pins_of_a_lock() -> None:
    assert pins(f"Fak.er==30.0 \\\n    --hash=sha256:{A}\n# via x\nsix==1 ; python_version < '3'\n") == {
        "fak-er": "30.0",
        "six": "1",
    }
