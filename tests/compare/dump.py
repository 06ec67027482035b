"""Writes down what a version of the code answers: ``python -m tests.compare.dump CODE HOME ANSWERS``.

Run by :mod:`tests.compare` with ``PYTHONPATH`` set so that the package is that of CODE and this program that of the present tree.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import time_machine

from tests.compare.varying import Dice, Varying
from tests.plan_output.outputs import NOW

_TARGETS = (
    '[{"name": "ops", "webhook_conn_id": "ops_webhook"}, '
    '{"name": "slack", "events": ["pending", "failed"], "class": "some.where.Notifier", "kwargs": {}}]'
)


def _configure(home: Path, code: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=str(home),
        AIRFLOW__CORE__AUTH_MANAGER="airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,reader:viewer",
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__DAGS_FOLDER=str(code / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(home / "plugins"),
        AIRFLOW__CORE__FERNET_KEY="WzJ5bGJjb2RlLXRlc3Qta2V5LTMyLWJ5dGVzISEhISE=",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__API_AUTH__JWT_SECRET="0123456789abcdef" * 4,
        AIRFLOW__API__SECRET_KEY="fedcba9876543210" * 4,
        AIRFLOW__API__BASE_URL="http://testserver",
        AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
        AIRFLOW__DAGCTL__LAUNCHER="process",
        AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES="True",
        AIRFLOW__DAGCTL__CACHE_FOLDER=str(home / "cache"),
        AIRFLOW__DAGCTL__NOTIFIERS=_TARGETS,
        AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE="data",
        COLUMNS="130",
        TZ="UTC",
    )


def _people(run_command: Callable[..., str]) -> dict[str, dict[str, str]]:
    """Headers of everybody who asks."""
    import re

    from airflow.api_fastapi.app import get_auth_manager

    from tests.compare.rows import ELSEWHERE, ORGANIZATION

    manager: Any = get_auth_manager()
    signed = {user.username: manager.generate_jwt(user) for user in manager.get_users()}
    made = run_command("dagctl", "tokens", "create", "--name", "program", "--role", "owner", "--output", "json")
    found = re.search(r"dctl_\w+", made)
    if found is None:
        raise SystemExit(f"No API token could be made:\n{made}")
    program = {"Authorization": f"Bearer {found[0]}"}
    return {
        "admin": {"Cookie": f"_token={signed['admin']}"},
        "reader": {"Cookie": f"_token={signed['reader']}"},
        "cookie": {"Cookie": f"_token={signed['admin']}"},
        "program": {**program, "X-Organization-ID": ORGANIZATION},
        "token": program,
        "elsewhere": {**program, "X-Organization-ID": ELSEWHERE},
        "forged": {"Authorization": "Bearer dctl_forged", "X-Organization-ID": ORGANIZATION},
        "airflow": {"Authorization": f"Bearer {signed['admin']}"},
        "nobody": {},
    }


def _log(home: Path, dag_id: str, run_id: str, task_id: str) -> None:
    """The log of a task, where Airflow looks for it."""
    path = home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}" / "attempt=1.log"
    path.parent.mkdir(parents=True)
    lines = ("Loading the models", "\\u001b[31mBinder Error\\u001b[0m <b>bold</b>", "Done in 3 s")
    path.write_text("".join(f'{{"timestamp":"2026-04-28T09:30:0{at}Z","event":"{line}"}}\n' for at, line in enumerate(lines)))


def main(code: Path, folder: Path, home: Path, dice: Dice) -> None:
    """Fill, ask, write down."""
    import dagctl_provider

    if code not in Path(dagctl_provider.__file__).parents:
        raise SystemExit(f"The package is that of {dagctl_provider.__file__}, not that of {code}.")
    from airflow import settings
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb
    from starlette.testclient import TestClient

    from tests.compare import dags, pods, reading, rows, story
    from tests.compare.doors import Answers, Door, run_command

    answers = Answers(folder, Varying(int(NOW.timestamp() * 1000)))
    initdb()
    with settings.engine.begin() as connection:
        rows.fill(rows.Tables(settings.engine, connection))
    for run in ("plangroup_retried", "plangroup_applying"):
        _log(home, "dagctl__analytics", run, "execute")
    # Without its lifespan, in which the controller would begin to act by itself.
    app = create_app(apps="core")
    door = Door(TestClient(app, raise_server_exceptions=False), answers, _people(run_command))
    reading.ask_documents(door)
    reading.ask_pages(door)
    reading.ask_rest(door)
    reading.ask_commands(answers)
    with time_machine.travel(NOW, tick=False) as clock:

        def tick() -> None:
            clock.shift(1)
            dice.begin(int(time.time()))

        def parse() -> None:
            dags.parse(code / "dags" / "dagctl_dags.py")

        repositories = home / "repositories"
        stories = {kind: story.Story(door, repositories / kind, kind, tick, parse) for kind in story.OUTPUTS}
        for kind, told in stories.items():
            story.tell(told, story.OUTPUTS[kind]())
        dags.write_dags(answers)
        dags.write_requests(answers)
        pods.write_pods(answers)
        story.write_letters(answers, "before the end")
        for told in stories.values():
            story.end(told)
        story.write_letters(answers, "at the end")
        with settings.engine.begin() as connection:
            story.write_tables(answers, "at the end", rows.Tables(settings.engine, connection))


if __name__ == "__main__":
    _code, _home, _answers = (Path(word).resolve() for word in sys.argv[1:4])
    with time_machine.travel(NOW, tick=False):
        _configure(_home, _code)
        _dice = Dice()
        _dice.install()
        main(_code, _answers, _home, _dice)
