"""Fields of the forms that ask whether something shall be done: the options of a plan, a file that comes along."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flask import Request

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.options import OPTIONS, PlanOptions
from dagctl_provider.domain.tools import Tool

_MOST_LETTERS = 64 * 1024
_MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class FormField:
    """One field.

    :param hint: Said below it.
    :param value: What stands in it.
    :param kind: Of the input.
    """

    name: str
    label: str
    hint: str
    value: str = ""
    kind: Literal["text", "area", "file"] = "text"


OVERRIDE_LABEL = "Override the rules of the environment (owners)"
OVERRIDE_HINT = "Only where a protected environment is closed now and its rules allow it. Why; it stays on record."

_HINTS: Mapping[str, str] = {"full_refresh": "Names, with blanks or commas between them.", "vars": 'JSON, such as {"days": 3}.'}
_KINDS: Mapping[str, Literal["text", "area", "file"]] = {"full_refresh": "text", "vars": "area"}


def option_fields(tool: Tool, form: Mapping[str, str]) -> list[FormField]:
    """What a form asks for of the options that a tool has.

    :param form: What was filled in before.
    """
    return [
        FormField(name, OPTIONS[name].label, f"{OPTIONS[name].description} {_HINTS[name]}", form.get(name, ""), _KINDS[name])
        for name in tool.plan_options
    ]


def filled(request: Request) -> dict[str, str]:
    """What a form sent: its texts, and its files as base64.

    :raises DagctlError: ``payload_too_large``.
    """
    found = request.form.to_dict()
    for name, upload in request.files.items():
        content = upload.stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DagctlError("payload_too_large", f"{name} is larger than 32 MiB.")
        found[name] = base64.b64encode(content).decode()
    return found


def read_options(form: Mapping[str, str]) -> PlanOptions:
    """The options that were filled in; the service checks what they hold.

    :raises DagctlError: ``invalid_request``.
    """
    names = re.split(r"[\s,]+", form.get("full_refresh", "")[:_MOST_LETTERS].strip())
    return PlanOptions(full_refresh=tuple(filter(None, names)), vars=_variables(form.get("vars", "").strip()))


def _variables(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        found = json.loads(text[:_MOST_LETTERS])
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise DagctlError("invalid_request", 'The variables must be a JSON object, such as {"days": 3}.')
    return found
