"""The OpenAPI document as a test: ask what it allows and what it does not, believe nothing.

:func:`run_fuzz` serves the faked services here and any real server elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
DOCUMENT = "/api/v1/openapi.json"


def load(target: Callable[..., Any] | str) -> Any:
    """The document of a WSGI app or of a server.

    :param target: A WSGI app, or the address of Airflow.
    """
    if isinstance(target, str):
        return schemathesis.openapi.from_url(target.rstrip("/") + DOCUMENT)
    return schemathesis.openapi.from_wsgi(DOCUMENT, target)


def run_fuzz(
    target: Callable[..., Any] | str,
    headers: Mapping[str, str],
    max_examples: int = 5,
    upstream_statuses: Collection[int] = (),
    known_ids: Callable[[str], Mapping[str, str]] | None = None,
) -> dict[str, int]:
    """Ask every operation with fitting and unfitting data; fail on a 5xx, an undocumented status or a wrong shape.

    :param target: A WSGI app, or the address of Airflow.
    :param headers: Credentials.
    :param max_examples: Requests per operation and kind of data.
    :param upstream_statuses: Documented answers above 499 that say what another server did, where there is no such server:
        502 without the invented repositories, 503 without a state database.
    :param known_ids: Makes something real for an operation, by its id, and gives the ids by path parameter. Each operation that
        has parameters is asked about it as well, because invented ids are answered 404.
    :return: How often each status was answered.
    """
    checks = partial(_checks, upstream_statuses)
    answered: dict[str, int] = {}
    for operation in (result.ok() for result in load(target).get_all_operations()):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
                _fuzz_operation(operation, mode, dict(headers), max_examples, answered, checks)
        if known_ids is not None and list(operation.path_parameters):
            ids = known_ids(operation.definition.raw["operationId"])
            _fuzz_operation(operation, GenerationMode.POSITIVE, dict(headers), max_examples, answered, checks, ids)
    return answered


def _can_be_wrong(operation: Any) -> bool:
    """Whether there is something to send that the document forbids; any text is a path id."""
    return bool(list(operation.query) or list(operation.body))


def _checks(upstream_statuses: Collection[int], status: int) -> list[Any]:
    return [check for check in CHECKS if check is not not_a_server_error or status not in upstream_statuses]


def _fuzz_operation(
    operation: Any,
    mode: GenerationMode,
    headers: dict[str, str],
    max_examples: int,
    answered: dict[str, int],
    checks: Callable[[int], list[Any]],
    ids: Mapping[str, str] = MappingProxyType({}),
) -> None:
    @settings(
        max_examples=max_examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.path_parameters = {name: ids.get(name, value) for name, value in (case.path_parameters or {}).items()}
        response = case.call(headers=headers)
        status = str(response.status_code)
        answered[status] = answered.get(status, 0) + 1
        case.validate_response(response, checks=checks(response.status_code))

    ask()
