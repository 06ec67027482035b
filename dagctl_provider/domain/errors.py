"""Every error the product can answer with, as one table, so that code, OpenAPI and docs cannot disagree.

A code is stable: clients switch on it. Its HTTP status, title and hint live in :data:`ERRORS`; the sentence that names the
concrete case is given where the error is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorKind:
    """One row of the error table.

    :param status: HTTP status code (RFC 9110).
    :param title: Short summary that is the same for every occurrence (RFC 9457 ``title``).
    :param hint: What the caller can do about it.
    """

    status: int
    title: str
    hint: str


ERRORS: Mapping[str, ErrorKind] = {
    "unauthenticated": ErrorKind(
        401,
        "Authentication required",
        "Send 'Authorization: Bearer dctl_…' and 'X-Organization-ID', or sign in to Airflow.",
    ),
    "organization_required": ErrorKind(
        401, "Organization header required", "Send the header 'X-Organization-ID: org-…' that belongs to the token."
    ),
    "cross_site_request": ErrorKind(
        403, "Cross-site request refused", "Writes with a session cookie must come from Airflow's own pages."
    ),
    "invitation_for_another": ErrorKind(
        403, "Invitation for somebody else", "Sign in to Airflow as the person who was invited, or ask for another invitation."
    ),
    "forbidden": ErrorKind(403, "Permission missing", "Ask an owner or admin of the organization for the permission."),
    "environment_protected": ErrorKind(
        403,
        "Environment is protected",
        "Ask somebody who may change the environment, or an admin to be excepted from its protection.",
    ),
    "approval_refused": ErrorKind(
        403, "Approval does not count", "'missing' of the plan names those whose approvals count by the rules of the environment."
    ),
    "override_refused": ErrorKind(
        403, "Rules cannot be overridden", "Only owners may, where the rules of the environment allow it, with a reason."
    ),
    "not_found": ErrorKind(404, "Not found", "Check the id; ids of other organizations answer as if absent."),
    "method_not_allowed": ErrorKind(405, "Method not allowed", "See /api/v1/openapi.json for the methods of each path."),
    "wrong_state": ErrorKind(409, "Not allowed in this state", "Read the plan again; 'allowed' lists what it accepts now."),
    "destructive_not_allowed": ErrorKind(
        409,
        "Destructive changes are not allowed",
        "'destructive' names models, columns and what could be done instead. Send 'allow_destructive' with the names of all of "
        "them, or tick them on the plan's page.",
    ),
    "head_moved": ErrorKind(409, "Repository has new commits", "Create a new plan to review the latest changes."),
    "outside_window": ErrorKind(
        409,
        "Environment is closed now",
        "Wait until 'opens_at'; an owner may send 'override_reason'.",
    ),
    "retries_exhausted": ErrorKind(409, "No retries left", "Create a new plan; a group is executed at most four times."),
    "variables_changed": ErrorKind(
        409,
        "Environment variables have changed",
        "'variables' names them. Plan the commit again, so that what is approved is what will be executed.",
    ),
    "variable_undecryptable": ErrorKind(
        409,
        "An environment variable cannot be decrypted",
        "Set its value anew: it was encrypted with a Fernet key that Airflow does not have any more.",
    ),
    "encryption_missing": ErrorKind(
        503, "Nothing is encrypted", "Set [core] fernet_key of Airflow: environment variables are kept encrypted only."
    ),
    "execution_in_progress": ErrorKind(
        409, "Another execution is in progress", "Wait for the running execute step of the project, or cancel it."
    ),
    "name_taken": ErrorKind(409, "Name already in use", "Choose another name; names are unique in an organization."),
    "last_owner": ErrorKind(409, "Last owner of the organization", "Make another member owner first."),
    "already_member": ErrorKind(409, "Member already", "Change the member's role instead."),
    "already_invited": ErrorKind(409, "Invited already", "Resend or withdraw the invitation that is open."),
    "invitation_used": ErrorKind(409, "Invitation accepted already", "A link works once; ask for another invitation."),
    "invitation_over": ErrorKind(410, "Invitation over", "Ask for another one; an invitation is open for seven days."),
    "token_not_active": ErrorKind(409, "Token is not active", "Create a new token."),
    "project_not_deployed": ErrorKind(409, "Project is not deployed", "Deploy it first: POST /projects/{id}/deploy."),
    "run_lost": ErrorKind(409, "Dag run deleted", "The Dag run behind the plan was deleted in Airflow; create a new plan."),
    "project_busy": ErrorKind(409, "Project is busy", "Cancel or wait for its running plans and runs first."),
    "project_suspended": ErrorKind(409, "Project is suspended", "Resume it: PUT /projects/{id} with 'suspended': false."),
    "run_in_progress": ErrorKind(
        409, "A run is in progress", "Wait until it ends, or set the project's 'concurrency_policy' to Allow or Replace."
    ),
    "default_job": ErrorKind(
        409, "The default job stays", "Take its schedule away, or set 'enabled': false; a project is deleted with its jobs."
    ),
    "job_disabled": ErrorKind(409, "Job is disabled", "Enable it: PUT /jobs/{id} with 'enabled': true."),
    "job_busy": ErrorKind(409, "A run of the job is not over", "Wait until it ends, or cancel it: POST /runs/{id}/cancel."),
    "run_over": ErrorKind(409, "The run is over", "There is nothing to cancel any more; GET /runs/{id} says how it ended."),
    "too_many_jobs": ErrorKind(409, "Too many jobs", "Delete jobs that are not needed any more."),
    "command_refused": ErrorKind(
        409, "The job's command is refused", "Change it: the deployed version of the tool does not take it; see docs/jobs.md."
    ),
    "already_adopted": ErrorKind(
        409, "Something is deployed already", "Plan the branch's HEAD: what differs from what is deployed is shown and applied."
    ),
    "state_not_adoptable": ErrorKind(
        409,
        "No state to adopt",
        "Make the project with 'use_managed_state_database': false; its own configuration says where its state is.",
    ),
    "plan_not_executed": ErrorKind(409, "Nothing deployed yet", "Approve a first plan of the project before running it."),
    "downgrade_refused": ErrorKind(
        409,
        "Tool version downgrade refused",
        "The state database cannot go back; choose the deployed version or a newer one.",
    ),
    "invalid_json": ErrorKind(400, "Malformed JSON", "Send one JSON object, UTF-8 encoded."),
    "request_timeout": ErrorKind(
        408, "Request body too slow", "Send the whole body at once; [dagctl] body_timeout says how long is waited for it."
    ),
    "payload_too_large": ErrorKind(413, "Request body too large", "Send less; the detail says how much is accepted."),
    "unsupported_media_type": ErrorKind(415, "Unsupported media type", "Send 'Content-Type: application/json'."),
    "invalid_request": ErrorKind(422, "Invalid request", "'errors' names each field and what is wrong with it."),
    "invalid_repository": ErrorKind(
        422, "Repository refused", "Use an https or ssh address, a plain branch name and a relative path."
    ),
    "commit_not_found": ErrorKind(422, "Commit not found", "Name the full hash of a commit that has been pushed to the branch."),
    "manifest_refused": ErrorKind(
        422,
        "Manifest refused",
        "Send the target/manifest.json of the last build of this project's production target, as base64 text.",
    ),
    "branch_not_found": ErrorKind(422, "Branch not found", "Check 'branch' and that it has been pushed."),
    "repository_empty": ErrorKind(422, "Repository is empty", "Push a first commit."),
    "project_not_found_in_repository": ErrorKind(
        422, "No project in the repository", "Set 'git_path' to the folder that holds config.yaml, config.py or dbt_project.yml."
    ),
    "pod_settings_refused": ErrorKind(
        422, "Pod settings refused", "'errors' names each setting; who runs Airflow can correct them in [dagctl]."
    ),
    "unsupported_version": ErrorKind(422, "Unsupported tool version", "Choose one of the versions that 'errors' names."),
    "repository_unreachable": ErrorKind(
        424,
        "Repository unreachable",
        "Check the address, the network of the API server and the remote's health; then try again.",
    ),
    "repository_authentication_failed": ErrorKind(
        424, "Repository refused the credentials", "Check 'git_auth_method', 'git_secret_ref' and the key's rights."
    ),
    "certificate_refused": ErrorKind(
        424,
        "Repository's certificate refused",
        "Check the clock of the API server's machine; let GIT_SSL_CAINFO or SSL_CERT_FILE name the authority, or correct the "
        "certificate.",
    ),
    "disk_full": ErrorKind(
        503, "API server's disk is full", "Free space there, or let [dagctl] cache_folder or TMPDIR name a larger disk."
    ),
    "folder_not_writable": ErrorKind(
        503,
        "API server cannot write to its folder",
        "Let its user write there, or let [dagctl] cache_folder or TMPDIR name folders of its own.",
    ),
    "git_missing": ErrorKind(503, "Git is not installed", "Install git and openssh-client where the API server runs."),
    "state_database_not_configured": ErrorKind(
        422, "No managed state databases", "Set [dagctl] state_database_conn_id, or send 'use_managed_state_database': false."
    ),
    "too_many_requests": ErrorKind(
        429,
        "Too many requests at once",
        "Wait for answers before asking again, or as long as 'Retry-After' says; [dagctl] requests_per_actor is the limit.",
    ),
    "too_many_streams": ErrorKind(
        429, "Too many event streams at once", "Close pages that are open elsewhere; [dagctl] streams_per_actor is the limit."
    ),
    "too_many_explains": ErrorKind(
        429,
        "Too many plans are explained at once",
        "Wait until some of them are explained, or cancel them; [dagctl] explains_per_actor is the limit.",
    ),
    "server_busy": ErrorKind(503, "Server busy", "Try again after as many seconds as 'Retry-After' says."),
    "state_database_unavailable": ErrorKind(
        503, "State database unavailable", "Check [dagctl] state_database_conn_id and the server it points to."
    ),
    "database_not_migrated": ErrorKind(503, "Database not migrated", "Run 'airflow db migrate'."),
    "database_unavailable": ErrorKind(
        503,
        "Database unavailable",
        "Try again after as many seconds as 'Retry-After' says; then look whether Airflow's database runs.",
    ),
    "internal_error": ErrorKind(500, "Internal error", "Look in the API server's log for the request's time."),
}


class DagctlError(Exception):
    """An error with a stable code from :data:`ERRORS`.

    :param code: Key into :data:`ERRORS`.
    :param detail: One sentence on this occurrence. Never holds a secret.
    :param extra: Further members of the problem document, for example ``expected_commit``.
    """

    def __init__(self, code: str, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.extra = extra

    @property
    def kind(self) -> ErrorKind:
        """The row of the error table."""
        return ERRORS[self.code]


def not_found(what: str, identifier: str) -> DagctlError:
    """The answer for ids that do not exist *or* belong to another organization.

    :param what: ``"Plan"``, ``"Project"``, …
    :param identifier: The id as sent; cut so that an answer stays small.
    """
    return DagctlError("not_found", f"{what} {identifier[:64]!r} does not exist.")


def invalid_field(field: str, message: str) -> DagctlError:
    """``invalid_request`` for one field.

    :param message: What is wrong with it.
    """
    return DagctlError("invalid_request", f"{field}: {message}.", errors=[{"field": field, "message": message}])
