"""What both launchers share: the request handed to the runner, and what its result means for the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from dagctl_provider.domain.ids import fingerprint
from dagctl_provider.domain.names import (
    ARTIFACTS_KEY,
    DECISION_KEY,
    EXPLAIN,
    INPUTS_KEY,
    INPUTS_TASK,
    ORIGIN_KEY,
    PROGRESS_KEY,
    RESULT_KEY,
)
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.operators.deployed import run_request

LAUNCHER_KEYS = frozenset(
    {"git_auth_method", "git_secret_ref", "resources", "state_connection_id", "job_name", "commit_message", "commit_author"}
)

StepKind = Literal["explain", "execute", "run"]


class StepRefused(AirflowFailException):
    """The step must not run: nothing of this digest was approved."""


class StepFailed(AirflowFailException):
    """The runner finished and said what is wrong; trying again would not help."""


class StepInterrupted(AirflowException):
    """The runner was stopped or lost before it finished; the step may run again."""


def step_request(context: Any, kind: StepKind) -> dict[str, Any]:
    """The request for the runner, from the run's conf and, for an execute, from the decision; for a run from what is deployed.

    :raises StepRefused: when the run was not made by dagctl, or no approval of the explained digest exists.
    :raises RunRefused: when nothing is deployed, or the project is suspended.
    """
    if kind == "run":
        return {**run_request(context), "attempt": context["ti"].try_number}
    conf = (context["dag_run"].conf or {}).get("dagctl")
    if not isinstance(conf, dict) or (kind == "explain" and not _asked_for(context, conf)):
        raise StepRefused("This run was not started by dagctl. Create a plan: POST /api/v1/projects/{id}/plans.")
    request = {**conf, "attempt": context["ti"].try_number}
    inputs = context["ti"].xcom_pull(task_ids=INPUTS_TASK[kind], key=INPUTS_KEY) if kind in INPUTS_TASK else None
    if isinstance(inputs, dict) and inputs:
        request["inputs"] = inputs
    if kind != "execute":
        return request
    decision = context["ti"].xcom_pull(task_ids=EXPLAIN, key=DECISION_KEY) or {}
    explained = context["ti"].xcom_pull(task_ids=EXPLAIN, key=RESULT_KEY) or {}
    if decision.get("decision") != "approved" or not decision.get("execution_plan_id"):
        raise StepRefused("No approval stands for this plan, so nothing is executed.")
    if not decision.get("digest") or decision["digest"] != explained.get("digest"):
        raise StepRefused("The approval is for another digest than the one explained here, so nothing is executed.")
    # Here, since Dags are parsed far more often than a plan is executed.
    from dagctl_provider.plan_output.reading import explained as read

    return {
        **request,
        "step_id": decision["execution_plan_id"],
        "job_name": decision.get("job_name"),
        "expected_digest": decision["digest"],
        "expected_digest_parts": dict(read(explained.get("plan_output")).digest_parts) or None,
        "explained_plan_id": explained.get("tool_plan_id"),
    }


def _asked_for(context: Any, conf: dict[str, Any]) -> bool:
    """Whether the conf is the one dagctl made, rather than that of somebody who triggered the Dag.

    An explain runs a project's code with its credentials. An execute is bound to what was explained by the decision's digest.
    """
    origin = context["ti"].xcom_pull(task_ids=INPUTS_TASK["explain"], key=ORIGIN_KEY)
    return isinstance(origin, dict) and origin.get("fingerprint") == fingerprint(conf)


def runner_request(request: dict[str, Any]) -> dict[str, Any]:
    """The part of a request that is the runner's; the rest tells the launcher where credentials are and how big a pod is."""
    return {key: value for key, value in request.items() if key not in LAUNCHER_KEYS}


def profile_refused(error: ProfileError) -> dict[str, Any]:
    """The result of a step that was not started because its dbt profile could not be made."""
    hint = "Correct the connection, or 'profile' in the extra of the project's connection; see docs/dbt.md."
    return {"outcome": "failed", "error": {"code": "profile_invalid", "message": str(error), "hint": hint}}


def progress_to_xcom(context: Any, request: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """How a running step tells how far it is: pages show it, and the API server hands what is finished to a retry.

    :return: Gets the state so far.
    """

    def tell(state: dict[str, Any]) -> None:
        context["ti"].xcom_push(key=PROGRESS_KEY, value={"step_id": request.get("step_id"), **state})

    return tell


def report(context: Any, request: dict[str, Any], result: dict[str, Any] | None, **more: Any) -> None:
    """Leave the result where the API server reads it, then end the task accordingly.

    :param result: The runner's result document; ``None`` when it left none.
    :param more: Further members for the result, such as ``pod_name``.
    :raises StepFailed: when the runner said that it failed or drifted.
    :raises StepInterrupted: when it was cancelled or left no result.
    """
    if result is None:
        raise StepInterrupted("The runner ended without a result; its log says how far it got.")
    result = dict(result)
    artifacts = result.pop("artifacts", None)
    if artifacts:
        # Apart from the result, which is read often; this is read once, by the API server, and kept in its store.
        context["ti"].xcom_push(key=ARTIFACTS_KEY, value={"step_id": request.get("step_id"), "artifacts": artifacts})
    context["ti"].xcom_push(key=RESULT_KEY, value={**result, "step_id": request.get("step_id"), **more})
    outcome = result.get("outcome")
    if outcome == "succeeded":
        return
    error = result.get("error") or {}
    text = " ".join(part for part in (error.get("message"), error.get("hint")) if part) or f"The runner reports {outcome}."
    raise StepInterrupted(text) if outcome == "cancelled" else StepFailed(text)
