"""Stands in for the API server where only a worker is under test: signs what it may do, and knows the key that it seals with."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import GRANT_KEY, VARIABLES_KEY
from dagctl_provider.domain.proofs import SigningKey, derived
from dagctl_provider.domain.wire.grants import Grant, digest_of
from dagctl_provider.domain.wire.requests import Inputs
from dagctl_provider.domain.wire.variables import GivenVariable, SealedVariables, digest_of_variables, packed
from dagctl_provider.operators import grants

KEY = SigningKey.new()
SEAL_KEY = "the-key-of-all-seals"


def believe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tasks of this process believe :data:`KEY`, seal with :data:`SEAL_KEY`, and not wait long for a grant."""
    monkeypatch.setenv("AIRFLOW__DAGCTL__PUBLIC_KEYS", KEY.public)
    monkeypatch.setenv("AIRFLOW_CONN_DAGCTL__SEAL_KEY", json.dumps({"conn_type": "dagctl", "password": SEAL_KEY}))
    monkeypatch.setattr(grants, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(grants, "_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(grants, "_WAIT_FOR_NONE_SECONDS", 0.02)


def task(kind: str, dag_id: str = "dagctl__shop", run_id: str = "plangroup_1", **more: Any) -> SimpleNamespace:
    """A task instance that keeps what is pushed in ``pushed`` and finds what stands in ``xcoms``."""
    found = SimpleNamespace(
        id=uuid.uuid4(), dag_id=dag_id, run_id=run_id, task_id=kind, map_index=-1, try_number=1, xcoms={}, pushed={}
    )
    found.xcom_pull = lambda task_ids, key: found.xcoms.get(key)
    found.xcom_push = lambda key, value: found.pushed.__setitem__(key, value)
    found.get_ti_count = lambda **asked: 4
    for name, value in more.items():
        setattr(found, name, value)
    return found


def context(instance: Any, **more: Any) -> Any:
    """The context of a task."""
    run = SimpleNamespace(dag_id=instance.dag_id, run_id=instance.run_id, conf={})
    return {"ti": instance, "dag_run": run, "run_id": instance.run_id, "dag": SimpleNamespace(), **more}


def grant(kind: str, request: Mapping[str, Any], instance: Any, inputs: Mapping[str, str] | None = None, **more: Any) -> Grant:
    """What the API server says for this try.

    :param more: Fields to have otherwise.
    """
    now = datetime.now(timezone.utc)
    values: dict[str, Any] = {
        "dag_id": instance.dag_id,
        "run_id": instance.run_id,
        "task_id": instance.task_id,
        "try_id": str(instance.id),
        "kind": kind,
        "step_id": str(request.get("step_id")),
        "issued_at": now,
        "expires_at": now + timedelta(hours=1),
        "request": request,
        "inputs": digest_of(Inputs(files=inputs or {})),
        "key_check": derived(SEAL_KEY, "check", str(instance.id)),
    }
    return Grant(**{**values, **more})


def signed(letter: Grant, key: SigningKey = KEY) -> dict[str, Any]:
    """A grant as it lies in Airflow."""
    return proofs.sign(key, GRANT_KEY, letter)


def granted(
    kind: Any,
    request: Mapping[str, Any],
    instance: Any = None,
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, GivenVariable] | None = None,
    **more: Any,
) -> Any:
    """The context of a task that was granted this.

    :param more: Members of the context.
    """
    found = instance or task(kind)
    letter = None
    if variables:
        letter = SealedVariables(sealed=proofs.locked(SEAL_KEY, str(found.id), packed(variables).encode()))
        found.xcoms[VARIABLES_KEY] = letter.to_json()
    own = grant(kind, request, found, inputs, variables=digest_of_variables(letter) or None)
    found.xcoms |= {GRANT_KEY: signed(own), **({"inputs": dict(inputs)} if inputs else {})}
    return context(found, **more)


def seal_of(letter: Mapping[str, Any], instance: Any, key: str) -> bool:
    """Whether a letter that a task left under ``key`` bears its seal."""
    place = proofs.Place(instance.dag_id, instance.run_id, instance.task_id, key, str(instance.id))
    return proofs.unsealed(SEAL_KEY, place, letter)


def content(letter: Mapping[str, Any]) -> dict[str, Any]:
    """What a task left, without what proves it."""
    return {name: value for name, value in letter.items() if name not in (proofs.SEAL, proofs.TRY)}
