"""Runs a plan step as a child process of the worker: the embedded launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from dagctl_provider.config import cache_folder, setting
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.hooks.project import ProjectSecrets, project_secrets
from dagctl_provider.operators.progress import ProgressTeller
from dagctl_provider.operators.scratch import scratch_folder
from dagctl_provider.operators.steps import (
    StepInterrupted,
    StepKind,
    profile_refused,
    progress_to_xcom,
    received_request,
    report,
)
from dagctl_provider.runner.errors import os_error
from dagctl_provider.runner.inputs import VOLATILE
from dagctl_provider.runner.places import VARIABLE as STEPS_FOLDER_VARIABLE
from dagctl_provider.runner.reach import reach_variables
from dagctl_provider.runner.results import error_result

if TYPE_CHECKING:
    from airflow.sdk import Context

_GRACE_SECONDS = 20
_EVENTS = "events.jsonl"
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PASSED_ON_TO_THE_INSTALLER = ("DAGCTL_EXCLUDE_NEWER", "DAGCTL_ALLOW_SOURCE_PACKAGES")
_PASSED_PREFIXES = ("UV_", "PIP_")
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
        self._stopped = False

    def execute(self, context: Context) -> None:
        """Run the step and report its result."""
        request = received_request(context, self.kind)
        try:
            secrets = project_secrets(request, self.kind)
        except ProfileError as error:
            report(context, request, profile_refused(error))
            return
        try:
            with scratch_folder() as (scratch, lock), ProgressTeller(scratch / _EVENTS, progress_to_xcom(context, request)):
                result = self._run(scratch, lock, request.for_runner(), secrets)
        except OSError as error:
            told = os_error(error, "The worker could not prepare the step")
            if self._child is not None or told.code == "internal":
                raise
            result = error_result(told)
        report(context, request, result)

    def _run(self, scratch: Path, lock: int, request: dict[str, Any], secrets: ProjectSecrets) -> dict[str, Any] | None:
        secrets.write_to(scratch / "secrets")
        (scratch / "request.json").write_text(json.dumps(request))
        result = scratch / "result.json"
        command = [sys.executable, "-m", "dagctl_provider.runner", self.kind]
        command += ["--request", str(scratch / "request.json"), "--result", str(result)]
        command += ["--events", str(scratch / _EVENTS), "--secrets", str(scratch / "secrets")]
        command += ["--grace", str(_GRACE_SECONDS), "--watch-stdin"]
        command += ["--timeout", str(setting("step_timeout"))]
        if self._stopped:
            raise StepInterrupted("The step was stopped before it began.")
        # The open pipe on the child's stdin is how it learns that this process is gone, however that happened.
        self._child = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=_environment(),
            start_new_session=True,
            # The runner outlives this process by the seconds it needs to stop; until then the folder is its own.
            pass_fds=(lock,),
        )
        if self._stopped:
            # While it was being started there was nobody to tell.
            self.on_kill()
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.log.info("%s", line.rstrip("\n"))
        code = self._child.wait()
        self.log.info("The runner ended with exit code %s", code)
        return json.loads(result.read_text()) if result.exists() else None

    def on_kill(self) -> None:
        """Stop the runner; it stops the tool, and the tool its queries."""
        self._stopped = True
        child = self._child
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=_GRACE_SECONDS + 10)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """What the child may see of the worker's environment: no Airflow setting, no credential."""
    names = {VOLATILE, STEPS_FOLDER_VARIABLE, *_PASSED_ON, *_PASSED_ON_TO_THE_INSTALLER, *_PROXIES}
    kept = {key: value for key, value in os.environ.items() if key in names or key.startswith(_PASSED_PREFIXES)}
    kept["DAGCTL_ENVIRONMENTS_DIR"] = str(cache_folder() / "environments")
    kept["DAGCTL_CACHE_DIR"] = str(cache_folder() / "tools")
    if folder := str(setting("data_folder")):
        kept["DAGCTL_DATA_DIR"] = folder
    local, private = bool(setting("allow_local_repositories")), bool(setting("allow_private_hosts"))
    kept.update(reach_variables(local=local, private=private))
    # The runner's package may come from a checkout or a plugins folder rather than from site-packages.
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    kept["PYTHONUNBUFFERED"] = "1"
    return kept
