"""Holds reports against the declared shape: no member that it does not know, and no value of another type."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from dagctl_provider.api.models import without_nulls
from dagctl_provider.plan_output.members import members
from dagctl_provider.plan_output.schemas import record_schemas
from dagctl_provider.plan_output.shape import ExecuteOutput, ExplainOutput

_CLOSED = {name: {**schema, "additionalProperties": False} for name, schema in record_schemas("#/$defs/{model}").items()}
_OF_RESULTS = {member.key for member in members(ExecuteOutput) if member.says.by != "dagctl"}


def complaints(record: type, report: dict[str, Any]) -> list[str]:
    """What of a report the shape does not know or has another type for."""
    schema = {"$ref": f"#/$defs/{record.__name__}", "$defs": _CLOSED}
    found = Draft202012Validator(schema).iter_errors(without_nulls(report))
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def check_result(result: dict[str, Any]) -> None:
    """Fail when a runner's result holds a plan output that the shape does not describe."""
    told = {key: value for key, value in result.items() if key in _OF_RESULTS}
    found = [*complaints(ExplainOutput, result.get("plan_output") or {}), *complaints(ExecuteOutput, told)]
    assert not found, f"plan_output.shape does not describe what the runner reports: {found[:5]}"
