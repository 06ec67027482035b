"""The rows of environment variables: what can be asked, by whom, with what, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import Operation
from dagctl_provider.api.v1.common import Message, ok
from dagctl_provider.api.v1.variables import examples, handlers, schemas

_ONE = "/environment-variables/{variableName}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/environment-variables",
        "list_variables",
        "Environment variables",
        "List the environment variables of the organization",
        "view_secrets",
        handlers.list_variables,
        ok(schemas.VariableList, examples.LIST, "All of them, by name"),
        description="Sensitive values read `***`, for everybody and for ever.",
    ),
    Operation(
        "POST",
        "/environment-variables",
        "create_variable",
        "Environment variables",
        "Create an environment variable",
        "manage_secrets",
        handlers.create_variable,
        ok(schemas.VariableAnswer, examples.VARIABLE, "The new variable", 201),
        errors=("name_taken", "encryption_missing"),
        body=schemas.CreateVariable,
        body_examples={"Value": examples.CREATE, "File": examples.CREATE_FILE},
        description="Steps get it from now on. Plans that were explained without it have to be planned again.",
    ),
    Operation(
        "GET",
        _ONE,
        "get_variable",
        "Environment variables",
        "Get an environment variable",
        "view_secrets",
        handlers.get_variable,
        ok(schemas.VariableAnswer, examples.VARIABLE, "The variable"),
        description="The name is found without regard to case.",
    ),
    Operation(
        "PUT",
        _ONE,
        "update_variable",
        "Environment variables",
        "Change an environment variable",
        "manage_secrets",
        handlers.update_variable,
        ok(schemas.VariableAnswer, examples.VARIABLE, "The variable as changed"),
        errors=("encryption_missing",),
        body=schemas.UpdateVariable,
        body_examples={"Some fields": examples.UPDATE},
        description="Only the fields sent are changed. null takes away a value that may be absent.",
    ),
    Operation(
        "DELETE",
        _ONE,
        "delete_variable",
        "Environment variables",
        "Delete an environment variable",
        "manage_secrets",
        handlers.delete_variable,
        ok(Message, examples.DELETED, "The variable is gone"),
    ),
)
