"""What a project's code does while a plan is worked out. Each case has a process of its own: a watch cannot be taken back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import ROOT

PROGRAM = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
checkout, private, record = sys.argv[2:5]
sys.path.insert(0, checkout)
from dagctl_common.channel import StepFailed
from dagctl_common.watching import Watch
watch = Watch(checkout, [private], ["trusted"], ["OURS"], record)
watch.leave_out([os.path.join(os.path.dirname(checkout), "given.txt")])
watch.begin()
watch.refusing = True
found = {}
try:
    if sys.argv[5] == "fork":
        pid = os.fork()
        if pid == 0:
            try:
                import project
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    else:
        import project
except StepFailed as error:
    found["raised"] = error.message
except Exception as error:
    found["other"] = repr(error)
watch.refusing = False
try:
    watch.check()
except StepFailed as error:
    found["code"], found["refused"] = error.code, error.message
found["reads"] = sorted(map(list, watch.reads.all()))
print(json.dumps(found))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "checkout").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "outside.txt").write_text("x")
    return tmp_path / "checkout"


def look(checkout: Path, code: str, how: str = "here") -> dict[str, Any]:
    (checkout / "project.py").write_text(code)
    inner = ROOT / "dagctl_provider" / "runner" / "inner"
    folder = checkout.parent
    arguments = [str(inner), str(checkout), str(folder / "private"), str(folder / "refused.txt"), how]
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"TENANT": "acme", "OURS": "1"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("\nopen('out.txt', 'w')", "project.py:2 writes"),
        ("def f():\n    open(__file__ + '.x', 'a')\nf()", "project.py:2 (f) writes project.py.x"),
        ("import os\nos.remove('/nowhere/x')", "project.py:2 removes /nowhere/x"),
        ("import os\nos.makedirs('/nowhere/x')", "project.py:2 makes the folder /nowhere"),
        ("import os\nos.rename('a', 'b')", "project.py:2 renames"),
        ("import subprocess\nsubprocess.run(['true'])", "project.py:2 starts another program"),
        ("import os\nos.system('true')", "project.py:2 starts another program"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "project.py:2 opens a connection to 127.0.0.1"),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')", "project.py:2 opens a connection to 127.0.0.1"),
        ("import sqlite3\nsqlite3.connect('/nowhere/x.db')", "project.py:2 opens the database"),
        ("import pathlib\npathlib.Path('/nowhere.txt').write_text('x')", "project.py:2 writes /nowhere.txt"),
        ("try:\n    open('/nowhere.txt', 'w')\nexcept BaseException:\n    pass", "project.py:2 writes /nowhere.txt"),
    ],
)
def test_writing_and_reaching_out_is_refused_with_file_and_line(checkout: Path, code: str, what: str) -> None:
    found = look(checkout, code)
    assert found["code"] == "explain_writes", found
    assert what in found["refused"]
    assert found["refused"].endswith("while the plan is worked out.")


def test_a_forked_process_cannot_hide_it(checkout: Path) -> None:
    found = look(checkout, "import os\nT = os.environ['TENANT']\nopen('/nowhere.txt', 'w')", "fork")
    assert "project.py:3 writes /nowhere.txt" in found["refused"]
    assert found["reads"] == [["variable", "TENANT"]]


def test_what_is_read_of_the_machine_is_remembered(checkout: Path) -> None:
    outside = checkout.parent / "outside.txt"
    code = (
        f"import os, tempfile, json\nT = os.environ.get('TENANT')\nU = os.getenv('OURS')\nV = os.getenv('NOT_SET')\n"
        f"open({str(outside)!r}).read()\nopen(__file__).read()\nopen('/etc/hosts').read()\n"
        f"open({str(checkout.parent / 'private' / 'x')!r}, 'w').write('x')\nprint(json.dumps(1), file=open(os.devnull, 'w'))"
    )
    found = look(checkout, code)
    assert "refused" not in found, found
    assert found["reads"] == [["file", str(outside)], ["variable", "TENANT"]]


def test_a_file_that_came_with_a_variable_does_not_count_twice(checkout: Path) -> None:
    given = checkout.parent / "given.txt"
    given.write_text("a secret")
    assert look(checkout, f"open({str(given)!r}).read()")["reads"] == []
    assert look(checkout, f"open({str(checkout.parent / 'outside.txt')!r}).read()")["reads"] != []
