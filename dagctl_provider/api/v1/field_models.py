"""Makes the types of requests and answers from rows of the tables of fields: of projects, of jobs."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr

from dagctl_provider.api.models import storable
from dagctl_provider.domain.fields import Field as FieldRow

_JSON_TYPES = {
    "string": StrictStr,
    "boolean": StrictBool,
    "integer": StrictInt,
    "strings": list[StrictStr],
    "texts": dict[StrictStr, StrictStr],
}
_ANSWER_TYPES = {"string": str, "boolean": bool, "integer": int, "strings": list[str], "texts": dict[str, str]}


def _matching(pattern: str, example: object) -> BeforeValidator:
    compiled = re.compile(pattern)
    wanted = f"must match {pattern}" if example is None else f"must match {pattern}, as {example!r} does"

    def check(value: object) -> object:
        if isinstance(value, str) and not compiled.fullmatch(value):
            raise ValueError(wanted)
        return value

    return BeforeValidator(check)


def _checked(field: FieldRow) -> AfterValidator:
    def check(value: object) -> object:
        for text in _texts(value):
            storable(text)
        if field.check is not None:
            field.check(value)
        return value

    return AfterValidator(check)


def _texts(value: object) -> list[str]:
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return [part for part in parts if isinstance(part, str)]


def _rules(field: FieldRow) -> dict[str, Any]:
    rules: dict[str, Any] = {"description": field.description}
    if field.json_type == "string" and field.choices is None:
        rules["min_length"] = 1 if field.required or field.pattern or field.never_empty else None
        rules["max_length"] = field.max_length
        if field.pattern:
            rules["json_schema_extra"] = {"pattern": field.pattern}
    if field.json_type in ("strings", "texts"):
        rules["max_length"] = field.max_length
    if field.json_type == "integer":
        rules |= {"ge": field.minimum, "le": field.maximum}
    if field.example is not None:
        rules["examples"] = [field.example]
    return {rule: value for rule, value in rules.items() if value is not None}


def request_type(field: FieldRow) -> Any:
    """The annotation of one row: JSON type, closed list, limits, pattern, own check."""
    if field.choices is not None:
        return Annotated[Literal[field.choices], Field(**_rules(field))]
    kind: Any = _JSON_TYPES[field.json_type]
    annotation: Any = Annotated[kind, Field(**_rules(field)), _checked(field)]
    return Annotated[annotation, _matching(field.pattern, field.example)] if field.pattern else annotation


def answer_type(field: FieldRow) -> Any:
    """What an answer holds for a row."""
    return Literal[field.choices] if field.choices else _ANSWER_TYPES[field.json_type]
