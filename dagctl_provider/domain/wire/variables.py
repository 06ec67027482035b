"""The variables of an organization on their way to a step: encrypted from the API server to the worker, from there by the private
way that all secrets go to the runner, which reads them in ``runner/credentials.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dagctl_provider.domain.wire.records import Record, WireError, canonical


@dataclass(frozen=True, kw_only=True)
class GivenVariable(Record):
    """One variable as a step gets it.

    :param value: The variable's, or the content of its file. ``repr`` does not show it.
    :param is_sensitive: Whether it is kept out of logs.
    :param file_mount_path: Of one that is a file: where it was asked for.
    :param file_permissions: The file's mode.
    """

    WHEN_KNOWN = frozenset({"file_mount_path", "file_permissions"})

    value: str = field(repr=False)
    is_sensitive: bool = True
    file_mount_path: str | None = None
    file_permissions: int | None = None


@dataclass(frozen=True, kw_only=True)
class SealedVariables(Record):
    """The letter beside a grant.

    :param sealed: All variables by name, encrypted for one try (:func:`~dagctl_provider.domain.proofs.locked`).
    """

    sealed: str = ""


def packed(variables: Mapping[str, GivenVariable]) -> str:
    """Variables as text: what is encrypted, and the runner's file ``variables.json``."""
    return json.dumps({name: one.to_json() for name, one in sorted(variables.items())}, ensure_ascii=False)


def unpacked(text: str) -> dict[str, GivenVariable]:
    """The variables of such a text.

    :raises WireError: when it is none.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise WireError("the variables are no object")
    return {name: GivenVariable.from_json(one) for name, one in found.items()}


def digest_of_variables(letter: SealedVariables | None) -> str:
    """What a grant says of the variables that lie beside it; nothing when there are none."""
    return hashlib.sha256(canonical(letter)).hexdigest() if letter is not None else ""
