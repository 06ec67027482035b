"""Loads a project's config with the state connection that the step was given, and makes SQLMesh contexts from it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagctl_sqlmesh.consoles import make_console
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.warehouses import keep_files

if TYPE_CHECKING:
    from sqlmesh.core.config import Config
    from sqlmesh.core.config.connection import ConnectionConfig
    from sqlmesh.core.context import Context


def supports(function: Callable[..., object], parameter: str) -> bool:
    """Whether this SQLMesh's function has a parameter."""
    return parameter in inspect.signature(function).parameters


def load_configs(step: Step, state_schema: str | None = None, empty_state: bool = False) -> dict[Path, Config]:
    """Load the project's config.

    The managed state is set on the config objects. Environment variables would do the same, but with names that are folded
    to lower case in some versions, and a ``.env`` file of the repository would override them in others.

    :param step: The step.
    :param state_schema: Read the state from this schema instead.
    :param empty_state: Take an empty state in memory instead: an explain makes no tables, where there are none yet.
    """
    from sqlmesh.core.config import Config
    from sqlmesh.core.config.connection import DuckDBConnectionConfig
    from sqlmesh.core.config.loader import load_configs as load

    extra = {"dotenv_path": Path(step.job["empty_file"])} if supports(load, "dotenv_path") else {}
    configs: dict[Path, Config] = load(None, Config, [step.job["project"]], **extra)
    connection = _state_connection(step)
    for config in configs.values():
        gateway = config.get_gateway(step.job["gateway"])
        if connection is not None:
            gateway.state_connection, gateway.state_schema = connection
        if state_schema is not None:
            gateway.state_schema = state_schema
        keep_files(step, config)
        if hasattr(config.plan, "use_finalized_state"):
            # Of an environment that is half published nobody knows what it shows; what counts is what it was before.
            config.plan.use_finalized_state = True
        if empty_state:
            gateway.state_connection, gateway.state_schema = DuckDBConnectionConfig(), None
    return configs


def _state_connection(step: Step) -> tuple[ConnectionConfig, str | None] | None:
    if not step.job["state_file"]:
        return None
    from sqlmesh.core.config.connection import PostgresConnectionConfig

    given = json.loads(Path(step.job["state_file"]).read_text(encoding="utf-8"))
    known = PostgresConnectionConfig.all_fields()
    values = {key: value for key, value in given.items() if key in known and key != "type" and value is not None}
    values["port"] = int(given.get("port") or 5432)
    return PostgresConnectionConfig(**values), given.get("schema") or None


def ignored_files(step: Step) -> list[str]:
    """What of the project SQLMesh would read and is not let to, for the reviewer.

    :param step: Knows where the project lies.
    """
    if not (Path(step.job["project"]) / ".env").exists():
        return []
    return ["The repository's file .env is not loaded: it could override connections and secrets. Set variables in the project."]


def make_context(step: Step, configs: dict[Path, Config], load: bool = False) -> Context:
    """Make a context; the project's models are read only when asked for."""
    from sqlmesh import Context
    from sqlmesh.core import console as consoles

    console = make_console(step.journal)
    extra = {}
    if hasattr(consoles, "set_console"):
        consoles.set_console(console)
    if supports(Context.__init__, "console"):
        extra["console"] = console
    return Context(config=configs, paths=[step.job["project"]], gateway=step.job["gateway"], load=load, **extra)


def state_config(context: Context) -> ConnectionConfig:
    """The connection the state is kept in."""
    gateway = context.gateway
    return context.config.get_state_connection(gateway) or context.config.get_connection(gateway)
