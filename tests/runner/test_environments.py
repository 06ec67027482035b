"""Tool environments are made once, whole, and shared; here with an installer that only pretends."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from dagctl_provider.runner import environments
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.environments import READY_MARKER, make_spec, tool_python
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.stopping import Stop
from dagctl_provider.runner.tools import TOOLS, Scene

PRETENDER = """#!/bin/sh
echo "$@" >> "{log}"
if [ "$1" = venv ]; then
  for last; do :; done
  mkdir -p "$last/bin"
  printf '#!/bin/sh\\n' > "$last/bin/python"
  chmod +x "$last/bin/python"
  sleep 0.2
else
  {install}
fi
"""


class Pretender:
    """A stand-in for the installer that writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "uv"
        self.log = folder / "calls"
        self.install_does(":")

    def install_does(self, command: str) -> None:
        self.path.write_text(PRETENDER.format(log=self.log, install=command))
        self.path.chmod(self.path.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def pretender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretender:
    found = Pretender(tmp_path)
    monkeypatch.setattr(environments, "find_uv", lambda: str(found.path))
    monkeypatch.setenv("DAGCTL_ENVIRONMENTS_DIR", str(tmp_path / "environments"))
    monkeypatch.delenv("DAGCTL_TOOL_PYTHON", raising=False)
    return found


def get(stop: Stop | None = None, version: str = "0.228.5", *extras: str) -> Path:
    return tool_python(make_spec("sqlmesh", version, extras), Progress(io.StringIO()), stop or Stop())


def test_an_environment_is_resolved_as_of_its_day_and_made_once(pretender: Pretender) -> None:
    python = get()
    assert python == get()
    assert len(pretender.calls()) == 2
    install = pretender.calls()[1]
    assert "--compile-bytecode sqlmesh==0.228.5 psycopg2-binary --exclude-newer 2026-01-23" in install
    assert json.loads((python.parents[1] / READY_MARKER).read_text())["cutoff"] == "2026-01-23"


def test_the_day_ends_at_the_same_moment_wherever_the_installer_runs(
    pretender: Pretender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv takes a day for one of its own time zone: a worker in another one would get other versions."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    pretender.install_does(f'echo "zone $TZ" >> "{pretender.log}"')
    get()
    assert pretender.calls()[-1] == "zone UTC"


def test_dbt_comes_with_its_adapters_and_without_what_downloads_a_binary(pretender: Pretender) -> None:
    python = tool_python(make_spec("dbt", "1.12.6", ["postgres", "duckdb"]), Progress(io.StringIO()), Stop())
    install = pretender.calls()[1]
    assert "dbt-core==1.12.6 dbt-duckdb dbt-postgres sqlglot==30.8.0 --exclude-newer 2026-10-15" in install
    assert "--exclude-newer-package sqlglot=2026-11-01" in install
    overrides = Path(install.split("--overrides ")[1].split()[0])
    assert overrides.parent == python.parents[1]
    assert overrides.read_text() == "dbt-core-experimental-parser ; python_version < '3'"
    assert "duckdb<0.10" in make_spec("dbt", "1.5.11", ["duckdb"]).requirements
    assert make_spec("dbt", "1.5.11", ["duckdb"]).name != make_spec("dbt", "1.5.11", ["postgres"]).name
    with pytest.raises(RunnerError, match="No adapter package") as caught:
        tool_python(make_spec("dbt", "1.12.6", ["evil"]), Progress(io.StringIO()), Stop())
    assert caught.value.code == "adapter_missing"


def test_another_interpreter_may_be_wanted(pretender: Pretender) -> None:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert make_spec("dbt", None, ["duckdb"], own) == make_spec("dbt", None, ["duckdb"])
    wanted = make_spec("dbt", None, ["duckdb"], "3.12.99")
    assert wanted.name != make_spec("dbt", None, ["duckdb"]).name
    tool_python(wanted, Progress(io.StringIO()), Stop())
    assert "--python 3.12.99" in pretender.calls()[0]
    pretender.path.write_text("#!/bin/sh\nexit 2\n")
    with pytest.raises(RunnerError, match=r"Python 3\.12\.98 was not found where the step runs") as caught:
        tool_python(make_spec("dbt", None, ["duckdb"], "3.12.98"), Progress(io.StringIO()), Stop())
    assert caught.value.code == "tool_install_failed"
    calls = pretender.calls()
    with pytest.raises(RunnerError, match=r"dbt 1\.6\.0 runs on Python 3\.9 to 3\.11, not on 3\.12"):
        tool_python(make_spec("dbt", "1.6.0", ["duckdb"], "3.12"), Progress(io.StringIO()), Stop())
    assert pretender.calls() == calls


def test_parallel_callers_share_one_installation(pretender: Pretender) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(get())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 5
    assert len(pretender.calls()) == 2


def test_a_half_made_environment_is_made_again(pretender: Pretender) -> None:
    home = get().parents[1]
    (home / READY_MARKER).unlink()
    (home / "leftover").touch()
    get()
    assert len(pretender.calls()) == 4
    assert not (home / "leftover").exists()


def test_an_environment_whose_interpreter_is_gone_is_made_again(pretender: Pretender) -> None:
    python = get()
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert get().exists()


def test_using_an_environment_is_written_down(pretender: Pretender) -> None:
    marker = get().parents[1] / READY_MARKER
    os.utime(marker, (0, 0))
    get()
    assert marker.stat().st_mtime > time.time() - 60


def test_a_failed_installation_is_told_and_not_kept(pretender: Pretender) -> None:
    pretender.install_does('echo "error: no solution found" >&2; exit 1')
    with pytest.raises(RunnerError, match="no solution found") as caught:
        get()
    assert caught.value.code == "tool_install_failed"
    pretender.install_does(":")
    assert get().exists()


def test_a_cancel_ends_an_installation_and_the_wait_for_one(pretender: Pretender) -> None:
    pretender.install_does("sleep 60")
    stop, waiting = Stop(), Stop()
    ended: list[str] = []

    def attempt(which: Stop) -> None:
        with pytest.raises(RunnerError) as caught:
            get(which)
        ended.append(caught.value.code)

    threads = [threading.Thread(target=attempt, args=(which,)) for which in (stop, waiting)]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    waiting.request("cancelled")
    stop.request("cancelled")
    for thread in threads:
        thread.join(60)
    assert ended == ["cancelled", "cancelled"]


def test_what_an_environment_depends_on_is_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGCTL_EXCLUDE_NEWER", raising=False)
    plain = make_spec("sqlmesh", "0.228.5")
    assert plain == make_spec("sqlmesh", "0.228.5", [])
    assert make_spec("sqlmesh", "0.228.5", ["trino", "mysql"]) == make_spec("sqlmesh", "0.228.5", ["mysql", "trino", "trino"])
    names = {plain.name, make_spec("sqlmesh", "0.228.4").name, make_spec("sqlmesh", "0.228.5", ["trino"]).name}
    monkeypatch.setenv("DAGCTL_EXCLUDE_NEWER", "2026-02-01")
    names.add(make_spec("sqlmesh", "0.228.5").name)
    monkeypatch.setenv("DAGCTL_EXCLUDE_NEWER", "off")
    assert make_spec("sqlmesh", "0.228.5").cutoff is None
    names.add(make_spec("sqlmesh", "0.228.5").name)
    assert len(names) == 5


def test_a_dbt_project_under_sqlmesh_needs_dbt_and_its_adapter(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("from sqlmesh.dbt.loader import sqlmesh_config\nconfig = sqlmesh_config()\n")
    scene = Scene(Request("u", "c", "p", "s"), Credentials(), None, tmp_path, tmp_path, tmp_path)
    inspect = TOOLS["sqlmesh"].inspect
    assert inspect(scene).drivers == []
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    assert inspect(scene).drivers == ["dbt"]
    profile = "shop:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n    prod:\n      type: snowflake\n"
    (tmp_path / "profiles.yml").write_text(profile)
    drivers = inspect(scene).drivers
    assert drivers == ["dbt", "dbt:duckdb"]
    assert make_spec("sqlmesh", "0.228.5", [*drivers, "trino"]).requirements == [
        "sqlmesh[dbt,trino]==0.228.5",
        "dbt-duckdb",
        "psycopg2-binary",
    ]


def test_an_image_can_bring_the_tool(pretender: Pretender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", "/bin/sh")
    assert get() == Path("/bin/sh")
    assert pretender.calls() == []
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", "/nowhere/python")
    with pytest.raises(RunnerError, match="cannot be run"):
        get()


def test_the_installer_is_found() -> None:
    assert Path(environments.find_uv()).exists()
