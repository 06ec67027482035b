"""The table of a run: each case, what its plans said, whether that is what was expected, and whether the warehouses are equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table as Markdown, with a line of sums above it.

    :param rows: Verdicts.
    """
    rows = sorted(rows, key=lambda row: str(row["id"]))
    wrong = [row for row in rows if row["faults"]]
    known = [row for row in wrong if row["known"]]
    unequal = [row for row in rows if not row["equal"]]
    drifts = [row for row in rows if any("drift" in text or "another digest" in text for text in row["faults"])]
    lines = [
        f"{len(rows)} cases: {len(rows) - len(wrong)} as expected, {len(known)} known faults, {len(wrong) - len(known)} wrong; "
        f"{len(unequal)} warehouses differ; {len(drifts)} false drifts.",
        "",
        "| case | what the plan says | as expected | warehouse | |",
        "|---|---|---|---|---|",
    ]
    lines += [" | ".join(["", *_cells(row), ""]).strip() for row in rows]
    return "\n".join(lines) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    verdict = "yes" if not row["faults"] else "known fault" if row["known"] else "NO"
    why = row["known"] or row["tool_is_wrong"] or ("; ".join(row["faults"]) if row["faults"] else "")
    cells = [row["id"], " / then ".join(row["says"]), verdict, "equal" if row["equal"] else "DIFFERS", why]
    return [" ".join(str(cell).replace("|", "\\|").split()) for cell in cells]
