"""The sample project: a repository with one commit, then two."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from demo.options import DemoError
from demo.repository import Repository
from demo.samples import DBT, FIRST_MESSAGE, SQLMESH
from demo.warehouse import Table, require_revenue, revenue_by_city


def git(path: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(path), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def file_of(model: str) -> str:
    return f"models/{model.replace('.', '/')}.sql"


def test_the_first_commit_holds_ten_models_with_tests_and_audits(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    sha = repository.create()
    assert git(repository.path, "log", "--format=%H %s") == f"{sha} {FIRST_MESSAGE}"
    assert git(repository.path, "branch", "--show-current") == "main"
    files = git(repository.path, "ls-files").splitlines()
    assert sum(name.startswith("models/") for name in files) == 10
    assert {name.split("/")[0] for name in files} >= {"audits", "config.yaml", "models", "seeds", "tests"}
    assert repository.url == f"file://{tmp_path}/repository"
    assert git(repository.path, "status", "--porcelain") == ""


def test_the_second_commit_changes_one_model_and_adds_one(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    repository.create()
    sha = repository.change()
    assert repository.head() == sha
    assert git(repository.path, "log", "-1", "--format=%s") == SQLMESH.second_message
    changed = dict(reversed(line.split("\t")) for line in git(repository.path, "show", "--name-status", "--format=").splitlines())
    models = {name: how for name, how in changed.items() if name.startswith("models/")}
    assert models == {file_of("marts.order_revenue"): "M", file_of("marts.city_revenue"): "A"}
    assert any("city_revenue" in line for line in repository.stat())
    with pytest.raises(DemoError, match="already"):
        repository.change()


def test_the_dbt_project_tells_the_same_story(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", DBT)
    repository.create()
    files = git(repository.path, "ls-files").splitlines()
    assert {"dbt_project.yml", "profiles.yml", "seeds/orders.csv", "models/schema.yml"} <= set(files)
    assert sum(name.startswith("models/") and name.endswith(".sql") for name in files) == 6
    repository.change()
    changed = dict(reversed(line.split("\t")) for line in git(repository.path, "show", "--name-status", "--format=").splitlines())
    assert changed == {
        "models/marts/city_revenue.sql": "A",
        "models/marts/order_revenue.sql": "M",
        "models/marts/product_sales.sql": "D",
        "models/schema.yml": "M",
    }


def test_a_persons_git_settings_have_no_part_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n[user]\n\tname = Somebody Else\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    repository = Repository(tmp_path / "repository")
    repository.create()
    monkeypatch.delenv("GIT_DIR")
    assert git(repository.path, "log", "--format=%an") == "Ada Example"
    assert not (tmp_path / "elsewhere").exists()


def test_the_count_by_hand_is_a_count(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text(
        "customer_id,customer_name,city,signed_up_on\n1,A,Lyon,2026-01-01\n2,B,Porto,2026-01-01\n"
    )
    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,ordered_on,status\n1,1,x,completed\n2,2,x,completed\n3,2,x,returned\n"
    )
    (tmp_path / "order_items.csv").write_text(
        "item_id,order_id,product_id,quantity,unit_price,discount\n1,1,1,2,10.00,0.10\n2,2,1,1,4.00,0.50\n3,3,1,1,99.00,0.00\n"
    )
    assert revenue_by_city(tmp_path, discounts=False) == {"Lyon": 20.0, "Porto": 4.0}
    assert revenue_by_city(tmp_path, discounts=True) == {"Lyon": 18.0, "Porto": 2.0}


def test_a_warehouse_that_differs_is_refused() -> None:
    require_revenue({"Lyon": 18.01}, {"Lyon": 18.0})
    for wrong in ({"Lyon": 20.0}, {}, {"Lyon": 18.0, "Porto": 1.0}):
        with pytest.raises(DemoError, match="must hold"):
            require_revenue(wrong, {"Lyon": 18.0})


def test_tables_stand_in_columns() -> None:
    assert Table(["city", "revenue"], [["Lyon", 5.5], ["Porto", 10]]).lines() == [
        "city   revenue",
        "Lyon       5.5",
        "Porto       10",
    ]


def test_secrets_of_the_shell_do_not_reach_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "GIT_AUTHOR_NAME", "Nobody")
    repository = Repository(tmp_path / "repository")
    repository.create()
    assert git(repository.path, "log", "--format=%cn") == "Ada Example"


def test_times_of_models_stand_in_a_table() -> None:
    from demo.show import model_times

    one = {"model_name": "marts.order_revenue", "total_executions": 2, "avg_duration": 0.25, "total_duration": 0.5}
    other = {"model_name": "raw.orders", "total_executions": 1, "total_duration": 0.0}
    lines = model_times([one, other]).lines()
    assert lines[0].split() == ["model", "ran", "average", "together"]
    assert lines[1].split() == ["marts.order_revenue", "2", "0.25", "s", "0.50", "s"]
    assert lines[2].split() == ["raw.orders", "1", "-", "0.00", "s"]
