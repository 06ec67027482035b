"""What a plan means to each of its models: the one place that decides in which list a model stands and whether it is computed."""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_provider.plan_output.parts import Mark
from dagctl_provider.plan_output.shape import ExplainOutput, PlannedModel

_OF_CHANGES: Mapping[str, Mark] = {
    "added": "added",
    "removed": "removed",
    "directly_modified": "changed",
    "indirectly_modified": "reader",
    "metadata": "metadata",
}


class Marker:
    """Looks at the models of one plan.

    :param output: What the explain found.
    """

    def __init__(self, output: ExplainOutput) -> None:
        self._selection = output.selection
        self._nodes = frozenset(output.selection.nodes if output.selection else ())
        self._names = frozenset(output.selection.models if output.selection else ())
        self._followers = frozenset(output.metadata_followers)

    def loads(self, model: PlannedModel) -> bool:
        """Whether an execute computes rows for it: it has spans, or, where the tool says what it runs, it is among that."""
        if self._selection is None:
            return bool(model.backfill)
        return model.unique_id in self._nodes if model.unique_id else model.name in self._names

    def mark(self, model: PlannedModel) -> Mark:
        """How it is marked."""
        if model.change is None:
            return "load" if self.loads(model) else "unchanged"
        mark = _OF_CHANGES.get(model.change, "changed")
        if mark == "reader" and self.loads(model):
            return "downstream"
        return "follower" if mark == "metadata" and model.name in self._followers else mark
