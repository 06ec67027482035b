"""Holds answers against the OpenAPI document: is the status documented, the media type, the shape?

Fuzzing invents ids, so it meets few answers that are not 404. Tests that walk real plans through the REST door put every answer
they get before :func:`check` as well.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator

from dagctl_provider.api import openapi
from dagctl_provider.api.v1.contract import V1

DOCUMENT = openapi.document(V1)
_TEMPLATES = {path: re.compile(re.sub(r"{\w+}", "[A-Za-z0-9_-]+", path)) for path in DOCUMENT["paths"]}


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """The path template and method of the document that a request falls under, if it has any.

    :param path: From ``/api/v1`` on.
    """
    plain = path.partition("?")[0]
    # Fixed words win over parameters, as in routing.
    for template in sorted(DOCUMENT["paths"], key=lambda template: template.count("{")):
        if _TEMPLATES[template].fullmatch(plain) and method.lower() in DOCUMENT["paths"][template]:
            return template, method.lower()
    return None


@lru_cache
def _validator(template: str, method: str, status: str, media_type: str) -> Draft202012Validator:
    schema = DOCUMENT["paths"][template][method]["responses"][status]["content"][media_type]["schema"]
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def check(method: str, path: str, response: Any) -> None:
    """Fail when an answer is not what the document says.

    :param path: From ``/api/v1`` on.
    :param response: Of Flask's test client.
    """
    found = operation_of(method, path)
    if found is None:
        return
    status = str(response.status_code)
    described = DOCUMENT["paths"][found[0]][found[1]]["responses"]
    assert status in described, f"{method} {path} answered {status}, which is not documented: {response.text[:500]}"
    assert response.content_type in described[status]["content"]
    errors = [error.message for error in _validator(*found, status, response.content_type).iter_errors(response.get_json())]
    assert not errors, f"{method} {path} {status}: {errors[:3]}"
