"""The OpenAPI 3.1 document of a contract, made from its table of operations and the models that validate requests."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from pydantic.json_schema import models_json_schema

from dagctl_provider import __version__
from dagctl_provider.api import problems
from dagctl_provider.api.contracts import Contract, Operation
from dagctl_provider.api.models import REFERENCE, Request
from dagctl_provider.domain.errors import ERRORS

_SECURITY: list[dict[str, list[str]]] = [{"token": [], "organization": []}, {"airflowToken": []}, {"airflowSession": []}]
_SECURITY_SCHEMES = {
    "token": {"type": "http", "scheme": "bearer", "description": "API token, dctl_…"},
    "organization": {"type": "apiKey", "in": "header", "name": "X-Organization-ID", "description": "Organization of the token"},
    "airflowToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Airflow's own API token"},
    "airflowSession": {
        "type": "apiKey",
        "in": "cookie",
        "name": "_token",
        "description": "Session of Airflow's UI. Writes must come from Airflow's origin or carry X-Dagctl-Request.",
    },
}


@lru_cache(maxsize=8)
def document_json(contract: Contract, server: str) -> bytes:
    """The document as JSON, built once per server address, so that answers that wait for their readers share it.

    :param server: Path below which the API was asked: empty, or Airflow's own prefix.
    """
    return json.dumps(document(contract, server)).encode()


def document(contract: Contract, server: str = "") -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, Any] = {}
    for operation in contract.operations:
        paths.setdefault(contract.prefix + operation.path, {})[operation.method.lower()] = _operation(contract, operation)
    paths[contract.document_path] = {"get": _document_operation()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": contract.title,
            "version": __version__,
            "summary": contract.summary,
            "description": contract.description,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server or "/"}],
        "security": _SECURITY,
        "tags": [
            *({"name": name, "description": description} for name, description in contract.tags.items()),
            {"name": "Document", "description": "This document"},
        ],
        "paths": paths,
        "components": {"schemas": _schemas(contract), "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(contract: Contract, operation: Operation) -> dict[str, Any]:
    described = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description} {_needs(operation)}".strip(),
        "parameters": [*_path_parameters(contract, operation), *_query_parameters(operation)],
        "responses": {**_answers(operation), **_errors(contract, operation.all_errors)},
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation, operation.body)
    return described


def _needs(operation: Operation) -> str:
    if operation.permission is None:
        return "Needs no membership: whoever Airflow lets in may ask."
    return f"Needs the permission `{operation.permission}`."


def _document_operation() -> dict[str, object]:
    return {
        "operationId": "get_document",
        "tags": ["Document"],
        "summary": "This document",
        "description": "Public: it holds no data.",
        "security": [],
        "responses": {
            "200": {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}},
        },
    }


def _path_parameters(contract: Contract, operation: Operation) -> list[dict[str, Any]]:
    parameters = contract.path_parameters
    return [
        {"name": name, "in": "path", "required": True, "description": parameters[name].description, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, object]]:
    schema: Any = _without_null(_plain(operation.query.model_json_schema()))
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": rules.get("description", ""),
            "schema": {key: value for key, value in rules.items() if key not in ("description", "title")},
        }
        for name, rules in schema.get("properties", {}).items()
    ]


def _body(operation: Operation, model: type[Request]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}
    if operation.body_examples:
        content["examples"] = {name: {"value": value} for name, value in operation.body_examples.items()}
    required = any(field.is_required() for field in model.model_fields.values())
    return {"required": required, "content": {"application/json": content}}


def _answers(operation: Operation) -> dict[str, object]:
    described: dict[str, object] = {}
    for status, outcomes in operation.answers.items():
        references = [{"$ref": REFERENCE.format(model=outcome.model.__name__)} for outcome in outcomes]
        described[str(status)] = {
            "description": "; or: ".join(outcome.summary for outcome in outcomes),
            "content": {
                operation.media_type: {
                    "schema": references[0] if len(references) == 1 else {"oneOf": references},
                    "examples": {outcome.summary: {"value": outcome.example} for outcome in outcomes},
                }
            },
        }
    return described


_RETRY_AFTER = {"Retry-After": {"description": "Seconds after which to try again", "schema": {"type": "integer"}}}


def _errors(contract: Contract, codes: tuple[str, ...]) -> dict[str, Any]:
    refusals = contract.refusals
    reference = {"$ref": REFERENCE.format(model=refusals.model.__name__)}
    return {
        str(status): {
            "description": "; ".join(f"`{code}`: {ERRORS[code].title}" for code in same_status),
            **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
            "content": {refusals.media_type: {"schema": {"allOf": [reference, refusals.with_codes(same_status)]}}},
        }
        for status, same_status in problems.codes_by_status(codes).items()
    }


def _schemas(contract: Contract) -> dict[str, Any]:
    answers: set[Any] = {
        outcome.model for operation in contract.operations for outcomes in operation.answers.values() for outcome in outcomes
    }
    bodies: set[Any] = {operation.body for operation in contract.operations if operation.body}
    wanted: list[tuple[Any, Any]] = [(model, "validation") for model in sorted(bodies, key=_name)]
    wanted += [(model, "serialization") for model in sorted(answers | {contract.refusals.model}, key=_name)]
    _, definitions = models_json_schema(wanted, ref_template=REFERENCE)
    body_names = {_name(model) for model in bodies}
    drawn = {
        name: _plain(schema) if name in body_names else _open(_without_null(_plain(schema)))
        for name, schema in definitions["$defs"].items()
    }
    return {**drawn, **contract.more_schemas(REFERENCE)}


def _name(model: type) -> str:
    return model.__name__


def _plain(schema: object) -> object:
    """``schema`` without pydantic's titles and without ``null`` as a default, which only stands for "not sent"."""
    if isinstance(schema, dict):
        return {
            key: {name: _plain(rules) for name, rules in value.items()} if key == "properties" else _plain(value)
            for key, value in schema.items()
            if key != "title" and not (key == "default" and value is None)
        }
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    return schema


def _without_null(schema: object) -> object:
    """``schema`` without ``null`` among its alternatives: answers never hold one."""
    if isinstance(schema, list):
        return [_without_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: _without_null(value) for key, value in schema.items() if key != "anyOf"}
    alternatives: list[Any] = [_without_null(item) for item in schema.get("anyOf", []) if item != {"type": "null"}]
    if len(alternatives) == 1:
        return {**alternatives[0], **rest}
    return {**rest, "anyOf": alternatives} if alternatives else rest


def _open(schema: object) -> object:
    """Answers may gain keys; clients must not refuse them."""
    if not isinstance(schema, dict):
        return schema
    return {key: value for key, value in schema.items() if key != "additionalProperties"}
