"""Which SQL only reads. An explain sends nothing else: what is not known to read is refused, and so is what cannot be parsed.

A statement is known by its first word; what follows is parsed with the warehouse's dialect and must have nothing in it that
writes, at any depth. No parser knows what a function does that somebody made in the warehouse: a read-only login does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dagctl_common.channel import StepFailed

SHOWN = 120
"""Characters of a statement that its refusal shows."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_QUERIES = {"SELECT", "WITH", "VALUES", "FROM", "(", "SUMMARIZE", "PIVOT", "UNPIVOT"}
_ROOTS = ("Query", "Subqueryable", "Select", "Union", "SetOperation", "Subquery", "Values", "Table", "Summarize", "Pivot")
"""Names, since sqlglot's versions have different ones."""
_WRITES = (
    "DML", "DDL", "Insert", "Update", "Delete", "Merge", "Create", "Drop", "Alter", "AlterTable", "TruncateTable", "Copy",
    "Into", "IntoTable", "Lock", "Command", "Execute", "ExecuteSql", "Attach", "Detach", "Install", "LoadData", "Cache",
    "Uncache", "Refresh", "Kill", "Grant", "Revoke", "Analyze", "Comment", "Export", "Set", "SetItem", "Use", "Pragma",
    "Transaction", "Commit", "Rollback", "NextValueFor", "Block", "IfBlock", "WhileBlock", "Declare",
    "Opclass", "Returning", "ModelAttribute", "MultitableInserts",
)  # fmt: skip
_WRITE_WORDS = _words(
    "INSERT UPDATE DELETE MERGE CREATE DROP ALTER TRUNCATE EXEC EXECUTE GRANT REVOKE DENY BACKUP RESTORE BULK INTO "
    "KILL SHUTDOWN RECONFIGURE WRITETEXT UPDATETEXT OPENROWSET OPENQUERY OPENDATASOURCE USE SET DECLARE DBCC CALL "
    "COPY"
)
"""Reserved in T-SQL, where no semicolon is needed between two statements: there, none of them is somebody's name."""
_TSQL = {"tsql", "fabric"}
_MYSQL = {"mysql", "starrocks", "doris", "singlestore", None}
_EXPLAIN_WORDS = _words(
    "( ) , = VERBOSE COSTS FORMAT JSON TEXT XML YAML TREE TRADITIONAL ON OFF TRUE FALSE PLAN FOR EXTENDED QUERY "
    "SYNTAX AST PIPELINE LOGICAL DISTRIBUTED IO TYPE USING TABULAR FORMATTED COST CODEGEN SETTINGS SUMMARY GRAPHVIZ "
    "ESTIMATE HEADER INDEXES ACTIONS DESCRIPTION 0 1"
)
_BEGIN_WORDS = _words(
    "BEGIN START TRANSACTION WORK TRAN READ ONLY ISOLATION LEVEL COMMITTED UNCOMMITTED REPEATABLE SERIALIZABLE "
    "SNAPSHOT DEFERRED DEFERRABLE NOT , WITH CONSISTENT"
)
_END_WORDS = _words("COMMIT ROLLBACK END ABORT TRANSACTION WORK TRAN AND NO CHAIN")
_SET_WORDS = _words("GLOBAL PERSIST PERSIST_ONLY PASSWORD WRITE ( @@GLOBAL")
_UNSETTLING = re.compile(
    r"read_?only|standard_conforming|backslash_quote|sql_mode|quoted_?identifier|escaped_?string|ansi_|double_quoted",
    re.IGNORECASE,
)
"""Settings that let a session write again, or that make texts in quotes end elsewhere than this program thinks."""
_ASKING_PRAGMAS = _words(
    "table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list foreign_key_check "
    "database_list database_size show show_tables show_tables_expanded show_databases storage_info version "
    "metadata_info collations collation_list function_list functions module_list pragma_list compile_options "
    "user_agent platform integrity_check quick_check schema_version user_version page_count encoding"
)

_CALLS = re.compile(
    r"nextval|setval|set_config|query|shell|edit|writefile|load_extension|system|sys_exec|sys_eval|java_method|(try_)?reflect"
    r"|ai_query|http_\w+|write_\w+|dblink\w*|lo_\w+|lowrite|pg_(terminate|cancel)_backend|pg_notify|pg_(try_)?advisory_\w+"
    r"|pg_(reload_conf|rotate_logfile\w*|switch_wal|switch_xlog|promote|create_\w+|drop_\w+|copy_\w+|logical_\w+|replication_\w+"
    r"|file_(write|rename|unlink|sync|settings)|stat_reset\w*|stat_clear\w*|wal_replay_\w+|backup_\w+|start_backup|stop_backup"
    r"|log_backend_memory_contexts|import_system_collations|extension_config_dump|export_snapshot|prewarm)"
    r"|pg_logdir_ls|(query|cursor|table|schema|database)_to_xml\w*|crosstab\w*|connectby|ts_stat|cron_\w+|aws_\w+|run_job|add_job"
    r"|create_hypertable|drop_chunks|(postgres|mysql|sqlite|mssql|odbc|bigquery)_(execute|query|attach|scan_pushdown_write)"
    r"|(force_)?checkpoint|enable_logging|disable_logging|truncate_duckdb_logs|get_lock|release_lock|release_all_locks"
    r"|system\$(?!typeof|clustering_|last_change_commit_time|estimate_).*|(dbms|utl|owa)_\w+|sp_\w+|xp_\w+|openrowset|openquery"
    r"|opendatasource|sleep_and_write|ducklake_\w*(expire|cleanup|delete|merge|flush|set|add|rewrite|compact)\w*",
    re.IGNORECASE,
)
"""Functions that write, lock, reach another server or run a text as SQL. Matched as a whole, without their schema."""
_MODULES = re.compile(r"(dbms|utl|owa)_\w+|cron|lo|aws_\w+", re.IGNORECASE)
"""Packages and schemas all of whose functions are refused."""


class _Refused(Exception):
    """Why a statement is not known to read."""


def check_reads(sql: str, dialect: str | None, who: str) -> None:
    """Refuse what is not known to read only.

    :param sql: One statement or several.
    :param dialect: sqlglot's name of the warehouse's dialect, ``None`` when it has none.
    :param who: Model or macro, and its file.
    :raises StepFailed: ``explain_writes``.
    """
    from sqlglot.errors import SqlglotError

    try:
        if dialect in _MYSQL and re.search(r"/\*M?!", sql):
            raise _Refused("a comment that MySQL executes")
        if dialect is None and re.search(r"""\\['"`]""", sql):
            raise _Refused("a quote after a backslash, which ends a text in some warehouses")
        for statement in _statements(sql, dialect):
            _check(statement, dialect)
    except (_Refused, SqlglotError, RecursionError) as error:
        why = str(error) if isinstance(error, _Refused) else "it cannot be parsed"
        begin = " ".join(sql.split())
        shown = begin if len(begin) <= SHOWN else begin[: SHOWN - 1] + "…"
        raise StepFailed(
            "explain_writes", f"{who}: an explain only reads, and this is not known to read ({why}): {shown}"
        ) from error


class _Statement:
    """One statement of a text."""

    def __init__(self, text: str, tokens: Sequence[Any]) -> None:
        self.text = text
        first = tokens[0].text
        # Some dialects take a whole command for one token.
        self.head = first.split(None, 1)[0].upper() if first.strip() else ""
        self.tokens = tokens

    def words(self, dialect: str | None) -> list[str]:
        """All words, in capitals; texts in quotes with their quotes, so that they are nobody's keyword."""
        rest = self.text[len(self.head) :]
        return [self.head, *(_word(rest, token) for token in _tokens(rest, dialect))]


def _word(text: str, token: Any) -> str:
    return text[token.start : token.end + 1].upper()


def _tokens(text: str, dialect: str | None) -> list[Any]:
    from sqlglot import tokenize

    return list(tokenize(text, read=dialect))


def _statements(sql: str, dialect: str | None) -> Iterator[_Statement]:
    rows: list[Any] = []
    for token in [*_tokens(sql, dialect), None]:
        if token is not None and token.token_type.name != "SEMICOLON":
            rows.append(token)
        elif rows:
            # What the tokens leave out are comments; those before the first word are nobody's.
            yield _Statement(sql[rows[0].start : rows[-1].end + 1], rows)
            rows = []


def _check(statement: _Statement, dialect: str | None) -> None:
    check = _HEADS.get(statement.head) or (_check_query if statement.head in _QUERIES else None)
    if check is None:
        raise _Refused(f"{statement.head[:30]} is no read")
    check(statement, dialect)


def _check_query(statement: _Statement, dialect: str | None) -> None:
    from sqlglot import exp, parse

    if dialect in _TSQL:
        written = _WRITE_WORDS.intersection(statement.words(dialect))
        if written:
            raise _Refused(f"{min(written)} in it")
    trees = parse(statement.text, read=dialect)
    if len(trees) != 1 or trees[0] is None or not isinstance(trees[0], _classes(exp, _ROOTS)):
        raise _Refused("it is no query")
    _check_tree(trees[0])


def _classes(module: Any, names: Sequence[str]) -> tuple[type, ...]:
    return tuple(found for name in names if isinstance(found := getattr(module, name, None), type))


def _check_tree(tree: Any) -> None:
    from sqlglot import exp

    writes = _classes(exp, _WRITES)
    for node in _nodes(tree):
        if isinstance(node, writes):
            raise _Refused(f"{type(node).__name__.upper()} in it")
        if isinstance(node, (exp.Func, exp.Anonymous)):
            _check_call(node)
        elif isinstance(node, exp.Column) and node.table and node.name.lower() == "nextval":
            raise _Refused("NEXTVAL in it")


def _nodes(tree: Any) -> Iterator[Any]:
    for found in tree.walk():
        # Old versions of sqlglot give the parent and the key, too.
        yield found[0] if isinstance(found, tuple) else found


def _check_call(node: Any) -> None:
    from sqlglot import exp

    unknown = isinstance(node, _classes(exp, ("Anonymous", "AnonymousAggFunc")))
    name = node.name if unknown else _sql_name(node)
    if _CALLS.fullmatch(name.strip('"`[]')):
        raise _Refused(f"{name} in it")
    parent: Any = node.parent
    while parent is not None and isinstance(parent, exp.Dot):
        if any(_MODULES.fullmatch(part.name) for part in parent.find_all(exp.Identifier)):
            raise _Refused(f"{parent.sql()[:40]} in it")
        parent = parent.parent


def _sql_name(node: Any) -> str:
    names: list[str] = getattr(type(node), "_sql_names", None) or [type(node).__name__]
    return str(names[0])


def _check_explain(statement: _Statement, dialect: str | None) -> None:
    """What is explained must be a read, and ``ANALYZE`` would do it."""
    rest = statement.text[len(statement.head) :]
    for token in _tokens(rest, dialect):
        word = _word(rest, token)
        if word in _QUERIES - {"("}:
            inner = rest[token.start :]
            _check_query(_Statement(inner, _tokens(inner, dialect)), dialect)
            return
        if word not in _EXPLAIN_WORDS:
            raise _Refused(f"EXPLAIN of {word[:30]}")
    raise _Refused("EXPLAIN of nothing")


def _check_describe(statement: _Statement, dialect: str | None) -> None:
    words = set(statement.words(dialect))
    if "ANALYZE" in words:
        raise _Refused("ANALYZE in it")
    begin = re.match(rf"{statement.head}\s+(?:QUERY\s+)?(?=(?:SELECT|WITH|VALUES|FROM|\()\b)", statement.text, re.IGNORECASE)
    if begin:
        inner = statement.text[begin.end() :]
        _check_query(_Statement(inner, _tokens(inner, dialect)), dialect)
    elif ("(" in words and statement.head != "SHOW") or words & (_WRITE_WORDS - {"USE", "SET", "CREATE", "CALL"}):
        raise _Refused("more than a name in it")


def _check_pragma(statement: _Statement, dialect: str | None) -> None:
    found = re.fullmatch(
        r"PRAGMA\s+(?:\w+\s*\.\s*)?(\w+)\s*(\(\s*(?:[\w.]+|'[^']*'|\"[^\"]*\")\s*\))?", statement.text, re.IGNORECASE
    )
    if not found or found[1].lower() not in _ASKING_PRAGMAS:
        raise _Refused("a PRAGMA that may set something")


def _check_set(statement: _Statement, dialect: str | None) -> None:
    """A setting of the session; not one of the server, and none that lets the session write again."""
    words = statement.words(dialect)
    if _SET_WORDS.intersection(words) or _WRITE_WORDS.intersection(words[1:]) or _UNSETTLING.search(statement.text):
        raise _Refused("more than a setting of the session")


def _check_alter(statement: _Statement, dialect: str | None) -> None:
    """Snowflake and Oracle set what is the session's own with ALTER."""
    if not re.match(r"ALTER\s+SESSION\s+(SET|UNSET)\s", statement.text, re.IGNORECASE):
        raise _Refused("ALTER is no read")
    if _WRITE_WORDS.intersection(statement.words(dialect)[4:]) or _UNSETTLING.search(statement.text):
        raise _Refused("more than a setting of the session")


def _only(allowed: frozenset[str]) -> Callable[[_Statement, str | None], None]:
    def check(statement: _Statement, dialect: str | None) -> None:
        strange = set(statement.words(dialect)) - allowed
        if strange:
            raise _Refused(f"{min(strange)[:30]} in it")

    return check


def _check_use(statement: _Statement, dialect: str | None) -> None:
    if not re.fullmatch(
        r"USE\s+(?:(?:DATABASE|SCHEMA|CATALOG|ROLE|WAREHOUSE|SECONDARY\s+ROLES)\s+)?[\w.$\"`\[\]-]+", statement.text, re.I
    ):
        raise _Refused("more than a name in it")


_HEADS: dict[str, Callable[[_Statement, str | None], None]] = {
    "EXPLAIN": _check_explain,
    "DESCRIBE": _check_describe,
    "DESC": _check_describe,
    "SHOW": _check_describe,
    "PRAGMA": _check_pragma,
    "SET": _check_set,
    "ALTER": _check_alter,
    "USE": _check_use,
    **dict.fromkeys(("BEGIN", "START"), _only(_BEGIN_WORDS)),
    **dict.fromkeys(("COMMIT", "ROLLBACK", "END", "ABORT"), _only(_END_WORDS)),
}
"""First word -> check, of what is no query."""
