"""Compares two folders of answers and says what differs, for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_LINES = 60


@dataclass(frozen=True)
class Comparison:
    """What two folders hold.

    :param same: Files with the same bytes on both sides, as paths below the folder.
    :param different: Files whose bytes differ, with the lines that do.
    :param only_before: Files that only the first folder has.
    :param only_after: Files that only the second folder has.
    """

    same: tuple[str, ...]
    different: dict[str, str]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.different or self.only_before or self.only_after)


def compare(before: Path, after: Path) -> Comparison:
    """Compare all files below two folders, byte by byte."""
    old, new = _files(before), _files(after)
    both = sorted(old.keys() & new.keys())
    return Comparison(
        same=tuple(name for name in both if old[name] == new[name]),
        different={name: _lines(name, old[name], new[name]) for name in both if old[name] != new[name]},
        only_before=tuple(sorted(old.keys() - new.keys())),
        only_after=tuple(sorted(new.keys() - old.keys())),
    )


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _lines(name: str, old: bytes, new: bytes) -> str:
    texts = [content.decode("utf-8", "backslashreplace").splitlines() for content in (old, new)]
    found = list(difflib.unified_diff(*texts, f"before/{name}", f"after/{name}", lineterm="", n=2))
    left = len(found) - _MOST_LINES
    # Ends of lines are no lines of their own.
    shown = found[:_MOST_LINES] or [f"before/{name} and after/{name} differ in line ends only"]
    return "\n".join([*shown, f"... and {left} more lines"] if left > 0 else shown)


def _changed(text: str) -> str:
    """The lines that differ, without where they stand."""
    return "\n".join(line.replace(" ", "") for line in text.splitlines()[2:] if line[:1] in ("+", "-", "."))


def report(found: Comparison) -> Iterator[str]:
    """The differences, those of the same lines once, then one row for each kind of answer."""
    alike: dict[str, list[str]] = {}
    for name, text in found.different.items():
        alike.setdefault(_changed(text), []).append(name)
    for names in alike.values():
        more = [f"the same lines differ in {name}" for name in names[1:]]
        yield "\n".join([found.different[names[0]], *more, ""])
    for words, names in (("only before", found.only_before), ("only after", found.only_after)):
        for name in names:
            yield f"{words}: {name}"
    yield f"{'':24} {'files':>6} {'same':>6} {'different':>10} {'one side':>9}"
    apart = (*found.only_before, *found.only_after)
    everything = (*found.same, *found.different, *apart)
    for kind in (*sorted({name.partition("/")[0] for name in everything}), ""):
        within = f"{kind}/" if kind else ""
        numbers = [sum(name.startswith(within) for name in names) for names in (everything, found.same, found.different, apart)]
        yield f"{kind or 'all':24} {numbers[0]:6} {numbers[1]:6} {numbers[2]:10} {numbers[3]:9}"
