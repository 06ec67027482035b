"""Turns what dbt says about an error into a stable code and one line that names the cause."""

from __future__ import annotations

import re

from dagctl_common import refusals
from dagctl_common.channel import StepFailed, plain

from dagctl_dbt.journals import NodeRun, Step

_ADAPTER = re.compile(
    r"could not find adapter type|no module named 'dbt\.adapters|error importing adapter|adapter type \S+ is not", re.I
)
_PROFILE = re.compile(
    r"could not find profile|profiles\.yml|does not have a target named|credentials in profile|no profile|invalid profile"
    r"|profile \"[^\"]*\" (in|is)|in profile \"|target named|unable to (parse|read) .*profile",
    re.IGNORECASE,
)
_ENV_VAR = re.compile(r"env var required but not provided: '(\w+)'", re.IGNORECASE)
_PACKAGES = re.compile(r"run \"?dbt deps|dbt found \d+ package\(s\) specified", re.IGNORECASE)
_CONTRACT = re.compile(r"enforced contract that failed|contract.{0,40}(error|violat|broken)", re.IGNORECASE)
_HEADS = re.compile(r"^(?:(?:\[ERROR\]: )?Encountered an error:\s*)?(?:[A-Z][A-Za-z-]+ Error(?: in [^\n]*)?\n\s*)+")
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*", re.MULTILINE)
_ASIDE = re.compile(r"HTTPS?ConnectionPool\(host='(?P<host>[^']+)', port=\d+\): (?P<why>[^\n]*)")
_ANSWERED = re.compile(r"(?P<code>[45]\d\d) (?:Server|Client) Error: (?P<why>[^\n]*?) for url: https?://(?P<host>[^/\s:]+)\S*")
_NOT_REACHED = (
    (r"ProxyError|Tunnel", "the proxy in between refused"),
    (r"NameResolution|Name or service|name resolution|getaddrinfo|nodename", "its name is not known here"),
    (r"SSLError|certificate", "its certificate is not trusted here"),
    (r"refused", "it refused the connection"),
    (r"timed? ?out", "it took too long"),
    (r"unreachable|No route", "there is no way to it"),
)
"""What libraries say of a server that did not answer, and the same in a few words."""
_TRAIL = re.compile(r"\s*compiled code at .*$|\s*> in macro .*$|\s*> called by .*$", re.MULTILINE)


def cause(step: Step, text: object, limit: int = 400) -> str:
    """The telling part of a message of dbt's.

    :param step: Knows the scratch folder.
    :param text: What dbt said.
    :param limit: Most characters; some of dbt's messages are half a megabyte.
    """
    raw = without_libraries(_TRACEBACK.sub("", plain(text)[:20_000])).strip()
    head = _HEADS.match(raw)
    told = raw[head.end() :] if head and raw[head.end() :].strip() else raw
    # The line with the file's name is worth keeping, the trail of macros is not.
    where = re.search(r" in ([^\n]*\([^)\n]*\))", head[0]) if head else None
    line = step.shorten(_TRAIL.sub("", told))
    if line.startswith("[WARNING]: "):
        line = f"A warning, which the project's flags (warn_error) make an error: {line.removeprefix('[WARNING]: ')}"
    return f"{where[1]}: {line}"[:limit] if where else line[:limit]


def without_libraries(text: str) -> str:
    """Say of a server that did not answer which one it was and why, and no more.

    :param text: What dbt said, with the words of the libraries below it.
    """

    def reached_not(hit: re.Match[str]) -> str:
        why = next((words for pattern, words in _NOT_REACHED if re.search(pattern, hit["why"], re.IGNORECASE)), None)
        return f"{hit['host']} did not answer: {why or 'it could not be reached'}."

    text = text.replace("External connection exception occurred: ", "")
    return _ANSWERED.sub(r"\g<host> answered \g<code> \g<why>.", _ASIDE.sub(reached_not, text))


def is_refusal(error: BaseException | str) -> bool:
    """Whether it was the warehouse that could not be reached or said no.

    :param error: What dbt raised, or its text.
    """
    return type(error).__name__ == "FailedToConnectError" or refusals.is_refusal(error)


def failure_of(step: Step, error: BaseException | None, decided: bool) -> StepFailed:
    """What to answer when dbt did not get to running nodes, or ended without results.

    :param error: What dbt raised, ``None`` when it only said no.
    :param decided: Whether the project had been parsed by then.
    """
    if isinstance(error, StepFailed):
        return error
    text, kind = str(error or ""), type(error).__name__
    line = cause(step, text) or kind
    variable = _ENV_VAR.search(text)
    if variable:
        return StepFailed("profile_invalid", f"The variable {variable[1]} is not set: env_var('{variable[1]}') has no default.")
    if _ADAPTER.search(text):
        return StepFailed("adapter_missing", line)
    if not decided:
        if _PACKAGES.search(text):
            return StepFailed("packages_failed", line)
        if "Profile" in kind or _PROFILE.search(text):
            return StepFailed("profile_invalid", line)
        if kind in ("ModuleNotFoundError", "ImportError"):
            return StepFailed("adapter_missing", f"{kind}: {line}")
        return StepFailed("project_load_failed", line)
    return StepFailed("warehouse_refused" if error is not None and is_refusal(error) else "apply_failed", line)


def judge(step: Step, error: BaseException) -> StepFailed:
    """What to answer for an error that nobody has judged yet: it is ours, not the project's."""
    return error if isinstance(error, StepFailed) else StepFailed("internal", f"{type(error).__name__}: {error}")


def node_failure(step: Step, failed: list[NodeRun]) -> StepFailed:
    """What to answer when nodes failed: the first model's cause, or else the first test's.

    :param failed: Of the journal, models first.
    """
    node = failed[0]
    silent = "it is older than 'error_after' allows" if node.resource_type == "source" else "it failed without a message"
    text = node.message or silent
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    line = f"{node.name}: {cause(step, text)}{more}"
    if _CONTRACT.search(text):
        return StepFailed("contract_broken", line)
    if node.resource_type in ("test", "unit_test"):
        return StepFailed("dbt_test_failed", line)
    if node.resource_type == "source":
        return StepFailed("freshness_failed", line)
    return StepFailed("warehouse_refused" if is_refusal(text) else "model_failed", line)
