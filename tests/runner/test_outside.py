"""Which code of a project can see more than the project, and what a process at another time with other luck sees."""

from __future__ import annotations

import datetime
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.runner.steps import INNER


@pytest.fixture(autouse=True)
def _inner_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(INNER))


PURE = [
    "def add(evaluator, x):\n    return f'{x} + 1'",
    "import re\nfrom sqlglot import exp\nNAMES = {'a', 'b'}\ndef f(evaluator):\n    return exp.column(re.sub('a', 'b', 'a'))",
    "from sqlmesh import macro\n@macro()\ndef f(evaluator):\n    return sorted({'x', 'y'})",
]
OUTSIDE = [
    "import datetime",
    "from random import choice",
    "import os\nT = os.environ['TENANT']",
    "DATA = __file__",
    "def f(e):\n    return open('x').read()",
    "def f(evaluator):\n    return evaluator.engine_adapter.fetchone('select 1')",
    "def f(evaluator):\n    return getattr(evaluator, 'engine_adapter')",
    "def f(e):\n    return __import__('time').time()",
    "def f(e):\n    return ().__class__.__base__.__subclasses__()",
    "from sqlmesh.utils.date import now\ndef f(e):\n    return now()",
    "import requests",
    "this is no Python",
]


@pytest.mark.parametrize("code", PURE)
def test_code_that_sees_only_its_arguments(code: str) -> None:
    from dagctl_sqlmesh.outside import looks_outside

    assert looks_outside(code) is False


@pytest.mark.parametrize("code", OUTSIDE)
def test_code_that_may_see_more(code: str) -> None:
    from dagctl_sqlmesh.outside import looks_outside

    assert looks_outside(code) is True


def test_a_project_may_import_its_own_modules(tmp_path: Path) -> None:
    from dagctl_sqlmesh.outside import project_looks_outside

    (tmp_path / "macros").mkdir()
    (tmp_path / "macros" / "helpers.py").write_text(PURE[0])
    (tmp_path / "macros" / "m.py").write_text("from macros.helpers import add\n" + PURE[2])
    assert project_looks_outside(tmp_path) is False
    (tmp_path / "macros" / "helpers.py").write_text("import time\n")
    assert project_looks_outside(tmp_path) is True


def _executable(payload: str, kind: str = "definition") -> Any:
    return SimpleNamespace(payload=payload, kind=SimpleNamespace(value=kind))


def test_a_models_sql_is_in_doubt_when_a_macro_of_it_looks_outside() -> None:
    from dagctl_sqlmesh.outside import model_looks_outside

    def model(**env: Any) -> Any:
        return SimpleNamespace(is_sql=True, python_env=env, query=SimpleNamespace(sql=lambda: "SELECT 1"))

    assert model_looks_outside(model(f=_executable(PURE[0]))) is False
    assert model_looks_outside(model(f=_executable(PURE[0]), T=_executable("'__file__'", "value"))) is False
    assert model_looks_outside(model(f=_executable(OUTSIDE[4]))) is True
    python = model(f=_executable(OUTSIDE[4]))
    python.is_sql = False
    assert model_looks_outside(python) is False


def test_another_process_lives_later_and_has_other_luck() -> None:
    from dagctl_common.twice import Twice

    random.seed(7)

    def look() -> dict[str, object]:
        import datetime as later

        moment = later.datetime.now()
        return {
            "date": str(moment.date()),
            "today": str(later.date.today()),
            "same": [
                isinstance(moment, later.datetime),
                later.datetime(2024, 1, 2).isoformat(),
                later.datetime.strptime("2024", "%Y").year,
                isinstance(later.date(2024, 1, 2), later.date),
                later.datetime.fromisoformat("2024-01-02") + later.timedelta(days=1) == later.datetime(2024, 1, 3),
            ],
            "clock": time.time(),
            "hour": time.strftime("%H"),
            "luck": random.random(),
        }

    other = Twice(look).answer()
    ours = datetime.datetime.now()
    assert other["date"] == other["today"] == str((ours + datetime.timedelta(days=1, hours=1, minutes=1, seconds=1)).date())
    assert other["same"] == [True, "2024-01-02T00:00:00", 2024, True, True]
    assert other["clock"] - time.time() > 86_400
    random.seed(7)
    assert other["luck"] != random.random()
    assert abs((datetime.datetime.now() - ours).total_seconds()) < 60


def test_a_second_computation_that_fails_or_hangs_costs_only_its_answer() -> None:
    from dagctl_common.twice import Twice

    def fail() -> None:
        raise ValueError("no luck")

    failed = Twice(fail)
    assert (failed.answer(), failed.failure) == (None, "ValueError: no luck")
    slow = Twice(lambda: time.sleep(60))
    assert slow.answer(patience=0.2) is None
    assert "longer than" in str(slow.failure)
