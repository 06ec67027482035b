"""The warm tools, and the table of all cases at the end."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.truth.cases import Case, CorpusError
from tests.truth.reporting import table
from tests.truth.tools import Warm

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "var" / "truth.md"
PROGRESS = ROOT / "var" / "truth.jsonl"
"""One line for each case as soon as it is over; a run takes minutes."""


@dataclass
class Verdict:
    """What was found of a case.

    :param faults: Where it is not as expected, each as a sentence.
    :param says: What the explains said.
    :param equal: Whether the warehouse was always that of the twin.
    """

    id: str = ""
    known: str | None = None
    tool_is_wrong: str | None = None
    faults: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    equal: bool = True

    @contextlib.contextmanager
    def of(self, case: Case) -> Iterator[None]:
        """Judge a case by what is found in it; an error is a fault like others, unless the corpus itself is wrong.

        :param case: The case.
        """
        self.id, self.known, self.tool_is_wrong = case.id, case.row.get("known"), case.row.get("tool_is_wrong")
        try:
            yield
        except CorpusError as error:
            self.faults.append(f"the case itself: {error}")
            self.known = None
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}")
        self._judge()

    def _judge(self) -> None:
        """Fail when something is wrong that is not known to be, or nothing is and the case says otherwise."""
        if self.faults and self.known:
            pytest.xfail(f"known: {self.known}\n" + "\n".join(self.faults))
        if self.faults:
            pytest.fail("\n".join(self.faults), pytrace=False)
        if self.known:
            pytest.fail(f"this holds by now: take `known` out of the case ({self.known})", pytrace=False)


@pytest.fixture
def verdict() -> Verdict:
    """What is found of the case."""
    return Verdict()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Hand the verdict to the process that prints the table, and to whoever does not want to wait for it."""
    report: Any = yield
    found = getattr(item, "funcargs", {}).get("verdict")
    if report.when == "call" and found is not None:
        report.user_properties.append(("truth", asdict(found)))
        REPORT.parent.mkdir(exist_ok=True)
        with open(PROGRESS, "a") as file:
            file.write(json.dumps(asdict(found)) + "\n")
    return report


class _Tools(dict[str, Warm]):
    """Tools by name, each made at its first use."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, tool: str) -> Warm:
        place = self._folder / tool
        place.mkdir()
        self[tool] = Warm(tool, place)
        return self[tool]


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Warm]]:
    """The tools, by name."""
    os.environ["DAGCTL_ENVIRONMENTS_DIR"] = str(ROOT / ".tools" / "environments")
    tools = _Tools(tmp_path_factory.mktemp("tools"))
    yield tools
    for tool in tools.values():
        tool.close()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin the lines anew, once for all processes."""
    if not hasattr(session.config, "workerinput"):
        PROGRESS.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, and keep it."""
    rows = [
        {**value, "outcome": report.outcome, "seconds": report.duration}
        for kind in ("passed", "failed", "xfailed")
        for report in terminalreporter.stats.get(kind, ())
        for name, value in report.user_properties
        if name == "truth"
    ]
    if rows:
        text = table(rows)
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text)
        terminalreporter.write_line(text)
