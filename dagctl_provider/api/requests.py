"""Reading a request without trusting it: size, media type, JSON, query parameters, ids.

Whatever arrives, the outcome is a validated model or an error that names what is wrong; nothing raw reaches a service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.wsgi import get_input_stream

from dagctl_provider.api.contracts import PathParameter
from dagctl_provider.api.problems import from_validation, invalid_fields
from dagctl_provider.domain.errors import DagctlError, not_found

_CHUNK = 64 * 1024
_MOST_DIGITS = 1000
_MOST_UNKNOWN = 50
_MOST_VALUES = 20_000
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")

Model = TypeVar("Model", bound=BaseModel)


def check_ids(ids: Mapping[str, str], parameters: Mapping[str, PathParameter]) -> None:
    """Refuse ids that cannot exist before they reach a database.

    :param parameters: What the ids are of, by name.
    :raises DagctlError: ``not_found``.
    """
    for name, value in ids.items():
        if not re.fullmatch(parameters[name].pattern, value):
            raise not_found(parameters[name].noun, value)


def is_identifier(text: str) -> bool:
    """Whether ``text`` has the shape of an id of ours."""
    return _IDENTIFIER.fullmatch(text) is not None


def read_query(model: type[Model]) -> Model:
    """The query parameters.

    :raises DagctlError: ``invalid_request`` for unknown, repeated or wrong ones.
    """
    values = {name: given[0] for name, given in request.args.lists()}
    repeated = {f"query.{name}": "given more than once" for name, given in request.args.lists() if len(given) > 1}
    if repeated:
        raise invalid_fields(repeated)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise from_validation(error, place="query.") from None


def read_body(model: type[Model], limit: int) -> Model:
    """The request body; an absent one counts as an empty object.

    :param limit: Most bytes.
    :raises DagctlError: ``payload_too_large``, ``unsupported_media_type``, ``invalid_json`` or ``invalid_request``.
    """
    data = _read_bytes(limit)
    values = _parse(data) if data else {}
    if not isinstance(values, dict):
        raise invalid_fields({"": "must be a JSON object"})
    _check_cost(values, model)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise from_validation(error) from None


def _check_cost(values: dict[str, object], model: type[BaseModel]) -> None:
    """Refuse what would take long to refuse: pydantic makes an error of each wrong value, however many there are."""
    unknown = values.keys() - {field.alias or name for name, field in model.model_fields.items()}
    if len(unknown) > _MOST_UNKNOWN:
        raise invalid_fields(dict.fromkeys(sorted(unknown), "unknown field"))
    left: list[object] = [values]
    count = 0
    while left:
        value = left.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += len(inner)
        if count > _MOST_VALUES:
            raise invalid_fields({"": f"holds more than {_MOST_VALUES} values"})
        left.extend(inner)


def _read_bytes(limit: int) -> bytes:
    """At most ``limit``, whether the length was announced or comes in chunks."""
    if request.content_length is not None and request.content_length > limit:
        raise too_large(limit)
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        # Both ASGI-to-WSGI bridges end the stream with the body, but do not say so.
        request.environ["wsgi.input_terminated"] = True
    stream = get_input_stream(request.environ)
    data = bytearray()
    while chunk := stream.read(_CHUNK):
        data += chunk
        if len(data) > limit:
            raise too_large(limit)
    return bytes(data)


def too_large(limit: int) -> DagctlError:
    """The refusal of a body.

    :param limit: Most bytes.
    """
    most = f"{limit} bytes" if limit % 2**20 else f"{limit // 2**20} MiB"
    return DagctlError("payload_too_large", f"The request body is larger than {most}.")


def _parse(data: bytes) -> object:
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if request.mimetype != "application/json" or charset != "utf-8" or encoding != "identity":
        raise DagctlError("unsupported_media_type", "The body must be application/json in UTF-8, not compressed.")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise DagctlError("invalid_json", f"The body is not valid JSON: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg.partition(' (')[0]} at line {error.lineno}, column {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return values


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)
