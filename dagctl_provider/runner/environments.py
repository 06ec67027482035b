"""Makes the tool's own environment: one per tool, version, interpreter and drivers, shared by all projects that need the same.

Two rules come from hard experience. The dependencies are resolved as of the tool's release day, since old versions break with
newer ones. And an environment is made at its final path, under a lock, and counts only once its marker is there: one that was
moved has broken scripts, one that was half made looks whole.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import shutil
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.runner.causes import cause_of_end
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.locking import file_lock
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import Progress, Ticker
from dagctl_provider.runner.stopping import Stop
from dagctl_provider.runner.tools import TOOLS
from dagctl_provider.runner.versions import check_python, resolve_version

READY_MARKER = "dagctl-ready.json"
LOCK_FILE = "dagctl-lock.txt"
INSTALL_TIMEOUT = 1800.0
_NOT_NEEDED = re.compile(r"(Resolved|Prepared|Installed|Audited|Using|Creating|Activate|Bytecode|warning: .*extra)")


def cache_folder() -> Path:
    """Folder for everything that outlives a step: ``DAGCTL_CACHE_DIR``, or one in the home folder."""
    return Path(os.environ.get("DAGCTL_CACHE_DIR") or _home() / ".cache" / "dagctl")


def _home() -> Path:
    """The home folder of the step's user.

    :raises RunnerError: ``home_missing``: containers run with users that nobody has written down.
    """
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    # Python takes an empty HOME for the root of the file system.
    if os.environ.get("HOME") == "" or not home.is_absolute():
        raise RunnerError("home_missing", "HOME is not set, and the system knows no home folder of the step's user.")
    return home


def environments_folder() -> Path:
    """Folder of the environments: ``DAGCTL_ENVIRONMENTS_DIR``, or one in the cache folder."""
    configured = os.environ.get("DAGCTL_ENVIRONMENTS_DIR")
    return Path(configured) if configured else cache_folder() / "environments"


@dataclass(frozen=True)
class EnvironmentSpec:
    """Everything an environment depends on; equal specs share one environment.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param version: Exact version.
    :param extras: Database drivers: extras of SQLMesh's package, adapters of dbt.
    :param cutoff: Day as of which dependencies are resolved, or ``None`` for today's newest.
    :param python: Version and platform of the interpreter.
    :param interpreter: What the installer is asked for as interpreter.
    :param lock: Of a project that asks for packages: all packages, with versions and hashes. Such an environment is shared by
        those with the same lock.
    :param built: Packages of the lock that may be built from source.
    """

    tool: str
    version: str
    extras: tuple[str, ...]
    cutoff: str | None
    python: str
    interpreter: str = sys.executable
    lock: str = ""
    built: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Folder name, readable and unique."""
        parts = [self.tool, self.version, self.extras, self.cutoff, self.python, TOOLS[self.tool].always]
        limits = [line for line in self.requirements if "<" in line]
        text = json.dumps([*parts, *([limits] if limits else []), *([self.lock] if self.lock else [])])
        return f"{self.tool}-{self.version}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def requirements(self) -> list[str]:
        """What the installer is asked for."""
        row = TOOLS[self.tool]
        return [*row.requirements(self.version, self.extras), *row.always]


def make_spec(tool: str, version: str | None, extras: Sequence[str] = (), python_version: str | None = None) -> EnvironmentSpec:
    """Describe the environment for a version.

    ``DAGCTL_EXCLUDE_NEWER`` overrides the table's day; ``off`` switches it off, for package indexes without upload times.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param version: Exact version, ``None`` for the newest.
    :param extras: Database drivers.
    :param python_version: Interpreter to use, for example ``"3.11"``; by default the runner's own.
    :raises RunnerError: ``tool_version_unsupported``.
    """
    row = resolve_version(tool, version)
    override = os.environ.get("DAGCTL_EXCLUDE_NEWER")
    cutoff = row.cutoff if not override else None if override == "off" else override
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = python_version or own
    interpreter = sys.executable if wanted == own else wanted
    return EnvironmentSpec(
        tool, row.version, tuple(sorted(set(extras))), cutoff, f"{wanted}-{sysconfig.get_platform()}", interpreter
    )


def given_python() -> str | None:
    """The interpreter of an image that holds the tool, where the step runs in one."""
    return os.environ.get("DAGCTL_TOOL_PYTHON") or None


def tool_python(spec: EnvironmentSpec, progress: Progress, stop: Stop) -> Path:
    """The interpreter that has the tool; makes its environment when needed.

    :param spec: What is wanted.
    :param progress: The log.
    :param stop: Ends waiting and installing.
    :raises RunnerError: ``tool_install_failed``, or ``requirements_failed`` for what a project asks for.
    """
    given = given_python()
    if given:
        if not os.access(given, os.X_OK):
            raise RunnerError("tool_install_failed", f"DAGCTL_TOOL_PYTHON names {given}, which cannot be run.")
        _require_same_tool(Path(given), spec)
        return Path(given)
    home = environments_folder() / spec.name
    if _is_ready(home):
        return _python_of(home)
    with file_lock(
        home.with_name(f"{spec.name}.lock"), f"waiting for another step to install {spec.tool} {spec.version}", progress, stop
    ):
        if not _is_ready(home):
            _make(home, spec, progress, stop)
    return _python_of(home)


def _require_same_tool(python: Path, spec: EnvironmentSpec) -> None:
    """An image built by ours says what it holds. One that says nothing was made by hand, and is believed.

    :raises RunnerError: ``tool_install_failed`` when it is another tool or version: the plan would be worked out by another
        version than the one on record.
    """
    try:
        marker = json.loads((python.parents[1] / READY_MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if (marker.get("tool"), marker.get("version")) != (spec.tool, spec.version):
        raise RunnerError(
            "tool_install_failed",
            f"The image holds {marker.get('tool')} {marker.get('version')}, but the project asks for {spec.tool} {spec.version}.",
        )


def _python_of(home: Path) -> Path:
    return home / "bin" / "python"


def _is_ready(home: Path) -> bool:
    marker = home / READY_MARKER
    # A base interpreter that was upgraded away leaves a dangling link.
    if not marker.is_file() or not _python_of(home).exists():
        return False
    # The marker's time is when the environment was last used, for whoever cleans up.
    os.utime(marker)
    return True


def _make(home: Path, spec: EnvironmentSpec, progress: Progress, stop: Stop) -> None:
    started = time.monotonic()
    check_python(spec.tool, spec.version, spec.python.partition("-")[0])
    what = f"{spec.lock.count('==')} locked packages" if spec.lock else " ".join(spec.requirements)
    progress.line(f"installing {what}" + (f" as of {spec.cutoff}" if spec.cutoff and not spec.lock else ""))
    if home.exists():
        shutil.rmtree(home)
    try:
        _fill(home, spec, progress, stop)
    except BaseException:
        # It would not count, but it may be large.
        shutil.rmtree(home, ignore_errors=True)
        raise
    marker = {"tool": spec.tool, "version": spec.version, "requirements": spec.requirements, "cutoff": spec.cutoff}
    marker["made_at"] = datetime.datetime.now(datetime.timezone.utc).isoformat()
    (home / READY_MARKER).write_text(json.dumps(marker))
    progress.line(f"installed {spec.tool} {spec.version} in {time.monotonic() - started:.1f} s")


def _fill(home: Path, spec: EnvironmentSpec, progress: Progress, stop: Stop) -> None:
    uv = find_uv()
    _run_uv([uv, "venv", "--no-project", "--python", spec.interpreter, str(home)], spec, progress, stop)
    python = ["--python", str(_python_of(home)), "--compile-bytecode"]
    if not spec.lock:
        _run_uv([uv, "pip", "install", *python, *spec.requirements, *resolution(spec, home)], spec, progress, stop)
        return
    lock = home / LOCK_FILE
    lock.write_text(spec.lock)
    _run_uv([uv, "pip", "sync", *python, "--require-hashes", *wheels_only(spec.built), str(lock)], spec, progress, stop)


def wheels_only(built: Sequence[str]) -> list[str]:
    """Options that keep the installer from running what a source package holds.

    :param built: Packages that may be built all the same; ``:all:`` for all.
    """
    if ":all:" in built:
        return []
    return ["--only-binary", ":all:", *(word for name in built for word in ("--no-binary", name))]


def resolution(spec: EnvironmentSpec, folder: Path) -> list[str]:
    """Options for the versions that the tool's own packages may have.

    :param spec: What is wanted.
    :param folder: For files that the installer is given.
    """
    row = TOOLS[spec.tool]
    options = ["--exclude-newer", spec.cutoff] if spec.cutoff else []
    for package in row.exclude_newer if spec.cutoff else ():
        options += ["--exclude-newer-package", package]
    if row.overrides:
        path = folder / "overrides.txt"
        path.write_text("\n".join(row.overrides))
        options += ["--overrides", str(path)]
    return options


def find_uv() -> str:
    """The installer: the one that came with the package, or one on the path.

    :raises RunnerError: ``tool_install_failed``.
    """
    try:
        import uv

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if not found:
        raise RunnerError("tool_install_failed", "uv was not found; install it or set DAGCTL_TOOL_PYTHON.")
    return found


def _run_uv(command: list[str], spec: EnvironmentSpec, progress: Progress, stop: Stop) -> None:
    status, telling = ask_uv(command, f"still installing {spec.tool} {spec.version}", progress, stop)
    if status:
        for line in telling:
            progress.line(line)
        if command[1] == "venv" and spec.interpreter != sys.executable:
            raise RunnerError(
                "tool_install_failed", f"Python {spec.interpreter} was not found where the step runs; see 'python_version'."
            )
        raise RunnerError(
            "requirements_failed" if spec.lock else "tool_install_failed",
            f"{spec.tool} {spec.version}: {' '.join(telling)[:400] or f'uv ended with {status}'}",
        )


def ask_uv(command: Sequence[str], waiting: str, progress: Progress, stop: Stop) -> tuple[int, list[str]]:
    """Run the installer.

    :param command: The installer and its arguments.
    :param waiting: What the log says while it takes long.
    :param progress: The log.
    :param stop: Ends it.
    :return: Its exit status, and what it said that is worth reading.
    :raises RunnerError: ``disk_full`` or ``folder_not_writable`` when that is why it failed.
    """
    lines: list[str] = []
    env = {**base_environment("HOME", "XDG_CACHE_HOME"), "UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1"}
    # A day that packages are resolved as of ends at midnight where the installer thinks it is.
    env["TZ"] = "UTC"
    env.update({name: value for name, value in os.environ.items() if name.startswith("UV_")})
    # Set where images should not grow, it would undo --compile-bytecode: each start would then take three times as long.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    child = Child(command, env, Path("/"), lines.append, Ticker(progress, waiting, every=5.0).tick, INSTALL_TIMEOUT)
    status = run_child(child, stop)
    stop.check()
    telling = [line for line in lines if line.strip() and not _NOT_NEEDED.match(line.strip())]
    cause = cause_of_end(status, "\n".join(telling)) if status else None
    if cause:
        raise RunnerError(cause, f"uv: {' '.join(telling)[-400:] or f'ended with {status}'}")
    return status, telling
