"""The parts of a plan that come from around the project: variables, the tool's packages, and files outside of the repository.

What a step is given counts whether it is read or not: a model's own code reads when it runs, long after the comparison. Of the
rest of the machine only what the project's code was seen to read counts.
"""

from __future__ import annotations

import hashlib
import hmac
import sys
from collections.abc import Mapping
from pathlib import Path

from dagctl_common.digests import FORMAT, FORMAT_WORD, UNSTABLE, named
from dagctl_common.frames import Step

WORDS: Mapping[str, str] = {
    **FORMAT_WORD,
    "variable": "variable",
    "package": "Python package",
    "file": "file",
    "tool": "tool version",
}
"""What the kinds are called."""
WHO = ("user", "username", "role", "role_arn")
"""Fields of a connection that an explain with credentials of its own has otherwise than its execute."""
OWN = "credentials"
"""The part that says so to the execute, which has to leave these fields out as well."""
FILE_LIMIT = 64 * 1024 * 1024


def has_own_credentials(step: Step) -> bool:
    """Whether the plan's explain has, or had, credentials of its own.

    :param step: An explain, or an execute that knows the parts of its plan.
    """
    return bool(step.job.get("explain_connection")) or OWN in (step.job.get("expected_digest_parts") or {})


def input_warnings(step: Step) -> list[str]:
    """What a reviewer has to know of the inputs.

    :param step: The step.
    """
    if UNSTABLE not in (step.job.get("given") or {}).values():
        return []
    return ["Values of variables from Secrets are not compared: the explain has Secrets of its own."]


def given_parts(step: Step) -> dict[str, str]:
    """Parts of the digest for what the step was given, which is known from its beginning.

    :param step: The step.
    """
    found = {**FORMAT, **named("variable", step.job.get("given") or {})}
    found.update(named("package", step.job.get("packages") or {}))
    if has_own_credentials(step):
        found[OWN] = "the explain's own"
    found["package:python"] = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return found


def input_parts(step: Step) -> dict[str, str]:
    """Parts of the digest for what the step was given and what it was seen to read.

    :param step: The step; its ``reads`` are what the project's code read beyond that.
    """
    found = given_parts(step)
    for (kind, name), value in sorted(step.reads.all().items()):
        found.setdefault(f"{kind}:{name}", keyed(step, name, value) if kind == "variable" else _content(name))
    return found


def keyed(step: Step, name: str, value: str) -> str:
    """Hash of a variable of the machine, made as the outer program makes those of the step's own.

    :param step: Has the key.
    :param name: Name of the variable.
    :param value: Its value.
    """
    key = step.job.get("plan_key")
    made = hmac.new((key or step.job["project_id"]).encode(), f"{name}={value}".encode(), hashlib.sha256).hexdigest()
    return made[:16] if key else made[:6]


def _content(path: str) -> str:
    """Hash of a file; of its size and name where it is too big to be read, or gone."""
    try:
        file = Path(path)
        if file.stat().st_size > FILE_LIMIT:
            return f"{file.stat().st_size} bytes"
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    except OSError:
        return "cannot be read"
