"""As which user of the machine a step's process runs: the worker's own, or one that can read nothing of Airflow.

A worker that is root becomes the other user by ``setpriv`` and, where the kernel allows it, puts the step into a process
namespace of its own, so that ``/proc`` shows the step alone. Any other worker asks ``sudo``, which an administrator has allowed.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.config import filled_in, setting
from dagctl_provider.domain.ids import slug

_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--")
_WITHOUT_RIGHTS = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")
_KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"
_PATIENCE_SECONDS = 10


class UserUnavailable(Exception):
    """The user that steps are to run as cannot be become here; the text says why."""


@dataclass(frozen=True)
class StepUser:
    """Another user of the machine, whom a step runs as.

    :param name: Its name.
    :param home: Its home folder, or what takes its place.
    :param cache: Its folder for what outlives a step.
    :param command: What becomes the user: the words before the program.
    :param hides: Whether the step sees no process but its own.
    """

    name: str
    home: Path
    cache: Path
    command: tuple[str, ...]
    hides: bool

    def kill(self, child: subprocess.Popen[str], pid: int | None) -> None:
        """End a runner that has not stopped when it was told.

        :param child: What this process started.
        :param pid: The runner's own number, once it has told it.
        """
        if os.geteuid() == 0:
            os.killpg(child.pid, signal.SIGKILL)
        elif pid is not None:
            program = [*self.command, sys.executable, "-I", "-c", _KILL, str(pid)]
            subprocess.run(program, check=False, capture_output=True, timeout=_PATIENCE_SECONDS)  # noqa: S603 - no shell, a fixed program


def step_user(project_name: str | None) -> StepUser | None:
    """The user that ``[dagctl] process_user`` names for a project's steps; ``None`` for the worker's own.

    :param project_name: Fills ``<project>``.
    :raises UserUnavailable: when there is none of that name, or it cannot be become.
    """
    name = filled_in("process_user", project=slug(project_name or "")).strip()
    if not name:
        return None
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise UserUnavailable(f"There is no user {name!r} on this worker.") from None
    if found.pw_uid in (0, os.geteuid()):
        raise UserUnavailable(f"The user {name!r} is {'root' if found.pw_uid == 0 else 'the one that the worker runs as'}.")
    command, hides = (_by_root(found), _can_hide()) if os.geteuid() == 0 else (_by_sudo(found), False)
    cache = _cache(found)
    home = Path(found.pw_dir)
    return StepUser(name, home if home.is_dir() else cache, cache, (*(_NAMESPACE if hides else ()), *command), hides)


def _by_root(user: pwd.struct_passwd) -> tuple[str, ...]:
    if not shutil.which("setpriv"):
        raise UserUnavailable("The worker is root and has no program 'setpriv' to become another user by.")
    # setpriv starts its program with root's eyes: an interpreter that the user cannot reach would start, and find another one's
    # library. So it starts 'env', and that has only the user's.
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups", *_WITHOUT_RIGHTS, "--", "env", "--")


def _by_sudo(user: pwd.struct_passwd) -> tuple[str, ...]:
    if not shutil.which("sudo"):
        raise UserUnavailable("The worker is not root and has no program 'sudo' to become another user by.")
    return ("sudo", "-n", "-u", user.pw_name, "--")


@functools.cache
def _can_hide() -> bool:
    """Whether the kernel lets this process make namespaces; most containers do not, though they run as root."""
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_NAMESPACE, "true"], check=False, capture_output=True).returncode == 0  # noqa: S603 - fixed words


def _cache(user: pwd.struct_passwd) -> Path:
    """The user's own caches: the worker's hold programs that the worker runs, too, and lie where only it can read.

    :raises UserUnavailable: when there is no place for them.
    """
    if not setting("cache_folder"):
        if not Path(user.pw_dir).is_dir():
            raise UserUnavailable(f"The user {user.pw_name!r} has no home folder for its caches, and no 'cache_folder' is set.")
        return Path(user.pw_dir) / ".cache" / "dagctl"
    folder = Path(setting("cache_folder")) / user.pw_name
    if os.geteuid() == 0 and not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
        os.chown(folder, user.pw_uid, user.pw_gid)
    if not folder.is_dir() or folder.stat().st_uid != user.pw_uid:
        raise UserUnavailable(f"The folder {folder} has to be there and to belong to {user.pw_name!r}, for its caches.")
    return folder
