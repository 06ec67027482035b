"""Lists the slowest tests and folders of the last run, from what pytest has written about it; ``make test-slowest`` calls it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

_SHOWN = 20


def listed(report: str) -> str:
    """The lists as text.

    :param report: A JUnit document of pytest: a time per test, with all that was set up and taken down for it.
    """
    tests: Counter[str] = Counter()
    folders: Counter[str] = Counter()
    for case in ElementTree.fromstring(report).iter("testcase"):
        parts, seconds = case.attrib["classname"].split("."), float(case.attrib["time"])
        tests["::".join((_file(parts), *filter(_is_class, parts), case.attrib["name"]))] += seconds
        folders["/".join(parts[:2])] += seconds
    return "\n".join([*_table("tests", tests), "", *_table("folders", folders)])


def _is_class(part: str) -> bool:
    return part[0].isupper()


def _file(parts: list[str]) -> str:
    return "/".join(part for part in parts if not _is_class(part)) + ".py"


def _table(kind: str, times: Counter[str]) -> list[str]:
    total = sum(times.values())
    head = f"The slowest of {len(times)} {kind}, which took {total:.0f} s in all processes together:"
    return [head, *(f"{seconds:8.1f} s  {name}" for name, seconds in times.most_common(_SHOWN))]


def main(file: Path) -> int:
    if not file.exists():
        print("No run to tell of: only the last `make test`, `test-quick`, `test-long` or `coverage` is.", file=sys.stderr)
        return 1
    print(listed(file.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
