"""What each operation on API tokens does: call one service, say the answer."""

from __future__ import annotations

from datetime import timedelta

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.tokens import schemas
from dagctl_provider.services import tokens


def list_tokens(call: Call) -> Result:
    found = tokens.list_tokens(call.actor)
    return 200, schemas.TokenList(tokens=[schemas.token(record) for record in found], total=len(found))


def create_token(call: Call) -> Result:
    body: schemas.TokenBody = call.body
    life = timedelta(days=body.expires_in_days) if body.expires_in_days is not None else None
    made = tokens.create(call.actor, body.name, body.role, project_ids=body.project_ids, expires_in=life)
    return 201, schemas.created(made)


def revoke_token(call: Call) -> Result:
    record = tokens.revoke(call.actor, call.ids["tokenId"])
    return 200, schemas.TokenMessage(token=schemas.token(record), message="Token revoked successfully")


def rotate_token(call: Call) -> Result:
    body: schemas.RotateBody = call.body
    return 201, schemas.rotated(tokens.rotate(call.actor, call.ids["tokenId"], timedelta(hours=body.overlap_hours)))
