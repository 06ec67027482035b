"""Every number that a plan is told with, counted once: from the models it lists and from what its tool says it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dagctl_provider.plan_output.marks import Marker
from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.shape import ExplainOutput


@dataclass(frozen=True)
class Figures:
    """How many models are what.

    :param changed: Whose own definition changes, in more than metadata.
    :param downstream: That follow from those and are computed too.
    :param readers: That follow and are not computed: they only read what changes.
    :param metadata: Edited in nothing but metadata.
    :param followers: With other metadata because of what they read.
    :param unchanged: That do not change and are computed.
    :param backfill: That an execute computes, of all lists together: SQLMesh backfills them, dbt builds them.
    :param tests: Tests that an execute runs.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    downstream: int = 0
    readers: int = 0
    metadata: int = 0
    followers: int = 0
    unchanged: int = 0
    backfill: int = 0
    tests: int = 0

    @property
    def modified(self) -> int:
        """What changes directly or by what it reads."""
        return self.changed + self.downstream + self.readers

    def to_json(self) -> dict[str, int]:
        """All numbers by their names."""
        return asdict(self)


def figures_of(output: ExplainOutput) -> Figures:
    """The numbers of a plan.

    :param output: What the explain found. Where it lists no models, the numbers it reports count.
    """
    selection = output.selection
    tests = len(selection.tests) if selection else 0
    if not output.models:
        built = len(selection.models) if selection else output.backfill
        return Figures(output.added, output.modified, output.removed, backfill=built, tests=tests)
    marker = Marker(output)
    marks = Counter(marker.mark(model) for model in output.models)
    return Figures(
        added=marks["added"],
        changed=marks["changed"],
        removed=marks["removed"],
        downstream=marks["downstream"],
        readers=marks["reader"],
        metadata=marks["metadata"],
        followers=marks["follower"],
        unchanged=marks["load"],
        backfill=len(selection.models) if selection else sum(map(marker.loads, output.models)),
        tests=tests,
    )


def counted_anew(report: Mapping[str, Any], output: ExplainOutput) -> dict[str, Any]:
    """A report with the numbers that lists of plans read in the database put right by :func:`figures_of`.

    :param report: ``plan_output`` as the runner left it.
    :param output: The same, read.
    """
    figures = figures_of(output)
    counts = {name: getattr(figures, name) for name in ("added", "modified", "removed", "backfill")}
    return {**report, **{key_of(ExplainOutput, name): count for name, count in counts.items()}}
