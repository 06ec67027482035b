"""What Kubernetes accepts: quantities, names, images, labels, selectors, templates; and what history limits keep."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from dagctl_provider.domain import pods
from dagctl_provider.domain.pods import Finished

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", "0.5"),
        ("2", "2"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("1Gi", str(2**30)),
        ("1500M", "1500000000"),
        ("2k", "2000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("1Ei", str(2**60)),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert pods.parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "-1", "1 Gi", "1gi", "1KI", "m", "1e1000", "one", "1Gi\n"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no Kubernetes quantity"):
        pods.parse_quantity(text)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"cpu_request": "500m", "cpu_limit": "0.5"}, []),
        ({"cpu_request": "501m", "cpu_limit": "0.5"}, ["cpu_request"]),
        ({"memory_request": "1Gi", "memory_limit": "1G"}, ["memory_request"]),
        ({"memory_request": "1024Mi", "memory_limit": "1Gi", "cpu_request": "3"}, []),
        ({"cpu_request": "x", "cpu_limit": "1", "memory_limit": "y"}, ["cpu_request", "memory_limit"]),
        ({}, []),
    ],
)
def test_a_request_is_at_most_its_limit(settings: dict[str, str], where: list[str]) -> None:
    assert [problem.where for problem in pods.resource_problems(settings)] == where


@pytest.mark.parametrize(
    "text",
    [
        "dagctl-runner:sqlmesh-0.236.4",
        "runner",
        "localhost:5000/a/b_c/d--e:Tag.1",
        f"registry.example.com/team/runner@{DIGEST}",
        f"registry.example.com:443/runner:1.0@{DIGEST}",
        "Registry.Example.com/runner:1",
        "[::1]:5000/runner",
    ],
)
def test_image_references(text: str) -> None:
    pods.check_image(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Runner:1",
        "runner:",
        "runner:-x",
        "runner:" + "x" * 129,
        "runner :1",
        "runner:1\n",
        "https://registry.example.com/runner",
        "registry.example.com//runner",
        "a/" + "b" * 255,
        "runner@sha256:0a",
        "runner:<tag>",
        "runner;rm -rf /",
    ],
)
def test_what_is_no_image_reference(text: str) -> None:
    with pytest.raises(ValueError, match=r"image reference|known are"):
        pods.check_image(text)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (pods.check_label_name, ["data", "a-1"], ["", "Data", "a.b", "-a", "a" * 64, "a\n"]),
        (pods.check_object_name, ["data", "a.b-c"], ["", "a..b", "a_b", "a" * 254, "a/b"]),
        (pods.check_object_names, ["one", "one, two", ""], ["one two", "One"]),
        (pods.check_group, ["0", "10001"], ["", "-1", "x", "2147483648"]),
        (pods.check_git_credentials, ["secret", "connection"], ["", "Secret"]),
        (pods.check_label_key, ["a", "example.com/a_B.c"], ["", "/a", "a/", "a b", "x" * 64]),
        (pods.check_node_selector, ["{}", '{"a/b": "c", "d": ""}'], ["", "[]", '{"a": true}', '{"a b": "c"}', '{"a": "-"}']),
        (
            pods.check_tolerations,
            ["[]", '[{"operator": "Exists"}]', '[{"key": "a", "value": "b", "effect": "NoSchedule"}]'],
            ["{}", "[1]", "[{}]", '[{"key": "a", "effects": ""}]', '[{"key": "a", "effect": "No"}]', '[{"operator": "In"}]'],
        ),
    ],
)
def test_names_and_lists(check: Callable[[str], None], good: list[str], bad: list[str]) -> None:
    for text in good:
        check(text)
    for text in bad:
        with pytest.raises(ValueError, match=r"\S"):
            check(text)


def test_every_text_becomes_a_label_value() -> None:
    chance = random.Random(1)
    alphabet = "aZ09-_./ :\n\0äß日\ud800"
    for _ in range(500):
        text = "".join(chance.choices(alphabet, k=chance.randint(0, 120)))
        value = pods.label_value(text)
        assert pods._LABEL_VALUE.fullmatch(value)
        assert pods.label_value(value) == value


def test_label_values_stay_apart() -> None:
    texts = ["a" * 64, "a" * 65, "Shop EU", "Shop_EU", "Shop:EU", "ünï", "", "---", "日本"]
    assert len({pods.label_value(text) for text in texts}) == len(texts)
    assert pods.label_value("plan_1") == "plan_1"


TEMPLATE = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n    - name: base\n      volumeMounts: []\n"


@pytest.mark.parametrize("text", [TEMPLATE, "apiVersion: v1\nkind: Pod\n"])
def test_pod_templates(text: str) -> None:
    pods.check_pod_template(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kind: Pod"),
        ("kind: Pod", "apiVersion"),
        ("apiVersion: v1\nkind: Deployment\n", "kind: Pod"),
        (TEMPLATE + "---\n" + TEMPLATE, "one object"),
        ("a: b: c", "in line 1"),
        ("!!python/object/apply:os.system [true]", "one object"),
        ("apiVersion: v1\nkind: Pod\nspec: []\nmetadata: 7\n", "metadata"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [base]}\n", "spec.containers"),
        ("x: " + "y" * pods.POD_TEMPLATE_LIMIT, "256 KiB"),
    ],
)
def test_what_is_no_pod_template(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pods.check_pod_template(text)


def test_a_pod_template_error_quotes_nothing() -> None:
    with pytest.raises(ValueError, match="no YAML") as caught:
        pods.check_pod_template("password: hunter2: x\n")
    assert "hunter2" not in str(caught.value)


def test_settings_are_checked_by_name() -> None:
    needed = {"runner_image": "runner:1", "kubernetes_namespace": "data", "kubernetes_git_credentials": "secret"}
    assert pods.setting_problems({**needed, "kubernetes_service_account": ""}) == []
    assert {problem.where for problem in pods.setting_problems({})} == set(needed)
    bad = {"runner_image": "Runner", "kubernetes_namespace": "", "kubernetes_service_account": "a_b"}
    assert {problem.where for problem in pods.setting_problems({**needed, **bad})} == set(bad)


def test_history_keeps_the_newest_of_each_outcome() -> None:
    start = datetime(2026, 4, 28, tzinfo=timezone.utc)
    finished = [Finished(f"run{n}", start + timedelta(hours=n), succeeded=n % 2 == 0) for n in range(8)]
    assert [one.name for one in pods.beyond_history(finished, 3, 1)] == ["run5", "run3", "run1", "run0"]
    assert pods.beyond_history(finished, 9, 9) == []
    assert len(pods.beyond_history(finished, 0, 0)) == 8
