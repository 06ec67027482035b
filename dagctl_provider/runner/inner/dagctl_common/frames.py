"""The frame of an inner program: it does the job, judges what went wrong, and always leaves an answer."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from dagctl_common.cancelling import Canceller
from dagctl_common.channel import Channel, StepFailed, plain, write_answer
from dagctl_common.jobs import Job
from dagctl_common.watching import Reads, Watch

Answer = dict[str, object]
OURS = (
    "PGAPPNAME", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "USER", "LOGNAME", "SOURCE_DATE_EPOCH", "COLUMNS", "PATH",
    "PYTHONHASHSEED", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "SQLMESH_HOME", "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS",
    "DBT_PROFILES_DIR", "DBT_TARGET_PATH", "DBT_LOG_PATH", "DBT_LOG_LEVEL_FILE", "DBT_SEND_ANONYMOUS_USAGE_STATS",
    "DBT_USE_COLORS", "DBT_USE_COLORS_FILE", "DBT_VERSION_CHECK", "GIT_ALLOW_PROTOCOL", "GIT_TERMINAL_PROMPT",
    "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NO_PROXY", "HTTPS_PROXY",
    "HTTP_PROXY", "ALL_PROXY", "no_proxy", "https_proxy", "http_proxy", "all_proxy",
)  # fmt: skip
"""Variables that are the same in every step, that only name it, or that lead a machine to its programs and networks. Code that
copies the whole environment, as SQLMesh's for dbt projects, reads them all, and a pod has others than a worker."""
TRUSTED = (
    "sqlmesh.core.engine_adapter", "sqlmesh.core.config.connection", "sqlmesh.core.state_sync", "sqlmesh.utils.connection_pool",
    "sqlmesh.utils.cache",
)  # fmt: skip
"""Parts of a tool that open connections and files for the project as they should."""


class Journal(Protocol):
    """What a step learned about its models."""

    def answer(self) -> Answer:
        """What belongs into the answer, however the step ended."""


class Step:
    """What every part of a step needs at hand.

    :param job: The job file: the request plus what the outer program prepared.
    :param canceller: Class of the canceller.
    """

    journal: Journal

    def __init__(self, job: Job, canceller: type[Canceller]) -> None:
        self.job = job
        self.channel = Channel(job.get("events_fd"))
        self.canceller: Any = canceller(job.get("alive_fd"), float(job.get("grace") or 20.0))
        scratch = str(job.get("scratch"))
        private = [os.path.join(scratch, name) for name in ("home", "tmp", "target", "logs")]
        given = {*(job.get("given") or ()), *(job.get("known") or ())}
        self.watch = Watch(str(job.get("checkout")), private, TRUSTED, [*OURS, *given], os.path.join(scratch, "refused.txt"))
        self.watch.leave_out(job.get("given_files") or ())

    @property
    def reads(self) -> Reads:
        """What the project's code was seen to read of the machine."""
        return self.watch.reads

    def shorten(self, text: str) -> str:
        """One line without the scratch folder in it."""
        for key in ("project", "checkout", "scratch"):
            text = text.replace(str(self.job.get(key)) + os.sep, "")
        return " ".join(plain(text).split())

    def trace(self, error: BaseException) -> None:
        """Write an error's whole story into the log."""
        for line in traceback.format_exception(type(error), error, error.__traceback__):
            self.channel.line(line.rstrip("\n"))


StepT = TypeVar("StepT", bound=Step)


def do(
    step: StepT,
    load: Callable[[StepT], None],
    commands: Mapping[str, Callable[[StepT], Answer]],
    judge: Callable[[StepT, BaseException], StepFailed],
) -> int:
    """Do a step's job and write the answer.

    :param step: A :class:`Step`.
    :param load: Imports the tool, which takes a while and may fail.
    :param commands: By name; what they return belongs into the answer.
    :param judge: Turns an error into the step's end; gives a :class:`StepFailed` back as it is.
    :return: Exit code.
    """
    step.canceller.start()
    try:
        with step.channel.stage("import"):
            load(step)
        answer = {"outcome": "succeeded", **commands[step.job["command"]](step)}
    except (KeyboardInterrupt, Exception) as error:
        step.canceller.interruptible = False
        answer = _failed(step, judge, error)
    # What is done is told, also when somebody cancels now.
    step.canceller.interruptible = False
    answer.setdefault("timings", step.channel.timings)
    told = step.journal.answer()
    if answer["outcome"] == "succeeded":
        # What was changed is what was to be changed.
        told.pop("left", None)
    write_answer(step.job["answer"], {**answer, **told})
    return 0 if answer["outcome"] == "succeeded" else 1


def _failed(step: StepT, judge: Callable[[StepT, BaseException], StepFailed], error: BaseException) -> Answer:
    if step.canceller.is_set() or isinstance(error, KeyboardInterrupt):
        return {"outcome": "cancelled", "error": {"code": "cancelled", "message": "The step was cancelled."}}
    failure = judge(step, error)
    if failure is not error:
        step.trace(error)
    return {"outcome": "failed", "error": {"code": failure.code, "message": failure.message}, **failure.answer}
