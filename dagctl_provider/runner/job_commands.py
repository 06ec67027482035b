"""The command of a job: parsed into what a tool is to do, never given to a shell.

Whoever may change a job writes this text, and it runs without review. So it is read word by word against the table of what jobs
may do (``job_options``), and a runner is told subcommand, options and arguments, not a line. Text that a shell would read as more
than words is refused outright: whoever writes it expects a shell, and there is none.
The module imports nothing but the standard library: the API server and the domain parse with it as well.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dagctl_provider.runner.job_options import ALIASES, TOOL_COMMANDS, Argument, Option, ToolCommands, Verb
from dagctl_provider.runner.job_values import CommandRefused, check_value, shown

__all__ = ["COMMAND_LIMIT", "DEFAULT_COMMAND", "CommandRefused", "JobCommand", "parse_command"]

COMMAND_LIMIT = 1_000
DEFAULT_COMMAND = "run"
"""The default job's command for either tool."""

_SHELL: Mapping[str, str] = {
    ";": "';'", "&": "'&'", "|": "'|'", "`": "a backquote", "$": "'$'", "<": "'<'", ">": "'>'", "\\": "a backslash",
    "(": "'('", ")": "')'", "#": "'#'", "\n": "a line break", "\r": "a line break", "\t": "a tab", "\0": "a NUL character",
}  # fmt: skip
_DEFAULT_ENVIRONMENT = "prod"
_VERSION = re.compile(r"\d{1,6}(?:\.\d{1,6}){1,3}")

Value = bool | str | tuple[str, ...]


@dataclass(frozen=True)
class JobCommand:
    """What a job does.

    :param tool: ``"sqlmesh"`` or ``"dbt"``.
    :param verb: The subcommand, such as ``"run"`` or ``"source freshness"``.
    :param options: By long name, such as ``"select_model"``.
    :param arguments: What stands without an option.
    :param job_type: How figures count it.
    :param changes: The environment that it changes besides the project's own one.
    """

    tool: str
    verb: str
    options: Mapping[str, Value] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    job_type: Literal["run", "janitor"] = "run"
    changes: str | None = None


def parse_command(tool: str, command: str, version: str | None = None, environment: str | None = None) -> JobCommand:
    """Read the text of a job's command.

    :param tool: The project's tool.
    :param command: The text. ``run`` alone is the default job's command.
    :param version: Version of the tool; ``None`` takes what any supported one has.
    :param environment: The project's own one; ``None`` is the tool's usual one.
    :raises CommandRefused: the text says what is refused, and where it belongs.
    """
    known = TOOL_COMMANDS.get(tool)
    if known is None:
        raise CommandRefused(f"Jobs of {shown(tool)} have no commands.")
    words = _words(command, tool)
    if words == [DEFAULT_COMMAND]:
        return JobCommand(tool, known.default)
    _check_tool(words[0], tool, known)
    name, verb, rest = _verb(words[1:], tool, known)
    _check_since(f"'{tool} {name}'", verb.since, known, version)
    read = _Reader(tool, known, name, verb, version)
    read.all(rest)
    arguments = _checked_arguments(read, environment)
    janitor: Literal["run", "janitor"] = "janitor" if verb.janitor else "run"
    changes = arguments[0] if name == "invalidate" else None
    return JobCommand(tool, name, read.options, arguments, janitor, changes)


def _words(command: str, tool: str) -> list[str]:
    if len(command) > COMMAND_LIMIT:
        raise CommandRefused(f"The command is longer than {COMMAND_LIMIT} characters.")
    for character in command:
        if character in _SHELL:
            raise CommandRefused(f"The command holds {_SHELL[character]}: it is not given to a shell, and runs one tool once.")
        if not character.isprintable():
            raise CommandRefused(f"The command holds the character U+{ord(character):04X}, which cannot be seen.")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandRefused("A quotation mark of the command is never closed.") from error
    if not words:
        raise CommandRefused(f"The command is empty; it begins with '{tool}', or is 'run'.")
    return words


def _check_tool(word: str, tool: str, known: ToolCommands) -> None:
    if word == tool:
        return
    other = TOOL_COMMANDS.get(word)
    if other is not None:
        raise CommandRefused(f"This is a {known.label} project: the command begins with '{tool}', not with '{word}'.")
    raise CommandRefused(f"{shown(word)} is not run: the command begins with '{tool}', or is 'run'.")


def _verb(words: Sequence[str], tool: str, known: ToolCommands) -> tuple[str, Verb, Sequence[str]]:
    """Subcommand and what follows it; options before it are checked as well."""
    if not words:
        raise CommandRefused(f"'{tool}' alone does nothing; say what, such as '{tool} {known.default}'.")
    if words[0].startswith("-"):
        flag = words[0].partition("=")[0]
        reason = _reason(known.refused_options, flag)
        if reason:
            raise CommandRefused(f"{flag} is refused: {reason}.")
        raise CommandRefused(f"{shown(flag)} stands before the subcommand; write '{tool}', the subcommand, then its options.")
    for length in (2, 1):
        name = " ".join(words[:length])
        name = ALIASES.get(name, name) if tool == "dbt" else name
        if len(words) >= length and name in known.verbs:
            return name, known.verbs[name], words[length:]
        if len(words) >= length and name in known.refused_verbs:
            raise CommandRefused(f"'{tool} {name}' is refused: {known.refused_verbs[name]}.")
    raise CommandRefused(f"'{tool} {shown(words[0])[1:-1]}' is none of the commands of a job: {', '.join(known.verbs)}.")


class _Reader:
    """Reads the words after a subcommand."""

    def __init__(self, tool: str, known: ToolCommands, name: str, verb: Verb, version: str | None) -> None:
        self.tool = tool
        self.name = name
        self.verb = verb
        self.options: dict[str, Value] = {}
        self.arguments: list[str] = []
        self._known = known
        self._version = version
        self._flags = {flag: option for option in verb.options for flag in option.flags}
        self._off = {option.off: option for option in verb.options if option.off}

    def all(self, words: Sequence[str]) -> None:
        """Read them, from left to right."""
        rest = iter(words)
        held: list[str] = []
        while True:
            word = held.pop() if held else next(rest, None)
            if word is None:
                return
            if word.startswith("-"):
                held += self._option(word, rest)
            else:
                self.arguments.append(word)

    def _option(self, word: str, rest: Iterator[str]) -> list[str]:
        """Read one option and its values; answers the word after them that was looked at."""
        flag, given, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if flag in self._off:
            self._set(self._off[flag], flag, False, bool(given))
            return []
        option = self._flags.get(flag) or self._refuse(flag)
        _check_since(f"{flag} of '{self.tool} {self.name}'", option.since, self._known, self._version)
        if option.kind == "flag":
            self._set(option, flag, True, bool(given))
            return []
        values, after = self._values(option, flag, value if given else None, rest)
        for one in values:
            check_value(option.kind, one, flag)
        if option.many == "no":
            self._set(option, flag, values[0])
        else:
            before = self.options.get(option.name, ())
            self.options[option.name] = (*(before if isinstance(before, tuple) else ()), *values)
        return after

    def _set(self, option: Option, flag: str, value: bool | str, given: bool = False) -> None:
        if given:
            raise CommandRefused(f"{flag} is switched on by its name alone and takes no value.")
        if option.name in self.options:
            raise CommandRefused(f"{flag} is given twice.")
        self.options[option.name] = value

    @staticmethod
    def _values(option: Option, flag: str, first: str | None, rest: Iterator[str]) -> tuple[list[str], list[str]]:
        values = [first] if first is not None else [word for word in [next(rest, None)] if word is not None]
        if not values:
            raise CommandRefused(f"{flag} has no value.")
        if option.many == "following" and first is None and not values[0].startswith("-"):
            for word in rest:
                if word.startswith("-"):
                    return values, [word]
                values.append(word)
        return values, []

    def _refuse(self, flag: str) -> Option:
        command = f"'{self.tool} {self.name}'"
        reason = _reason(self.verb.refused, flag) or _reason(self._known.refused_options, flag)
        if reason:
            raise CommandRefused(f"{flag} is refused: {reason}.")
        if flag == "--":
            raise CommandRefused("'--' is refused: what begins with '-' is an option here.")
        if not flag.startswith("--") and flag[:2] in self._flags:
            raise CommandRefused(f"{shown(flag)}: write each short option by itself, and its value after a space.")
        near = difflib.get_close_matches(flag, self._flags, n=1)
        longer = [known for known in self._flags if flag.startswith("--") and len(flag) > 3 and known.startswith(flag)]
        hint = f" Options are not shortened: write {longer[0]}." if longer else f" Is {near[0]} meant?" if near else ""
        raise CommandRefused(f"{shown(flag)} is no option of {command} that a job may use.{hint}")


def _checked_arguments(read: _Reader, environment: str | None) -> tuple[str, ...]:
    expected, given = read.verb.arguments, read.arguments
    command = f"'{read.tool} {read.name}'"
    most = None if expected and expected[-1].many else len(expected)
    if most is not None and len(given) > most:
        raise CommandRefused(f"{command} takes no {shown(given[most])}.")
    missing = [argument.name for argument in expected[len(given) :] if argument.required]
    if missing:
        raise CommandRefused(f"{command} needs {missing[0]}.")
    for place, text in enumerate(given):
        argument = expected[min(place, len(expected) - 1)]
        check_value(argument.kind, text, argument.name)
        if argument.kind == "environment":
            _check_environment(read.name, argument, text, environment or _DEFAULT_ENVIRONMENT)
    return tuple(given)


def _check_environment(verb: str, argument: Argument, text: str, own: str) -> None:
    same = text.lower() == re.sub(r"[^a-z0-9_]", "_", own.lower())
    if argument.required and (same or text.lower() == _DEFAULT_ENVIRONMENT):
        raise CommandRefused(
            f"'sqlmesh {verb} {text}' would take down what the project has deployed; delete the project instead."
        )
    if not argument.required and not same:
        raise CommandRefused(
            f"environment: a job has the project's own one, {shown(own)}; {shown(text)} belongs to a plan of it."
        )


def _check_since(what: str, since: str | None, known: ToolCommands, version: str | None) -> None:
    if since is None or version is None or not _VERSION.fullmatch(version):
        return
    if _key(version) < _key(since):
        raise CommandRefused(f"{what} is there since {known.label} {since}; the project has {version}.")


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _reason(table: Mapping[str, str], flag: str) -> str | None:
    return next((reason for flags, reason in table.items() if flag in flags.split()), None)
