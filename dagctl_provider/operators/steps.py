"""What both launchers share: the request handed to the runner, and what its result means for the task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from dagctl_provider.domain import wire
from dagctl_provider.domain.names import (
    ARTIFACTS_KEY,
    DECISION_KEY,
    EXPLAIN,
    INPUTS_KEY,
    INPUTS_TASK,
    ORIGIN_KEY,
    PROGRESS_KEY,
    RESULT_KEY,
    RUN,
    run_dag_id,
)
from dagctl_provider.domain.tools import TOOLS
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.operators.deployed import run_request

if TYPE_CHECKING:
    from airflow.sdk import Context

_BEGUN = ["running", "success", "failed", "up_for_retry", "restarting"]
"""States of a task instance that something was done for."""

StepKind = Literal["explain", "execute", "run"]


class StepRefused(AirflowFailException):
    """The step must not run: nothing of this digest was approved."""


class StepFailed(AirflowFailException):
    """The runner finished and said what is wrong; trying again would not help."""


class StepInterrupted(AirflowException):
    """The runner was stopped or lost before it finished; the step may run again."""


def received_request(context: Context, kind: StepKind) -> wire.requests.StepRequest:
    """What this try of a step is to do: from the run's conf and, for an execute, the decision; for a run from what is deployed.

    :raises StepRefused: when the run was not made by dagctl, or no approval of the explained digest exists.
    :raises RunRefused: when nothing is deployed, or the project is suspended.
    """
    attempt = context["ti"].try_number
    if kind == "run":
        request = run_request(context)
        return replace(request, runner=replace(request.runner, attempt=attempt))
    try:
        request = _planned(context, kind)
        inputs = wire.requests.Inputs.from_json(context["ti"].xcom_pull(task_ids=INPUTS_TASK[kind], key=INPUTS_KEY))
    except wire.records.WireError as error:
        raise StepRefused(f"What this step is to do was changed in Airflow and cannot be read: {error}.") from None
    request = replace(request, runner=replace(request.runner, attempt=attempt, inputs=inputs.files or None))
    return _with_turn(context, _approved(context, request)) if kind == "execute" else request


def _with_turn(context: Context, request: wire.requests.StepRequest) -> wire.requests.StepRequest:
    """An execute with its turn, which changes whenever a run of the deployed state has begun since.

    Such a run builds deployed code over what an earlier try of this plan has built. It cannot begin now: this task has the only
    slot of the pool. A tool with a state of its own knows by itself what it has built.
    """
    if TOOLS[request.runner.tool].has_state:
        return request
    begun = context["ti"].get_ti_count(dag_id=run_dag_id(context["ti"].dag_id), task_ids=[RUN], states=_BEGUN)
    return replace(request, runner=replace(request.runner, turn=str(begun)))


def _planned(context: Context, kind: StepKind) -> wire.requests.StepRequest:
    """The request in the run's conf.

    :raises StepRefused: when the run was not made by dagctl.
    :raises WireError: when it is broken.
    """
    conf = wire.requests.from_conf(context["dag_run"].conf)
    if not isinstance(conf, dict) or (kind == "explain" and not _asked_for(context, conf)):
        raise StepRefused("This run was not started by dagctl. Create a plan: POST /api/v1/projects/{id}/plans.")
    return wire.requests.StepRequest.from_json(conf)


def _asked_for(context: Context, conf: dict[str, Any]) -> bool:
    """Whether the conf is the one dagctl made, rather than that of somebody who triggered the Dag.

    An explain runs a project's code with its credentials. An execute is bound to what was explained by the decision's digest.
    """
    origin = wire.requests.Origin.read(context["ti"].xcom_pull(task_ids=INPUTS_TASK["explain"], key=ORIGIN_KEY))
    return origin is not None and origin == wire.requests.Origin.of(conf)


def _approved(context: Context, request: wire.requests.StepRequest) -> wire.requests.StepRequest:
    """The request of an execute, bound to the digest that was approved.

    :raises StepRefused: when no approval of the explained digest exists.
    """
    decision = wire.decisions.Decision.read(context["ti"].xcom_pull(task_ids=EXPLAIN, key=DECISION_KEY))
    explained = wire.reports.Result.read(context["ti"].xcom_pull(task_ids=EXPLAIN, key=RESULT_KEY)) or wire.reports.Result()
    if decision is None or not decision.approves or not decision.execution_plan_id:
        raise StepRefused("No approval stands for this plan, so nothing is executed.")
    if not decision.digest or decision.digest != explained.digest:
        raise StepRefused("The approval is for another digest than the one explained here, so nothing is executed.")
    # Here, since Dags are parsed far more often than a plan is executed.
    from dagctl_provider.plan_output.reading import explained as read

    runner = replace(
        request.runner,
        step_id=decision.execution_plan_id,
        expected_digest=decision.digest,
        expected_digest_parts=dict(read(explained.plan_output).digest_parts) or None,
        explained_plan_id=explained.tool_plan_id,
    )
    return replace(request, runner=runner, launcher=replace(request.launcher, job_name=decision.job_name))


def profile_refused(error: ProfileError) -> dict[str, Any]:
    """The result of a step that was not started because its dbt profile could not be made."""
    hint = "Correct the connection, or 'profile' in the extra of the project's connection; see docs/dbt.md."
    return wire.reports.failed("profile_invalid", str(error), hint)


def progress_to_xcom(context: Context, request: wire.requests.StepRequest) -> Callable[[dict[str, Any]], None]:
    """How a running step tells how far it is: pages show it, and the API server hands what is finished to a retry.

    :return: Gets the state so far.
    """

    def tell(state: dict[str, Any]) -> None:
        told = wire.reports.Progress(step_id=request.runner.step_id, turn=request.runner.turn, **state)
        context["ti"].xcom_push(key=PROGRESS_KEY, value=told.to_json())

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
        context["ti"].xcom_push(key=ARTIFACTS_KEY, value=left.to_json())
    handed_on = {key: value for key, value in result.items() if key != "artifacts"}
    if request.runner.turn is not None:
        handed_on["turn"] = request.runner.turn
    context["ti"].xcom_push(key=RESULT_KEY, value={**handed_on, "step_id": step_id, **more})
    said = wire.reports.Result.read(result) or wire.reports.Result()
    if said.outcome == "succeeded":
        return
    failure = said.failure
    text = " ".join(part for part in (failure.message, failure.hint) if part) or f"The runner reports {said.outcome}."
    raise StepInterrupted(text) if said.outcome == "cancelled" else StepFailed(text)
