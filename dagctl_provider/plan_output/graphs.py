"""The impact graph: the models of a plan, what they read, and what that means for each."""

from __future__ import annotations

from collections.abc import Sequence

from dagctl_provider.plan_output.parts import Graph, Mark, ModelChange
from dagctl_provider.plan_output.shape import ExplainOutput


def graph_of(output: ExplainOutput, models: Sequence[ModelChange]) -> Graph:
    """Every model of the plan, and everything those read directly.

    :param output: What the explain found, for its lineage.
    :param models: In the order they get in the graph.
    """
    marks: dict[str, Mark] = {model.name: model.mark for model in models}
    edges: dict[tuple[str, str], None] = {}
    for name, parents in output.lineage.items():
        marks.setdefault(name, "unchanged")
        for parent in parents:
            marks.setdefault(parent, "unchanged")
            if parent != name:
                edges[parent, name] = None
    names = tuple(marks)
    position = {name: number for number, name in enumerate(names)}
    pairs = tuple((position[parent], position[child]) for parent, child in edges)
    return Graph(names, tuple(marks.values()), pairs)
