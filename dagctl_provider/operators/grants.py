"""What a try of a step goes by: the grant that dagctl's API server signed for it. Nothing else that lies in Airflow is believed.

The first try of a plan's step finds its grant when it starts. For a further one, and for a run of what is deployed, the API
server writes it when it sees that Airflow has started the task, so that such a task waits for a moment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, mask_secret

from dagctl_provider.domain import proofs
from dagctl_provider.domain.names import GRANT_KEY, GRANT_TASK, INPUTS_KEY, INPUTS_TASK, SEAL_KEY_CONNECTION, VARIABLES_KEY
from dagctl_provider.domain.proofs import ProofError, derived
from dagctl_provider.domain.wire.grants import Grant, digest_of
from dagctl_provider.domain.wire.records import WireError
from dagctl_provider.domain.wire.requests import Inputs, StepRequest
from dagctl_provider.domain.wire.variables import GivenVariable, SealedVariables, digest_of_variables, unpacked
from dagctl_provider.hooks import keys
from dagctl_provider.hooks.keys import KeysUnavailable
from dagctl_provider.runner.masking import sensitive_parts

if TYPE_CHECKING:
    from airflow.sdk import Context

_WAIT_SECONDS = 120.0
# A step of a plan has a grant from the moment in which its run begins. If there is none at all, hardly any will come.
_WAIT_FOR_NONE_SECONDS = 10.0
_POLL_SECONDS = 0.3
# The runner masks all of a step's variables before its log comes here. Airflow's own masking takes seconds for two hundred
# pieces and minutes for a thousand, so of very many only the longest are told to it.
_MASKED_HERE = 80
# How far the clocks of worker and API server may be apart.
_SKEW = timedelta(minutes=5)


class StepRefused(AirflowFailException):
    """The step must not run: dagctl did not decide that it should."""


class NoWord(AirflowException):
    """The API server has not said yet what the step is to do; another try may find its word."""


def received_grant(context: Context, kind: str) -> tuple[Grant, StepRequest | None]:
    """What this try is to do, with its inputs; no request where the grant says why there is none.

    :raises StepRefused: when dagctl has not granted this try.
    :raises NoWord: when that cannot be known now.
    """
    why, absent = "", True
    for waited in _looks():
        try:
            letter = context["ti"].xcom_pull(task_ids=GRANT_TASK[kind], key=GRANT_KEY)
            absent = letter is None
            return _accepted(context, kind, letter)
        except ProofError as error:
            why = str(error)
            # Runs are granted once they have started.
            if absent and kind != "run" and waited > _WAIT_FOR_NONE_SECONDS:
                break
        except KeysUnavailable as error:
            if waited > _WAIT_SECONDS / 2:
                raise NoWord(f"{error}. If that server cannot be reached from here, set [dagctl] public_keys.") from None
    if kind == "run" and absent:
        raise NoWord("dagctl's API server has not said what this run is to do. Is an API server running, and up to date?")
    raise StepRefused(
        f"dagctl has not granted this try: {why}. What starts a step is a plan and its approval "
        "(POST /api/v1/projects/{id}/plans), never a Dag run that was triggered, cleared or marked in Airflow."
    )


def _looks() -> Iterator[float]:
    """Seconds since the first look, each time that it is worth to look again."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _WAIT_SECONDS:
        yield waited
        time.sleep(_POLL_SECONDS)


def _accepted(context: Context, kind: str, letter: Any) -> tuple[Grant, StepRequest | None]:
    """The grant in a letter, if it is for this try and everything it names is there.

    :raises ProofError: when it is not.
    """
    try:
        grant = Grant.from_json(proofs.verified(keys.public_keys(), GRANT_KEY, letter))
        _require_own(grant, context, kind)
        if grant.refusal is not None:
            return grant, None
        request = StepRequest.from_json(grant.request)
        inputs = _inputs(context, kind, grant)
        sealing = keys.seal_key(grant.try_id) or ""
        if derived(sealing, "check", grant.try_id) != grant.key_check:
            keys.forget()
            raise ProofError(f"the connection {SEAL_KEY_CONNECTION!r} was changed in Airflow; dagctl writes it again by itself")
        request = replace(request, variables=_variables(context, kind, grant, sealing))
    except WireError as error:
        raise ProofError(f"it cannot be read ({error})") from None
    return grant, request if inputs is None else _with_inputs(request, inputs)


def _require_own(grant: Grant, context: Context, kind: str) -> None:
    instance = context["ti"]
    here = (instance.dag_id, instance.run_id, instance.task_id, kind)
    if (grant.dag_id, grant.run_id, grant.task_id, grant.kind) != here:
        raise ProofError("it is the grant of another step")
    if grant.try_id != str(instance.id):
        raise ProofError("what was granted is another try of this step")
    now = datetime.now(timezone.utc)
    if not grant.issued_at - _SKEW <= now <= grant.expires_at + _SKEW:
        raise ProofError(f"it was granted from {grant.issued_at} to {grant.expires_at}, and here it is {now}")


def _inputs(context: Context, kind: str, grant: Grant) -> Mapping[str, str] | None:
    """What the step starts from; ``None`` where its request says so itself.

    :raises ProofError: when it is not what was granted.
    """
    if kind not in INPUTS_TASK:
        return None
    inputs = Inputs.from_json(context["ti"].xcom_pull(task_ids=INPUTS_TASK[kind], key=INPUTS_KEY))
    if not grant.inputs:
        return {}
    if digest_of(inputs) != grant.inputs:
        raise ProofError("what it is to start from was changed in Airflow")
    return inputs.files


def _with_inputs(request: StepRequest, inputs: Mapping[str, str]) -> StepRequest:
    return replace(request, runner=replace(request.runner, inputs=inputs or None))


def _variables(context: Context, kind: str, grant: Grant, sealing: str) -> dict[str, GivenVariable]:
    """The environment variables of the step; from here on Airflow keeps them out of this task's log.

    :param sealing: The key of seals.
    :raises ProofError: when they are not what was granted.
    """
    if not grant.variables:
        return {}
    letter = SealedVariables.read(context["ti"].xcom_pull(task_ids=GRANT_TASK[kind], key=VARIABLES_KEY))
    if letter is None or digest_of_variables(letter) != grant.variables:
        raise ProofError("the variables that it is to have were changed in Airflow")
    found = unpacked(proofs.opened(sealing, grant.try_id, letter.sealed).decode())
    pieces = {part for one in found.values() if one.is_sensitive for part in sensitive_parts(one.value)}
    # Whole lines first: a log has no others.
    for text in sorted(pieces, key=lambda piece: ("\n" in piece, -len(piece)))[:_MASKED_HERE]:
        mask_secret(text)
    return found
