"""The records of :mod:`~dagctl_provider.plan_output.shape` as JSON Schema, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from dagctl_provider.plan_output.members import Member, alternatives, members, records_in
from dagctl_provider.plan_output.shape import ExecuteOutput, ExplainOutput

OUTPUTS = (ExplainOutput, ExecuteOutput)
_SIMPLE: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": 0},
    float: {"type": "number", "minimum": 0},
}


def output_schema(reference: str) -> dict[str, Any]:
    """Any plan output: of an explain or of an execute.

    :param reference: Address of a schema, with ``{model}`` for its name.
    """
    return {"anyOf": [_reference(record, reference) for record in OUTPUTS]}


def record_schemas(reference: str) -> dict[str, Any]:
    """A schema for each record, by its name. Every member is optional, and there may be others: reports gain members.

    :param reference: As for :func:`output_schema`.
    """
    return {
        record.__name__: {
            "type": "object",
            "description": " ".join((record.__doc__ or "").split()),
            "properties": {member.key: _member(member, reference) for member in members(record)},
        }
        for record in records_in(*OUTPUTS)
    }


def _member(member: Member, reference: str) -> dict[str, Any]:
    by = member.says.by
    said = f"{member.says.text}." if by == "both" else f"{member.says.text}. Set by {by}."
    return {"description": said, **_any_of(member.hint, reference)}


def _any_of(hint: object, reference: str) -> dict[str, Any]:
    schemas = [_schema(kind, reference) for kind in alternatives(hint)]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _schema(kind: object, reference: str) -> dict[str, Any]:
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _any_of(get_args(kind)[0], reference)}
    if get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": _any_of(get_args(kind)[1], reference)}
    return dict(_SIMPLE[kind]) if kind in _SIMPLE else _reference(kind, reference)


def _reference(record: Any, reference: str) -> dict[str, Any]:
    return {"$ref": reference.format(model=record.__name__)}
