"""Lists folders by name, in every process that works out a plan.

A file system lists its files in an order of its own, which is another one on the next machine. Code of a project that goes
through a folder, as ``glob`` and ``os.walk`` do, would find another plan there.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from dagctl_common.standins import named_like


class _Listing:
    """What ``os.scandir`` gives back, in order."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Listing:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up the rest, as the real one does."""
        self._entries = iter(())


def sort_listings() -> None:
    """Have this process list folders by name; once, before anything of a project is loaded."""
    os.listdir = named_like(_sorted_names(os.listdir), os.listdir)
    os.scandir = named_like(_sorted_entries(os.scandir), os.scandir)
    # Python 3.10 keeps the two for itself.
    accessor = getattr(pathlib, "_NormalAccessor", None)
    if accessor is not None:
        accessor.listdir, accessor.scandir = staticmethod(os.listdir), staticmethod(os.scandir)


def _sorted_names(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    def listdir(path: Any = None) -> list[Any]:
        return sorted(original(path))

    return listdir


def _sorted_entries(original: Callable[..., Any]) -> Callable[..., Any]:
    def scandir(path: Any = None) -> _Listing:
        with original(path) as entries:
            return _Listing(sorted(entries, key=lambda entry: entry.name))

    return scandir
