"""What each operation on environment variables does: call one service, say the answer.

Nothing is decided here. Rights are checked before (by the route) and again inside the service.
"""

from __future__ import annotations

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.v1.common import Message
from dagctl_provider.api.v1.variables import schemas
from dagctl_provider.services import variables


def list_variables(call: Call) -> Result:
    found = [schemas.variable(one) for one in variables.list_variables(call.actor)]
    return 200, schemas.VariableList(environment_variables=found, total=len(found))


def get_variable(call: Call) -> Result:
    return 200, schemas.variable(variables.get_variable(call.actor, call.ids["variableName"]))


def create_variable(call: Call) -> Result:
    return 201, schemas.variable(variables.create_variable(call.actor, call.sent))


def update_variable(call: Call) -> Result:
    return 200, schemas.variable(variables.update_variable(call.actor, call.ids["variableName"], call.sent))


def delete_variable(call: Call) -> Result:
    variables.delete_variable(call.actor, call.ids["variableName"])
    return 200, Message(message="Environment variable deleted successfully")
