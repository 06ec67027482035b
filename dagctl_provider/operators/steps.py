"""What both launchers share: the request handed to the runner, and what its result means for the task."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from dagctl_provider.domain import wire
from dagctl_provider.domain.names import ARTIFACTS_KEY, PROGRESS_KEY, RESULT_KEY, RUN, run_dag_id
from dagctl_provider.domain.tools import TOOLS
from dagctl_provider.hooks.letters import sealed
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.operators.users import UserUnavailable
from dagctl_provider.runner.errors import STEP_ERRORS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from dagctl_provider.domain.wire.grants import Grant

_BEGUN = ["running", "success", "failed", "up_for_retry", "restarting"]
"""States of a task instance that something was done for."""

StepKind = Literal["explain", "execute", "run"]


class RunRefused(AirflowFailException):
    """The project must not run now."""


class StepFailed(AirflowFailException):
    """The runner finished and said what is wrong; trying again would not help."""


class StepInterrupted(AirflowException):
    """The runner was stopped or lost before it finished; the step may run again."""


def received_request(context: Context, kind: StepKind) -> wire.requests.StepRequest:
    """What this try of a step is to do, as dagctl granted it.

    :raises StepRefused: when it was not granted.
    :raises RunRefused: when nothing is deployed, or the project is suspended.
    :raises NoWord: when the API server has not said yet.
    """
    # Here, since Dags are parsed far more often than a step starts.
    from dagctl_provider.operators.grants import received_grant

    grant, request = received_grant(context, kind)
    if request is None:
        raise _refused(context, grant)
    request = replace(request, runner=replace(request.runner, attempt=context["ti"].try_number))
    return _with_turn(context, request) if kind == "execute" else request


def _refused(context: Context, grant: Grant) -> RunRefused:
    """The refusal, left as the result as well, so that it is told wherever results are."""
    error = wire.reports.Failure.read(grant.refusal) or wire.reports.Failure()
    result = {**wire.reports.failed(error.code or "", error.message or "", error.hint or ""), "step_id": grant.step_id}
    context["ti"].xcom_push(key=RESULT_KEY, value=sealed(context["ti"], RESULT_KEY, result))
    return RunRefused(f"{error.message} {error.hint}")


def _with_turn(context: Context, request: wire.requests.StepRequest) -> wire.requests.StepRequest:
    """An execute with its turn, which changes whenever a run of the deployed state has begun since.

    Such a run builds deployed code over what an earlier try of this plan has built. It cannot begin now: this task has the only
    slot of the pool. A tool with a state of its own knows by itself what it has built.
    """
    if TOOLS[request.runner.tool].has_state:
        return request
    return replace(request, runner=replace(request.runner, turn=_turn_of(context, request.launcher.job_dag_ids or ())))


def _turn_of(context: Context, further: Sequence[str]) -> str:
    """How many runs of each job have begun. A job that was made or removed without a run in between is no other turn.

    :param further: The Dags of the jobs besides the default one, as they were granted.
    """
    ti, default = context["ti"], run_dag_id(context["ti"].dag_id)
    begun = {dag_id: ti.get_ti_count(dag_id=dag_id, task_ids=[RUN], states=_BEGUN) for dag_id in (default, *further)}
    of_jobs = sorted(f"{dag_id}={count}" for dag_id, count in begun.items() if dag_id != default and count)
    # A text of the kind that a runner takes, however many jobs there are.
    mark = hashlib.sha256("\n".join(of_jobs).encode()).hexdigest()[:16]
    return f"{begun[default]}-{mark}" if of_jobs else str(begun[default])


def profile_refused(error: ProfileError) -> dict[str, Any]:
    """The result of a step that was not started because its dbt profile could not be made."""
    hint = "Correct the connection, or 'profile' in the extra of the project's connection; see docs/dbt.md."
    return wire.reports.failed("profile_invalid", str(error), hint)


def user_unavailable(error: UserUnavailable) -> dict[str, Any]:
    """The result of a step that was not started because the user it is to run as cannot be become."""
    return wire.reports.failed("user_unavailable", str(error), STEP_ERRORS["user_unavailable"].hint)


def progress_to_xcom(context: Context, request: wire.requests.StepRequest) -> Callable[[dict[str, Any]], None]:
    """How a running step tells how far it is: pages show it, and the API server hands what is finished to a retry.

    :return: Gets the state so far.
    """

    def tell(state: dict[str, Any]) -> None:
        told = wire.reports.Progress(step_id=request.runner.step_id, turn=request.runner.turn, **state)
        context["ti"].xcom_push(key=PROGRESS_KEY, value=sealed(context["ti"], PROGRESS_KEY, told.to_json()))

    return tell


def report(context: Context, request: wire.requests.StepRequest, result: Mapping[str, Any] | None, **more: Any) -> None:
    """Leave the result where the API server reads it, then end the task accordingly.

    :param result: The runner's result document, which is handed on as it is; ``None`` when it left none.
    :param more: Further members for the result, such as ``pod_name``.
    :raises StepFailed: when the runner said that it failed or drifted.
    :raises StepInterrupted: when it was cancelled or left no result.
    """
    if result is None:
        raise StepInterrupted("The runner ended without a result; its log says how far it got.")
    step_id = request.runner.step_id
    if result.get("artifacts"):
        # Apart from the result, which is read often; this is read once, by the API server, and kept in its store.
        left = wire.reports.Artifacts(step_id=step_id, artifacts=result["artifacts"])
        context["ti"].xcom_push(key=ARTIFACTS_KEY, value=sealed(context["ti"], ARTIFACTS_KEY, left.to_json()))
    handed_on = {key: value for key, value in result.items() if key != "artifacts"}
    if request.runner.turn is not None:
        handed_on["turn"] = request.runner.turn
    told = sealed(context["ti"], RESULT_KEY, {**handed_on, "step_id": step_id, **more})
    context["ti"].xcom_push(key=RESULT_KEY, value=told)
    said = wire.reports.Result.read(result) or wire.reports.Result()
    if said.outcome == "succeeded":
        return
    failure = said.failure
    text = " ".join(part for part in (failure.message, failure.hint) if part) or f"The runner reports {said.outcome}."
    raise StepInterrupted(text) if said.outcome == "cancelled" else StepFailed(text)
