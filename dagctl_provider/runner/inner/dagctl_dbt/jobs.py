"""Which command of dbt a job is, and what stands on its command line.

The outer program has read the text of the job and found all of it to be a job's; here it is written down for dbt again, option by
option, with the words that dbt 1.5 to 1.12 have in common.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dagctl_common.jobs import Command


@dataclass(frozen=True)
class Verb:
    """A subcommand of dbt.

    :param words: As dbt has them.
    :param task: Name of the class that does it.
    :param modules: Where that is; it has moved.
    :param runs: Whether its nodes run, so that there are figures of them, and a retry of those that did not succeed.
    """

    words: tuple[str, ...]
    task: str
    modules: tuple[str, ...]
    runs: bool = False

    def task_class(self) -> type | None:
        """The class, where this dbt has it."""
        for name in self.modules:
            try:
                return getattr(importlib.import_module(name), self.task, None)
            except ModuleNotFoundError:
                continue
        return None


BUILD = Verb(("build",), "BuildTask", ("dbt.task.build",), runs=True)
VERBS: Mapping[str, Verb] = {
    "build": BUILD,
    "run": Verb(("run",), "RunTask", ("dbt.task.run",), runs=True),
    "test": Verb(("test",), "TestTask", ("dbt.task.test",), runs=True),
    "snapshot": Verb(("snapshot",), "SnapshotTask", ("dbt.task.snapshot",), runs=True),
    "seed": Verb(("seed",), "SeedTask", ("dbt.task.seed",), runs=True),
    "source freshness": Verb(("source", "freshness"), "FreshnessTask", ("dbt.task.freshness",)),
    "compile": Verb(("compile",), "CompileTask", ("dbt.task.compile",)),
    "docs generate": Verb(("docs", "generate"), "GenerateTask", ("dbt.task.docs.generate", "dbt.task.generate")),
    "list": Verb(("list",), "ListTask", ("dbt.task.list",)),
    "parse": Verb(("parse",), "ParseTask", ()),
}

_BEFORE = ("fail_fast", "warn_error")
"""Options that every dbt has before the subcommand; after it, some subcommands of some versions lack them."""
_AFTER_ONE_NAME = ("select", "exclude", "output_keys")
"""Options whose values may follow one mention; of the others, each value has its own."""


@dataclass(frozen=True)
class CommandLine:
    """What dbt is started with.

    :param verb: The subcommand.
    :param before: Arguments that stand before it.
    :param after: Arguments that stand after it.
    """

    verb: Verb = BUILD
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def command_line(command: Command | None) -> CommandLine:
    """The command line of a job.

    :param command: What the job does; without one it builds all there is.
    """
    if command is None:
        return CommandLine()
    before: list[str] = []
    after: list[str] = []
    for name, value in sorted(command["options"].items()):
        (before if name in _BEFORE else after).extend(_arguments(name, value))
    return CommandLine(VERBS[command["verb"]], tuple(before), tuple(after))


def _arguments(name: str, value: bool | str | Iterable[str]) -> Iterable[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else ["--no-" + flag.removeprefix("--")]
    if isinstance(value, str):
        return [flag, value]
    if name in _AFTER_ONE_NAME:
        return [flag, *value]
    return [argument for one in value for argument in (flag, one)]
