"""What a step leaves for the API server besides its result: how far it is, and that its dbt profile could not be made."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.wire.reports import Progress
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.operators.steps import StepFailed, profile_refused, progress_to_xcom, report
from tests.granting import content, task
from tests.granting import context as in_context

REQUEST = StepRequest.from_json({"step_id": "plan_1"})


def context() -> Any:
    return in_context(task("execute"))


def test_progress_is_told_whole_and_by_the_step_that_makes_it() -> None:
    one = context()
    tell = progress_to_xcom(one, REQUEST)
    tell({"stage": "plan", "models": []})
    tell({"stage": "apply", "models": [{"name": "shop.orders"}]})
    told = Progress(step_id="plan_1", stage="apply", models=[{"name": "shop.orders"}])
    assert {key: Progress.from_json(content(value)) for key, value in one["ti"].pushed.items()} == {"progress": told}


def test_a_profile_that_cannot_be_made_fails_the_step() -> None:
    one = context()
    with pytest.raises(StepFailed, match=r"no such target\. Correct the connection"):
        report(one, REQUEST, profile_refused(ProfileError("no such target.")))
    said = one["ti"].pushed["result"]
    assert (said["outcome"], said["error"]["code"], said["error"]["message"]) == ("failed", "profile_invalid", "no such target.")
