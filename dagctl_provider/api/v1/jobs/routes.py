"""The rows of the Jobs document: what can be asked, by whom, with what, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import Operation
from dagctl_provider.api.v1.common import PROTECTION_ERRORS, Message, NoBody, OverrideBody, ok
from dagctl_provider.api.v1.jobs import examples, handlers, schemas
from dagctl_provider.api.v1.projects.runs import RunAnswer
from dagctl_provider.api.v1.run_shapes import RunList

_TAG = "Jobs"
_ADMISSION = ("environment_protected", "outside_window")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/projects/{id}/jobs",
        "list_jobs",
        _TAG,
        "List the jobs of a project",
        "read",
        handlers.list_jobs,
        ok(schemas.JobList, examples.LIST, "The default job first, then by name"),
    ),
    Operation(
        "POST",
        "/projects/{id}/jobs",
        "create_job",
        _TAG,
        "Create a job",
        "manage_jobs",
        handlers.create_job,
        ok(schemas.Job, examples.JOB, "The new job", 201),
        errors=("name_taken", "too_many_jobs", *_ADMISSION),
        body=schemas.CreateJob,
        body_examples={"By schedule": examples.CREATE, "With more": examples.CREATE_WITH_MORE},
        description="It is active at once when the project is deployed. docs/jobs.md lists what a command may be.",
    ),
    Operation(
        "GET",
        "/jobs/{jobId}",
        "get_job",
        _TAG,
        "Get a job",
        "read",
        handlers.get_job,
        ok(schemas.Job, examples.JOB, "The job"),
    ),
    Operation(
        "PUT",
        "/jobs/{jobId}",
        "update_job",
        _TAG,
        "Change a job",
        "manage_jobs",
        handlers.update_job,
        ok(schemas.Job, examples.JOB, "The job as changed"),
        errors=("name_taken", *_ADMISSION),
        body=schemas.UpdateJob,
        body_examples={"Some fields": examples.UPDATE},
        description="Only the fields sent are changed. null takes away a value that may be absent.",
    ),
    Operation(
        "DELETE",
        "/jobs/{jobId}",
        "delete_job",
        _TAG,
        "Delete a job",
        "manage_jobs",
        handlers.delete_job,
        ok(Message, examples.DELETED, "The job is gone"),
        errors=("default_job", "job_busy"),
        description="What its runs did stays in the project's runs.",
    ),
    Operation(
        "POST",
        "/jobs/{jobId}/run",
        "run_job",
        _TAG,
        "Run a job now",
        "run_project",
        handlers.run_job,
        ok(RunAnswer, examples.RUN, "The run is queued"),
        errors=(
            "project_not_deployed",
            "project_suspended",
            "job_disabled",
            "command_refused",
            "run_in_progress",
            "plan_not_executed",
            *PROTECTION_ERRORS,
        ),
        body=OverrideBody,
        body_examples={"In a closed window, by an owner": {"override_reason": "Finance waits for it."}},
    ),
    Operation(
        "GET",
        "/jobs/{jobId}/runs",
        "list_job_runs",
        _TAG,
        "List the runs of a job",
        "read",
        handlers.list_job_runs,
        ok(RunList, examples.RUNS, "One page, newest first"),
        query=schemas.JobRunParameters,
    ),
    Operation(
        "GET",
        "/runs/{runId}/logs",
        "get_run_logs",
        _TAG,
        "Get the log of a run",
        "read",
        handlers.get_run_logs,
        ok(schemas.RunLogs, examples.LOGS, "Live while running, stored afterwards"),
    ),
    Operation(
        "POST",
        "/runs/{runId}/cancel",
        "cancel_run",
        _TAG,
        "Cancel a run",
        "run_project",
        handlers.cancel_run,
        ok(schemas.RunMessage, examples.CANCELLED, "The run has ended, or was taken back"),
        errors=("run_over", "wrong_state"),
        body=NoBody,
    ),
)
