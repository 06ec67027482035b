"""Judging approvals: who counts, for what, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dagctl_provider.domain.codeowners import read
from dagctl_provider.domain.evaluations import Approval, ChangedModel, Judge, Matter, Missing, still_missing
from dagctl_provider.domain.protections import Exceptions
from dagctl_provider.domain.rules import read_rules
from dagctl_provider.domain.standings import Member, People, TokenOf

NOW = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
PEOPLE = People(
    (
        Member("user_1", "ada", "Ada Lovelace", "owner", "ada@example.com"),
        Member("user_2", "grace", "Grace", "developer", "grace@example.com"),
        Member("user_3", "rita", "Rita", "reader"),
        Member("user_4", "eve", "Eve", "chief"),
    ),
    (TokenOf("tok_1", "robot", "developer", "grace"), TokenOf("tok_2", "limited", "developer", "ci", ("proj_2",))),
)
EVERYBODY = Exceptions(roles=("owner", "admin", "developer", "reader"))
MATTER = Matter(project_id="proj_1", models=(ChangedModel("a", "models/a.sql", ("x",)),))


def judge(exceptions: Exceptions = EVERYBODY, **rules: Any) -> Judge:
    return Judge(read_rules(rules), exceptions, PEOPLE, NOW)


def given(kind: str, identifier: str, hours: int = 0) -> Approval:
    return Approval(PEOPLE.standing(kind, identifier, identifier), NOW - timedelta(hours=hours), "rest")


ADA, GRACE, RITA, ROBOT = given("user", "ada"), given("user", "grace"), given("user", "rita"), given("token", "tok_1")


@pytest.mark.parametrize(
    ("approvals", "counted"),
    [
        ([ADA, GRACE], ["Ada Lovelace", "Grace"]),
        ([ADA, ADA], ["Ada Lovelace"]),
        ([GRACE, ROBOT], ["Grace"]),
        ([ROBOT], ["robot"]),
        ([RITA], []),
        ([given("user", "eve")], []),
        ([given("user", "gone"), given("token", "tok_9"), given("system", "auto_apply")], []),
        ([given("token", "tok_2")], []),
    ],
)
def test_who_counts(approvals: list[Approval], counted: list[str]) -> None:
    assert [one.by.name for one in judge(quorum=2).evaluate(MATTER, approvals).counted] == counted


def test_what_is_missing_names_who_can_give_it() -> None:
    found = judge(quorum=3).evaluate(MATTER, [ADA])
    assert found.missing == (Missing("approvals", 2, ("Grace",)),)
    assert still_missing(found.missing) == "Still missing: 2 approvals: Grace can give them."
    found = judge(Exceptions(user_ids=("user_3",), token_ids=("tok_1",))).evaluate(MATTER, [])
    assert found.missing == (Missing("approvals", 1, ("robot",)),)
    assert judge(Exceptions()).evaluate(MATTER, []).missing[0].note == "Nobody here can give it."


@pytest.mark.parametrize("called", ["Ada Lovelace", "ADA@example.com", "ada"])
def test_the_author_by_name_or_address(called: str) -> None:
    matter = replace(MATTER, author=frozenset({called.casefold()}))
    assert judge(forbid_author=True).why_not(matter, ADA.by) == "is the author of the commit"
    assert judge(forbid_author=True).why_not(matter, GRACE.by) is None


def test_a_token_of_the_author_is_the_author() -> None:
    matter = replace(MATTER, author=frozenset({"grace@example.com"}), creator=GRACE.by.person)
    assert judge(forbid_author=True).why_not(matter, ROBOT.by) == "is the author of the commit"
    assert judge(forbid_creator=True).why_not(matter, ROBOT.by) == "asked for this plan"


def test_approvers_and_groups_are_two_things() -> None:
    group = {"name": "g", "roles": ["developer"], "tags": ["x"]}
    rules = judge(approver_roles=["owner"], groups=[group])
    assert [one.rule for one in rules.evaluate(MATTER, [GRACE]).missing] == ["approvals"]
    assert [one.rule for one in rules.evaluate(MATTER, [ADA]).missing] == ["group g"]
    assert rules.evaluate(MATTER, [ADA, GRACE]).complete
    assert judge(approver_user_ids=["user_1"]).why_not(MATTER, GRACE.by) == "none of the rules of this environment asks for them"


def test_expired_to_the_second() -> None:
    rules = judge(expires_after_hours=2)
    assert not rules.evaluate(MATTER, [given("user", "ada", 2)]).complete
    assert rules.evaluate(MATTER, [given("user", "ada", 1)]).complete


@pytest.mark.parametrize(
    ("text", "approvals", "rules"),
    [
        ("*.sql @ada", [ADA], []),
        ('*.sql "@Ada', [ADA], ["codeowners *.sql"]),
        ("*.sql @grace ada@example.com", [GRACE], []),
        ("*.sql @rita", [ADA], ["codeowners *.sql"]),
        ("*.sql @ada\n/models/ @grace", [ADA], ["codeowners /models/"]),
        ("*.sql @ada\n/models/", [GRACE], []),
        ("[Team] @ada", [ADA], ["codeowners"]),
    ],
)
def test_code_owners(text: str, approvals: list[Approval], rules: list[str]) -> None:
    matter = replace(MATTER, owners=read("CODEOWNERS", text))
    assert [one.rule for one in judge(codeowners=True).evaluate(matter, approvals).missing] == rules


def test_code_owners_of_a_model_whose_file_is_not_known_are_all() -> None:
    matter = replace(MATTER, models=(ChangedModel("a"),), owners=read("CODEOWNERS", "x/ @ada\ny/ @grace"))
    assert [one.rule for one in judge(codeowners=True).evaluate(matter, [ADA]).missing] == ["codeowners y/"]
    assert judge(codeowners=True).evaluate(replace(matter, owners=None), [ADA]).missing[0].note == (
        "The CODEOWNERS file cannot be read now. Nobody here can give it."
    )
