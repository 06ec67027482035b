"""Diffs as lines of HTML, for browsers without scripts, and how characters that do not show are shown."""

from __future__ import annotations

from collections.abc import Iterator

from dagctl_provider.plan_output.models import HIDDEN_CHARACTERS


def visible(text: str | None) -> str:
    """``text`` with characters that do not show, or that turn it around, replaced by their names: ``[U+202E]``."""
    return HIDDEN_CHARACTERS.sub(lambda found: f"[U+{ord(found[0]):04X}]", text or "")


def diff_lines(diff: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each line of a unified diff but its head: ``add``, ``del``, ``hunk``, or empty for what stays."""
    for line in diff.splitlines():
        if line.startswith(("--- ", "+++ ")) or line in ("---", "+++"):
            continue
        if line.startswith("@@"):
            yield "hunk", visible(line)
        elif line.startswith("+"):
            yield "add", visible(line)
        elif line.startswith("-"):
            yield "del", visible(line)
        else:
            yield "", visible(line)
