"""What each operation does: call one service, say the answer in the document's words.

Nothing is decided here. Rights are checked before (by the route) and again inside the service.
"""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.problems import invalid_fields
from dagctl_provider.api.v1 import project_schemas, schemas
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.services import plans, projects
from dagctl_provider.services.results import PlanAutoDiscarded
from dagctl_provider.services.showing import run_list

# -- plans ---------------------------------------------------------------------------------------------------------------


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
    created = plans.create_plan(call.actor, call.ids["id"])
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
    body: schemas.DecisionBody = call.body
    outcome = plans.approve(call.actor, call.ids["planId"], door="rest", comment=body.comment)
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
    step = plans.retry(call.actor, call.ids["planId"], door="rest")
    return 200, schemas.RetryAnswer(
        message="Plan retry started", execution_plan_id=step.id, retry_of=step.retry_of or call.ids["planId"]
    )


def delete_plan(call: Call) -> Result:
    plans.delete(call.actor, call.ids["planId"], door="rest")
    return 200, schemas.Message(message="Plan deleted successfully")


# -- projects ------------------------------------------------------------------------------------------------------------


def list_projects(call: Call) -> Result:
    found = projects.list_projects(call.actor)
    return 200, project_schemas.ProjectList(projects=[project_schemas.project(record) for record in found], total=len(found))


def get_project(call: Call) -> Result:
    return 200, project_schemas.project(projects.get_project(call.actor, call.ids["id"]))


def create_project(call: Call) -> Result:
    if foreign := project_schemas.foreign_fields(call.sent, call.body.project_type):
        raise invalid_fields(foreign)
    return 201, project_schemas.project(projects.create_project(call.actor, call.sent))


def update_project(call: Call) -> Result:
    sent = call.sent
    fixed = {name: sent.pop(name) for name in project_schemas.FIXED & set(sent)}
    if fixed:
        project = projects.get_project(call.actor, call.ids["id"])
        changed = {name: "cannot be changed" for name, value in fixed.items() if value != getattr(project, name)}
        if changed:
            raise invalid_fields(changed)
    return 200, project_schemas.project(projects.update_project(call.actor, call.ids["id"], sent))


def delete_project(call: Call) -> Result:
    projects.delete_project(call.actor, call.ids["id"])
    return 200, schemas.Message(message="Project deleted successfully")


def deploy_project(call: Call) -> Result:
    record = projects.deploy(call.actor, call.ids["id"])
    return 200, project_schemas.ProjectMessage(
        message="Project deployed successfully", project_id=record.id, deployed=record.deployed
    )


def undeploy_project(call: Call) -> Result:
    record = projects.undeploy(call.actor, call.ids["id"])
    return 200, project_schemas.ProjectMessage(
        message="Project undeployed successfully", project_id=record.id, deployed=record.deployed
    )


def run_project(call: Call) -> Result:
    run = projects.run_project(call.actor, call.ids["id"])
    return 200, schemas.RunAnswer(
        job_run_id=run.run_id, job_name=run.job_name, status=run.status, message="Run triggered successfully"
    )


def list_runs(call: Call) -> Result:
    query: schemas.RunListParameters = call.query
    page = run_list.list_runs(
        call.actor, call.ids["id"], page=query.page, limit=query.limit, status=query.status, updated_after=query.updated_after
    )
    return 200, schemas.RunList(
        runs=[schemas.run(record) for record in page.items],
        total=page.total,
        page=page.page,
        limit=page.limit,
        total_pages=page.total_pages,
    )


def get_sync_status(call: Call) -> Result:
    status = projects.sync_status(call.actor, call.ids["id"])
    return 200, schemas.SyncStatusAnswer(
        project_id=status.project_id,
        branch=status.branch,
        in_sync=status.in_sync,
        current_commit_sha=status.current_commit_sha,
        latest_commit_sha=status.latest_commit_sha,
        latest_commit_message=status.latest_commit_message,
        commits_behind=status.commits_behind,
        last_synced_at=status.last_synced_at,
        error_message=status.error,
    )
