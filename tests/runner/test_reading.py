"""What an explain may send to a warehouse: reads, and nothing that only looks like one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dagctl_provider.runner.steps import INNER

ROOT = Path(__file__).parents[2]

READS = [
    ("postgres", "select 1"),
    ("postgres", "/* {\"app\": \"dbt\"} */\nselect * from a.b where x = 'delete from t' -- drop table t"),
    ("postgres", "with a as (select 1 as x) select x from a union all select 2 order by 1;"),
    ("postgres", "values (1), (2)"),
    ("postgres", "(select 1) except (select 2)"),
    ("postgres", "begin"),
    ("postgres", "BEGIN READ ONLY; select 1; commit"),
    ("postgres", "rollback;"),
    ("postgres", "set search_path to a, b"),
    ("postgres", "set statement_timeout = '5s'; select now()"),
    ("postgres", "set role reporter"),
    ("postgres", "show search_path"),
    ("postgres", "explain select 1"),
    ("postgres", "explain (verbose, costs off, format json) select * from t"),
    ("postgres", "select replace(a, 'x', 'y'), comment, \"update\" from t where a ilike '%set%'"),
    ("postgres", "select table_catalog as database from information_schema.tables where upper(table_schema) = upper('x')"),
    ("postgres", "select * from (select pg_catalog.format_type(1, 2)) x cross join lateral unnest(array[1]) y"),
    ("duckdb", "from t select a"),
    ("duckdb", "from t"),
    ("duckdb", "describe t"),
    ("duckdb", "describe select 1 as x"),
    ("duckdb", "summarize t"),
    ("duckdb", "select column_name from (describe select * from t)"),
    ("duckdb", "select name from (show tables)"),
    ("duckdb", "pragma table_info('t')"),
    ("duckdb", "show tables"),
    ("duckdb", "show all tables"),
    ("duckdb", "select * from read_csv('data.csv') where x > 1"),
    ("duckdb", "select 1 where exists (select * from duckdb_tables())"),
    ("duckdb", "select unnest([1, 2]) as i, {'a': 1}.a, list_transform([1], x -> x + 1)"),
    ("duckdb", "pivot t on a using sum(b)"),
    ("duckdb", "select * exclude (b) replace (a + 1 as a) from t"),
    ("snowflake", "show terse objects in db.sch limit 10000"),
    ("snowflake", "show grants on table t"),
    ("snowflake", "describe table db.sch.t"),
    ("snowflake", "use warehouse wh"),
    ("snowflake", "select * from table(result_scan(last_query_id()))"),
    ("snowflake", "alter session set query_tag = 'x'; select 1"),
    ("snowflake", "alter session unset query_tag"),
    ("snowflake", "select system$typeof(1)"),
    ("bigquery", "select * except (a) from `p.d.t` qualify row_number() over (partition by x order by y) = 1"),
    ("bigquery", "select * from p.d.INFORMATION_SCHEMA.TABLES"),
    ("databricks", "describe extended a.b.c"),
    ("databricks", "describe table extended a.b.c"),
    ("databricks", "show table extended in a like 'x|y'"),
    ("databricks", "show create table a.b"),
    ("databricks", "show views in a"),
    ("spark", "show databases"),
    ("trino", "show create view a.b.c"),
    ("redshift", "select * from svv_tables where table_schema = 'x'"),
    ("clickhouse", "select name from system.tables final settings max_threads = 1"),
    ("tsql", "select top 1 [update], [delete] from [a].[b] with (nolock)"),
    ("mysql", "show create table t"),
    ("sqlite", "select * from sqlite_master"),
    ("sqlite", "pragma database_list"),
    (None, "select 1 as x"),
]  # fmt: skip

WRITES = [
    ("postgres", "create table t (x int)"),
    ("postgres", "create or replace view v as select 1"),
    ("postgres", "create temporary table t as select 1"),
    ("postgres", "insert into t select 1"),
    ("postgres", "update t set a = 1"),
    ("postgres", "delete from t"),
    ("postgres", "merge into t using s on true when matched then delete"),
    ("postgres", "truncate t"),
    ("postgres", "drop schema s cascade"),
    ("postgres", "alter table t add x int"),
    ("postgres", "comment on table t is 'x'"),
    ("postgres", "grant select on t to u"),
    ("postgres", "select 1; drop table t"),
    ("postgres", "select 1; /* ; */ -- x\n drop table t"),
    ("postgres", "-- select 1\ndelete from t"),
    ("postgres", "/* select */ delete /* x */ from t"),
    ("postgres", "/* a /* nested */ */ delete from t"),
    ("postgres", "with gone as (delete from t returning *) select * from gone"),
    ("postgres", "with a as (select 1), b as (insert into t values (1) returning x) select * from a, b"),
    ("postgres", "with a as (select 1) insert into t select * from a"),
    ("postgres", "select * from (with x as (update t set a = 1 returning *) select * from x) y"),
    ("postgres", "select * into t2 from t"),
    ("postgres", "select * from t for update"),
    ("postgres", "select * from t for share of t"),
    ("postgres", "copy t to '/tmp/x'"),
    ("postgres", "copy (select 1) to program 'sh'"),
    ("postgres", "do $$ begin delete from t; end $$"),
    ("postgres", "call p()"),
    ("postgres", "execute q"),
    ("postgres", "prepare q as delete from t"),
    ("postgres", "explain analyze delete from t"),
    ("postgres", "explain (analyze) select 1"),
    ("postgres", "explain (analyze true, verbose) delete from t"),
    ("postgres", "explain delete from t"),
    ("postgres", "explain verbose with x as (delete from t returning *) select * from x"),
    ("postgres", "vacuum t"),
    ("postgres", "analyze t"),
    ("postgres", "refresh materialized view v"),
    ("postgres", "lock table t"),
    ("postgres", "listen x"),
    ("postgres", "notify x"),
    ("postgres", "set transaction read write"),
    ("postgres", "begin read write; select 1"),
    ("postgres", "set session characteristics as transaction read write"),
    ("postgres", "set default_transaction_read_only = off"),
    ("postgres", "select set_config('default_transaction_read_only', 'off', false)"),
    ("postgres", "select nextval('s')"),
    ("postgres", "select pg_catalog.nextval('s')"),
    ("postgres", "select \"nextval\"('s')"),
    ("postgres", "select * from a where b = (select setval('s', 1))"),
    ("postgres", "select pg_terminate_backend(1)"),
    ("postgres", "select pg_cancel_backend(pid) from pg_stat_activity"),
    ("postgres", "select * from dblink('dbname=x', 'delete from t') as t(x int)"),
    ("postgres", "select dblink_exec('x', 'y')"),
    ("postgres", "select lo_import('/etc/passwd')"),
    ("postgres", "select query_to_xml('delete from t', true, true, '')"),
    ("postgres", "select pg_advisory_lock(1)"),
    ("postgres", "select 'x"),
    ("postgres", "this is no sql"),
    ("postgres", "alter system set x = 1"),
    ("duckdb", "create or replace table hacked as select 42 as x"),
    ("duckdb", "attach 'x.db' as x"),
    ("duckdb", "detach x"),
    ("duckdb", "install httpfs"),
    ("duckdb", "load httpfs"),
    ("duckdb", "copy t to 'x.csv'"),
    ("duckdb", "export database 'x'"),
    ("duckdb", "import database 'x'"),
    ("duckdb", "pragma enable_logging"),
    ("duckdb", "pragma memory_limit='1GB'"),
    ("duckdb", "set global memory_limit = '1GB'"),
    ("duckdb", "checkpoint"),
    ("duckdb", "call pragma_version()"),
    ("duckdb", "create secret s (type s3)"),
    ("duckdb", "select nextval('s')"),
    ("duckdb", "select * from query('select 1')"),
    ("duckdb", "select * from postgres_execute('pg', 'delete from t')"),
    ("duckdb", "explain analyze select 1"),
    ("duckdb", "from t; drop table t"),
    ("duckdb", "use x; drop table t"),
    ("duckdb", "describe insert into t values (1)"),
    ("snowflake", "select s.nextval"),
    ("snowflake", "alter warehouse wh suspend"),
    ("snowflake", "alter session set x = 1; drop table t"),
    ("snowflake", "alter session set x = (select 1) drop table t"),
    ("snowflake", "select system$cancel_query('x')"),
    ("snowflake", "execute immediate 'drop table t'"),
    ("snowflake", "begin drop table t; end"),
    ("snowflake", "put file://x @s"),
    ("snowflake", "copy into @stage from t"),
    ("snowflake", "undrop table t"),
    ("bigquery", "begin delete from t where true; end"),
    ("bigquery", "export data options (uri = 'x') as select 1"),
    ("bigquery", "declare x int64; select 1"),
    ("bigquery", "execute immediate 'drop table t'"),
    ("databricks", "optimize t"),
    ("databricks", "msck repair table t"),
    ("databricks", "cache table t"),
    ("databricks", "insert overwrite t select 1"),
    ("databricks", "select reflect('java.lang.System', 'exit', 1)"),
    ("databricks", "from t insert into u select *"),
    ("trino", "select * from table(pg.system.query(query => 'delete from t'))"),
    ("trino", "explain analyze select 1"),
    ("redshift", "unload ('select 1') to 's3://x'"),
    ("tsql", "select 1 delete from t"),
    ("tsql", "select 1 exec sp_who"),
    ("tsql", "select * into t2 from t"),
    ("tsql", "select next value for s"),
    ("tsql", "begin delete from t end"),
    ("tsql", "select * from openrowset('x', 'y', 'delete from t')"),
    ("mysql", "select 1 into outfile '/tmp/x'"),
    ("mysql", "select 1 /*! into outfile '/tmp/x' */"),
    ("mysql", "set password = 'x'"),
    ("mysql", "set @@global.x = 1"),
    ("oracle", "select s.nextval from dual"),
    ("oracle", "select dbms_utility.get_time() from dual"),
    ("sqlite", "select load_extension('x')"),
    ("sqlite", "pragma journal_mode = wal"),
    ("sqlite", "replace into t values (1)"),
    ("clickhouse", "select 1 into outfile 'x'"),
    ("clickhouse", "system flush logs"),
    ("postgres", "set standard_conforming_strings = off; select 'a\\' || '; drop table t; --'"),
    ("postgres", "select 'a\\'; drop table t; --'"),
    ("postgres", "select * from nextval('s')"),
    ("postgres", "select s.nextval from (select 1) s"),
    ("tsql", "set quoted_identifier off"),
    (None, "select 'a\\' || '; drop table t; --'"),
    (None, "create table t (x int)"),
]  # fmt: skip

_JUDGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import logging
logging.disable(logging.CRITICAL)
from dagctl_common.channel import StepFailed
from dagctl_common.reading import check_reads
answers = []
for dialect, sql in json.load(sys.stdin):
    try:
        check_reads(sql, dialect, "model fct (models/fct.sql)")
        answers.append(None)
    except StepFailed as failure:
        answers.append([failure.code, failure.message])
print(json.dumps(answers))
"""


def judged(python: str, rows: list[tuple[str | None, str]]) -> list[tuple[str, str] | None]:
    """What an environment's sqlglot makes of statements."""
    done = subprocess.run([python, "-c", _JUDGE, str(INNER)], input=json.dumps(rows), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[tuple[str, str] | None] = json.loads(done.stdout)
    return answers


def pythons() -> list[str]:
    """The interpreters of the tool environments that are there, and our own where it has sqlglot."""
    found = sorted((ROOT / ".tools" / "environments").glob("*/bin/python"))
    return [str(path) for path in found]


@pytest.mark.slow
def test_reads_pass_and_everything_else_is_refused_by_every_version_of_sqlglot() -> None:
    if not pythons():
        pytest.skip("no tool environment has been made yet")
    rows = [*READS, *WRITES]
    for python in pythons():
        answers = judged(python, rows)
        passed = [row for row, answer in zip(rows, answers, strict=True) if answer is None and row in WRITES]
        refused = [(row, answer) for row, answer in zip(rows, answers, strict=True) if answer and row in READS]
        assert (passed, refused) == ([], []), python


@pytest.mark.slow
def test_a_refusal_names_who_it_was_and_the_beginning_of_the_statement() -> None:
    if not pythons():
        pytest.skip("no tool environment has been made yet")
    statement = "create table t as\n  select 1 as x" + " union all select 1" * 40
    (answer,) = judged(pythons()[0], [("duckdb", statement)])
    assert answer is not None
    code, message = answer
    assert code == "explain_writes"
    assert message.startswith("model fct (models/fct.sql): ")
    assert "create table t as select 1 as x" in message
    assert len(message) < 300
