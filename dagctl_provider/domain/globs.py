"""Paths in a repository and the patterns that name them, as CODEOWNERS files have them.

No regular expressions: a pattern comes from a repository, and some take an expression longer than anybody waits.
"""

from __future__ import annotations

_ANY_DEPTH = "**"


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern names a file.

    Without a slash before its end it names files and folders at any depth, otherwise from the top of the repository on. A folder
    stands for all that is below it, only a last ``*`` does not look further down.

    :param pattern: ``*.sql``, ``/models/marts/``, ``models/**/finance_*``.
    :param path: From the top of the repository, with slashes.
    """
    parts = path.split("/")
    if not pattern.strip("/"):
        return False
    anchored = "/" in pattern.rstrip("/")
    wanted = [part for part in pattern.split("/") if part]
    only_below = pattern.endswith("/") or (len(wanted) > 1 and wanted[-1] == _ANY_DEPTH)
    if len(wanted) > 1 and wanted[-1] == _ANY_DEPTH:
        wanted.pop()
    direct = anchored and wanted[-1] == "*"
    if not anchored:
        wanted = [_ANY_DEPTH, *wanted]
    return any(_fits(wanted, parts[:end]) for end in _ends(len(parts), only_below=only_below, direct=direct))


def _ends(length: int, *, only_below: bool, direct: bool) -> range:
    """How much of a path a pattern may stand for: the file alone, or a folder above it as well."""
    if direct and not only_below:
        return range(length, length + 1)
    return range(1, length if only_below else length + 1)


def _fits(wanted: list[str], parts: list[str]) -> bool:
    """Whether the parts of a pattern fit all parts of a path; ``**`` fits any number of them."""
    reached = {0}
    for want in wanted:
        if want == _ANY_DEPTH:
            reached = set(range(min(reached), len(parts) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(parts) and _part_fits(want, parts[at])}
        if not reached:
            return False
    return len(parts) in reached


def _part_fits(want: str, part: str) -> bool:
    """Whether one part fits, with ``*`` for any letters and ``?`` for one; back to the last star only, so it is never slow."""
    at = of_want = 0
    star, resumed = -1, 0
    while at < len(part):
        if of_want < len(want) and want[of_want] == "*":
            star, resumed = of_want, at
            of_want += 1
        elif of_want < len(want) and want[of_want] in ("?", part[at]):
            at, of_want = at + 1, of_want + 1
        elif star >= 0:
            resumed += 1
            at, of_want = resumed, star + 1
        else:
            return False
    return not want[of_want:].strip("*")
