"""Which destructive changes an approval has to name, and what is said when it does not."""

from __future__ import annotations

from dagctl_provider.plan_output import destructive
from dagctl_provider.plan_output.destructive import ToAllow
from dagctl_provider.plan_output.reading import explained

ROWS = [
    {"name": "a", "columns": ["x"], "statements": ["DROP x"], "kind": "destructive", "policy": "error", "remedies": ["Keep x."]},
    {"name": "b", "kind": "additive", "policy": "error"},
    {"name": "a", "columns": ["x", "y"], "statements": ["DROP y"], "policy": "error", "remedies": ["Keep y."]},
    {"name": "c", "columns": ["z"], "policy": "warn"},
    {"name": "d", "columns": ["z"], "policy": "allow"},
    {"name": "e", "columns": ["z"]},
]
OUTPUT = explained({"destructive": ROWS})
A = ToAllow("a", ("x", "y"), ("DROP x", "DROP y"), ("Keep x.", "Keep y."))
B = ToAllow("b")


def test_only_what_the_policy_calls_an_error_and_each_model_once() -> None:
    assert destructive.to_allow(OUTPUT) == (A, B)
    assert destructive.must_be_named(OUTPUT) == ("a", "b")
    assert destructive.to_allow(explained({})) == ()


def test_what_an_approval_lacks() -> None:
    assert destructive.not_named(OUTPUT, ()) == (A, B)
    assert destructive.not_named(OUTPUT, ("b", "c")) == (A,)
    assert destructive.not_named(OUTPUT, ("b", "a")) == ()


def test_what_may_be_named_though_it_need_not_and_what_is_a_slip() -> None:
    assert destructive.unknown_names(OUTPUT, ("a", "c", "d", "e")) == ()
    assert destructive.unknown_names(OUTPUT, ("f", "a", "A", "f")) == ("f", "A")


def test_the_sentence_of_a_refusal() -> None:
    assert destructive.refusal([A]) == ("1 model changes its table destructively, and the approval does not name it: a (x, y).")
    assert destructive.refusal([A, B]) == (
        "2 models change their tables destructively, and the approval does not name them: a (x, y); b."
    )
    ten = [ToAllow(f"m{at}") for at in range(10)]
    assert destructive.refusal(ten).endswith("m8; m9.")
    assert destructive.refusal([*ten, B]).endswith("m9 and 1 more.")
