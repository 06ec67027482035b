"""The rows of protected environments: what can be asked, by whom, with what, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import Operation
from dagctl_provider.api.v1.common import Message, ok
from dagctl_provider.api.v1.protections import examples, handlers, schemas

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/environment-protections",
        "list_protections",
        "Environment protection",
        "List the protected environments",
        "manage_secrets",
        handlers.list_protections,
        ok(schemas.ProtectionList, examples.LIST, "All of the organization, by name"),
    ),
    Operation(
        "GET",
        "/environment-protections/check",
        "check_protection",
        "Environment protection",
        "Whether the caller may change an environment",
        "read",
        handlers.check_protection,
        ok(schemas.CheckAnswer, examples.CHECK, "The caller may"),
        errors=("environment_protected",),
        query=schemas.CheckParameters,
        description="404 where there is no protection: the role alone decides there.",
    ),
    Operation(
        "GET",
        "/environment-protections/{protectionId}",
        "get_protection",
        "Environment protection",
        "Get a protected environment",
        "manage_secrets",
        handlers.get_protection,
        ok(schemas.Protection, examples.PROTECTION, "With its allowlist and its rules"),
    ),
    Operation(
        "POST",
        "/environment-protections",
        "create_protection",
        "Environment protection",
        "Protect an environment",
        "manage_secrets",
        handlers.create_protection,
        ok(schemas.Protection, examples.PROTECTION, "The protection", status=201),
        errors=("name_taken",),
        body=schemas.CreateProtection,
        body_examples={"An allowlist": examples.CREATE, "With rules": examples.CREATE_WITH_RULES},
    ),
    Operation(
        "PUT",
        "/environment-protections/{protectionId}",
        "update_protection",
        "Environment protection",
        "Rename, switch, or change the allowlist or the rules",
        "manage_secrets",
        handlers.update_protection,
        ok(schemas.Protection, examples.PROTECTION, "The protection as it is now"),
        errors=("name_taken",),
        body=schemas.UpdateProtection,
        body_examples={"Switch off": {"enabled": False}},
        description="Fields that are not sent stay. Rules are replaced as a whole.",
    ),
    Operation(
        "DELETE",
        "/environment-protections/{protectionId}",
        "delete_protection",
        "Environment protection",
        "Protect an environment no longer",
        "manage_secrets",
        handlers.delete_protection,
        ok(Message, examples.DELETED, "The role alone decides there again"),
    ),
)
