"""Commands of jobs: what is refused and why, what is read, and that nothing else ever comes out of the parser."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.runner.job_commands import COMMAND_LIMIT, CommandRefused, JobCommand, parse_command
from dagctl_provider.runner.job_options import ALIASES, TOOL_COMMANDS
from dagctl_provider.runner.versions import supported_versions

REFUSED: list[tuple[str, str, str]] = [
    # What a shell would do.
    ("sqlmesh", "sqlmesh run; rm -rf /", "';'"),
    ("sqlmesh", "sqlmesh run && sqlmesh plan", "'&'"),
    ("sqlmesh", "sqlmesh run & ", "'&'"),
    ("dbt", "dbt build | tee log", "'|'"),
    ("dbt", "dbt build --select `whoami`", "a backquote"),
    ("dbt", "dbt build --select $HOME", "'$'"),
    ("dbt", "dbt build --select '$HOME'", "'$'"),
    ("dbt", "dbt build --select $(id)", "'$'"),
    ("dbt", "dbt build > /etc/passwd", "'>'"),
    ("dbt", "dbt build < /etc/passwd", "'<'"),
    ("dbt", "dbt build --select a\\ b", "a backslash"),
    ("dbt", "(dbt build)", "'('"),
    ("dbt", "dbt build # nightly", "'#'"),
    ("dbt", "dbt build\ndbt run", "a line break"),
    ("dbt", "dbt build\r", "a line break"),
    ("dbt", "dbt\tbuild", "a tab"),
    ("dbt", "dbt build\0", "a NUL"),
    ("dbt", "dbt build \x1b[2J", "U+001B"),
    ("dbt", "dbt build --select \u202eabc", "U+202E"),
    ("dbt", "dbt build\u00a0--select a", "U+00A0"),
    ("sqlmesh", "sqlmesh run --select-model '*", "never closed"),
    ("sqlmesh", 'sqlmesh run --select-model "x', "never closed"),
    ("sqlmesh", "sqlmesh run " + "--ignore-cron " * 100, "longer than 1000"),
    ("sqlmesh", "", "is empty"),
    ("sqlmesh", "   ", "is empty"),
    # What is no tool, or another one.
    ("sqlmesh", "rm -rf .", "begins with 'sqlmesh'"),
    ("sqlmesh", "/usr/bin/sqlmesh run", "begins with 'sqlmesh'"),
    ("sqlmesh", "SQLMESH run", "begins with 'sqlmesh'"),
    ("sqlmesh", "PATH=. sqlmesh run", "begins with 'sqlmesh'"),
    ("sqlmesh", "python -m sqlmesh run", "begins with 'sqlmesh'"),
    ("sqlmesh", "run --ignore-cron", "begins with 'sqlmesh'"),
    ("sqlmesh", "dbt build", "This is a SQLMesh project"),
    ("dbt", "sqlmesh run", "This is a dbt project"),
    ("sqlmesh", "sqlmesh", "alone does nothing"),
    ("other", "other run", "no commands"),
    # SQLMesh: what deploys, and what belongs elsewhere.
    ("sqlmesh", "sqlmesh plan", "create a plan and approve it"),
    ("sqlmesh", "sqlmesh plan --auto-apply prod", "create a plan and approve it"),
    ("sqlmesh", "sqlmesh apply", "create a plan and approve it"),
    ("sqlmesh", "sqlmesh migrate", "another version migrates it"),
    ("sqlmesh", "sqlmesh rollback", "changes the state"),
    ("sqlmesh", "sqlmesh state import -i x", "changes the state"),
    ("sqlmesh", "sqlmesh destroy", "delete the project"),
    ("sqlmesh", "sqlmesh clean", "caches"),
    ("sqlmesh", "sqlmesh fetchdf 'DROP TABLE x'", "SQL of its own"),
    ("sqlmesh", "sqlmesh create_external_models", "in the repository"),
    ("sqlmesh", "sqlmesh format", "in the repository"),
    ("sqlmesh", "sqlmesh ui", "does not end by itself"),
    ("sqlmesh", "sqlmesh init duckdb", "in the repository"),
    ("sqlmesh", "sqlmesh --gateway other run", "default gateway"),
    ("sqlmesh", "sqlmesh --gateway=other run", "default gateway"),
    ("sqlmesh", "sqlmesh run --gateway other", "default gateway"),
    ("sqlmesh", "sqlmesh --config other run", "one configuration"),
    ("sqlmesh", "sqlmesh -p /etc run", "git_path"),
    ("sqlmesh", "sqlmesh --paths ../other run", "git_path"),
    ("sqlmesh", "sqlmesh --dotenv /etc/env run", "secrets"),
    ("sqlmesh", "sqlmesh --log-file-dir /tmp run", "keeps the log"),
    ("sqlmesh", "sqlmesh --unknown run", "before the subcommand"),
    ("sqlmesh", "sqlmesh run dev_other", "belongs to a plan of it"),
    ("sqlmesh", "sqlmesh run prod prod", "takes no 'prod'"),
    ("sqlmesh", "sqlmesh run --environment dev", "project's environment"),
    ("sqlmesh", "sqlmesh run --restate-model x", "create a plan and approve it"),
    ("sqlmesh", "sqlmesh run --select-model", "has no value"),
    ("sqlmesh", "sqlmesh run --select-model --ignore-cron", "begins with '-'"),
    ("sqlmesh", "sqlmesh run --select-model ''", "empty"),
    ("sqlmesh", "sqlmesh run --select-model ../../etc/passwd", "'..'"),
    ("sqlmesh", "sqlmesh run --select-model git:main", "git:"),
    ("sqlmesh", "sqlmesh run --select-model +git:main+", "git:"),
    ("sqlmesh", "sqlmesh run --start whenever", "no date"),
    ("sqlmesh", "sqlmesh run --start 2026-02-30", "no date"),
    ("sqlmesh", "sqlmesh run -s 2026-01-01 --start 2026-01-02", "twice"),
    ("sqlmesh", "sqlmesh run --ignore-cron --ignore-cron", "twice"),
    ("sqlmesh", "sqlmesh run --ignore-cron=1", "takes no value"),
    ("sqlmesh", "sqlmesh run --ignore", "write --ignore-cron"),
    ("sqlmesh", "sqlmesh run -s2026-01-01", "its value after a space"),
    ("sqlmesh", "sqlmesh run -- prod", "'--' is refused"),
    ("sqlmesh", "sqlmesh run --exit-on-env-update 3", "take turns"),
    ("sqlmesh", "sqlmesh janitor --force-delete", "stay in the warehouse"),
    ("sqlmesh", "sqlmesh janitor -e dev", "invalidate"),
    ("sqlmesh", "sqlmesh invalidate", "needs environment"),
    ("sqlmesh", "sqlmesh invalidate prod", "take down"),
    ("sqlmesh", "sqlmesh invalidate Prod", "take down"),
    ("sqlmesh", "sqlmesh invalidate dev --sync --sync", "twice"),
    ("sqlmesh", "sqlmesh invalidate 'pr od'", "name of an environment"),
    ("sqlmesh", "sqlmesh test --preserve-fixtures", "left behind"),
    ("sqlmesh", "sqlmesh test ../other/test_x.yaml", "'..'"),
    ("sqlmesh", "sqlmesh test /etc/passwd", "absolute"),
    ("sqlmesh", "sqlmesh audit --model /etc/passwd", "name of a model"),
    ("sqlmesh", "sqlmesh check_intervals dev", "belongs to a plan of it"),
    ("sqlmesh", "sqlmesh table_diff", "needs source:target"),
    ("sqlmesh", "sqlmesh table_diff prod", "source:target"),
    ("sqlmesh", "sqlmesh table_diff 'prod:dev:x'", "source:target"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --where '1=1'", "SQL of its own"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --temp-schema x", "left behind"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --limit -1", "begins with '-'"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --on 'a = b'", "name of a column"),
    # dbt: what deploys, and what belongs elsewhere.
    ("dbt", "dbt build --target prod", "dbt_target"),
    ("dbt", "dbt build -t prod", "dbt_target"),
    ("dbt", "dbt --target=prod build", "dbt_target"),
    ("dbt", "dbt build --state target", "compares with that"),
    ("dbt", "dbt build --defer", "in its own target"),
    ("dbt", "dbt build --favor-state", "in its own target"),
    ("dbt", "dbt build --project-dir /tmp/x", "git_path"),
    ("dbt", "dbt build --profiles-dir /tmp/x", "the profile comes from"),
    ("dbt", "dbt build --profile other", "the profile comes from"),
    ("dbt", "dbt build --target-path /tmp", "thrown away"),
    ("dbt", "dbt build --log-path /tmp", "thrown away"),
    ("dbt", "dbt build --full-refresh", "'full_refresh'"),
    ("dbt", "dbt run -f", "'full_refresh'"),
    ("dbt", "dbt retry --full-refresh", "'full_refresh'"),
    ("dbt", "dbt build --vars '{a: 1}'", "what models are made of"),
    ("dbt", "dbt build --empty", "part of their rows"),
    ("dbt", "dbt run --sample '3 days'", "part of their rows"),
    ("dbt", "dbt run-operation drop_all", "a hook of the project"),
    ("dbt", "dbt clone", "with a plan"),
    ("dbt", "dbt deps", "by each step"),
    ("dbt", "dbt clean", "by itself"),
    ("dbt", "dbt init", "in the repository"),
    ("dbt", "dbt show --inline 'select 1'", "prints rows"),
    ("dbt", "dbt compile --inline 'select 1'", "SQL of its own"),
    ("dbt", "dbt docs serve", "does not end by itself"),
    ("dbt", "dbt docs", "none of the commands"),
    ("dbt", "dbt source", "none of the commands"),
    ("dbt", "dbt frobnicate", "none of the commands"),
    ("dbt", "dbt source freshness --output x.json", "thrown away"),
    ("dbt", "dbt build --select state:modified+", "found by a plan"),
    ("dbt", "dbt build --select 'tag:a,state:new'", "found by a plan"),
    ("dbt", "dbt build --select @state.x:modified", "found by a plan"),
    ("dbt", "dbt build --exclude 2+result:error", "dbt retry"),
    ("dbt", "dbt build --select 'a b source_status:fresher+'", "not kept"),
    ("dbt", "dbt build --select what:ever", "no method"),
    ("dbt", "dbt build --select path:../../x", "'..'"),
    ("dbt", "dbt build --select path:/etc", "absolute"),
    ("dbt", "dbt build --select ~/models", "absolute"),
    ("dbt", "dbt build --select -- a", "begins with '-'"),
    ("dbt", "dbt build --select=", "empty"),
    ("dbt", "dbt build --select", "no value"),
    ("dbt", "dbt build --sel a", "write --select"),
    ("dbt", "dbt build --selct a", "Is --select meant?"),
    ("dbt", "dbt build -sx", "its value after a space"),
    ("dbt", "dbt build a_model", "takes no 'a_model'"),
    ("dbt", "dbt build --threads 4 --threads 8", "twice"),
    ("dbt", "dbt build --fail-fast --no-fail-fast", "twice"),
    ("dbt", "dbt build --threads many", "number"),
    ("dbt", "dbt build --indirect-selection all", "none of"),
    ("dbt", "dbt build --resource-type view", "none of"),
    ("dbt", "dbt build --event-time-start '3 days ago'", "no date"),
    ("dbt", "dbt build --warn-error-options '{}'", "dbt_project.yml"),
    ("dbt", "dbt build --log-level debug", "keeps the log"),
    ("dbt", "dbt build --select " + "a" * 301, "longer than 300"),
]

READ: list[tuple[str, JobCommand]] = [
    ("run", JobCommand("sqlmesh", "run")),
    ("sqlmesh run", JobCommand("sqlmesh", "run")),
    ("  sqlmesh   run  ", JobCommand("sqlmesh", "run")),
    ("sqlmesh run prod", JobCommand("sqlmesh", "run", {}, ("prod",))),
    ("sqlmesh run --select-model '*'", JobCommand("sqlmesh", "run", {"select_model": ("*",)})),
    ("sqlmesh run --select-model=a.b+", JobCommand("sqlmesh", "run", {"select_model": ("a.b+",)})),
    ("sqlmesh run --select-model a.b --select-model tag:x", JobCommand("sqlmesh", "run", {"select_model": ("a.b", "tag:x")})),
    (
        "sqlmesh run -s 2026-01-01 -e '2026-01-02 06:00:00' --ignore-cron",
        JobCommand("sqlmesh", "run", {"start": "2026-01-01", "end": "2026-01-02 06:00:00", "ignore_cron": True}),
    ),
    ("sqlmesh run --start '3 days ago' -e today", JobCommand("sqlmesh", "run", {"start": "3 days ago", "end": "today"})),
    ("sqlmesh run --no-auto-upstream", JobCommand("sqlmesh", "run", {"no_auto_upstream": True})),
    ("sqlmesh run --skip-janitor", JobCommand("sqlmesh", "run", {"skip_janitor": True})),
    ("sqlmesh janitor", JobCommand("sqlmesh", "janitor", job_type="janitor")),
    ("sqlmesh janitor --ignore-ttl", JobCommand("sqlmesh", "janitor", {"ignore_ttl": True}, job_type="janitor")),
    ("sqlmesh invalidate dev_x", JobCommand("sqlmesh", "invalidate", {}, ("dev_x",), changes="dev_x")),
    ("sqlmesh invalidate -s dev", JobCommand("sqlmesh", "invalidate", {"sync": True}, ("dev",), changes="dev")),
    ("sqlmesh test", JobCommand("sqlmesh", "test")),
    ("sqlmesh test -k total -k paid", JobCommand("sqlmesh", "test", {"match": ("total", "paid")})),
    ("sqlmesh test tests/test_a.yaml::test_b", JobCommand("sqlmesh", "test", {}, ("tests/test_a.yaml::test_b",))),
    ("sqlmesh audit --model a.b --model c", JobCommand("sqlmesh", "audit", {"model": ("a.b", "c")})),
    ("sqlmesh audit --execution-time 2026-01-01", JobCommand("sqlmesh", "audit", {"execution_time": "2026-01-01"})),
    ("sqlmesh check_intervals --no-signals", JobCommand("sqlmesh", "check_intervals", {"no_signals": True})),
    ("sqlmesh table_diff prod:dev a.b", JobCommand("sqlmesh", "table_diff", {}, ("prod:dev", "a.b"))),
    (
        "sqlmesh table_diff a.b:c.d -o id -o day --skip-columns x --limit 5 -d 2",
        JobCommand(
            "sqlmesh", "table_diff",
            {"on": ("id", "day"), "skip_columns": ("x",), "limit": "5", "decimals": "2"}, ("a.b:c.d",),
        ),
    ),
    ("sqlmesh lint --model a --models b", JobCommand("sqlmesh", "lint", {"models": ("a", "b")})),
    ("sqlmesh environments", JobCommand("sqlmesh", "environments")),
    ("run", JobCommand("dbt", "build")),
    ("dbt build", JobCommand("dbt", "build")),
    ("dbt build --select tag:nightly", JobCommand("dbt", "build", {"select": ("tag:nightly",)})),
    ("dbt build -s a+ @b 2+c+1 --exclude d", JobCommand("dbt", "build", {"select": ("a+", "@b", "2+c+1"), "exclude": ("d",)})),
    ("dbt build --select a --models b -m c", JobCommand("dbt", "build", {"select": ("a", "b", "c")})),
    ("dbt build --select 'tag:a,config.materialized:table x'", JobCommand(
        "dbt", "build", {"select": ("tag:a,config.materialized:table x",)}
    )),
    ("dbt build --select=path:models/staging", JobCommand("dbt", "build", {"select": ("path:models/staging",)})),
    ("dbt build --selector nightly", JobCommand("dbt", "build", {"selector": "nightly"})),
    ("dbt build -x --threads 8", JobCommand("dbt", "build", {"fail_fast": True, "threads": "8"})),
    ("dbt build --no-fail-fast", JobCommand("dbt", "build", {"fail_fast": False})),
    ("dbt build --indirect-selection cautious", JobCommand("dbt", "build", {"indirect_selection": "cautious"})),
    ("dbt build --store-failures --warn-error", JobCommand("dbt", "build", {"store_failures": True, "warn_error": True})),
    ("dbt build --resource-type model seed", JobCommand("dbt", "build", {"resource_type": ("model", "seed")})),
    ("dbt build --exclude-resource-types test", JobCommand("dbt", "build", {"exclude_resource_type": ("test",)})),
    ("dbt run --event-time-start 2026-01-01 --event-time-end 2026-01-02T00:00:00", JobCommand(
        "dbt", "run", {"event_time_start": "2026-01-01", "event_time_end": "2026-01-02T00:00:00"}
    )),
    ("dbt run", JobCommand("dbt", "run")),
    ("dbt test --select test_type:unit", JobCommand("dbt", "test", {"select": ("test_type:unit",)})),
    ("dbt snapshot", JobCommand("dbt", "snapshot")),
    ("dbt seed --select countries", JobCommand("dbt", "seed", {"select": ("countries",)})),
    ("dbt source freshness -s source:raw.orders", JobCommand("dbt", "source freshness", {"select": ("source:raw.orders",)})),
    ("dbt retry", JobCommand("dbt", "retry")),
    ("dbt compile --select a", JobCommand("dbt", "compile", {"select": ("a",)})),
    ("dbt docs generate --empty-catalog", JobCommand("dbt", "docs generate", {"empty_catalog": True})),
    ("dbt ls --output name --output-keys alias config.tags", JobCommand(
        "dbt", "list", {"output": "name", "output_keys": ("alias", "config.tags")}
    )),
    ("dbt parse", JobCommand("dbt", "parse")),
]  # fmt: skip

OF_OTHER_VERSIONS: list[tuple[str, str, str, str]] = [
    ("sqlmesh", "sqlmesh run --no-auto-upstream", "0.135.1", "0.136.0"),
    ("sqlmesh", "sqlmesh check_intervals", "0.174.2", "0.175.1"),
    ("sqlmesh", "sqlmesh lint", "0.168.0", "0.169.0"),
    ("sqlmesh", "sqlmesh environments", "0.159.7", "0.160.0"),
    ("sqlmesh", "sqlmesh table_diff prod:dev -m 'a.*'", "0.178.2", "0.179.0"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --warn-grain-check", "0.184.2", "0.184.3"),
    ("sqlmesh", "sqlmesh table_diff prod:dev --schema-diff-ignore-case", "0.189.2", "0.190.0"),
    ("sqlmesh", "sqlmesh test --select-model a", "0.236.1", "0.236.2"),
    ("dbt", "dbt retry", "1.5.12", "1.6.0"),
    ("dbt", "dbt build --exclude-resource-type test", "1.7.20", "1.8.0"),
    ("dbt", "dbt test --resource-type unit_test", "1.8.10", "1.9.0"),
    ("dbt", "dbt run --event-time-start 2026-01-01 --event-time-end 2026-01-02", "1.8.10", "1.9.0"),
    ("dbt", "dbt docs generate --empty-catalog", "1.5.12", "1.6.0"),
]


@pytest.mark.parametrize(("tool", "command", "reason"), REFUSED, ids=lambda value: repr(value)[:60])
def test_what_no_job_may_do_is_refused_with_a_reason(tool: str, command: str, reason: str) -> None:
    with pytest.raises(CommandRefused) as refused:
        parse_command(tool, command)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 400
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("command", "expected"), READ, ids=lambda value: repr(value)[:60])
def test_an_honest_command_is_read(command: str, expected: JobCommand) -> None:
    for version in (None, supported_versions(expected.tool)[-1]):
        assert parse_command(expected.tool, command, version) == expected


@pytest.mark.parametrize(("tool", "command", "old", "since"), OF_OTHER_VERSIONS)
def test_what_another_version_has_is_refused_with_that_version(tool: str, command: str, old: str, since: str) -> None:
    with pytest.raises(CommandRefused, match=f"since .* {since}; the project has {old}"):
        parse_command(tool, command, old)
    parse_command(tool, command, since)


def test_both_tables_are_as_long_as_they_are_meant_to_be() -> None:
    assert len(REFUSED) >= 60
    assert len({command for command, _ in READ}) >= 40


def test_all_since_are_supported_versions() -> None:
    for tool, known in TOOL_COMMANDS.items():
        since = {row.since for verb in known.verbs.values() for row in (verb, *verb.options) if row.since}
        assert since <= set(supported_versions(tool))


def test_the_own_environment_is_the_one_that_the_project_has() -> None:
    assert parse_command("sqlmesh", "sqlmesh run dev_1", environment="dev_1").arguments == ("dev_1",)
    assert parse_command("sqlmesh", "sqlmesh run dev_1", environment="Dev-1").arguments == ("dev_1",)
    for command in ("sqlmesh run prod", "sqlmesh check_intervals prod", "sqlmesh invalidate dev_1", "sqlmesh invalidate prod"):
        with pytest.raises(CommandRefused):
            parse_command("sqlmesh", command, environment="dev_1")


def test_a_version_that_nobody_knows_is_no_reason() -> None:
    assert parse_command("sqlmesh", "sqlmesh check_intervals", "newest").verb == "check_intervals"


def test_no_option_is_both_allowed_and_refused_for_a_subcommand() -> None:
    for known in TOOL_COMMANDS.values():
        for name, verb in known.verbs.items():
            allowed = {flag for option in verb.options for flag in option.flags}
            refused = {flag for flags in verb.refused for flag in flags.split()}
            assert not allowed & refused, name
            assert len({option.name for option in verb.options}) == len(verb.options), name


WORDS = sorted(
    {
        word
        for tool, known in TOOL_COMMANDS.items()
        for word in [
            tool, *known.verbs, *known.refused_verbs, *ALIASES,
            *(flag for flags in known.refused_options for flag in flags.split()),
            *(flag for verb in known.verbs.values() for option in verb.options for flag in option.flags),
        ]
    }
    | {"--", "-", "a.b", "*", "tag:x", "2026-01-01", "3", "prod", "dev", "prod:dev", "eager", "model", "--opt=1", "''", "x/../y"}
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda tool, words: " ".join([tool, *words]), st.sampled_from(["sqlmesh", "dbt"]), st.lists(st.sampled_from(WORDS))
    ),
    st.builds(
        lambda tool, verb, words: " ".join([tool, verb, *map(shlex.quote, words)]),
        st.sampled_from(["sqlmesh", "dbt"]),
        st.sampled_from(["run", "build", "test", "audit", "table_diff", "source freshness", "invalidate"]),
        st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=12)), max_size=6),
    ),
)


def read(tool: str, text: str) -> tuple[JobCommand | None, str]:
    try:
        return parse_command(tool, text), ""
    except CommandRefused as refused:
        return None, str(refused)


@given(tool=st.sampled_from(["sqlmesh", "dbt"]), text=TEXTS)
def test_any_text_is_read_or_refused_and_what_is_read_is_in_the_table(tool: str, text: str) -> None:
    found, refusal = read(tool, text)
    assert refusal.isprintable()
    if found is None:
        return
    assert len(text) <= COMMAND_LIMIT
    verb = TOOL_COMMANDS[tool].verbs[found.verb]
    options = {option.name: option for option in verb.options}
    assert set(found.options) <= set(options)
    assert len(found.arguments) <= len(verb.arguments) or verb.arguments[-1].many
    for name, value in found.options.items():
        assert isinstance(value, tuple) == (options[name].many != "no")
        assert isinstance(value, bool) == (options[name].kind == "flag")
    values = [value for value in found.options.values() if not isinstance(value, bool)]
    for text in [*found.arguments, *(one for value in values for one in (value if isinstance(value, tuple) else (value,)))]:
        assert text.strip()
        assert not text.startswith(("-", "/"))
        assert not set(text) & set(";&|`$<>\\\n\0")
