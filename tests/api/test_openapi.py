"""The OpenAPI document: valid, complete, and honest about examples and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from dagctl_provider.api import openapi, reference
from dagctl_provider.api.v1.contract import V1
from dagctl_provider.api.v1.routes import OPERATIONS
from dagctl_provider.domain.errors import ERRORS
from dagctl_provider.domain.permissions import PERMISSIONS
from dagctl_provider.domain.plans import STATUSES
from dagctl_provider.domain.projects import FIELDS

DOCUMENT = openapi.document(V1)
PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def validator(schema: dict) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def contents():
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            places = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for place, described in places.items():
                for content in described.get("content", {}).values():
                    for name, example in content.get("examples", {}).items():
                        yield pytest.param(content["schema"], example["value"], id=f"{method} {path} {place} {name}")


def test_valid():
    validate(DOCUMENT)


@pytest.mark.parametrize(("schema", "example"), list(contents()))
def test_examples_fit_their_schemas(schema, example):
    validator(schema).validate(example)


def test_every_operation_is_described():
    for operation in OPERATIONS:
        described = DOCUMENT["paths"][V1.prefix + operation.path][operation.method.lower()]
        assert described["operationId"] == operation.id
        assert operation.permission in PERMISSIONS or operation.id in ("list_organizations", "accept_invitation")
        assert set(described["responses"]) == {
            *(str(status) for status in operation.answers),
            *(str(ERRORS[code].status) for code in operation.all_errors),
        }


def test_operation_ids_and_paths_are_unique():
    assert len({operation.id for operation in OPERATIONS}) == len(OPERATIONS)
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == len(OPERATIONS)


def test_every_error_of_the_table_is_used_or_comes_from_routing():
    used = {code for operation in OPERATIONS for code in operation.all_errors}
    assert used <= set(ERRORS)
    # Of the pages' stream of events, which is no operation.
    streams = {"too_many_streams"}
    assert set(ERRORS) - used == {"method_not_allowed"} | streams


def test_answers_hold_no_null_and_may_grow():
    bodies = {operation.body.__name__ for operation in OPERATIONS if operation.body}
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if name not in bodies:
            assert '"null"' not in json.dumps(schema)
            assert schema.get("additionalProperties") is not False


def test_requests_are_closed_and_come_from_the_field_table():
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["CreateProject"]["properties"]) == {name for name, field in FIELDS.items() if field.on_create}
    changeable = {name for name, field in FIELDS.items() if field.on_update}
    assert set(schemas["UpdateProject"]["properties"]) == changeable | {"project_type"}
    assert schemas["CreateProject"]["required"] == ["name", "repository_url"]
    for name in ("CreateProject", "UpdateProject", "NoBody", "DecisionBody"):
        assert schemas[name]["additionalProperties"] is False
    for name, field in FIELDS.items():
        if field.on_create and field.default is not None:
            assert schemas["CreateProject"]["properties"][name]["default"] == field.default


def test_enums_come_from_the_state_machine():
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Plan"]["properties"]["status"]["enum"]) == set(STATUSES)
    parameters = DOCUMENT["paths"]["/api/v1/projects/{id}/plans"]["get"]["parameters"]
    by_name = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert set(by_name["status"]["enum"]) == set(STATUSES)
    assert by_name["limit"] == {"type": "integer", "minimum": 1, "maximum": 500, "default": 25}


def test_it_is_public_and_built_once(client, monkeypatch):
    openapi.document_json.cache_clear()
    first = client.get("/api/v1/openapi.json")
    monkeypatch.setattr(openapi, "document", None)
    assert client.get("/api/v1/openapi.json").json == first.json == DOCUMENT
    assert first.status_code == 200


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert reference.filled(page) == page, "run: python -m dagctl_provider.api.reference docs/api.md"
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Authentication", "## Conventions", "## Routes", "## Errors", "## Command line"]
    for operation in OPERATIONS:
        assert f"`{operation.method} {V1.prefix}{operation.path}`" in page
    for code in ERRORS:
        assert f"`{code}`" in page


def test_answers_to_come_back_later_say_when():
    for path in DOCUMENT["paths"].values():
        for operation in (value for key, value in path.items() if key != "parameters"):
            answers = operation["responses"]
            told = {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", {})}
            assert told == {"429", "503"} & answers.keys()
