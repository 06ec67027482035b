"""What a project may ask for, and what it may not: read from its files, by our own reading, before any installer sees them."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import pytest

from dagctl_provider.runner import requirement_files
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.requirement_files import Requirements, read_path, read_requirements
from dagctl_provider.runner.requirement_lines import UnreadableRequirement, canonical_name, read_requirement

LOCK = "sqlmesh-requirements.lock"
GOOD = {
    "faker": "faker",
    "Faker>=30,<41": "Faker>=30,<41",
    "  sqlmesh[dbt, slack] == 0.236.4 ": "sqlmesh[dbt,slack]==0.236.4",
    "zope.interface~=5.0": "zope.interface~=5.0",
    "pandas!=2.*": "pandas!=2.*",
    "torch==2.1.0+cpu": "torch==2.1.0+cpu",
    "a>=1.0rc1,<2!0": "a>=1.0rc1,<2!0",
    "a ; python_version < '3.12' and (sys_platform == \"linux\" or os_name != 'nt')": (
        "a ; python_version < '3.12' and (sys_platform == \"linux\" or os_name != 'nt')"
    ),
    "a; 'linux' in sys_platform": "a ; 'linux' in sys_platform",
}
BAD = {
    "https://example.com/faker-1.0-py3-none-any.whl": "an address",
    "faker @ https://user:hunter22@example.com/faker.zip": "an address",
    "faker@file:///tmp/x": "an address",
    "git+https://github.com/a/b": "a version control repository",
    "faker @ git+ssh://git@github.com/a/b": "a version control repository",
    "git@github.com:a/b.git": "a version control repository",
    "./faker": "a path",
    "../faker": "a path",
    "/opt/faker": "a path",
    "~/faker": "a path",
    "C:\\faker": "a path",
    "faker-1.0-py3-none-any.whl": "a path",
    "vendor/faker": "a path",
    "--index-url https://user:hunter22@example.com": "the option --index-url",
    "-e .": "the option -e",
    "faker>=": "cannot be read",
    "faker=1": "cannot be read",
    "faker>=1;": "cannot be read",
    "faker[": "cannot be read",
    "$PACKAGE": "cannot be read",
    "faker\u200b": "cannot be read",
    "fåker": "cannot be read",
    "": "cannot be read",
    "faker ; extra == 'x'": "marker",
    "faker ; python_version < ": "marker",
    "faker ; import os": "marker",
    "faker ; python_version < '3' or": "marker",
    "f" * 501: "longer than 500",
}


@pytest.mark.parametrize(("text", "read"), GOOD.items())
def test_what_may_be_asked_for(text: str, read: str) -> None:
    assert read_requirement(text).text == read


@pytest.mark.parametrize(("text", "why"), BAD.items())
def test_what_may_not(text: str, why: str) -> None:
    with pytest.raises(UnreadableRequirement, match=why) as caught:
        read_requirement(text)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["a" + " " * 400, "a" + "-" * 400, "a>=" + "1." * 240, "a[" + "b," * 240, "a;" + "(" * 490, "a==1" + ",==1" * 120 + "!"],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(UnreadableRequirement):
        read_requirement(text)
    assert time.monotonic() - started < 1


def test_a_name_has_one_spelling() -> None:
    assert canonical_name("Zope._Interface") == canonical_name("zope-interface") == read_requirement("ZOPE.interface").name


def read(folder: Path, *setting: str, lock: str | None = LOCK, project: str = ".") -> Requirements:
    return read_requirements(folder / project, folder, lock, setting)


def rows(found: Requirements) -> list[str]:
    return [str(row) for row in found.wanted]


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def refusal(folder: Path, *setting: str) -> str:
    with pytest.raises(RunnerError) as caught:
        read(folder, *setting)
    assert caught.value.code == "requirements_failed"
    return caught.value.message


def test_a_project_without_any_asks_for_nothing(tmp_path: Path) -> None:
    write(
        tmp_path, **{"pyproject.toml": '[project]\nname = "shop"\ndependencies = ["django"]\n', "requirements.txt": "# none\n\n"}
    )
    assert not read(tmp_path)


def test_all_sources_count_together(tmp_path: Path) -> None:
    write(tmp_path, **{LOCK: "pandas==2.2.2\n^numpy\n", "requirements.txt": "\ufefffaker>=30 # for seeds\r\n"})
    found = read(tmp_path, "ibis-framework[duckdb]")
    assert rows(found) == [
        f"{LOCK}:1: pandas==2.2.2",
        "requirements.txt:1: faker>=30",
        "python_requirements:1: ibis-framework[duckdb]",
    ]
    assert found.told() == f"{LOCK}, requirements.txt, python_requirements"
    assert rows(read(tmp_path, lock=None)) == ["requirements.txt:1: faker>=30"]


def test_a_list_with_what_lists_have(tmp_path: Path) -> None:
    digest = "a" * 64
    text = (
        f"-r more/base.txt\n--constraint=limits.txt\nfaker==30.0 \\\n    --hash=sha256:{digest} \\\n"
        f"    --hash=sha256:{'b' * 64}\n"
        "# end\nsix\n"
    )
    write(tmp_path, **{"requirements.txt": text, "more/base.txt": "-r ../requirements.txt\nattrs\n", "limits.txt": "numpy<2\n"})
    found = read(tmp_path)
    assert rows(found) == ["more/base.txt:2: attrs", "requirements.txt:3: faker==30.0", "requirements.txt:7: six"]
    assert found.wanted[1].hashes == (f"sha256:{digest}", f"sha256:{'b' * 64}")
    assert [str(row) for row in found.limits] == ["limits.txt:1: numpy<2"]


def test_a_project_in_a_folder_may_include_what_is_elsewhere_in_the_repository(tmp_path: Path) -> None:
    write(tmp_path, **{"shop/requirements.txt": "-r ../base.txt\n", "base.txt": "attrs\n"})
    assert rows(read(tmp_path, project="shop")) == ["base.txt:1: attrs"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="nothing of the standard library reads it")
def test_a_group_or_an_extra_stands_in_for_the_list(tmp_path: Path) -> None:
    text = """
[project]
name = "shop"
dependencies = ["apache-airflow"]
optional-dependencies.dagctl = ["six"]

[dependency-groups]
seeds = ["faker>=30"]
dagctl = [
  'attrs',  # first
  {include-group = "seeds"},
]
"""
    write(tmp_path, **{"pyproject.toml": text, "requirements.txt": "apache-airflow\n"})
    assert rows(read(tmp_path)) == ["pyproject.toml:10: attrs", "pyproject.toml:8: faker>=30", "pyproject.toml:5: six"]
    write(tmp_path, **{"pyproject.toml": "[dependency-groups]\ndagctl = []\n"})
    assert not read(tmp_path)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="nothing of the standard library reads it")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[dependency-groups]\ndagctl = [\n", "pyproject.toml:"),
        ("[dependency-groups]\ndagctl = 'faker'\n", "pyproject.toml: the dependency group 'dagctl' is absent, no list"),
        ("[dependency-groups]\ndagctl = [1]\n", "holds something that is no requirement"),
        ("[dependency-groups]\ndagctl = [{include-group='a'}]\na = [{include-group='dagctl'}]\n", "includes itself"),
        ("[dependency-groups]\ndagctl = [{include-group='a'}]\n", "group 'a' is absent"),
        ("[project.optional-dependencies]\ndagctl = 1\n", "must be a list"),
        ("[dependency-groups]\ndagctl = [\n 'a @ file:///x']\n", "pyproject.toml:3: this line names an address"),
        (
            "[project]\nname='Shop'\n[project.optional-dependencies]\ndagctl = ['shop[x]']\n",
            "pyproject.toml:4: this line names the project",
        ),
    ],
)
def test_a_group_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, **{"pyproject.toml": text})
    assert message in refusal(tmp_path)


def test_without_a_reader_of_toml_a_group_is_refused_rather_than_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)
    write(tmp_path, **{"pyproject.toml": "[dependency-groups]\ndagctl = ['faker']\n"})
    assert "Python 3.11 or newer; use requirements.txt" in refusal(tmp_path)
    write(tmp_path, **{"pyproject.toml": "# for dagctl = nothing\n", "requirements.txt": "six\n"})
    assert rows(read(tmp_path)) == ["requirements.txt:1: six"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        *((text, f"requirements.txt:2: this line .*{why}") for text, why in BAD.items() if text and text[:2] not in ("--", "fi")),
        ("--index-url https://user:hunter22@example.com", "requirements.txt:2: this line holds the option --index-url"),
        ("--extra-index-url=https://example.com", "option --extra-index-url"),
        ("--find-links .", "option --find-links"),
        ("--no-binary :all:", "option --no-binary"),
        ("--pre", "option --pre"),
        ("faker --config-settings=x=y", "requirements.txt:2: this line holds an option"),
        ("faker --hash=md5:0", "requirements.txt:2: this line holds an option"),
        ("-r ../outside.txt", "requirements.txt:2: this line leads out of the repository"),
        ("-r /etc/passwd", "leads out of the repository"),
        ("-r .git/config", "leads out of the repository"),
        ("-r https://example.com/list.txt", "requirements.txt:2: this line names an address"),
        ("-c gone.txt", "requirements.txt:2: 'gone.txt' is not there"),
        ("-r link.txt", "leads out of the repository"),
    ],
)
def test_a_line_that_is_refused_is_named(tmp_path: Path, line: str, message: str) -> None:
    root = tmp_path / "repository"
    write(root, **{"requirements.txt": f"six\n{line}\n", ".git/config": ""})
    write(tmp_path, **{"outside.txt": "faker\n"})
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    with pytest.raises(RunnerError, match=message) as caught:
        read(root)
    assert "hunter22" not in caught.value.message


def test_files_that_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    write(tmp_path, outside="faker\n")
    listed = root / "requirements.txt"
    listed.symlink_to(tmp_path / "outside")
    assert refusal(root) == "requirements.txt: is a link that leaves the repository."
    listed.unlink()
    listed.symlink_to(root / "nowhere")
    assert refusal(root) == "requirements.txt: is not a file."
    listed.unlink()
    listed.write_bytes(b"six\nf\xe5ker\n")
    assert refusal(root) == "requirements.txt:2: is not UTF-8 text."
    listed.write_bytes(b"#" * (requirement_files.SIZE_LIMIT + 1))
    assert refusal(root) == "requirements.txt: is larger than 1 MiB."
    listed.write_text("six\n" * (requirement_files.LINES_LIMIT + 1))
    assert "more than 2000 requirements" in refusal(root)
    write(root, **{f"{number}.txt": f"-r {number + 1}.txt\n" for number in range(30)}, **{"requirements.txt": "-r 0.txt\n"})
    assert "more than 20 files" in refusal(root)


def test_the_tools_own_list_holds_exact_versions(tmp_path: Path) -> None:
    write(tmp_path, **{LOCK: "pandas>=2\n"})
    assert refusal(tmp_path) == f"{LOCK}:1: this line is not of the form name==version."


def test_a_setting_is_read_as_strictly(tmp_path: Path) -> None:
    assert refusal(tmp_path, "six", "git+https://github.com/a/b").startswith(
        "python_requirements:2: this line names a version control"
    )


def test_a_single_file_or_folder_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, **{LOCK: "pandas==2.2.2\n", "requirements.txt": "six\n", "other.txt": "attrs\n"})
    assert [len(read_path(tmp_path / name, LOCK).wanted) for name in ("", LOCK, "other.txt")] == [2, 1, 1]
