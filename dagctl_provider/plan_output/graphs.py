"""The impact graph: the models of a plan, what they read, and what that means for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.parts import Graph, Mark, ModelChange


def graph_of(output: Mapping[str, Any], models: Sequence[ModelChange]) -> Graph:
    """Every model of the plan, and everything those read directly.

    :param output: ``plan_output`` of the explain step, for its ``lineage``.
    :param models: In the order they get in the graph.
    """
    marks: dict[str, Mark] = {model.name: model.mark for model in models}
    edges: dict[tuple[str, str], None] = {}
    for child, parents in reading.mapping(output.get("lineage")).items():
        if not (name := reading.text(child)):
            continue
        marks.setdefault(name, "unchanged")
        for parent in reading.texts(parents):
            marks.setdefault(parent, "unchanged")
            if parent != name:
                edges[parent, name] = None
    names = tuple(marks)
    position = {name: number for number, name in enumerate(names)}
    pairs = tuple((position[parent], position[child]) for parent, child in edges)
    return Graph(names, tuple(marks.values()), pairs)
