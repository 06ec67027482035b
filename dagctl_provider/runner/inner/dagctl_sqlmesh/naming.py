"""Model names as people know them: ``schema.model``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_PART = re.compile(r'"((?:[^"]|"")*)"|`([^`]*)`|([^."`]+)')


def name_parts(fqn: str) -> list[str]:
    """Split ``"db"."shop"."orders"``."""
    return [(a or b or c).replace('""', '"') for a, b, c in _PART.findall(fqn)]


def short_name(fqn: str) -> str:
    """The last two parts of a full name."""
    return ".".join(name_parts(fqn)[-2:])


class Names:
    """Short names, or full ones where two catalogs hold models of the same short name.

    :param fqns: All full names of the project.
    """

    def __init__(self, fqns: Iterable[str] = ()) -> None:
        self._names: dict[str, str] = {}
        known = set(fqns)
        counts = Counter(short_name(fqn) for fqn in known)
        for fqn in known:
            short = short_name(fqn)
            self._names[fqn] = short if counts[short] == 1 else ".".join(name_parts(fqn))

    def of(self, fqn: object) -> str:
        """The name to show for a full name or a snapshot id."""
        text = str(getattr(fqn, "name", fqn))
        return self._names.get(text) or short_name(text)

    def sorted(self, fqns: Iterable[object]) -> list[str]:
        """Names to show, in order."""
        return sorted(self.of(fqn) for fqn in fqns)
