"""The list that ``make test-slowest`` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slowest import listed, main

REPORT = """
<testsuites><testsuite>
  <testcase classname="tests.domain.test_pods.TestSpec" name="test_quick" time="0.01"/>
  <testcase classname="tests.runner.test_steps" name="test_slow[a]" time="12.5"/>
  <testcase classname="tests.runner.test_inner" name="test_slower" time="60.04"/>
</testsuite></testsuites>
"""


def test_the_slowest_come_first_with_what_make_test_is_told_to_run_them() -> None:
    assert listed(REPORT).splitlines() == [
        "The slowest of 3 tests, which took 73 s in all processes together:",
        "    60.0 s  tests/runner/test_inner.py::test_slower",
        "    12.5 s  tests/runner/test_steps.py::test_slow[a]",
        "     0.0 s  tests/domain/test_pods.py::TestSpec::test_quick",
        "",
        "The slowest of 2 folders, which took 73 s in all processes together:",
        "    72.5 s  tests/runner",
        "     0.0 s  tests/domain",
    ]


def test_without_a_run_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tmp_path / "times.xml") == 1
    assert "make test" in capsys.readouterr().err
