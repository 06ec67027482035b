"""The runner image without an engine: what its Dockerfile copies and runs, done in a bare Python environment."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.domain.pods import DEFAULT_PYTHON
from dagctl_provider.domain.settings import SETTINGS
from tests.images.dockerfiles import ROOT, Stage, copy_into, read_stages
from tests.runner.conftest import NEWEST
from tests.runner.shop import SEED, Repository, config

# The tool may have to be installed first, or to wait for another test that does.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DOCKERFILE = ROOT / "images" / "runner" / "Dockerfile"


@dataclass
class Image:
    """An image as a folder.

    :param root: Its root file system, as far as it is ours.
    :param environment: What its processes see.
    """

    root: Path
    environment: dict[str, str]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A container: the runner with these arguments."""
        return subprocess.run(
            ["python", "-m", "dagctl_provider.runner", *arguments],
            env={**self.environment, **variables}, cwd=self.environment["HOME"], capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def files(self) -> set[str]:
        """Every file that is not in /tmp."""
        kept = self.root / "opt"
        return {str(path) for path in kept.rglob("*") if "environments" not in path.relative_to(kept).parts}


def bare_environment(folder: Path) -> Path:
    """A Python environment that holds nothing at all: no Airflow, no pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True, timeout=300)
    return folder / "bin"


def build_step(build: Stage) -> list[str]:
    """The command with which the build stage makes the tool's environment, its arguments filled in."""
    (command,) = [rest for rest in build.of("RUN") if "install.sh" in rest]
    for name, value in {"TOOL": "sqlmesh", "TOOL_VERSION": NEWEST, "EXTRAS": "", "REQUIREMENTS": "", "CONSTRAINTS": ""}.items():
        command = command.replace(f"${{{name}}}", value)
    return [word for word in shlex.split(command) if not word.startswith("UV_")]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built from the Dockerfile's own lines. The tool's environment is the one that all tests share."""
    root = tmp_path_factory.mktemp("image")
    build, final = read_stages(DOCKERFILE)
    copy_into(build, root)
    shared = ROOT / ".tools" / "environments"
    shared.mkdir(parents=True, exist_ok=True)
    (root / "opt" / "dagctl" / "environments").symlink_to(shared)
    path = os.pathsep.join([str(bare_environment(root / "usr")), str(ROOT / ".tools" / "bin"), os.environ["PATH"]])
    command = [word.replace("/opt/dagctl", str(root / "opt/dagctl")) for word in build_step(build)]
    made = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=1000)
    assert made.returncode == 0, made.stdout + made.stderr
    assert NEWEST in made.stdout
    home = root / "tmp"
    home.mkdir()
    environment = {name: re.sub(r"^/(opt/dagctl|tmp)", rf"{root}/\1", value) for name, value in final.env.items()}
    return Image(root, {**environment, "PATH": path})


def test_the_runner_starts_without_airflow(image: Image) -> None:
    done = image.run("versions")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^sqlmesh {re.escape(NEWEST)} ", done.stdout, re.MULTILINE)
    code = "import importlib.util as u, sys; sys.exit(any(u.find_spec(n) for n in ('airflow', 'sqlalchemy', 'kubernetes')))"
    assert subprocess.run(["python", "-c", code], env=image.environment, cwd=image.root, timeout=300).returncode == 0


def explain(image: Image, folder: Path, version: str) -> tuple[int, dict[str, Any]]:
    """Explain the first commit of a small project; exit code and result."""
    repository = Repository(folder / "repository")
    commit = repository.commit({**config(folder / "warehouse.duckdb"), **SEED})
    request = {
        "tool": "sqlmesh",
        "tool_version": version,
        "repository_url": repository.url,
        "commit_sha": commit,
        "project_id": "proj_1",
        "project_name": "analytics",
        "step_id": "plan_1",
    }
    told = {"DAGCTL_REQUEST": json.dumps(request), "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1"}
    done = image.run("explain", "--result", str(folder / "result.json"), **told)
    return done.returncode, json.loads((folder / "result.json").read_text())


def test_a_real_explain_with_the_files_of_the_image_alone(image: Image, tmp_path: Path) -> None:
    before = image.files()
    code, result = explain(image, tmp_path, NEWEST)
    assert code == 0, result
    assert result["outcome"] == "succeeded"
    assert result["plan_output"]["modelsAdded"] > 0
    assert image.files() == before, "a read-only root file system is enough"


def test_the_wrong_image_says_so(image: Image, tmp_path: Path) -> None:
    code, result = explain(image, tmp_path, "0.228.5")
    assert (code, result["error"]["code"]) == (2, "tool_install_failed")
    assert f"holds sqlmesh {NEWEST}, but the project asks for sqlmesh 0.228.5" in result["error"]["message"]


def test_the_image_runs_as_a_user_that_kubernetes_can_tell_from_root() -> None:
    final = read_stages(DOCKERFILE)[-1]
    user, _, group = final.of("USER")[-1].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert "ADD" not in {word for word, _ in final.instructions}
    (entry,) = final.of("ENTRYPOINT")
    assert json.loads(entry) == ["python", "-m", "dagctl_provider.runner"]


def test_the_image_and_the_package_agree_on_defaults() -> None:
    text = DOCKERFILE.read_text()
    assert f"ARG PYTHON_VERSION={DEFAULT_PYTHON}\n" in text
    assert f"ARG UV_VERSION={makefile_value('UV_VERSION')}\n" in text
    assert SETTINGS["runner_image"].default.startswith("dagctl-runner:<tool>-<version>")


def makefile_value(name: str) -> str:
    """The value of a variable that the Makefile sets."""
    (line,) = [line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(f"{name} :=")]
    return line.partition(":=")[2].strip()


ENGINE = """#!/bin/sh
[ "$1" = info ] && exit {info}
printf '%s\\n' "$@" >>"$RECORD"
"""


def make_image(tmp_path: Path, info: int, **variables: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script behind ``make image`` with an engine that only writes down what it is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "podman"):
        (folder / name).write_text(ENGINE.format(info=info))
        (folder / name).chmod(0o755)
    record = tmp_path / "record"
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "RECORD": str(record), "PYTHON": sys.executable, **variables}
    done = subprocess.run(
        ["sh", "images/runner/build.sh"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    return done, record.read_text().splitlines() if record.exists() else []


def test_make_image_asks_the_engine(tmp_path: Path) -> None:
    done, asked = make_image(tmp_path, 0, VERSION="0.228.5", EXTRAS="snowflake", UV_DEFAULT_INDEX="https://example.com")
    assert done.returncode == 0, done.stderr
    assert asked[:3] == ["build", "--file", "images/runner/Dockerfile"]
    assert asked[-1] == "."
    assert {"TOOL=sqlmesh", "TOOL_VERSION=0.228.5", "EXTRAS=snowflake", "UV_DEFAULT_INDEX"} <= set(asked)
    assert asked[asked.index("--tag") + 1] == "dagctl-runner:sqlmesh-0.228.5"


def test_make_image_reads_what_projects_need(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    digest = "a" * 64
    (project / "requirements.txt").write_text(f"-c limits.txt\nfaker>=30  # for seeds\nsix==1.17.0 --hash=sha256:{digest}\n")
    (project / "limits.txt").write_text("tzdata<2027\n")
    (project / "sqlmesh-requirements.lock").write_text("pandas==2.2.2\n")
    done, asked = make_image(tmp_path, 0, REQUIREMENTS=str(project))
    assert done.returncode == 0, done.stderr
    text = "\n".join(asked)
    assert (
        f"REQUIREMENTS=pandas==2.2.2\nfaker>=30\nsix==1.17.0 --hash=sha256:{digest}\n--build-arg\nCONSTRAINTS=tzdata<2027\n"
        in text
    )


def test_make_image_pushes_when_asked(tmp_path: Path) -> None:
    done, asked = make_image(tmp_path, 0, IMAGE="registry.example.com/r:1", PUSH="1")
    assert done.returncode == 0, done.stderr
    assert f"TOOL_VERSION={NEWEST}" in asked
    assert asked[-2:] == ["push", "registry.example.com/r:1"]


@pytest.mark.parametrize(
    ("info", "variables", "message"),
    [
        (1, {}, "No container engine answers"),
        (0, {"VERSION": "9.9.9"}, "not supported"),
        (0, {"TOOL": "nope"}, "invalid choice"),
        (0, {"TOOL": "dbt"}, "EXTRAS=postgres"),
        (0, {"REQUIREMENTS": "/nowhere/requirements.txt"}, "/nowhere/requirements.txt is not there"),
        (0, {"REQUIREMENTS": "docs/runner.md"}, "this line cannot be read as a requirement"),
    ],
)
def test_make_image_says_why_not(tmp_path: Path, info: int, variables: dict[str, str], message: str) -> None:
    done, asked = make_image(tmp_path, info, **variables)
    assert done.returncode == 2
    assert message in done.stderr
    assert asked == []


@pytest.mark.parametrize("script", ["install.sh", "build.sh"])
def test_scripts_are_plain_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / "images" / "runner" / script)], check=True, timeout=300)
