"""Lets tasks believe what lies in Airflow as it is: versions sign in their own way, and what is said is compared."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock


def _asked(context: Any) -> Any:
    return (context["dag_run"].conf or {}).get("dagctl") or {}


def _granted(context: Any, kind: str) -> tuple[Any, Any]:
    """What a step would be granted: what its run's conf says, as the step that the decision names."""
    from dagctl_provider.domain.wire.requests import StepRequest

    return SimpleNamespace(refusal=None), StepRequest.from_json(_asked(context))


_INSTEAD = {
    "dagctl_provider.operators.grants": {"received_grant": _granted},
    "dagctl_provider.operators.steps": {"sealed": lambda instance, key, letter: dict(letter)},
    "dagctl_provider.operators.pod": {"sealed": lambda instance, key, letter: dict(letter)},
    "dagctl_provider.sensors.approval": {
        "said_to": lambda context, key: context["ti"].xcom_pull(task_ids="explain", key=key),
        "left_by": lambda context, task_id, key: context["ti"].xcom_pull(task_ids=task_id, key=key),
        "granted_request": lambda context, kind: _asked(context),
    },
}


@contextmanager
def believing() -> Iterator[None]:
    """Ask for no proof while the block lasts, in versions that ask for it."""
    with ExitStack() as stack:
        for name, members in _INSTEAD.items():
            try:
                module = importlib.import_module(name)
            except ModuleNotFoundError:
                continue
            for member, instead in members.items():
                if hasattr(module, member):
                    stack.enter_context(mock.patch.object(module, member, instead))
        yield


def as_left(letter: dict[str, Any], place: dict[str, str], task_id: str) -> dict[str, Any]:
    """A result as the worker of this version leaves it.

    :param place: ``dag_id`` and ``run_id``.
    """
    try:
        from dagctl_provider.domain.proofs import Place, sealed
        from dagctl_provider.services.lifecycle import keys
    except ImportError:
        return letter
    from dagctl_provider.orchestration import runs
    from dagctl_provider.store import transactions

    def work(session: Any) -> dict[str, Any]:
        dag_id, run_id = place["dag_id"], place["run_id"]
        state = runs.task_states(session, [(dag_id, run_id)])[dag_id, run_id, task_id]
        return sealed(keys.seal_key(session), Place(dag_id, run_id, task_id, "result", state.try_id), letter)

    return transactions.run(work)
