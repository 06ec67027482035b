"""What a runner is asked to do names the repository as the API server itself asks git for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dagctl_provider.domain.repository import parse_repository_url
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.requests import parse_request
from dagctl_provider.services.lifecycle.project_requests import request_for_project
from tests.plan_output.samples import PROJECT


@pytest.mark.parametrize(
    "written",
    [
        "HTTPS://GitHub.com:443/acme/x/",
        "SSH://git@github.com/acme/x",
        "git+deploy@github.com:acme/x",
        "https://github.com/a::b",
        "git@[2001:4860::1]:x",
        "git@10.0.0.7:x",
        "/srv/git/shop.git/",
    ],
)
def test_stored_addresses_are_sent_in_the_spelling_that_git_is_asked_with(written: str) -> None:
    asked_for = request_for_project(replace(PROJECT, repository_url=written), "0" * 40)
    request = replace(asked_for, runner=replace(asked_for.runner, step_id="plan_1")).for_runner()

    asked = parse_repository_url(written, allow_local=True, allow_private=True).url
    assert request["repository_url"] == asked
    assert parse_request(json.dumps(request), "explain", Reach(local=True, private=True))[0].repository_url == asked


def test_a_deployment_decides_about_unstable_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    assert request_for_project(PROJECT, "0" * 40).runner.unstable == "exclude"
    monkeypatch.setenv("AIRFLOW__DAGCTL__UNSTABLE_PLANS", "refuse")
    assert request_for_project(PROJECT, "0" * 40).for_runner()["unstable"] == "refuse"


def test_a_stored_address_that_the_rules_refuse_is_left_for_the_runner_to_refuse() -> None:
    stored = "https://user@github.com/acme/x"
    assert request_for_project(replace(PROJECT, repository_url=stored), "0" * 40).runner.repository_url == stored
