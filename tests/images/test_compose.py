"""docker-compose.yaml as far as it can be tried without an engine."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.images.dockerfiles import ROOT


def compose() -> dict[str, Any]:
    """The parsed file."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
    return loaded


def test_git_never_sees_the_passwords() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def test_repositories_on_private_addresses_are_a_choice() -> None:
    environment = compose()["services"]["api-server"]["environment"]
    assert environment["AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS"] == "${ALLOW_PRIVATE_HOSTS:-false}"


@pytest.mark.slow
@pytest.mark.parametrize(("key", "code"), [(Fernet.generate_key().decode(), 0), ("notakey", 1)], ids=["good", "bad"])
def test_a_wrong_fernet_key_stops_the_start(key: str, code: int) -> None:
    shell, flag, script = compose()["services"]["migrate"]["command"]
    check, and_then, migrate = script.partition(" && ")
    assert (shell, flag, and_then, migrate) == ("bash", "-c", " && ", "exec airflow db migrate")
    done = subprocess.run(
        [sys.executable, *shlex.split(check)[1:]],
        env={**os.environ, "AIRFLOW__CORE__FERNET_KEY": key}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    if code:
        assert "Fernet key must be 32 url-safe base64-encoded bytes" in done.stderr
