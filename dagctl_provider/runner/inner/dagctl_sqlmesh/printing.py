"""What some jobs are there for: tables that SQLMesh's own console draws, as lines of the log."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from dagctl_common.channel import Channel

from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.context import Context

WIDTH = 160
_DRAWN = (
    "show_schema_diff", "show_row_diff", "show_table_diff", "show_table_diff_summary", "show_table_diff_details",
    "show_intervals", "print_environments", "show_sql", "show_linter_violations", "log_status_update",
)  # fmt: skip


class _Lines(io.StringIO):
    """A file whose lines go to the log, where secrets are hidden."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel
        self._rest = ""

    def write(self, text: str, /) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._channel.line(line.rstrip())
        return len(text)


def draw_tables(step: Step, context: Context) -> None:
    """Let the step's console draw what it is silent about otherwise.

    :param step: Whose log it is.
    :param context: Whose console it is.
    """
    from sqlmesh.core.console import RichConsole, TerminalConsole

    lines = RichConsole(file=_Lines(step.channel), width=WIDTH, no_color=True, force_terminal=False)
    terminal = TerminalConsole(console=lines)
    for name in _DRAWN:
        if hasattr(terminal, name):
            setattr(context.console, name, getattr(terminal, name))
