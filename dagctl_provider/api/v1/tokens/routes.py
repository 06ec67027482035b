"""The rows of API tokens: what can be asked, by whom, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import Operation
from dagctl_provider.api.v1.common import ok
from dagctl_provider.api.v1.tokens import examples, handlers, schemas

_TAG = "Tokens"
_NEEDED = "manage_tokens"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/organizations/tokens",
        "list_tokens",
        _TAG,
        "List API tokens",
        _NEEDED,
        handlers.list_tokens,
        ok(schemas.TokenList, examples.TOKENS, "Oldest first"),
        description="Revoked and expired ones too. A token that is limited to projects lists those within its own limits.",
    ),
    Operation(
        "POST",
        "/organizations/tokens",
        "create_token",
        _TAG,
        "Create an API token",
        _NEEDED,
        handlers.create_token,
        ok(schemas.TokenSecret, examples.CREATED, "Created; the secret is shown this once", 201),
        body=schemas.TokenBody,
        body_examples={"Limited to a project": examples.CREATE},
        description="Its role is at most the caller's own, and a limited token makes tokens within its own limits.",
    ),
    Operation(
        "DELETE",
        "/organizations/tokens/{tokenId}",
        "revoke_token",
        _TAG,
        "Revoke an API token",
        _NEEDED,
        handlers.revoke_token,
        ok(schemas.TokenMessage, examples.REVOKED, "Useless from now on"),
        description="Revoking twice is as good as once. Tokens above the caller's own role are refused.",
    ),
    Operation(
        "POST",
        "/organizations/tokens/{tokenId}/rotate",
        "rotate_token",
        _TAG,
        "Rotate an API token",
        _NEEDED,
        handlers.rotate_token,
        ok(schemas.TokenReplaced, examples.ROTATED, "A new token; the secret is shown this once", 201),
        ("token_not_active",),
        body=schemas.RotateBody,
        body_examples={"Both are good for a day": examples.ROTATE},
        description="The new token is of the same kind and lives as long as the former was meant to; that one expires soon.",
    ),
)
