"""What of a step's surroundings a plan depends on: the variables that the tool is given, as hashes that tell nothing.

A plan is seen by more people than the values are, so each hash is made with the installation's key. Without a key, where
somebody starts the runner by hand, the hash is cut so short that a guess cannot be proven: 24 bits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping

VOLATILE = "DAGCTL_VOLATILE_ENV"
"""Names of variables that may change between explain and execute, such as passwords that are made anew for each step."""
UNSTABLE = "unstable"
"""In place of the hash of a value that nobody can know yet. The inner program does not compare such a part; see its digests."""
_KEYED, _UNKEYED = 16, 6


def variable_hashes(variables: Mapping[str, str], key: str | None, project_id: str) -> dict[str, str]:
    """A hash of each variable, by its name.

    :param variables: Names and values.
    :param key: The installation's key for this project.
    :param project_id: Stands in for the key when there is none.
    """
    return {name: value_hash(name, value, key, project_id) for name, value in sorted(without_volatile(variables).items())}


def without_volatile(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables, or their hashes, without those that may change between explain and execute.

    :param variables: By name.
    """
    volatile = volatile_names()
    return {name: value for name, value in variables.items() if name not in volatile}


def volatile_names() -> set[str]:
    """Names of variables that do not count."""
    return set(os.environ.get(VOLATILE, "").replace(",", " ").split())


def value_hash(name: str, value: str, key: str | None, project_id: str) -> str:
    """The hash of one variable.

    :param name: Its name: two variables with one value have two hashes.
    :param value: Its value.
    :param key: The installation's key for this project.
    :param project_id: Stands in for the key when there is none.
    """
    made = hmac.new((key or project_id).encode(), f"{name}={value}".encode(), hashlib.sha256).hexdigest()
    return made[: _KEYED if key else _UNKEYED]
