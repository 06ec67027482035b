"""What the benchmarks share: a whole Airflow of their own, the statistics, the table."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg2
import psycopg2.extras

from demo.options import REPOSITORY_ROOT, DemoError, free_port
from demo.stack import Stack
from demo.terminal import Terminal

T = TypeVar("T")
HOMES = REPOSITORY_ROOT / ".tools" / "benchmarks"


# Numbers


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed.

    :param share: From 0 to 1.
    :raises ValueError: without values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    whole = -(-len(ordered) * share // 1)
    return ordered[max(0, min(len(ordered), int(whole)) - 1)]


def median(values: Iterable[float]) -> float:
    """The middle value; of an even number the lower one, so that it is a value that was seen."""
    return percentile(values, 0.5)


def spread(number: int, longest: float) -> list[float]:
    """``number`` delays from 0 to ``longest``, evenly."""
    return [longest * index / max(number - 1, 1) for index in range(number)]


# What is printed


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table that is readable as plain text too; columns of numbers stand to the right."""
    texts = [[_cell(value) for value in row] for row in rows]
    numeric = [bool(texts) and all(_is_number(row[column]) for row in texts) for column in range(len(head))]
    widths = [max(len(str(title)), 3, *(len(row[column]) for row in texts)) for column, title in enumerate(head)]
    lines = [_line(head, widths, numeric), _line(["-" * width for width in widths], widths, numeric)]
    for column, right in enumerate(numeric):
        if right:
            cells = lines[1].split("|")
            cells[column + 1] = cells[column + 1][:-2] + ": "
            lines[1] = "|".join(cells)
    return "\n".join([*lines, *(_line(row, widths, numeric) for row in texts)])


def _line(cells: Sequence[Any], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = (
        str(cell).rjust(width) if right else str(cell).ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    )
    return f"| {' | '.join(padded)} |"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"
    return str(value).replace("|", "/")


def _is_number(text: str) -> bool:
    return text in ("-", "yes", "no") or text.removeprefix("-").replace(".", "", 1).removesuffix("%").isdigit()


def machine() -> str:
    """Date, size of the machine, and how busy it was with other work."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return f"{date.today()}, {os.cpu_count()} cores, {memory} GiB, load before {os.getloadavg()[0]:.1f}"


class Verdict:
    """Conditions that the numbers are worth nothing without."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def require(self, holds: bool, what: str) -> None:
        """Note a condition that does not hold."""
        if not holds:
            self.failures.append(what)

    def tell(self) -> int:
        """Print what does not hold.

        :return: Exit code.
        """
        for failure in self.failures:
            print(f"FAILED: {failure}")
        if not self.failures:
            print("All conditions hold.")
        return 1 if self.failures else 0


# The Airflow under test


@contextmanager
def fresh_stack(
    name: str, settings: Mapping[str, str] | None = None, prepare: Callable[[Path], None] | None = None
) -> Iterator[Stack]:
    """An Airflow of its own with an empty database, stopped afterwards; all its state stays for reading when something fails.

    :param name: Of the benchmark; names the state folder, whose tool environments are used again.
    :param settings: More Airflow environment variables; ``{home}`` stands for the state folder.
    :param prepare: Gets the state folder before anything starts.
    """
    home = HOMES / name
    filled = {key: value.replace("{home}", str(home)) for key, value in (settings or {}).items()}
    stack = Stack(home, free_port(), Terminal(sys.stderr), filled)
    stack.claim()
    stack.stop()
    stack.reset()
    if prepare is not None:
        prepare(home)
    with stack.stopped_afterwards():
        stack.start()
        yield stack
    stack.reset()


def connect(stack: Stack, superuser: bool = False) -> psycopg2.extensions.connection:
    """A connection to the stack's Airflow database; every statement is a transaction."""
    own = stack.secrets()
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=own["postgres_port"],
        user="postgres" if superuser else "airflow",
        password=own["postgres_password" if superuser else "airflow_password"],
        dbname="airflow",
        cursor_factory=psycopg2.extras.RealDictCursor,
    )
    connection.autocommit = True
    return connection


class Database:
    """Asks the stack's Airflow database; one per thread.

    :param stack: The running stack.
    """

    def __init__(self, stack: Stack) -> None:
        self._connection = connect(stack)

    def rows(self, statement: str, *parameters: Any) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def row(self, statement: str, *parameters: Any) -> dict[str, Any] | None:
        """The first row of a query."""
        return next(iter(self.rows(statement, *parameters)), None)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def await_value(look: Callable[[], T | None], seconds: float, what: str, every: float = 0.05) -> T:
    """Ask until there is an answer that counts as true.

    :param look: Asked again and again.
    :param what: What is waited for.
    :raises TimeoutError: naming it.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(every)


def run(main: Callable[[argparse.Namespace], int], parser: argparse.ArgumentParser) -> None:
    """Run a benchmark's command line and exit."""
    options = parser.parse_args()
    try:
        code = main(options)
    except DemoError as error:
        print(f"Error: {error}\nHint: {error.hint}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
