"""What each operation on protected environments does: call one service, say the answer in the document's words."""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.common import Message
from dagctl_provider.api.v1.protections import schemas
from dagctl_provider.services import protections


def list_protections(call: Call) -> Result:
    found = protections.list_protections(call.actor)
    return 200, schemas.ProtectionList(protections=[schemas.item(one) for one in found], total=len(found))


def check_protection(call: Call) -> Result:
    query: schemas.CheckParameters = call.query
    return 200, schemas.CheckAnswer(allowed=True, environment=protections.check(call.actor, query.project_id, query.environment))


def get_protection(call: Call) -> Result:
    return 200, schemas.detail(protections.get_protection(call.actor, call.ids["protectionId"]))


def create_protection(call: Call) -> Result:
    return 201, schemas.detail(protections.create_protection(call.actor, call.sent))


def update_protection(call: Call) -> Result:
    return 200, schemas.detail(protections.update_protection(call.actor, call.ids["protectionId"], call.sent))


def delete_protection(call: Call) -> Result:
    protections.delete_protection(call.actor, call.ids["protectionId"])
    return 200, Message(message="Environment protection deleted successfully")
