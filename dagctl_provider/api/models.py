"""What the shapes of all REST contracts are made of, as pydantic models.

One definition serves three masters: requests are validated with it, answers are built with it and the OpenAPI document is
drawn from it. Requests are strict: wrong types and unknown fields are refused.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter

REFERENCE = "#/components/schemas/{model}"
"""Where the OpenAPI document has a schema."""
_INSTANT = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds, as the documents show times."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def storable(text: str) -> str:
    """Refuse what JSON can write and no database can store: NUL, and halves of surrogate pairs."""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def whole_number(value: Any) -> Any:
    """Numbers of a query string: digits only, so that ``1.0``, ``+1`` and ``1e3`` are refused."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,10}", value):
            raise ValueError("must be a whole number")
        return int(value)
    return value


# Python 3.10 reads neither "Z" nor fractions of one digit.
_AWARE = TypeAdapter(AwareDatetime)


def instant(value: Any) -> Any:
    """RFC 3339 with an offset; a time of which nobody knows where is refused."""
    try:
        if not re.fullmatch(_INSTANT, str(value), re.ASCII):
            raise ValueError
        return _AWARE.validate_python(str(value)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 time such as 2026-02-26T00:00:00Z") from None


Timestamp = Annotated[
    datetime,
    PlainSerializer(timestamp, return_type=str),
    Field(examples=["2026-04-28T10:00:00Z"], json_schema_extra={"format": "date-time"}),
]
ShortSha = Annotated[str, BeforeValidator(lambda sha: sha and sha[:7]), Field(examples=["a1b2c3d"])]
WHOLE = BeforeValidator(whole_number)
Count = Annotated[int, Field(ge=0)]


class Request(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """Base of what we send."""

    model_config = ConfigDict(extra="forbid")


class Lines(Answer):
    """Answers that are sent one a line."""

    lines: list[Answer]


class NoParameters(Request):
    """No query parameters are accepted."""


def without_nulls(value: Any) -> Any:
    """``value`` with every null key left out, at any depth: the API sends no nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def to_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain JSON values."""
    return without_nulls(answer.model_dump(mode="json", exclude_none=True))  # type: ignore[no-any-return]
