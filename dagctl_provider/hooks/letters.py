"""XComs between a task and dagctl's API server: what a task leaves is sealed, and what it reads is believed only with proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import EXPLAIN, GRANT_KEY, GRANT_TASK
from dagctl_provider.domain.proofs import Place, ProofError
from dagctl_provider.hooks import keys

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

# Records are loaded where they are used: Dags are parsed far more often than a task reads a letter.


def sealed(instance: RuntimeTaskInstanceProtocol, key: str, letter: Mapping[str, object]) -> dict[str, object]:
    """A letter to the API server with the seal of this try.

    :param instance: The task instance.
    :param key: Of the XCom that it is left as.
    """
    place = Place(instance.dag_id, instance.run_id, instance.task_id, key, str(instance.id))
    return proofs.sealed(keys.seal_key(place.try_id) or "", place, letter)


def left_by(context: Context, task_id: str, key: str) -> dict[str, Any] | None:
    """What the worker of another task of this run left under a key; ``None`` when nobody knows who wrote it."""
    letter = context["ti"].xcom_pull(task_ids=task_id, key=key)
    if not isinstance(letter, dict):
        return None
    run = context["dag_run"]
    place = Place(run.dag_id, run.run_id, task_id, key, str(letter.get(proofs.TRY)))
    known = keys.seal_key(str(context["ti"].id))
    return letter if known and proofs.unsealed(known, place, letter) else None


def said_to(context: Context, key: str) -> dict[str, Any] | None:
    """What the API server left with ``explain`` for this run; ``None`` when nothing lies there.

    :param key: Of the decision, or of the refusal of an answer.
    :raises ProofError: when what lies there was not left by it.
    """
    from dagctl_provider.domain.wire.decisions import about

    found = context["ti"].xcom_pull(task_ids=EXPLAIN, key=key)
    if found is None:
        return None
    run = context["dag_run"]
    return proofs.verified(keys.public_keys(), about(key, run.dag_id, run.run_id), found)


def granted_request(context: Context, kind: str) -> Mapping[str, Any] | None:
    """What a step of this run was granted to do, for people to read; ``None`` when nobody knows who wrote it."""
    from dagctl_provider.domain.wire.grants import Grant
    from dagctl_provider.domain.wire.records import WireError

    run = context["dag_run"]
    try:
        letter = context["ti"].xcom_pull(task_ids=GRANT_TASK[kind], key=GRANT_KEY)
        grant = Grant.from_json(proofs.verified(keys.public_keys(), GRANT_KEY, letter))
    except (ProofError, WireError):
        return None
    return grant.request if (grant.dag_id, grant.run_id, grant.kind) == (run.dag_id, run.run_id, kind) else None
