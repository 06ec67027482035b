"""Installs a project's packages with ``dbt deps``, as rarely as possible.

Packages that stand in the repository are used as they are. Those of a lock file are installed once per machine: a lock names
exact versions, so what it led to once is what it leads to. Everything else is installed in each step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from dagctl_common.channel import StepFailed

from dagctl_dbt.failures import cause
from dagctl_dbt.journals import Step

FILES = ("packages.yml", "dependencies.yml", "package-lock.yml")
_INSTALL_PATH = re.compile(r"""^packages-install-path\s*:\s*["']?([\w./-]+)["']?\s*(#.*)?$""", re.MULTILINE)
_DEPS = "from dbt.cli.main import cli; cli()"
_ERROR = "Encountered an error:"
_NOISE = re.compile(r"^\d\d:\d\d:\d\d\s+")


def install_packages(step: Step) -> None:
    """Make sure that the project's packages are there.

    :raises StepFailed: ``packages_failed``.
    """
    project = Path(step.job["project"])
    texts = {name: (project / name).read_bytes() for name in FILES if (project / name).is_file()}
    if not re.search(
        rb"^\s*packages\s*:", texts.get("packages.yml", b"") + b"\n" + texts.get("dependencies.yml", b""), re.MULTILINE
    ):
        return
    place = project / _install_path(project)
    if place.is_dir() and any(place.iterdir()):
        step.channel.line(f"the packages in {place.name} are those of the repository")
        return
    with step.channel.stage("deps"):
        kept = _kept_place(step, texts)
        if kept is not None and kept.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(kept, target_is_directory=True)
            return
        _deps(step, project)
        lock = project / "package-lock.yml"
        if kept is not None and place.is_dir() and lock.is_file() and lock.read_bytes() == texts["package-lock.yml"]:
            _keep(place, kept)


def _install_path(project: Path) -> str:
    text = (project / "dbt_project.yml").read_text(encoding="utf-8", errors="replace")
    match = _INSTALL_PATH.search(text)
    path = match[1] if match else "dbt_packages"
    return path if (project / path).resolve().is_relative_to(project.resolve()) else "dbt_packages"


def _kept_place(step: Step, texts: dict[str, bytes]) -> Path | None:
    """Where packages of this lock are kept; ``None`` when they are not to be."""
    if "package-lock.yml" not in texts or re.search(rb"^\s*-?\s*local\s*:", b"\n".join(texts.values()), re.MULTILINE):
        return None
    key = hashlib.sha256(step.job["tool_version"].encode() + b"\x00".join(name.encode() + texts[name] for name in sorted(texts)))
    return Path(step.job["shared"]) / "packages" / key.hexdigest()[:32]


def _keep(place: Path, kept: Path) -> None:
    """Copy what was installed; two steps may do so at the same time, and the first one's copy stays."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = Path(tempfile.mkdtemp(dir=kept.parent))
        try:
            shutil.copytree(place, temporary / "packages", symlinks=True)
            os.rename(temporary / "packages", kept)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _said(text: str) -> str:
    """What dbt says of the error, without how it came to that."""
    told, _, trace = (text.partition(_ERROR)[2] or text).partition("Traceback (most recent call last):")
    # Some errors of dbt's own have a traceback only.
    return told.strip() or trace.strip().rpartition("\n")[2]


def _deps(step: Step, project: Path) -> None:
    command = [sys.executable, "-c", _DEPS, "deps", "--project-dir", str(project)]
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - no shell, our interpreter
        command,
        cwd=project,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip("\n"))
                step.channel.line(lines[-1])
        except BaseException:
            process.send_signal(signal.SIGKILL)
            raise
    if process.returncode:
        text = "\n".join(_NOISE.sub("", line) for line in lines)
        told = cause(step, _said(text))
        raise StepFailed("packages_failed", told or f"dbt deps ended with {process.returncode}")
