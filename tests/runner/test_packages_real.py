"""Packages of projects with the real installer and the real index: what is shown is what runs, and what cannot be is said."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from dagctl_provider.runner.packages import installed_packages
from tests.runner.conftest import NEWEST, Driver
from tests.runner.dbt_shop import PROFILE, PROJECT, prepare
from tests.runner.shop import SEED, config

pytestmark = pytest.mark.slow

MACRO = """
import faker
import pandas
from sqlmesh import macro


@macro()
def versions(evaluator):
    return f"'faker {faker.VERSION} pandas {pandas.__version__}'"
"""
MODEL = "MODEL (name shop.versions, kind FULL);\nSELECT @versions() AS versions"


def apart(driver: Driver) -> Path:
    """Let what is installed here go with the test."""
    folder = driver.folder / "environments"
    driver.variables["DAGCTL_ENVIRONMENTS_DIR"] = str(folder)
    return folder


def project(folder: Path, **files: str) -> dict[str, str]:
    return {**config(folder / "warehouse.duckdb"), **SEED, **files}


@pytest.mark.long
def test_what_is_shown_is_what_runs_and_the_shared_environment_stays_as_it_is(driver: Driver) -> None:
    own = apart(driver)
    # The first project asks for nothing: what it leaves is the environment that all such projects share.
    assert driver.step("explain", commit_sha=driver.repository.commit(project(driver.folder))).status == 0
    (shared,) = own.glob("*/bin/python")
    before = installed_packages(shared)
    assert "faker" not in before
    files = {"macros/versions.py": MACRO, "macros/__init__.py": "", "models/versions.sql": MODEL}
    # SQLMesh's own extra asks for a driver that comes as source only.
    own_list = "faker==40.0.0  # for seeds\nsqlmesh[postgres]\n"
    listed = {"sqlmesh-requirements.lock": "pandas==2.2.2\n", "requirements.txt": own_list}
    commit = driver.repository.commit(project(driver.folder, **files, **listed))
    deployed = {"faker": "39.0.0", "pandas": "2.2.2"}
    explained = driver.step("explain", commit_sha=commit, deployed_packages=deployed, deployed_tool_version=NEWEST)
    assert explained.status == 0, explained.output
    output = explained.result["plan_output"]
    assert "+ pandas==2.2.2" in output["requirements_diff"]
    assert "- faker==39.0.0\n+ faker==40.0.0" in output["packages_diff"]
    assert "pandas==" not in output["packages_diff"]
    assert driver.execute(explained, commit_sha=commit).status == 0
    (python,) = set(own.glob("*/bin/python")) - {shared}
    assert rows(driver, python) == "faker 40.0.0 pandas 2.2.2"
    assert installed_packages(python)["pandas"] == "2.2.2"
    assert installed_packages(shared) == before
    again = driver.step("explain", commit_sha=commit, deployed_packages=deployed, deployed_tool_version=NEWEST)
    assert "installing" not in again.output
    assert "resolving" not in again.output


PYTHON_MODEL = """
def model(dbt, session):
    import faker
    import pandas

    return pandas.DataFrame({"versions": [f"faker {faker.VERSION} pandas {pandas.__version__}"]})
"""


@pytest.mark.long
def test_a_dbt_project_gets_its_packages_and_the_adapter_it_pins(driver: Driver) -> None:
    prepare(driver)
    own = apart(driver)
    listed = "dbt-core~=1.12.0\ndbt-duckdb<1.12\nfaker==40.0.0\npandas==2.2.3\n"
    files = {"dbt_project.yml": PROJECT, "profiles.yml": PROFILE, "models/versions.py": PYTHON_MODEL, "requirements.txt": listed}
    commit = driver.repository.commit({**files})
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    executed = driver.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output
    (python,) = own.glob("*/bin/python")
    assert rows(driver, python, "main.versions") == "faker 40.0.0 pandas 2.2.3"
    conflict = driver.repository.commit({"requirements.txt": "dbt-core==1.8.0\n"})
    refused = driver.step("explain", commit_sha=conflict)
    assert refused.code == "requirements_failed"
    assert refused.result["error"]["message"].startswith(
        "requirements.txt:1: dbt-core==1.8.0: this does not fit dbt 1.12.6. Set 'dbt_version'"
    )


def rows(driver: Driver, python: Path, table: str = "shop.versions") -> str:
    code = f"import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('SELECT versions FROM {table}').fetchone()[0])"
    return subprocess.check_output([str(python), "-c", code, str(driver.folder / "warehouse.duckdb")], text=True).strip()


@pytest.mark.parametrize(
    ("text", "variables", "message"),
    [
        ("six\nsqlglot==20\n", {}, "requirements.txt:2: sqlglot==20: this does not fit SQLMesh .* Because sqlmesh"),
        ("docopt==0.6.2\n", {}, "requirements.txt:1: docopt==0.6.2: docopt comes as source only"),
        ("no-such-package-of-dagctl\n", {}, "requirements.txt:1: no-such-package-of-dagctl: .*not found in the package registry"),
        (
            "six\n",
            {"UV_DEFAULT_INDEX": "http://user:hunter22@127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"},
            "requirements.txt:1: six: the package index did not answer",
        ),
        ("six @ git+https://user:hunter22@example.com/six\n", {}, "requirements.txt:1: this line names"),
    ],
    ids=["conflict", "source", "unknown", "away", "address"],
)
def test_what_cannot_be_installed_is_said_at_explain(driver: Driver, text: str, variables: dict[str, str], message: str) -> None:
    environments = apart(driver)
    driver.variables.update(variables)
    commit = driver.repository.commit(project(driver.folder, **{"requirements.txt": text}))
    outcome = driver.step("explain", commit_sha=commit)
    assert (outcome.status, outcome.code) == (2, "requirements_failed"), outcome.output
    assert re.match(message, outcome.result["error"]["message"]), outcome.result["error"]
    assert "hunter22" not in outcome.output + str(outcome.result)
    assert not environments.exists() or os.listdir(environments) == []
