"""The OpenAPI document, fuzzed against faked services."""

from __future__ import annotations

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS

from .conftest import HEADERS
from .fuzz import run_fuzz

pytestmark = pytest.mark.skipif(not AIRFLOW_V_3_2_PLUS, reason="Schemathesis does not work with the Werkzeug of older Airflows")


def test_every_operation_answers_as_documented(flask_app, services, person):
    answered = run_fuzz(flask_app, HEADERS)
    assert {"200", "201", "404", "422"} <= set(answered)
    assert not [status for status in answered if status.startswith("5")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, {"401", "403"}),
        # A reader may read, so what a reader asks wrongly is told; so is everybody where no membership is needed.
        ({"Authorization": "Bearer dctl_reader", "X-Organization-ID": "org-xxxxxxxx"}, {"400", "403", "404", "422"}),
    ],
    ids=["nobody", "reader"],
)
def test_without_rights_nothing_is_served(headers, expected, flask_app, services, person):
    for fake in services.all():
        for name in fake._answers:
            fake.answer(**{name: DagctlError("forbidden", "No.")})
    assert set(run_fuzz(flask_app, headers, max_examples=3)) <= expected
