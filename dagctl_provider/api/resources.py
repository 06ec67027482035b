"""The operations of a contract as Flask AppBuilder resources.

Each class is one tag of the contract's table. ``@protect`` of Flask AppBuilder is not used: it knows only the users of one auth
manager and no tokens. The right to come in is declared all the same, so that the FAB auth manager offers it for its roles.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from flask import Blueprint, Response, request
from flask_appbuilder.api import BaseApi, expose

from dagctl_provider.api import limits, openapi, problems
from dagctl_provider.api.authentication import authenticate, authenticate_person
from dagctl_provider.api.contracts import JSON, Call, Contract, Operation
from dagctl_provider.api.models import Lines
from dagctl_provider.api.requests import check_ids, read_body, read_query
from dagctl_provider.domain.permissions import ENTRY
from dagctl_provider.services.outside.airflow_users import VIEW_NAME

VIEW_PERMISSIONS = (f"can_{ENTRY}",)
"""What Flask AppBuilder offers for its roles. The same on every class: it deletes what a class of the same name does not list."""


def serve(contract: Contract, operation: Operation, ids: dict[str, str]) -> Response:
    """One request from credentials to answer. What it raises becomes the contract's refusal in the error handler."""
    if operation.permission is None:
        actor = authenticate_person("rest")
    else:
        actor = authenticate("rest")
        actor.require(operation.permission)
    check_ids(ids, contract.path_parameters)
    query = read_query(operation.query)
    body = read_body(operation.body, operation.body_limit) if operation.body else None
    status, answer = operation.handler(Call(actor, ids, query, body))
    if isinstance(answer, Lines):
        text = "".join(json.dumps(contract.to_json(line)) + "\n" for line in answer.lines)
        return json_response(text, status, operation.media_type)
    return json_response(json.dumps(contract.to_json(answer)), status)


def refuse(contract: Contract, error: Exception) -> Response:
    """The contract's answer for whatever was raised on the way, by us or by Airflow before us."""
    return contract.refusals.respond(*problems.from_exception(error))


def json_response(text: str, status: int = 200, media_type: str = JSON) -> Response:
    """JSON that no cache keeps."""
    return Response(text, status, {"Cache-Control": "no-store"}, content_type=media_type)


def flask_rule(path: str) -> str:
    """``/plans/{planId}`` as Flask writes it."""
    return path.replace("{", "<").replace("}", ">")


class ContractApi(BaseApi):  # type: ignore[misc]
    """Base of the resources: takes its routes from the table of a contract.

    :param contract: The contract.
    :param tag: The tag of its operations; empty for a class that brings its own.
    """

    contract: ClassVar[Contract]
    csrf_exempt = True
    class_permission_name = VIEW_NAME
    base_permissions = list(VIEW_PERMISSIONS)

    def __init_subclass__(cls, contract: Contract | None = None, tag: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if contract is None:
            return
        cls.contract, cls.version, cls.route_base = contract, contract.name, contract.prefix
        own = [operation for operation in contract.operations if operation.tag == tag]
        cls.method_permission_name = {operation.id: ENTRY for operation in own}
        for operation in own:
            setattr(cls, operation.id, _method(contract, operation))

    def create_blueprint(self, *args: Any, **kwargs: Any) -> Blueprint:
        blueprint: Blueprint = super().create_blueprint(*args, **kwargs)
        blueprint.register_error_handler(Exception, lambda error: refuse(self.contract, error))
        blueprint.teardown_request(limits.end)
        return blueprint


def _method(contract: Contract, operation: Operation) -> Callable[..., Response]:
    def method(self: ContractApi, **ids: str) -> Response:
        return serve(contract, operation, ids)

    method.__name__ = operation.id
    method.__doc__ = operation.summary
    exposed: Callable[..., Response] = expose(flask_rule(operation.path), methods=(operation.method,))(method)
    return exposed


class DocumentOfContract(ContractApi):
    """The OpenAPI document of a contract. It is public: it says what can be asked, and holds no data."""

    @expose("/openapi.json", methods=("GET",))  # type: ignore[untyped-decorator]
    def get_document(self) -> Response:
        """The document, with the address it was asked at as server."""
        return Response(openapi.document_json(self.contract, request.script_root), content_type="application/json")

    def create_blueprint(self, *args: Any, **kwargs: Any) -> Blueprint:
        blueprint = super().create_blueprint(*args, **kwargs)
        blueprint.before_app_request(self._answer_unroutable)
        return blueprint

    def _answer_unroutable(self) -> Response | None:
        """The contract's refusal where Flask found no route, instead of Airflow's page for people."""
        error, prefix = request.routing_exception, self.contract.prefix
        if error is None or not (request.path == prefix or request.path.startswith(f"{prefix}/")):
            return None
        return refuse(self.contract, error)
