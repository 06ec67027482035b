"""Puts something of ours in the place of a function or class of Python's own, so that nobody notices."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")


def named_like(stand_in: _T, real: object) -> _T:
    """Give a stand-in the real one's name: SQLMesh keeps ``from datetime import date`` in what it hashes, made from these.

    :param stand_in: A function or class of ours.
    :param real: The one that it stands in for.
    :return: The stand-in.
    """
    for name in ("__module__", "__name__", "__qualname__"):
        setattr(stand_in, name, getattr(real, name))
    return stand_in
