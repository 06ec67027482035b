"""The public command line ``dagctl``, unchanged from the package index, against our server over a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from dagctl_provider.services import protections, tokens
from tests.services.world import World

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
VERSION = "0.4.1"
CHECK = "from dagctl.protection import check_environment_protection as check; check({0!r}); print('goes on')"


@pytest.fixture(scope="session")
def installed() -> Path:
    """The folder with the programs of an environment that has the command line, made once and kept."""
    folder = ROOT / ".tools" / "clients" / f"dagctl-{VERSION}"
    if not (folder / "bin" / "dagctl").exists():
        uv = str(ROOT / ".tools" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--no-python-downloads", str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, f"dagctl=={VERSION}"], check=True)
    return folder / "bin"


@dataclass
class CommandLine:
    """Somebody at a shell, with a home folder of their own."""

    bin: Path
    home: Path

    def signs_in(self, address: str, organization_id: str, secret: str) -> None:
        """What a sign-in leaves: where the server is, and a token."""
        folder = self.home / ".dagctl"
        folder.mkdir(parents=True, exist_ok=True)
        # JSON is YAML.
        config = {"api_url": address, "current_org": organization_id}
        (folder / "config.yaml").write_text(json.dumps(config))
        (folder / "auth.json").write_text(json.dumps({"access_token": secret, "id_token": secret}))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {"HOME": str(self.home), "PATH": os.environ["PATH"], "NO_COLOR": "1", "COLUMNS": "200"}
        command = [str(self.bin / program), *arguments]
        return subprocess.run(command, env=variables, cwd=self.home, capture_output=True, text=True, timeout=60, check=False)

    def check(self, environment: str | None) -> subprocess.CompletedProcess[str]:
        """What a project's own configuration does before each command."""
        return self.run("python", "-c", CHECK.format(environment))


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def shell(installed: Path, tmp_path: Path, world: World, address: str) -> CommandLine:
    """A developer's shell; a project is chosen."""
    world.project("analytics")
    made = tokens.create_token(world.organization_id, "laptop", "developer", "grace")
    line = CommandLine(installed, tmp_path)
    line.signs_in(address, world.organization_id, made.secret)
    chosen = line.run("dagctl", "use-project", "analytics")
    assert (chosen.returncode, "Project set: analytics" in chosen.stdout) == (0, True), chosen
    return line


def test_a_project_that_is_not_there_is_not_used(shell: CommandLine) -> None:
    answer = shell.run("dagctl", "use-project", "nothing")
    assert (answer.returncode, "not found in organization" in answer.stdout) == (1, True)


@pytest.mark.parametrize("environment", ["prod", None])
def test_the_check_is_absent_allowed_and_refused(shell: CommandLine, world: World, environment: str | None) -> None:
    assert shell.check(environment).stdout == "goes on\n", "no protection"
    values: dict[str, Any] = {"environment_name": "prod", "excepted_roles": ["developer"]}
    made = protections.create_protection(world.actor(), values).protection
    assert shell.check(environment).stdout == "goes on\n"
    protections.update_protection(world.actor(), made.id, {"excepted_roles": []})
    refused = shell.check(environment)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert (
        "RuntimeError: The environment 'prod' is protected, and 'laptop' is not among those who may change it." in refused.stderr
    )
    assert shell.check("somewhere_else").stdout == "goes on\n"
    protections.update_protection(world.actor(), made.id, {"enabled": False})
    assert shell.check(environment).stdout == "goes on\n"


def test_without_an_answer_it_fails_closed(shell: CommandLine, world: World) -> None:
    shell.signs_in("http://127.0.0.1:9", world.organization_id, "dctl_x")
    path = shell.home / ".dagctl" / "config.yaml"
    path.write_text(json.dumps({**json.loads(path.read_text()), "current_project_id": "proj_1"}))
    away = shell.check("prod")
    assert (away.returncode, "due to network error" in away.stderr) == (1, True)


def test_a_project_of_others_fails_closed(shell: CommandLine, world: World) -> None:
    protections.create_protection(world.actor(), {"environment_name": "prod", "excepted_roles": ["developer"]})
    program = CHECK.replace("check({0!r})", "check('prod', project_id='proj_other')")
    answer = shell.run("python", "-c", program)
    assert (answer.returncode, "HTTP 422" in answer.stderr) == (1, True)
