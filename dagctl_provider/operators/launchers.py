"""Chooses the operator for a launcher; imports it only then, because the pod operator alone is half of a Dag's parse time."""

from __future__ import annotations

from typing import Any


def step_operator(launcher: str) -> Any:
    """The operator class that runs plan steps with this launcher.

    :param launcher: ``kubernetes`` or ``process``.
    :raises ValueError: for anything else.
    """
    if launcher == "process":
        from dagctl_provider.operators.process import ProcessStepOperator

        return ProcessStepOperator
    if launcher == "kubernetes":
        from dagctl_provider.operators.pod import PodStepOperator

        return PodStepOperator
    raise ValueError(f"[dagctl] launcher must be 'kubernetes' or 'process', not {launcher!r}")
