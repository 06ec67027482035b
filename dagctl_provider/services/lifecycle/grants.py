"""Lets the present try of a step run: hands out its inputs, and signs what it is to do.

Everything follows from our rows, so a grant may be given again at any time, and is whenever Airflow starts another try of a step
that is still to run. The caller holds the project's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from dagctl_provider.domain.errors import ERRORS, DagctlError
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.names import GRANT_KEY, GRANT_TASK, RUN
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.proofs import derived
from dagctl_provider.domain.runs import ProjectRun, run_step_id
from dagctl_provider.domain.wire.grants import Grant, digest_of
from dagctl_provider.domain.wire.requests import Inputs, StepRequest
from dagctl_provider.orchestration import runs
from dagctl_provider.orchestration.runs import TaskState
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.services.lifecycle import artifacts, job_requests, jobs, keys, protecting, publishing, recording, variables
from dagctl_provider.services.lifecycle.variables import Chosen
from dagctl_provider.store import grants as grant_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.session import Session, utcnow

VALID = timedelta(hours=24)
"""How long a try may wait before it starts. A grant of a step that still waits is given anew when half of it has passed."""

_NOTHING_DEPLOYED = ("plan_not_executed", "Nothing is deployed yet.", "Approve a first plan of the project.")
_NOT_OURS = (
    "run_not_granted",
    "This run was not asked for in dagctl, nor started by its schedule or with Trigger: a backfill has no past state to run.",
    "Trigger the Dag, or ask for a run: POST /api/v1/projects/{id}/run.",
)
_JOB_GONE = ("job_gone", "The job of this run was deleted, so nothing is run.", "Nothing is to be done.")
_JOB_DISABLED = ("job_disabled", "The job is disabled, so nothing is run.", "Enable it first.")
_ASK = "Run the job by hand, as somebody who may change that environment: POST /jobs/{id}/run."
_SUSPENDED = ("project_suspended", "The project is suspended, so nothing is run.", "Resume it first.")


@dataclass(frozen=True)
class _Content:
    """What a grant says to do, or why nothing is to be done.

    :param chosen: The variables that go with it.
    """

    request: Mapping[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs)
    chosen: Chosen = field(default_factory=Chosen)
    refusal: Mapping[str, Any] | None = None


def give(session: Session, project: Project, step: PlanStep) -> None:
    """Let the present try of a plan's step run; nothing happens when its Dag run does not exist."""
    inputs = artifacts.hand_out(session, project, step)
    key = (step.dag_id, step.run_id)
    state = runs.task_states(session, [key]).get((*key, step.task_id))
    if state is None:
        return
    explain = None if step.plan_type == "explain" else plan_rows.group_steps(session, step.group_id)[0]
    chosen = variables.choose(session, project.organization_id, project.id, step.environment)
    variables.remember(session, step, chosen)
    if (refused := variables.refusal_for(chosen, explain)) is not None:
        content = _Content(refusal=_of_variables(*refused))
    else:
        content = _Content(_with_jobs(session, project, _request(step, explain)).to_json(), inputs, chosen)
    _write(session, state, step.plan_type, step.id, content)


def _with_jobs(session: Session, project: Project, request: StepRequest) -> StepRequest:
    """What a step of a tool without a state is told of jobs: their runs are among those that change its turn."""
    further = [] if project.tool.has_state else jobs.dag_ids_of(session, project)[1:]
    return replace(request, launcher=replace(request.launcher, job_dag_ids=tuple(further) or None))


def _of_variables(code: str, message: str) -> dict[str, str]:
    return _refusal(code, message, ERRORS[code].hint)


def _request(step: PlanStep, explain: PlanStep | None) -> StepRequest:
    """What the step is to do. An execute is bound to what was explained, and compares."""
    request = StepRequest.from_json(step.settings)
    if explain is None:
        return request
    runner = replace(
        request.runner,
        step_id=step.id,
        expected_digest=step.digest,
        expected_digest_parts=dict(explained(explain.plan_output).digest_parts) or None,
        explained_plan_id=step.tool_plan_id,
    )
    return replace(request, runner=runner, launcher=replace(request.launcher, job_name=step.job_name))


def give_run(session: Session, project: Project, run: ProjectRun, state: TaskState) -> None:
    """Let the present try of a run do what its job says with what is deployed now, or say why not.

    :param state: Of its task, which has started: what lies with a task before is cleared then.
    """
    begun = grant_rows.grants_of(session, [run.id]).get(run.id)
    # What had begun goes on, also with a worker that takes over from a lost one.
    fresh = begun is None or begun.try_id == state.try_id
    _write(session, state, RUN, run.id, _content_of_run(session, project, run, fresh))


def _content_of_run(session: Session, project: Project, run: ProjectRun, fresh: bool) -> _Content:
    request, job = publishing.run_request(session, project), job_rows.get_job(session, run.job_id)
    if request is None:
        return _Content(refusal=_refusal(*_NOTHING_DEPLOYED))
    if job is None:
        return _Content(refusal=_refusal(*_JOB_GONE))
    if fresh and (refused := _refused_run(session, project, job, run)) is not None:
        return _Content(refusal=refused)
    # Also of a run that had begun: it may have been changed since, and what is refused is not done by anybody.
    if (why := jobs.refusal_of(project, job)) is not None:
        return _Content(refusal=_refusal("command_refused", why, ERRORS["command_refused"].hint))
    environment = project.current_environment or project.target.environment
    chosen = variables.choose(session, project.organization_id, project.id, environment)
    if (unreadable := variables.refusal_for(chosen, None)) is not None:
        return _Content(refusal=_of_variables(*unreadable))
    request = job_requests.of_job(session, project, job, request)
    runner = replace(request.runner, step_id=run.id, plan_group_id=run.id)
    request = replace(request, runner=runner, launcher=replace(request.launcher, job_name=run.job_name))
    recording.begun_with(session, project, job, run.id, runner.commit_sha)
    return _Content(request.to_json(), chosen=variables.with_own(chosen, job.environment))


def _refused_run(session: Session, project: Project, job: Job, run: ProjectRun) -> dict[str, str] | None:
    """Why a run that has not begun is not to begin."""
    if project.suspended:
        return _refusal(*_SUSPENDED)
    if not job.enabled:
        return _refusal(*_JOB_DISABLED)
    other = jobs.parsed(project, job).changes if jobs.refusal_of(project, job) is None else None
    if other is None or run.settings:
        return None
    # Whoever asked dagctl for a run was asked for their rights then; here nobody asks.
    try:
        protected = protecting.protection_of(session, project.organization_id, other) is not None
    except DagctlError:
        protected = True
    message = f"The environment {other!r} is protected, and nobody asked for this run."
    return _refusal("environment_protected", message, _ASK) if protected else None


def refuse_run(session: Session, state: TaskState) -> None:
    """Tell a run that dagctl does not follow that it is not to run, rather than let it wait."""
    _write(session, state, RUN, run_step_id(state.dag_id, state.run_id), _Content(refusal=_refusal(*_NOT_OURS)))


def _refusal(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _write(session: Session, state: TaskState, kind: str, step_id: str, content: _Content) -> None:
    now = utcnow()
    grant = Grant(
        dag_id=state.dag_id,
        run_id=state.run_id,
        task_id=state.task_id,
        try_id=state.try_id,
        kind=kind,
        step_id=step_id,
        issued_at=now,
        expires_at=now + VALID,
        request=content.request,
        inputs=digest_of(content.inputs),
        variables=variables.hand_out(session, state, kind, content.chosen),
        key_check=derived(keys.seal_key(session), "check", state.try_id),
        refusal=content.refusal,
    )
    letter = keys.signed(session, GRANT_KEY, grant)
    if runs.write_xcom(session, state.dag_id, state.run_id, GRANT_TASK[kind], GRANT_KEY, letter):
        grant_rows.note_grant(session, step_id, state.try_id, grant.expires_at)


def take_back(session: Session, step: PlanStep) -> None:
    """Take away what let a step run, once it has come to its end; a retry gets its own.

    The letter stays: the approval shows what was explained from it, and it lets no other try run.
    """
    grant_rows.forget_grants(session, [step.id])
    artifacts.take_back(session, step)
    variables.take_back(session, step.dag_id, step.run_id, step.plan_type)
