"""What lets one try of one step run: a letter that the API server signs, and that a worker believes rather than anything else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from dagctl_provider.domain.wire.records import Record, canonical
from dagctl_provider.domain.wire.requests import Inputs


@dataclass(frozen=True, kw_only=True)
class Grant(Record):
    """One try of a step may run, and does exactly this.

    :param try_id: Airflow's id of the task instance. It is another one for each try, and for a run that was deleted and made
        again under its old name, so nothing is granted twice.
    :param kind: ``explain``, ``execute`` or ``run``.
    :param request: The letter of the :class:`~dagctl_provider.domain.wire.requests.StepRequest`; empty where ``refusal`` stands.
    :param inputs: Of what lies beside it as inputs, see :func:`digest_of`.
    :param variables: Of what lies beside it as variables, see :func:`~dagctl_provider.domain.wire.variables.digest_of_variables`.
    :param key_check: What tells whether the connection with the key of seals is still the one that dagctl wrote.
    :param refusal: Why the step is not to run: the ``error`` of its result.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"refusal", "variables"})

    dag_id: str
    run_id: str
    task_id: str
    try_id: str
    kind: str
    step_id: str
    issued_at: datetime
    expires_at: datetime
    request: Mapping[str, Any] = field(default_factory=dict)
    inputs: str = ""
    variables: str | None = None
    key_check: str = ""
    refusal: Mapping[str, Any] | None = None


def digest_of(inputs: Inputs) -> str:
    """What a grant says of the inputs that lie beside it; nothing when there are none."""
    return hashlib.sha256(canonical(inputs.to_json())).hexdigest() if inputs.files else ""
