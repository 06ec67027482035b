"""Which models of a run its length hangs on: the chain that would have to get shorter for the run to get shorter.

Where it is known which model reads which, that is the chain of readers that took longest together. Else times alone speak: from
the model that ended last back to the one that ended last before it began, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_SLACK = 0.001
"""Seconds that clocks may disagree by: what ended within it before another began, ended before it."""


@dataclass(frozen=True)
class Span:
    """When a model was worked on, in seconds since any fixed moment."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class CriticalPath:
    """The chain, in the order in which its models ran.

    :param by: What it was worked out from: who reads whom, or times alone.
    :param seconds: What its models took together.
    """

    names: tuple[str, ...]
    by: Literal["lineage", "time"]
    seconds: float


def critical_path(spans: Sequence[Span], reads: Mapping[str, Sequence[str]]) -> CriticalPath | None:
    """The critical path of a run; absent when nothing ran.

    :param spans: One for each model.
    :param reads: What models read, by name, as far as it is known; names of models that did not run may be among them.
    """
    if not spans:
        return None
    took = {span.name: max(0.0, span.end - span.start) for span in spans}
    if any(name in reads for name in took):
        names = tuple(name for name in _longest_chain(took, reads) if name in took)
        return CriticalPath(names, "lineage", sum(took[name] for name in names))
    names = _back_in_time(spans)
    return CriticalPath(names, "time", sum(took[name] for name in names))


def _longest_chain(took: Mapping[str, float], reads: Mapping[str, Sequence[str]]) -> list[str]:
    """The chain of readers that took longest; those that did not run link others and take nothing."""
    longest: dict[str, float] = {}
    before: dict[str, str] = {}
    for name in _in_order(took, reads):
        known = [(longest[parent], parent) for parent in reads.get(name, ()) if parent in longest]
        so_far, parent = max(known, default=(0.0, ""))
        longest[name] = so_far + took.get(name, 0.0)
        if parent:
            before[name] = parent
    name = max(took, key=lambda each: (longest.get(each, 0.0), each))
    chain = [name]
    while name in before:
        name = before[name]
        chain.append(name)
    return chain[::-1]


def _in_order(took: Mapping[str, float], reads: Mapping[str, Sequence[str]]) -> list[str]:
    """All names, each after what it reads. What reads itself by way of others loses that link."""
    order: list[str] = []
    seen: set[str] = set()
    for first in sorted(took):
        stack = [(first, False)]
        while stack:
            name, done = stack.pop()
            if done:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((parent, False) for parent in reads.get(name, ()) if parent not in seen)
    return order


def _back_in_time(spans: Sequence[Span]) -> tuple[str, ...]:
    by_end = sorted(spans, key=lambda span: (span.end, span.name))
    current = by_end[-1]
    chain = [current]
    for earlier in reversed(by_end[:-1]):
        # Of no length, two of one moment would each be before the other; the order of the list says which is.
        if earlier.end <= current.start + _SLACK:
            chain.append(earlier)
            current = earlier
    return tuple(span.name for span in reversed(chain))
