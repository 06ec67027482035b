"""Every way a step can end badly, as one table, so that exit codes, hints and docs cannot disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagctl_provider.runner.causes import cause_of

MESSAGE_LIMIT = 500


@dataclass(frozen=True)
class StepError:
    """One row of the table.

    :param exit_code: 1 the execution failed, 2 project or request is wrong, 3 the plan drifted, 130 cancelled.
    :param meaning: What happened, for people.
    :param hint: What to do about it.
    """

    exit_code: int
    meaning: str
    hint: str


STEP_ERRORS: Mapping[str, StepError] = {
    "invalid_request": StepError(
        2, "The request is malformed or names something unsafe.", "Correct the project's settings and plan again."
    ),
    "tool_version_unsupported": StepError(
        2,
        "The tool, its version or its Python is not among the supported ones.",
        "Set 'sqlmesh_version' or 'dbt_version' to a version that 'versions' prints, 'python_version' to one it runs on.",
    ),
    "tool_install_failed": StepError(
        2,
        "The tool's environment could not be made.",
        "Check that the package index is reachable from where the step runs, or use an image that holds the tool.",
    ),
    "repository_unreachable": StepError(
        2,
        "The git remote did not answer, or refused the address.",
        "Check 'repository_url' and the network between step and remote.",
    ),
    "repository_moved": StepError(
        2,
        "The git remote answers with a redirect, which is not followed.",
        "Set 'repository_url' to the address it redirects to; on GitLab it ends in .git.",
    ),
    "private_host": StepError(
        2,
        "The repository's host is not on the public internet, as seen from where the step runs.",
        "Use a public host, or set [dagctl] allow_private_hosts where the workers run.",
    ),
    "local_not_allowed": StepError(
        2,
        "The repository is a folder of the machine where the step runs, and that is not allowed.",
        "Use an https or ssh address, or set [dagctl] allow_local_repositories where the workers run.",
    ),
    "certificate_refused": StepError(
        2,
        "The git remote's certificate is not trusted where the step runs, or not valid at the time that its clock shows.",
        "Check the machine's clock; let GIT_SSL_CAINFO or SSL_CERT_FILE name the authority, or correct the remote's certificate.",
    ),
    "repository_authentication_failed": StepError(
        2, "The git remote refused the credentials, or its host key is unknown.", "Check the deploy key or token and known_hosts."
    ),
    "commit_not_found": StepError(
        2,
        "The commit is not in the repository any more, or the branch has no commit.",
        "A force-push may have removed it: create a new plan for the current commit.",
    ),
    "project_path_not_found": StepError(
        2, "'git_path' is not a folder inside the repository.", "Set 'git_path' to a folder of the repository, without '..'."
    ),
    "no_sqlmesh_project": StepError(
        2, "No config.yaml, config.yml, config.py or sqlmesh.yaml in the folder.", "Set 'git_path' to the folder that holds it."
    ),
    "no_dbt_project": StepError(2, "No dbt_project.yml in the folder.", "Set 'git_path' to the folder that holds it."),
    "profile_invalid": StepError(
        2,
        "dbt cannot use the profile: it is absent or broken, has no such target, or a variable is not set.",
        "Correct profiles.yml or 'environment', name the missing variable in the project's secrets, or choose a connection.",
    ),
    "adapter_missing": StepError(
        2,
        "There is no adapter for the profile's connection type, or it does not fit this version of dbt.",
        "Correct 'type' or the dbt version, or use an image that holds dbt and the adapter.",
    ),
    "packages_failed": StepError(
        2,
        "'dbt deps' could not install the project's packages.",
        "Check packages.yml, commit package-lock.yml, and let the step reach where they come from, or commit the packages.",
    ),
    "requirements_failed": StepError(
        2,
        "The Python packages that the project asks for could not be resolved or installed beside the tool.",
        "Correct the named file: versions that fit the tool's, from the package index, as wheels. Or list what the project needs "
        "here in a group 'dagctl' of pyproject.toml, which counts instead of requirements.txt.",
    ),
    "explain_writes": StepError(
        2,
        "The project's code would write, or reach out, while the plan is worked out; an explain only reads.",
        "Move it to where it runs after the approval: a hook, a materialization or a model's own code.",
    ),
    "warehouse_not_kept": StepError(
        2,
        "The warehouse is a file inside the step's folder, or in memory: it would be gone when the step ends.",
        "Name a file outside the repository, by an absolute path or a variable, or let '[dagctl] data_folder' keep it.",
    ),
    "file_missing": StepError(
        2,
        "A file of the repository is only a pointer of Git LFS: its content is not there.",
        "Commit the file itself, or load it outside of the project.",
    ),
    "full_refresh_refused": StepError(
        2,
        "A full refresh was asked for of something that this plan does not build, or that cannot be made from scratch.",
        "Plan again with other names in 'full_refresh', or without.",
    ),
    "plan_unstable": StepError(
        2,
        "Parts of the plan come out differently each time they are computed, and such plans are refused here.",
        "Take the clock, chance and the outside out of what the message names.",
    ),
    "project_load_failed": StepError(
        2,
        "The tool could not load the project.",
        "Correct the named file; loading the project on your own machine shows the same error.",
    ),
    "plan_failed": StepError(
        2, "The tool could not work out a plan.", "Correct what the message names; planning on your own machine shows the same."
    ),
    "tests_failed": StepError(2, "Unit tests of the project failed; nothing was written.", "Correct the models or their tests."),
    "state_unreachable": StepError(
        2, "The state database did not answer or refused.", "Check the state connection and the database's health."
    ),
    "state_migration_downgrade": StepError(
        2,
        "The state was written by a newer version and cannot go back.",
        "Set 'sqlmesh_version' to the deployed version or a newer one.",
    ),
    "state_migration_failed": StepError(
        2,
        "The state could not be migrated to the wanted version.",
        "Go up in smaller steps: first to a version between the two.",
    ),
    "state_behind": StepError(
        2,
        "The state was written by an older version; a scheduled run does not migrate it.",
        "Approve a plan with the new version first.",
    ),
    "state_damaged": StepError(
        2,
        "What was kept of the deployed state of a dbt project is broken.",
        "Delete the project and make it again: its first plan starts afresh and builds everything.",
    ),
    "state_unknown_version": StepError(
        2,
        "The deployed state of a dbt project was written by a version of dbt that is not known here.",
        "Update dagctl, or start afresh: delete the project and make it again, its first plan builds everything.",
    ),
    "state_foreign": StepError(
        2,
        "The deployed state is that of another project, or knows nothing of the environment that was adopted.",
        "Correct the repository or 'git_path'; or start afresh: delete the project and make it again.",
    ),
    "environment_not_found": StepError(2, "The environment has not been deployed yet.", "Approve a first plan of the project."),
    "environment_unfinished": StepError(
        2, "The environment is half published: a plan failed on its way.", "Retry that plan, or plan again and approve it."
    ),
    "plan_drifted": StepError(
        3, "The plan is no longer the approved one; nothing was written.", "Create a new plan and review it."
    ),
    "model_failed": StepError(
        1, "A model failed in the warehouse.", "Correct the model, or the data it reads, and plan again; a retry resumes."
    ),
    "audit_failed": StepError(1, "A blocking audit found bad rows.", "Correct the data or the audit; a retry resumes."),
    "dbt_test_failed": StepError(
        1, "A dbt test failed; what depends on it was not built.", "Correct the data, the model or the test; a retry resumes."
    ),
    "freshness_failed": StepError(
        1,
        "A source is older than its 'error_after' allows, or could not be asked.",
        "Look at what loads the source, then run the job again.",
    ),
    "lint_failed": StepError(
        1, "The project's linter found what its rules call an error.", "Correct the models that the log names, or the rules."
    ),
    "nothing_to_retry": StepError(
        2, "There is nothing to retry: the last run of dbt succeeded, or there was none.", "Use 'dbt build' or another command."
    ),
    "command_failed": StepError(1, "The command of a job failed outside of any model.", "Correct the command or what it names."),
    "contract_broken": StepError(
        1, "A model's columns are not those of its contract.", "Correct the model or its contract, and plan again."
    ),
    "warehouse_refused": StepError(
        1, "The warehouse could not be reached or refused access.", "Check the warehouse's health, credentials and grants."
    ),
    "conflicting_plan": StepError(
        1, "The environment was changed from outside while the plan was applied.", "Create a new plan; apply only through dagctl."
    ),
    "apply_failed": StepError(1, "Applying the plan failed outside of any model.", "Read the log; a retry resumes."),
    "user_unavailable": StepError(
        2,
        "The step could not be started as the user that '[dagctl] process_user' names.",
        "Make the user, let the worker start programs as it (be root, or a line in sudoers), and let it read the Python that "
        "Airflow runs with; see docs/security.md.",
    ),
    "cancelled": StepError(130, "The step was cancelled.", "Retry it when wanted; what is finished is kept."),
    "timeout": StepError(
        1, "The step, or one part of it, took longer than allowed.", "Raise the time limit or make the change smaller."
    ),
    "tool_killed": StepError(
        1,
        "The tool's process was killed from outside, most often for using too much memory.",
        "Raise the memory limit; a retry resumes.",
    ),
    "disk_full": StepError(
        1,
        "The disk is full where the step works, or a quota or a limit on the size of files is reached.",
        "Free space in the folder that the message names, or set DAGCTL_STEPS_DIR, DAGCTL_CACHE_DIR or TMPDIR to a larger one.",
    ),
    "folder_not_writable": StepError(
        1,
        "A folder that the step needs is read-only or belongs to somebody else.",
        "Let the step's user write there, or set DAGCTL_STEPS_DIR and DAGCTL_CACHE_DIR to folders of its own.",
    ),
    "home_missing": StepError(
        1, "The user that the step runs as has no home folder.", "Set DAGCTL_CACHE_DIR to a folder that it may write to, or HOME."
    ),
    "git_missing": StepError(
        1,
        "Git, or ssh for an ssh address, is not installed where the step runs.",
        "Install git and openssh-client there, or use a runner image.",
    ),
    "git_too_old": StepError(
        1, "The git where the step runs cannot be told what it must not do.", "Install git 2.31 or newer; 2.37 for all of it."
    ),
    "internal": StepError(1, "An error of the runner itself.", "Read the log and report it."),
}


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Squeeze a text into one line of bounded length.

    :param text: Any text.
    :param limit: Most characters kept.
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class RunnerError(Exception):
    """A step's end with a stable code from :data:`STEP_ERRORS`.

    :param code: Key into :data:`STEP_ERRORS`.
    :param message: The concrete cause, one line.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(one_line(message))
        self.code = code
        self.message = one_line(message)

    @property
    def row(self) -> StepError:
        """The row of the error table."""
        return STEP_ERRORS[self.code]


def os_error(error: OSError, what: str = "") -> RunnerError:
    """An error of the system as the end of a step: what is wrong with the machine, and with which file.

    :param what: What could not be done.
    """
    parts = [what, error.strerror or str(error) or type(error).__name__, str(error.filename or "")]
    return RunnerError(cause_of(error) or "internal", ": ".join(part for part in parts if part))
