"""Watches what the project's own Python code does while a plan is worked out: what it reads counts, what it writes is refused.

Python tells of files that are opened, addresses that are connected to and programs that are started (PEP 578). Who did it is
seen from the stack: the nearest frame that belongs to the project on one side, or to a part of the tool that may do so on the
other. This finds mistakes and plain attempts. It is no wall against code that hides: rights of the connection are.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from dagctl_common.channel import StepFailed, plain

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGING = {
    "os.remove": "removes", "os.rename": "renames", "os.mkdir": "makes the folder", "os.rmdir": "removes", "os.link": "links",
    "os.symlink": "links", "os.truncate": "truncates", "os.chmod": "changes", "os.chown": "changes", "shutil.rmtree": "removes",
    "shutil.move": "moves",
}  # fmt: skip
_STARTING = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn"}
_CONNECTING = {"socket.connect", "socket.bind", "socket.sendto"}
_DATABASE = "sqlite3.connect"
_SYSTEM = ("/proc/", "/dev/", "/sys/", "/etc/", "/usr/", "/lib", "/bin/")
"""Whatever libraries look up there belongs to the machine; the packages have parts of their own."""
_EVENTS = frozenset({"open", _DATABASE, *_CHANGING, *_STARTING, *_CONNECTING})


class Reads:
    """What the project's code read of the machine, in this process and in those that it forked to load models.

    :param record: File that all of them write to.
    """

    def __init__(self, record: str = "") -> None:
        self.record = record
        self.recording = True
        self._seen: dict[tuple[str, str], str] = {}

    def add(self, kind: str, name: str, value: str = "") -> None:
        """Remember something that was read.

        :param kind: ``variable`` or ``file``.
        :param name: Its name.
        :param value: Its value, of a variable.
        """
        if not self.recording or (kind, name) in self._seen:
            return
        self._seen[kind, name] = value
        if self.record:
            line = json.dumps([kind, name, value]) + "\n"
            descriptor = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def all(self) -> dict[tuple[str, str], str]:
        """Everything, by kind and name."""
        found = dict(self._seen)
        if self.record and os.path.exists(self.record):
            for line in Path(self.record).read_text(encoding="utf-8").splitlines():
                kind, name, value = json.loads(line)
                found[kind, name] = value
        return found


@dataclass(frozen=True)
class Caller:
    """Where in the project something was done.

    :param file: File in the repository, or the name of a function whose code the tool keeps as text.
    :param line: Line in it.
    :param function: Name of the function.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        """``macros/m.py:7 (tenant)``."""
        inside = f" ({self.function})" if self.function != "<module>" else ""
        return f"{self.file}:{self.line}{inside}"


class Watch:
    """The watch over one step.

    :param checkout: Folder of the repository.
    :param private: Folders that the project's code may write into.
    :param trusted: Beginnings of names of modules that act for the project as they should.
    :param ours: Names of variables that say nothing about the machine.
    :param record: File in which refusals are kept, and beside it what was read: a forked loader has no other way to tell.
    """

    def __init__(
        self, checkout: str, private: Sequence[str], trusted: Sequence[str], ours: Sequence[str] = (), record: str = ""
    ) -> None:
        self.reads = Reads(record and f"{record}.reads")
        self._record = record
        self.refusing = False
        self._checkout = checkout.rstrip(os.sep) + os.sep
        self._private = tuple(folder.rstrip(os.sep) + os.sep for folder in private)
        self._trusted = tuple(trusted)
        self._ours = frozenset(ours)
        self._code = tuple({os.path.realpath(folder) + os.sep for folder in (*sysconfig.get_paths().values(), sys.base_prefix)})
        self._given: frozenset[str] = frozenset()
        self._refused: StepFailed | None = None

    def leave_out(self, files: Iterable[str]) -> None:
        """Do not count the reading of files that count already, with a hash that nobody can guess at.

        :param files: Their paths.
        """
        self._given = frozenset(files)

    def begin(self) -> None:
        """Watch from now on, to the end of the process."""
        sys.addaudithook(self._heard)
        self._watch_variables()

    def check(self) -> None:
        """Raise what was refused, should the project's code or the tool have swallowed it."""
        kept = Path(self._record)
        if self._refused is None and self._record and kept.is_file():
            self._refused = StepFailed("explain_writes", kept.read_text(encoding="utf-8"))
        if self._refused is not None:
            raise self._refused

    def caller(self, through: bool = False) -> Caller | None:
        """Who of the project's code is doing this; ``None`` when the tool does it by itself.

        :param through: Look through the parts of the tool that act for the project.
        """
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__", ""))
            if not through and module.startswith(self._trusted):
                return None
            if name.startswith(self._checkout):
                return Caller(name[len(self._checkout) :], frame.f_lineno, frame.f_code.co_name)
            # SQLMesh keeps functions as text and runs it in a namespace that is no module.
            if name == "<string>" and "__name__" not in frame.f_globals:
                return self._defined(frame.f_code.co_name)
            frame = frame.f_back
        return None

    def _defined(self, function: str) -> Caller:
        """Where a function is defined whose code the tool keeps as text, without comments and line breaks of the file."""
        for module in list(sys.modules.values()):
            file = str(getattr(module, "__file__", None) or "")
            known = getattr(module, function, None) if file.startswith(self._checkout) else None
            code = getattr(inspect.unwrap(known), "__code__", None) if callable(known) else None
            if code is not None:
                return Caller(file[len(self._checkout) :], code.co_firstlineno, function)
        return Caller("the project's code", 1, function)

    def refuse(self, caller: Caller, what: str) -> None:
        """Stop the project's code, and remember it: a macro may catch what is raised here.

        :raises StepFailed: ``explain_writes``.
        """
        failure = StepFailed("explain_writes", f"{caller} {what} while the plan is worked out.")
        self.remember(failure)
        raise failure

    def remember(self, failure: StepFailed) -> None:
        """Keep what was refused for :meth:`check`.

        :param failure: The first one counts.
        """
        if self._refused is None:
            self._refused = failure
            if self._record:
                Path(self._record).write_text(failure.message, encoding="utf-8")

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in _EVENTS or (event == "open" and arguments[0] in (self._record, self.reads.record)):
            return
        if event == "open":
            self._opened(*arguments[:3])
        elif self.refusing and (what := self._doing(event, arguments)) and (caller := self.caller()):
            self.refuse(caller, what)

    def _doing(self, event: str, arguments: tuple[object, ...]) -> str | None:
        if event in _CHANGING:
            path = _absolute(arguments[0])
            return None if path is None or path.startswith(self._private) else f"{_CHANGING[event]} {self._shown(path)}"
        if event in _CONNECTING:
            address = arguments[1] if len(arguments) > 1 else ""
            return f"opens a connection to {address[0] if isinstance(address, tuple) and address else plain(address)}"
        return f"opens the database {arguments[0]}" if event == _DATABASE else "starts another program"

    def _opened(self, name: object, mode: object, flags: object) -> None:
        path = _absolute(name)
        if path is None:
            return
        writes = isinstance(flags, int) and bool(flags & _WRITING)
        if writes and self.refusing and not path.startswith((*self._private, "/dev/")):
            caller = self.caller()
            if caller:
                self.refuse(caller, f"writes {self._shown(path)}")
        elif (
            not writes
            and path not in self._given
            and not path.startswith((self._checkout, *self._private, *self._code, *_SYSTEM))
            and self.caller()
        ):
            self.reads.add("file", path)

    def _shown(self, path: str) -> str:
        return path[len(self._checkout) :] if path.startswith(self._checkout) else path

    def _watch_variables(self) -> None:
        environment = type(os.environ)
        original = environment.__getitem__

        def getitem(variables: os._Environ[str], name: str) -> str:
            value = original(variables, name)
            if name not in self._ours and self._asked():
                self.reads.add("variable", name, value)
            return value

        environment.__getitem__ = getitem  # type: ignore[method-assign]

    def _asked(self) -> bool:
        """Whether the project asks: its code, or a template of its config."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_name == "env_var":
                return True
            frame = frame.f_back
        return self.caller() is not None


def _absolute(name: object) -> str | None:
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    return os.path.abspath(name) if isinstance(name, (str, os.PathLike)) else None
