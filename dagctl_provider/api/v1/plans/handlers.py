"""What each operation on plans does: call one service, say the answer in the document's words.

Nothing is decided here. Rights are checked before (by the route) and again inside the service.
"""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.common import Message, OverrideBody
from dagctl_provider.api.v1.plans import schemas
from dagctl_provider.domain.evaluations import approved_json, still_missing
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.options import PlanOptions
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApprovalRecorded, PlanAutoDiscarded


def list_plans(call: Call) -> Result:
    query: schemas.PlanListParameters = call.query
    page = plans.list_plans(call.actor, call.ids["id"], page=query.page, limit=query.limit, status=query.status)
    return 200, schemas.PlanList(
        plans=[schemas.plan_list_item(step) for step in page.items],
        total=page.total,
        page=page.page,
        limit=page.limit,
        total_pages=page.total_pages,
    )


def count_pending_plans(call: Call) -> Result:
    return 200, schemas.PendingCount(pending_count=plans.count_pending(call.actor, call.ids["id"]))


def create_plan(call: Call) -> Result:
    body: schemas.PlanBody = call.body
    options = PlanOptions(full_refresh=tuple(body.full_refresh or ()), vars=body.vars)
    created = plans.create_plan(call.actor, call.ids["id"], options=options)
    sha, step = short_sha(created.commit_sha), created.step
    if step is None:
        return 200, schemas.AlreadyDeployedAnswer(
            message=f"Commit {sha} is already deployed", status="already_deployed", to_commit_sha=sha
        )
    if created.outcome == "existing_plan":
        return 200, schemas.ExistingPlanAnswer(
            message=f"A plan already exists for commit {sha}",
            status="existing_plan",
            plan_id=step.id,
            plan_group_id=step.group_id,
            current_status=created.current_status or step.status,
        )
    return 201, schemas.PlanCreatedAnswer(
        message="Plan created and explain job triggered",
        plan_id=step.id,
        plan_group_id=step.group_id,
        job_name=step.job_name,
        status=step.status,
        initial_status="running",
    )


def get_plan(call: Call) -> Result:
    return 200, schemas.plan(plans.get_plan(call.actor, call.ids["planId"]))


def get_plan_group(call: Call) -> Result:
    group = plans.get_group(call.actor, call.ids["planGroupId"])
    return 200, schemas.PlanGroupAnswer(
        plan_group_id=group.group_id,
        project_id=group.project_id,
        steps=[schemas.group_step(step, group.logs.get(step.id)) for step in group.steps],
        current_status=group.current_status,
    )


def get_plan_logs(call: Call) -> Result:
    found = plans.get_logs(call.actor, call.ids["planId"])
    step = found.step
    return 200, schemas.LogsAnswer(
        planId=step.id, logs=found.logs, status=step.status, jobName=step.job_name, podName=step.pod_name
    )


def approve_plan(call: Call) -> Result:
    body: schemas.ApprovalBody = call.body
    outcome = plans.approve(
        call.actor,
        call.ids["planId"],
        door="rest",
        comment=body.comment,
        allow_destructive=tuple(body.allow_destructive),
        override_reason=body.override_reason,
    )
    if isinstance(outcome, PlanApprovalRecorded):
        found = outcome.evaluation
        return 200, schemas.ApprovalRecordedAnswer(
            message=still_missing(found.missing),
            plan_id=outcome.explain.id,
            status="approval_recorded",
            approvals=[schemas.GivenApproval(**row) for row in approved_json(found.counted)],
            required=found.required,
            missing=schemas.missing_approvals(found.missing),
        )
    if isinstance(outcome, PlanAutoDiscarded):
        return 200, schemas.AutoDiscardedAnswer(
            message="Plan auto-discarded due to repository changes",
            plan_id=outcome.explain.id,
            status="auto_discarded",
            auto_discarded=True,
            expected_commit=outcome.expected_commit,
            current_commit=outcome.current_commit,
            reason=outcome.reason,
        )
    return 200, schemas.ApprovedAnswer(
        message="Plan approved and execution started",
        explain_plan_id=outcome.explain.id,
        execution_plan_id=outcome.execute.id,
        plan_group_id=outcome.explain.group_id,
        job_name=outcome.execute.job_name,
    )


def reject_plan(call: Call) -> Result:
    body: schemas.DecisionBody = call.body
    step = plans.reject(call.actor, call.ids["planId"], door="rest", comment=body.comment)
    return 200, schemas.PlanMessage(message="Plan rejected successfully", plan_id=step.id)


def cancel_plan(call: Call) -> Result:
    step = plans.cancel(call.actor, call.ids["planId"], door="rest")
    return 200, schemas.PlanMessage(message="Plan cancelled successfully", plan_id=step.id)


def retry_plan(call: Call) -> Result:
    body: OverrideBody = call.body
    step = plans.retry(call.actor, call.ids["planId"], door="rest", override_reason=body.override_reason)
    return 200, schemas.RetryAnswer(
        message="Plan retry started", execution_plan_id=step.id, retry_of=step.retry_of or call.ids["planId"]
    )


def delete_plan(call: Call) -> Result:
    plans.delete(call.actor, call.ids["planId"], door="rest")
    return 200, Message(message="Plan deleted successfully")
