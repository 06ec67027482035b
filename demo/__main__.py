"""The commands behind `make demo`, `make serve`, `make commit`, `make stop` and `make clean`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dagctl_provider.domain.names import PAGES
from demo.options import DemoError, Options, read_options, require_free_port
from demo.samples import SAMPLES
from demo.show import Show
from demo.stack import USERNAME, Stack
from demo.terminal import Terminal


def _run(options: Options, terminal: Terminal) -> int:
    """The whole show. State of an earlier one is thrown away."""
    stack = _fresh_stack(options, terminal)
    with _ended_afterwards(stack, terminal):
        terminal.heading(f"Starting Airflow at {stack.base_url}")
        stack.start()
        show = Show(stack)
        project_id = show.make_project()
        show.write_information(project_id)
        show.first_plan(project_id)
        plan = show.detected_plan(project_id, show.second_commit())
        approved = True
        if options.once:
            show.approve(plan)
        else:
            approved = show.wait_for_decision(plan)
        if approved:
            show.second_execution(plan)
            show.job_run(project_id)
        if options.once:
            terminal.heading("Every step happened.")
        else:
            terminal.heading("That was all. Airflow runs on for you to look around, until you press Ctrl-C.")
            terminal.line(f"  {stack.base_url}, user {USERNAME}, password {stack.secrets()['admin_password']}")
            _wait_for_interrupt()
    return 0


def _serve(options: Options, terminal: Terminal) -> int:
    """The stack with the sample project, left running."""
    stack = _known_stack(options, terminal)
    if stack.information() is not None and stack.sample.kind != options.kind:
        raise DemoError(
            f"{options.home} holds a demo with a {stack.sample.label} project, not KIND={options.kind}.",
            "Run 'make clean' first, or give DAGCTL_HOME another folder.",
        )
    if stack.is_up():
        terminal.line(f"Already running at {stack.base_url}. 'make stop' ends it.")
        _tell(stack, terminal)
        return 0
    if stack.stop():
        terminal.line("Ended what was left of an earlier start.")
    require_free_port(options.port)
    stack = Stack(options.home, options.port, terminal, sample=SAMPLES[options.kind])
    stack.claim()
    known = stack.information()
    if known is None:
        stack.reset()
    try:
        terminal.heading(f"Starting Airflow at {stack.base_url}")
        stack.start()
        show = Show(stack)
        if known is None:
            project_id = show.make_project()
            show.first_plan(project_id)
        else:
            project_id = known["project_id"]
        show.write_information(project_id)
    except BaseException:
        _end(stack, terminal)
        raise
    terminal.heading("Running in the background. 'make stop' ends it, 'make commit' makes a commit to review.")
    _tell(stack, terminal)
    return 0


def _commit(options: Options, terminal: Terminal) -> int:
    """The second commit, in a stack that is being served."""
    stack = _known_stack(options, terminal)
    if stack.information() is None or not stack.is_up():
        raise DemoError("No demo runs here.", "Start it: make serve")
    Show(stack).second_commit()
    terminal.done(f"Its plan waits within seconds at {stack.base_url}{PAGES}/plans, and in Required Actions")
    return 0


def _stop(options: Options, terminal: Terminal) -> int:
    """End everything."""
    stack = Stack(options.home, options.port, terminal)
    terminal.line("Stopped." if stack.stop() else "Nothing runs.")
    return 0


def _clean(options: Options, terminal: Terminal) -> int:
    """End everything and remove all state."""
    stack = Stack(options.home, options.port, terminal)
    stack.stop()
    stack.remove()
    return 0


def _end(stack: Stack, terminal: Terminal) -> None:
    """Stop the stack, and let nobody break that off."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if stack.processes.running():
        terminal.line("Stopping Airflow ...")
    stack.stop()


@contextmanager
def _ended_afterwards(stack: Stack, terminal: Terminal) -> Iterator[None]:
    try:
        yield
    finally:
        _end(stack, terminal)


def _fresh_stack(options: Options, terminal: Terminal) -> Stack:
    stack = Stack(options.home, options.port, terminal, sample=SAMPLES[options.kind])
    stack.claim()
    if stack.stop():
        terminal.line("Ended what ran here before.")
    require_free_port(options.port)
    stack.reset()
    return stack


def _known_stack(options: Options, terminal: Terminal) -> Stack:
    """The stack as it was started, whatever ``PORT`` and ``KIND`` say now."""
    stack = Stack(options.home, options.port, terminal)
    known = stack.information()
    port = str((known or {}).get("base_url", "")).rpartition(":")[2]
    sample = SAMPLES[(known or {}).get("kind", "sqlmesh")]
    return Stack(options.home, int(port), terminal, sample=sample) if port.isdigit() else stack


def _tell(stack: Stack, terminal: Terminal) -> None:
    terminal.line(f"  Airflow   {stack.base_url}, user {USERNAME}, password {stack.secrets()['admin_password']}")
    terminal.line(f"  REST      {stack.base_url}/api/v1, token and ids in {stack.information_file}")
    terminal.line(f"  Project   {stack.home / 'repository'}: commit there, and a plan is made within seconds")


def _wait_for_interrupt() -> None:
    while True:
        signal.pause()


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_COMMANDS: dict[str, Callable[[Options, Terminal], int]] = {
    "run": _run,
    "serve": _serve,
    "commit": _commit,
    "stop": _stop,
    "clean": _clean,
}


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run one command.

    :return: Exit code: 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C.
    """
    terminal = Terminal()
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        terminal.error(f"Usage: python -m demo {{{'|'.join(_COMMANDS)}}}", "'make' lists the commands.")
        return 2
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        options = read_options(os.environ)
    except DemoError as error:
        terminal.error(str(error), error.hint)
        return 2
    try:
        return _COMMANDS[arguments[0]](options, terminal)
    except DemoError as error:
        terminal.error(str(error), error.hint)
        return 1
    except KeyboardInterrupt:
        terminal.line("Stopped.")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
