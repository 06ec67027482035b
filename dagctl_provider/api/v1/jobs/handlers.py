"""What each operation on jobs does: call one service, say the answer in the document's words."""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.common import Message, OverrideBody
from dagctl_provider.api.v1.jobs import schemas
from dagctl_provider.api.v1.run_shapes import RunAnswer, RunList, run
from dagctl_provider.services import jobs, runs


def list_jobs(call: Call) -> Result:
    found = jobs.list_jobs(call.actor, call.ids["id"])
    return 200, schemas.JobList(jobs=[schemas.job(one) for one in found], total=len(found))


def create_job(call: Call) -> Result:
    return 201, schemas.job(jobs.create_job(call.actor, call.ids["id"], call.sent))


def get_job(call: Call) -> Result:
    return 200, schemas.job(jobs.get_job(call.actor, call.ids["jobId"]))


def update_job(call: Call) -> Result:
    return 200, schemas.job(jobs.update_job(call.actor, call.ids["jobId"], call.sent))


def delete_job(call: Call) -> Result:
    jobs.delete_job(call.actor, call.ids["jobId"])
    return 200, Message(message="Job deleted successfully")


def run_job(call: Call) -> Result:
    body: OverrideBody = call.body
    started = jobs.run_job(call.actor, call.ids["jobId"], body.override_reason)
    return 200, RunAnswer(
        job_run_id=started.run_id, job_name=started.job_name, status=started.status, message="Run triggered successfully"
    )


def list_job_runs(call: Call) -> Result:
    query: schemas.JobRunParameters = call.query
    page = jobs.list_job_runs(
        call.actor, call.ids["jobId"], query.page, query.limit, status=query.status, updated_after=query.updated_after
    )
    return 200, RunList(
        runs=[run(one) for one in page.items], total=page.total, page=page.page, limit=page.limit, total_pages=page.total_pages
    )


def get_run_logs(call: Call) -> Result:
    found = runs.get_logs(call.actor, call.ids["runId"])
    return 200, schemas.RunLogs(
        run_id=found.run.id,
        logs=found.logs,
        status=found.run.status,
        job_name=found.run.job_name,
        pod_name=found.run.pod_name,
    )


def cancel_run(call: Call) -> Result:
    cancelled = runs.cancel(call.actor, call.ids["runId"])
    return 200, schemas.RunMessage(message="Run cancelled successfully", run_id=cancelled.id)
