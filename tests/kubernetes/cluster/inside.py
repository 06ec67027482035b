"""Makes a container's namespaces and becomes its command; also joins a running one, for exec.

A program of its own because namespaces belong to a process: ``inside.py FD run SPEC`` and ``inside.py FD exec SPEC PID ARG…``. It
needs to be root, or user namespaces. The root file system is an overlay of the machine's: all programs are there, nothing
written outlives the container, and volumes may be mounted at paths the machine does not have.

On descriptor FD it says ``pid N``, and ``error TEXT`` when the command could not be started; the end means that it runs.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import stat
import sys
from collections.abc import Sequence
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUSER, _NEWPID = 0x00020000, 0x10000000, 0x20000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
_STATUS = -1
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def _mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, target, kind)]
    if _LIBC.mount(*texts, ctypes.c_ulong(flags), None if data is None else data.encode()) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount {source} on {target}: {os.strerror(error)}")


def _unshare() -> None:
    root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    if _LIBC.unshare(_NEWNS | _NEWPID | (0 if root else _NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), f"namespaces: {os.strerror(ctypes.get_errno())}")
    if not root:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    _mount("none", "/", flags=_REC | _PRIVATE)


def _point(target: str, like: str) -> None:
    """Make the place where something is mounted."""
    if os.path.isdir(like):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "w").close()


def _bind(source: str, target: str, read_only: bool = False) -> None:
    _point(target, source)
    _mount(source, target, flags=_BIND | _REC)
    if read_only:
        _mount("none", target, flags=_BIND | _REMOUNT | _RDONLY)


def _make_root(spec: dict[str, Any]) -> str:
    base = spec["folder"]
    _mount("tmpfs", base, "tmpfs", data="mode=755")
    root, upper, work = (os.path.join(base, name) for name in ("root", "upper", "work"))
    for folder in (root, upper, work):
        os.mkdir(folder, 0o755)
    options = f"lowerdir=/,upperdir={upper},workdir={work}"
    _mount("overlay", root, "overlay", data=options if spec["root"] else f"{options},userxattr")
    for path in spec["image_paths"]:
        _open_path(root, path)
    _mount("proc", f"{root}/proc", "proc")
    _mount("tmpfs", f"{root}/dev", "tmpfs", data="mode=755")
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{root}/dev/{name}")
    os.mkdir(f"{root}/dev/shm", 0o1777)
    os.chmod(f"{root}/dev/shm", 0o1777)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{root}/dev/{name}")
    return root


def _open_path(root: str, path: str) -> None:
    """What an image would hold may be read by any user of it, also where it lies in a private folder of this machine."""
    if os.stat(path).st_dev != os.stat("/").st_dev:
        _bind(path, root + path)
    while path != "/":
        mode = os.stat(root + path).st_mode
        if stat.S_ISDIR(mode) and mode & 0o055 != 0o055:
            os.chmod(root + path, stat.S_IMODE(mode) | 0o055)
        path = os.path.dirname(path)


def _build(spec: dict[str, Any]) -> None:
    # Held open, because symbolic links in a target must be followed inside the container, never on this machine.
    sources = {mount["target"]: f"/proc/self/fd/{os.open(mount['source'], os.O_PATH)}" for mount in spec["mounts"]}
    root = _make_root(spec)
    images = {path: f"/proc/self/fd/{os.open(root + path, os.O_PATH)}" for path in spec["image_paths"]}
    os.chroot(root)
    os.chdir("/")
    images_in_tmp = any(path.startswith("/tmp/") for path in spec["image_paths"])
    if not images_in_tmp:
        _mount("tmpfs", "/tmp", "tmpfs", data="mode=1777")
    for mount in sorted(spec["mounts"], key=lambda mount: mount["target"].count("/")):
        _bind(sources[mount["target"]], mount["target"], mount["read_only"])
    # A volume at /tmp must not hide what stands for the image when this checkout lies there.
    for path, source in images.items():
        if any(path.startswith(target.rstrip("/") + "/") for target in sources):
            _bind(source, path)
    os.makedirs(spec["cwd"], exist_ok=True)
    if spec["read_only_root"]:
        _mount("none", "/", flags=_BIND | _REMOUNT | _RDONLY)
        if "/tmp" not in sources and not images_in_tmp:
            _mount("none", "/tmp", flags=_BIND | _REMOUNT | _RDONLY)


def _become(spec: dict[str, Any], argv: Sequence[str]) -> None:
    os.chdir(spec["cwd"])
    if spec["root"]:
        os.setgroups(spec["groups"])
        os.setresgid(spec["gid"], spec["gid"], spec["gid"])
        os.setresuid(spec["uid"], spec["uid"], spec["uid"])
        # Another user's process has forgotten it.
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(argv[0], list(argv), spec["env"])


def _start(spec: dict[str, Any], argv: Sequence[str], prepare: Any) -> int:
    """Fork into the namespaces, tell the process id, and end as the command ends."""
    pid = os.fork()
    if pid == 0:
        try:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.set_inheritable(_STATUS, False)
            prepare()
            _become(spec, argv)
        except FileNotFoundError as error:
            text = f'exec: "{argv[0]}": executable file not found in $PATH' if error.filename is None else str(error)
            os.write(_STATUS, f"error {text}\n".encode())
        except BaseException as error:
            os.write(_STATUS, f"error {error}\n".encode())
        os._exit(127)
    os.write(_STATUS, f"pid {pid}\n".encode())
    os.close(_STATUS)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def _run(spec: dict[str, Any]) -> int:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _unshare()
    return _start(spec, spec["argv"], lambda: _build(spec))


def _exec(spec: dict[str, Any], pid: int) -> int:
    root = os.open(f"/proc/{pid}/root", os.O_RDONLY)
    spaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in (*(() if spec["root"] else ("user",)), "pid", "mnt")]
    for space in spaces:
        if _LIBC.setns(space, 0) != 0:
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
    os.fchdir(root)
    os.chroot(".")
    return _start(spec, spec["argv"], lambda: None)


def main(arguments: Sequence[str]) -> int:
    global _STATUS
    descriptor, verb, file_name, *rest = arguments
    _STATUS = int(descriptor)
    with open(file_name) as file:
        spec = json.load(file)
    try:
        return _run(spec) if verb == "run" else _exec({**spec, "argv": rest[1:]}, int(rest[0]))
    except OSError as error:
        os.write(_STATUS, f"error {error}\n".encode())
        return 128


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
