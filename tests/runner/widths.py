"""How much of a matrix of cases runs: some of it, or with ``make test-long WIDE=1`` all of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

Case = TypeVar("Case")
WIDE = os.environ.get("DAGCTL_WIDE") == "1"


def some(always: Iterable[Case], rest: Iterable[Case]) -> list[Case]:
    """The cases of a test.

    :param always: Those that stand for the others.
    :param rest: Those that are run when somebody asks for all of them.
    """
    return [*always, *(rest if WIDE else ())]
