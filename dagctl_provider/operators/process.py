"""Runs a plan step as a child process of the worker: the embedded launcher."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from dagctl_provider.config import cache_folder, setting
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.hooks.project import ProjectSecrets, project_secrets
from dagctl_provider.operators.handing import EVENTS, ByFiles, ByStreams, Hands
from dagctl_provider.operators.progress import ProgressTeller
from dagctl_provider.operators.steps import (
    StepInterrupted,
    StepKind,
    profile_refused,
    progress_to_xcom,
    received_request,
    report,
    user_unavailable,
)
from dagctl_provider.operators.users import StepUser, UserUnavailable, step_user
from dagctl_provider.runner.errors import os_error
from dagctl_provider.runner.inputs import VOLATILE
from dagctl_provider.runner.places import STEPS_FOLDER
from dagctl_provider.runner.places import VARIABLE as STEPS_FOLDER_VARIABLE
from dagctl_provider.runner.reach import reach_variables
from dagctl_provider.runner.results import error_result
from dagctl_provider.runner.scratch import scratch_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

_GRACE_SECONDS = 20
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PASSED_ON_TO_THE_INSTALLER = ("DAGCTL_EXCLUDE_NEWER", "DAGCTL_ALLOW_SOURCE_PACKAGES")
# Package indexes and their passwords: the runner hands them to the installer alone.
_INSTALLERS = "UV_"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "all_proxy", "ALL_PROXY")


class ProcessStepOperator(BaseOperator):
    """Runs the runner as a child process, in an environment of its own per tool version.

    :param kind: ``explain``, ``execute`` or ``run``.
    """

    ui_color = "#d5e8f7"

    def __init__(self, *, kind: StepKind, **kwargs: Any) -> None:
        # One more try after a lost worker. A runner that says what is wrong ends the task for good (StepFailed).
        super().__init__(**{"retries": 1, "retry_delay": timedelta(seconds=5), **kwargs})
        self.kind = kind
        self._child: subprocess.Popen[str] | None = None
        self._hands: Hands | None = None
        self._stopped = False

    def execute(self, context: Context) -> None:
        """Run the step and report its result."""
        request = received_request(context, self.kind)
        try:
            user = step_user(request.runner.project_name)
            secrets = project_secrets(request, self.kind)
            with scratch_folder() as (scratch, lock), ProgressTeller(scratch / EVENTS, progress_to_xcom(context, request)):
                result = self._run(self._way(user, scratch, lock, request.for_runner(), secrets))
        except ProfileError as error:
            result = profile_refused(error)
        except UserUnavailable as error:
            result = user_unavailable(error)
        except OSError as error:
            told = os_error(error, "The worker could not prepare the step")
            if self._child is not None or told.code == "internal":
                raise
            result = error_result(told)
        report(context, request, result)

    def _way(
        self, user: StepUser | None, scratch: Path, lock: int, request: dict[str, Any], secrets: ProjectSecrets
    ) -> ByFiles | ByStreams:
        if user is None:
            return ByFiles(scratch, lock, _environment(), request, secrets)
        hidden = "sees no process but its own" if user.hides else "can see that other processes are there, though not inside them"
        self.log.info("The step runs as the user %s and %s", user.name, hidden)
        return ByStreams(user, scratch, _environment(user), request, secrets)

    def _run(self, hands: Hands) -> dict[str, Any] | None:
        arguments = [self.kind, "--grace", str(_GRACE_SECONDS), "--timeout", str(setting("step_timeout"))]
        command = hands.command(arguments)
        if self._stopped:
            raise StepInterrupted("The step was stopped before it began.")
        self._hands = hands
        # The open pipe on the child's stdin is how it learns that this process is gone, however that happened.
        child = self._child = subprocess.Popen(  # noqa: S603 - no shell; the words are ours, the settings' and the system's
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            **hands.process(),
        )
        hands.begin(child)
        if self._stopped:
            # While it was being started there was nobody to tell.
            self.on_kill()
        assert child.stdout is not None
        for line in child.stdout:
            if (text := hands.line(line.rstrip("\n"))) is not None:
                self.log.info("%s", text)
        code = child.wait()
        self.log.info("The runner ended with exit code %s", code)
        return hands.result(code)

    def on_kill(self) -> None:
        """Stop the runner; it stops the tool, and the tool its queries."""
        self._stopped = True
        child, hands = self._child, self._hands
        if child is None or hands is None or child.poll() is not None:
            return
        hands.stop(child)
        try:
            child.wait(timeout=_GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            hands.kill(child)


def _environment(user: StepUser | None = None) -> dict[str, str]:
    """What the runner may see of the worker's environment: no Airflow setting, no credential but the installer's.

    :param user: The user it runs as, when that is another one: what is the worker's own is not for it.
    """
    names = {VOLATILE, STEPS_FOLDER_VARIABLE, *_PASSED_ON, *_PASSED_ON_TO_THE_INSTALLER, *_PROXIES}
    kept = {key: value for key, value in os.environ.items() if key in names or key.startswith(_INSTALLERS)}
    if user:
        for name in ("TMPDIR", "UV_CACHE_DIR"):
            kept.pop(name, None)
        kept["HOME"] = str(user.home)
        # Whoever makes the usual folder first owns it. So each user has one, on every worker the same.
        kept.setdefault(STEPS_FOLDER_VARIABLE, f"{STEPS_FOLDER}-{user.name}")
    cache = user.cache if user else cache_folder()
    kept["DAGCTL_ENVIRONMENTS_DIR"] = str(cache / "environments")
    kept["DAGCTL_CACHE_DIR"] = str(cache / "tools")
    if folder := str(setting("data_folder")):
        kept["DAGCTL_DATA_DIR"] = folder
    local, private = bool(setting("allow_local_repositories")), bool(setting("allow_private_hosts"))
    kept.update(reach_variables(local=local, private=private))
    return kept
