"""Every request and answer that the three API documents print: keys, types, absent instead of null, status codes."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.api.v1.projects.schemas import UpdateProject
from dagctl_provider.api.v1.routes import OPERATIONS
from dagctl_provider.domain.projects import FIELDS

from . import conformance, examples
from .conftest import HEADERS, ORGANIZATION
from .examples import EXAMPLES, Example

BEYOND_THE_PLAN = {"commit_author", "retry_of", "digest", "decided_by", "decided_at", "error", "allowed_verbs", "comment"}
# dbt has targets, the document has no field for them (docs/decisions/silent-points.md).
FIELDS_BEYOND_THE_DOCUMENT = {"dbt_target", "python_requirements", "run_schedule", "warehouse_connection_id"}
BEYOND_THE_PROJECT = {"gateways", "default_gateway", "dag_id", "run_dag_id", "last_synced_at", "sync_error", "deployed_at"}


def assert_holds(printed: Any, answered: Any) -> None:
    """``answered`` has every printed key with the printed value; lists have the same length."""
    if isinstance(printed, dict):
        for key, value in printed.items():
            assert key in answered
            assert_holds(value, answered[key])
    elif isinstance(printed, list):
        assert len(printed) == len(answered)
        for one, other in zip(printed, answered, strict=True):
            assert_holds(one, other)
    else:
        assert (printed, type(printed)) == (answered, type(answered))


def assert_no_null(value: Any) -> None:
    assert value is not None
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_no_null(item)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example(example: Example, ask, services):
    for name, answer in example.service.items():
        services.plans.answer(**{name: answer})
    response = ask(example.method, example.path, json=example.body) if example.body else ask(example.method, example.path)
    assert response.status_code == example.status, response.text
    assert response.content_type == "application/json"
    assert_no_null(response.json)
    assert_holds(example.answer or {}, response.json)
    conformance.check(example.method, f"/api/v1{example.path}", response)


@pytest.mark.parametrize("name", ["count pending plans", "create plan: new", "create plan: already deployed",
                                  "create plan: exists", "get plan logs", "approve plan", "approve plan: repository changed",
                                  "reject plan", "cancel plan", "retry plan", "delete plan", "run project"])  # fmt: skip
def test_small_answers_have_no_further_keys(name, ask, services):
    example = next(example for example in EXAMPLES if example.name == name)
    services.plans.answer(**example.service)
    assert ask(example.method, example.path).json == example.answer


def test_a_plan_in_a_list_has_the_printed_keys(ask):
    item = ask("GET", "/projects/proj_xyz/plans").json["plans"][0]
    assert set(item) - BEYOND_THE_PLAN == set(examples.PLAN_ITEM)


def test_a_plan_has_the_printed_keys(ask):
    plan = ask("GET", "/plans/plan_abc123").json
    assert set(plan) - BEYOND_THE_PLAN == {*examples.PLAN_ITEM, "job_name", "plan_output"}
    assert "notKnown" not in plan["plan_output"]


def test_steps_of_a_group_are_plans_with_logs(ask):
    explain, execute = ask("GET", "/plans/group/plangroup_xyz/steps").json["steps"]
    assert set(explain) - BEYOND_THE_PLAN == {*examples.PLAN_ITEM, "job_name", "plan_output", "logs"}
    assert (explain["logs"], execute["logs"]) == ("explained", "applied")
    assert "plan_output" not in execute


def test_a_project_has_the_printed_keys(ask):
    project = ask("GET", "/projects/proj_abc123").json
    assert set(project) - BEYOND_THE_PROJECT == set(examples.PROJECT)
    assert set(project) - set(examples.PROJECT) == {"dag_id", "run_dag_id"}


def test_the_optional_keys_of_logs_are_absent_before_there_is_a_pod(ask, services):
    from dataclasses import replace

    from dagctl_provider.services.results import StepLogs

    from .records import EXPLAIN

    services.plans.answer(get_logs=StepLogs(replace(EXPLAIN, job_name=None, status="running"), ""))
    assert ask("GET", "/plans/plan_abc123/logs").json == {"planId": "plan_abc123", "logs": "", "status": "running"}


@pytest.mark.parametrize(
    ("name", "example"),
    [(example.name, example) for example in EXAMPLES if example.body and (example.method, example.path) == ("POST", "/projects")],
)
def test_create_hands_the_sent_fields_on(name, example, ask, services):
    ask("POST", "/projects", json=example.body)
    (_, (actor, values), _), = services.projects.calls  # fmt: skip
    assert values == example.body
    assert actor.organization_id == ORGANIZATION


def test_every_field_of_the_projects_document_is_in_the_table():
    create = (
        "name project_type repository_url branch git_auth_method git_secret_ref git_path description sqlmesh_environment "
        "sqlmesh_version use_managed_state_database auto_apply run_tests cpu_request cpu_limit memory_request memory_limit "
        "concurrency_policy suspended agent_context dbt_version python_version polling_interval version_strategy"
    )
    update_only = "remediation_auto_merge max_concurrent_job_runs status"
    assert {name for name, field in FIELDS.items() if field.on_create} == set(create.split()) | FIELDS_BEYOND_THE_DOCUMENT
    assert {name for name, field in FIELDS.items() if not field.on_create} == set(update_only.split())
    assert set(UpdateProject.model_fields) == set(FIELDS), "the document: same fields as create, with these additions"


def test_every_operation_has_an_example():
    shown = {conformance.operation_of(example.method, f"/api/v1{example.path}") for example in EXAMPLES}
    documented = [operation for operation in OPERATIONS if operation.tag in ("Projects", "Plans", "Execution metrics")]
    assert shown == {(f"/api/v1{operation.path}", operation.method.lower()) for operation in documented}
    assert len(documented) == 26


def test_both_headers_are_required(client):
    for missing in HEADERS:
        headers = {name: value for name, value in HEADERS.items() if name != missing}
        response = client.get("/api/v1/projects", headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
