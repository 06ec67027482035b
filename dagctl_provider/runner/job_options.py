"""Which commands a job may have: subcommands and options of the tools, as one table.

What is listed here is what jobs may do; everything else is refused. A row says since which version the tool has it. What is
known and refused has a row as well, because whoever writes it wants something, and is told where that belongs. The rows were
read from the command lines of all versions of ``versions.py``; no version has taken one of the allowed ones away.
The module imports nothing but the standard library: the API server and the domain check with it as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dagctl_provider.runner.job_values import Kind


@dataclass(frozen=True)
class Option:
    """An option that a job may use.

    :param flags: How it is written; the first one is its long name.
    :param kind: What its value is.
    :param many: How several values are given: one after each mention of the option, or any number after one.
    :param since: The first version that has it; ``None`` when all supported ones do.
    :param off: How a flag is switched off.
    :param field: Its name in a parsed command, where that is not its long name.
    """

    flags: tuple[str, ...]
    kind: Kind = "flag"
    many: Literal["no", "repeated", "following"] = "no"
    since: str | None = None
    off: str | None = None
    field: str | None = None

    @property
    def name(self) -> str:
        """Its name in a parsed command, such as ``select_model``."""
        return self.field or self.flags[0].lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Argument:
    """What stands in a command without an option before it.

    :param name: For people.
    :param kind: What it is.
    :param required: Whether the tool needs it.
    :param many: Whether there may be several.
    """

    name: str
    kind: Kind
    required: bool = False
    many: bool = False


@dataclass(frozen=True)
class Verb:
    """A subcommand that a job may use.

    :param options: Those it may have.
    :param arguments: In their order.
    :param since: As for an option.
    :param refused: Options of this subcommand that are refused, with the reason; a flag or several, separated by spaces.
    :param janitor: Whether figures count it as cleaning up rather than as a run.
    """

    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    since: str | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    janitor: bool = False


@dataclass(frozen=True)
class ToolCommands:
    """What is known of one tool's command line.

    :param label: For people.
    :param default: The subcommand of the job ``run``.
    :param verbs: By name; two words for a subcommand of a subcommand.
    :param refused_verbs: Why, by name.
    :param refused_options: Why, for any subcommand and before it.
    """

    label: str
    default: str
    verbs: Mapping[str, Verb]
    refused_verbs: Mapping[str, str]
    refused_options: Mapping[str, str]


_PLAN = "it deploys, and that is a plan's: create a plan and approve it"
_STATE = "it changes the state for everybody; a plan with another version migrates it"
_FILES = "it writes files of the project, which a job throws away; do that in the repository"
_SERVER = "it is for a person at a terminal and does not end by itself"
_SQL = "it runs SQL of its own; put it into a model, an audit or a test, which a plan shows"
_ROWS = "it prints rows of the warehouse into the log"
_GATEWAY = "a project uses the default gateway of its configuration"
_FOLDER = "set the project's 'git_path'"
_SECRETS = "variables come from the project's secrets and the job's 'environment'"
_LOGS = "dagctl keeps the log itself"
_SCRATCH = "its files would be written there; tables are left behind"

_START, _END = Option(("--start", "-s"), "date"), Option(("--end", "-e"), "date")
_EXECUTION_TIME = Option(("--execution-time",), "date")
_MODELS = Option(("--select-model",), "sqlmesh_models", "repeated")

_SQLMESH = ToolCommands(
    label="SQLMesh",
    default="run",
    verbs={
        "run": Verb(
            (
                _START,
                _END,
                _MODELS,
                Option(("--ignore-cron",)),
                Option(("--skip-janitor",)),
                Option(("--no-auto-upstream",), since="0.136.0"),
            ),
            (Argument("environment", "environment"),),
            refused={"--exit-on-env-update": "a run and an execute of dagctl take turns, so nobody changes the environment"},
        ),
        "janitor": Verb(
            (Option(("--ignore-ttl",)),),
            refused={
                "--force-delete": "what could not be dropped would be forgotten and stay in the warehouse",
                "--environment -e": "'sqlmesh invalidate' ends one environment, and the janitor clears what is expired",
            },
            janitor=True,
        ),
        "invalidate": Verb((Option(("--sync", "-s")),), (Argument("environment", "environment", required=True),)),
        "test": Verb(
            (
                Option(("-k",), "pattern", "repeated", field="match"),
                Option(("--verbose", "-v")),
                Option(("--select-model",), "sqlmesh_models", "repeated", since="0.236.2"),
            ),
            (Argument("tests", "test", many=True),),
            refused={"--preserve-fixtures": _SCRATCH, "--local": "a job has the state; leave it out"},
        ),
        "audit": Verb((Option(("--model",), "name", "repeated"), _START, _END, _EXECUTION_TIME)),
        "check_intervals": Verb(
            (Option(("--no-signals",)), _MODELS, _START, _END), (Argument("environment", "environment"),), since="0.175.1"
        ),
        "table_diff": Verb(
            (
                Option(("--on", "-o"), "column", "repeated"),
                Option(("--skip-columns", "-s"), "column", "repeated"),
                Option(("--limit",), "number"),
                Option(("--decimals", "-d"), "count"),
                Option(("--skip-grain-check",)),
                Option(("--warn-grain-check",), since="0.184.3"),
                Option(("--select-model", "-m"), "sqlmesh_models", "repeated", since="0.179.0"),
                Option(("--schema-diff-ignore-case",), since="0.190.0"),
            ),
            (Argument("source:target", "pair", required=True), Argument("model", "name")),
            refused={"--where": _SQL, "--temp-schema": _SCRATCH, "--show-sample": _ROWS},
        ),
        "lint": Verb(
            (Option(("--models", "--model"), "name", "repeated"),),
            since="0.169.0",
            refused={"--use-project-index": "nothing of it is kept between jobs", "--local": "a job has the state; leave it out"},
        ),
        "environments": Verb(since="0.160.0"),
    },
    refused_verbs={
        "plan": _PLAN,
        "apply": _PLAN,
        "migrate": _STATE,
        "rollback": _STATE,
        "destroy": "it drops all that the project has deployed; delete the project and drop it by hand",
        "state": _STATE,
        "clean": "it deletes caches, which dagctl keeps by itself",
        "fetchdf": _SQL,
        "evaluate": _ROWS,
        "prompt": _SQL,
        "render": "a plan shows the SQL of what it changes",
        "diff": "a plan shows what a commit changes",
        "dag": _FILES,
        "create_external_models": _FILES,
        "create_test": _FILES,
        "format": _FILES,
        "rewrite": _FILES,
        "init": _FILES,
        "dbt": _FILES,
        "dlt_refresh": _FILES,
        "info": "checks of the connections are part of each step",
        "table_name": "it prints a name for a person at a terminal",
        "ui": _SERVER,
        "ide": _SERVER,
        "notebook": _SERVER,
    },
    refused_options={
        "--gateway": _GATEWAY,
        "--config": "a project has one configuration, which its plans were made with",
        "--paths -p": _FOLDER,
        "--dotenv": _SECRETS,
        "--env-file": _SECRETS,
        "--env --environment": "a job has the project's environment; another one belongs to another project",
        "--log-file-dir --log-to-stdout --debug": _LOGS,
        "--ignore-warnings": _LOGS,
        "--auto-apply --no-prompts --forward-only --restate-model -r --backfill-model --skip-backfill --empty-backfill": _PLAN,
        "--var --vars": "values of variables are part of a plan: set its 'vars'",
        "--help --version": "it only prints a text for a person at a terminal",
    },
)

_SELECT = Option(("--select", "-s", "--models", "--model", "-m"), "dbt_nodes", "following")
_EXCLUDE, _SELECTOR = Option(("--exclude",), "dbt_nodes", "following"), Option(("--selector",), "name")
_THREADS = Option(("--threads",), "threads")
_FAIL_FAST = Option(("--fail-fast", "-x"), off="--no-fail-fast")
_WARN_ERROR = Option(("--warn-error",))
_INDIRECT = Option(("--indirect-selection",), "access")
_STORE_FAILURES = Option(("--store-failures",))
_EVENT_TIME = (Option(("--event-time-start",), "moment", since="1.9.0"), Option(("--event-time-end",), "moment", since="1.9.0"))
_TYPES, _EXCLUDED_TYPES = ("--resource-type", "--resource-types"), ("--exclude-resource-type", "--exclude-resource-types")
_ALL = (_SELECT, _EXCLUDE, _SELECTOR, _THREADS, _WARN_ERROR)
_PARTIAL = "models would be built with a part of their rows, and be taken for whole"

_DBT = ToolCommands(
    label="dbt",
    default="build",
    verbs={
        "build": Verb(
            (
                *_ALL,
                _FAIL_FAST,
                _INDIRECT,
                _STORE_FAILURES,
                *_EVENT_TIME,
                Option(_TYPES, "types", "following"),
                Option(_EXCLUDED_TYPES, "types", "following", since="1.8.0"),
            ),
        ),
        "run": Verb((*_ALL, _FAIL_FAST, *_EVENT_TIME)),
        "test": Verb(
            (
                *_ALL,
                _FAIL_FAST,
                _INDIRECT,
                _STORE_FAILURES,
                Option(_TYPES, "types", "following", since="1.9.0"),
                Option(_EXCLUDED_TYPES, "types", "following", since="1.9.0"),
            ),
        ),
        "snapshot": Verb((*_ALL, _FAIL_FAST)),
        "seed": Verb((*_ALL, _FAIL_FAST)),
        "source freshness": Verb(_ALL),
        "retry": Verb((_THREADS, _FAIL_FAST, _WARN_ERROR), since="1.6.0"),
        "compile": Verb((*_ALL, _INDIRECT)),
        "docs generate": Verb((*_ALL, Option(("--empty-catalog",), since="1.6.0"))),
        "list": Verb(
            (
                _SELECT,
                _EXCLUDE,
                _SELECTOR,
                _INDIRECT,
                Option(_TYPES, "types", "following"),
                Option(_EXCLUDED_TYPES, "types", "following", since="1.8.0"),
                Option(("--output",), "output"),
                Option(("--output-keys",), "key", "following"),
            ),
        ),
        "parse": Verb((_THREADS, _WARN_ERROR)),
    },
    refused_verbs={
        "run-operation": "a macro may do anything; make it a hook of the project, which a plan shows",
        "clone": "it copies another environment; deploy the commit there with a plan",
        "deps": "packages are installed by each step",
        "clean": "dagctl clears its folders by itself",
        "init": _FILES,
        "show": _ROWS,
        "debug": "checks of the connection are part of each step",
        "docs serve": _SERVER,
        "deploy": _PLAN,
        "environment": "it belongs to another edition of dbt",
        "cloud": "it belongs to another edition of dbt",
        "sl": "it belongs to another edition of dbt",
    },
    refused_options={
        "--target -t": "set the project's 'dbt_target'",
        "--state --defer-state": "a plan knows what is deployed and compares with that; a job builds what is deployed",
        "--defer --no-defer --favor-state --no-favor-state": "a job builds in its own target; a plan defers by itself",
        "--project-dir": _FOLDER,
        "--profiles-dir --profile --config-dir": "the profile comes from the project's secrets or its warehouse connection",
        "--target-path --log-path --record-timing-info -r --output -o --static": "files of a job are thrown away after it",
        "--full-refresh -f": "it makes tables from scratch, and that is a plan's: create a plan with 'full_refresh'",
        "--vars": "values of variables change what models are made of: set a plan's 'vars', or the job's 'environment'",
        "--args --macro": "a macro may do anything; make it a hook of the project, which a plan shows",
        "--inline --inline-direct --sql": _SQL,
        "--empty --no-empty --sample": _PARTIAL,
        "--show --limit": _ROWS,
        "--env-file --dotenv": _SECRETS,
        "--debug --no-debug -d --log-level --log-level-file --log-format --log-format-file --log-cache-events --quiet -q --print "
        "--no-print --use-colors --no-use-colors --use-colors-file --no-use-colors-file --printer-width": _LOGS,
        "--partial-parse --no-partial-parse --partial-parse-file-path --write-json --no-write-json --static-parser "
        "--no-static-parser --version-check --no-version-check --send-anonymous-usage-stats --no-send-anonymous-usage-stats "
        "--cache-selected-only --populate-cache --no-populate-cache --introspect --no-introspect --compile --no-compile "
        "--single-threaded": "dagctl decides it for all steps alike",
        "--warn-error-options": "set 'flags' in dbt_project.yml, or use '--warn-error'",
        "--help --version -V -h": "it only prints a text for a person at a terminal",
    },
)

TOOL_COMMANDS: Mapping[str, ToolCommands] = {"sqlmesh": _SQLMESH, "dbt": _DBT}
"""tool -> what a job may do with it."""

ALIASES: Mapping[str, str] = {"ls": "list"}
"""Other names of subcommands."""
