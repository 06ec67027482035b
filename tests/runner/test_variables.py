"""Who edits a project's connection changes credentials, never which code runs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from dagctl_provider.runner.steps import _allowed
from dagctl_provider.runner.tools import TOOLS
from dagctl_provider.runner.variables import PROTECTED, is_protected

REFUSED = re.findall(
    r"\S+",
    """
PATH HOME XDG_CONFIG_HOME TMPDIR TMP DAGCTL_TOOL_PYTHON DAGCTL_PASS_ENV
LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES GCONV_PATH GLIBC_TUNABLES
PYTHONPATH PYTHONSTARTUP PYTHONHOME PYTHONWARNINGS PYTHONINSPECT PYTHONBREAKPOINT PYTHONUSERBASE VIRTUAL_ENV
UV_INDEX UV_DEFAULT_INDEX PIP_INDEX_URL
GIT_SSH_COMMAND GIT_SSH GIT_ASKPASS GIT_EXEC_PATH GIT_CONFIG_COUNT GIT_CONFIG_KEY_0 GIT_PROXY_COMMAND SSH_ASKPASS
BASH_ENV BASH_FUNC_ls%% SHELLOPTS BASHOPTS IFS PS4 SHELL
EDITOR VISUAL PAGER BROWSER
PERL5OPT PERL5LIB RUBYOPT NODE_OPTIONS
JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS JAVA_HOME CLASSPATH
SPARK_HOME SPARK_CONF_DIR SPARK_SUBMIT_OPTS SPARK_CLASSPATH PYSPARK_PYTHON PYSPARK_SUBMIT_ARGS HADOOP_CONF_DIR HADOOP_OPTS
OPENSSL_CONF OPENSSL_MODULES ODBCSYSINI ODBCINSTINI KRB5_CONFIG
GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES
""",
)
ALLOWED = re.findall(
    r"\S+",
    """
ENV WAREHOUSE_PASSWORD PGPASSWORD PGHOST PGSSLMODE SNOWFLAKE_PASSWORD DBT_ENV_SECRET_GIT_CREDENTIAL DBT_USER SPARK_HOST
SPARK_TOKEN HADOOP_USER_NAME AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION GOOGLE_APPLICATION_CREDENTIALS
AZURE_CLIENT_SECRET DATABRICKS_TOKEN SQLMESH__DEFAULT_GATEWAY TZ LANG LC_ALL NODE_ENV MY_PATH PATHS GITHUB_TOKEN path
""",
)


@pytest.mark.parametrize("name", REFUSED)
def test_what_chooses_code_is_refused(name: str) -> None:
    assert is_protected(name)
    for tool in TOOLS.values():
        assert _allowed({name: "x", "PASSWORD": "y"}, tool) == {"PASSWORD": "y"}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_names_and_proves_who_one_is_is_not(name: str) -> None:
    assert not is_protected(name)


def test_each_row_is_tried_and_says_what_for() -> None:
    for pattern, what in PROTECTED.items():
        assert any(re.fullmatch(pattern, name) for name in REFUSED), pattern
        assert what


def test_bash_would_run_such_a_variable(tmp_path: Path) -> None:
    """Why they are refused, seen: a text that a program takes for a command is code without a file."""
    env = {"PATH": os.environ["PATH"], "BASH_ENV": f"$(touch {tmp_path}/ran)"}
    subprocess.run(["bash", "-c", ":"], env=env, check=False)
    assert (tmp_path / "ran").exists()
