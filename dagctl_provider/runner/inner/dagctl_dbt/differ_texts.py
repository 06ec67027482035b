"""Whether two texts of code differ in layout and comments alone: said only where the language's own lexer says so.

A model is a Jinja template of SQL. Both are taken apart: the template by Jinja's lexer, what is around its expressions by
sqlglot's, with the warehouse's dialect, which knows where a text in quotes ends and which blanks are inside of one. Whatever
leaves a doubt (a dialect without a lexer, an expression that may come out as half a text in quotes) is a change of the code.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dagctl_dbt.columns_sql import dialect_of

#: Stands for an expression or statement of Jinja in what sqlglot reads: letters, so that blanks around it count.
_MARK = "qj7Z"
_QUIET_CALLS = {"config", "ref", "source"}
"""Calls whose arguments do not come out as SQL."""
_OPAQUE = {
    "env_var", "run_query", "load_result", "statement", "modules", "lipsum", "context", "builtins", "fromjson", "fromyaml",
    "adapter", "graph", "flags", "invocation_args_dict", "dbt_metadata_envs",
}  # fmt: skip
"""Names whose outcome no text of the project tells."""
_QUOTING = re.compile(r"""['"`\\]|\$\w*\$|--|/\*|\*/|//|#""")
_COMMENT = re.compile(r"\s+|--[^\n]*|#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"""[A-Za-z&]{0,3}(?:(['"`]).*\1|\$(\w*)\$.*\$\2\$|\[[^\]]*\])""", re.DOTALL)
_UNKNOWN_DIALECT = re.compile(r"""[\\`$#\[]|//|['"]{2}""")
_LIKE_MYSQL = {"mysql", "starrocks", "doris", "singlestore"}
"""Dialects of MySQL's kind: `--` is a comment before a blank only, and a blank before a bracket changes what a function is."""
_PYTHON_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_PYTHON_BLOCKS = {tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE}


class _Doubt(Exception):
    """It cannot be told what a text means."""


@dataclass(frozen=True)
class _Template:
    """A template taken apart.

    :param sql: What is around Jinja's parts, with a mark for each of them.
    :param parts: Jinja's parts, each as its tokens.
    """

    sql: str
    parts: list[tuple[tuple[str, str], ...]]


def dialect_known(adapter: str) -> str | None:
    """sqlglot's name of an adapter's dialect; ``None`` when it has none, or sqlglot is not there.

    :param adapter: dbt's name of it.
    """
    try:
        return dialect_of(adapter)
    except ImportError:
        return None


def only_layout(old: str, new: str, dialect: str | None, language: str = "sql", inserted: Iterable[str] = ()) -> bool:
    """Whether nothing but white space and comments differs.

    :param old: A model's code.
    :param new: The same, later.
    :param dialect: sqlglot's name of the warehouse's dialect; ``None`` when it has none.
    :param language: ``sql`` (with Jinja) or ``python``.
    :param inserted: Code of the macros that are called, and values of the variables that are read.
    """
    try:
        if language == "python":
            return _python(old) == _python(new)
        one, other = _template(old), _template(new)
        if one.parts != other.parts or any(_MARK in text for text in (old, new)):
            return False
        for parts in (one.parts, *(_template(text).parts for text in inserted)):
            _refuse_halves(parts, dialect)
        for text in inserted:
            _sql(_template(text).sql, dialect)
        return _sql(one.sql, dialect) == _sql(other.sql, dialect)
    except _Doubt:
        return False


def same_statement(old: str, new: str, dialect: str | None) -> bool:
    """Whether two statements, without any Jinja, are the same but for layout and comments.

    :param old: Compiled SQL.
    :param new: The same, later.
    :param dialect: As above.
    """
    try:
        return old == new or _sql(old, dialect) == _sql(new, dialect)
    except _Doubt:
        return False


def skeleton(code: str, dialect: str | None, language: str = "sql") -> str:
    """Code without layout, to compare how alike two texts are; as it is where that cannot be told.

    :param code: A model's code.
    :param dialect: As above.
    :param language: As above.
    """
    try:
        if language == "python":
            return " ".join(text for _, text in _python(code)[1])
        template = _template(code)
        words = " ".join(word for word, _ in _sql(template.sql, dialect))
        marks = {_marked(number): part for number, part in enumerate(template.parts)}
        return re.sub(rf"{_MARK}\d+Z", lambda hit: " ".join(text for _, text in marks[hit[0]]), words)
    except (_Doubt, KeyError):
        return code


def _python(code: str) -> tuple[str, list[tuple[int, str]]]:
    """What Python reads: the tree, which knows what a text in a text means, and the words, which know how it is written."""
    try:
        tree = ast.dump(ast.parse(code))
        rows = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (SyntaxError, ValueError, RecursionError, tokenize.TokenError) as error:
        raise _Doubt from error
    kept = [row for row in rows if row.type not in _PYTHON_LAYOUT]
    return tree, [(row.type, "" if row.type in _PYTHON_BLOCKS else row.string) for row in kept]


def _template(code: str) -> _Template:
    from jinja2 import Environment, TemplateSyntaxError

    pieces: list[str] = []
    parts: list[tuple[tuple[str, str], ...]] = []
    inside: list[tuple[str, str]] = []
    try:
        for _, kind, text in Environment(autoescape=True).lex(code):
            if kind == "data":
                pieces.append(text)
            elif kind.endswith("_end") and not kind.startswith("comment"):
                parts.append((*inside, (kind, "")))
                pieces.append(_marked(len(parts) - 1))
                inside = []
            elif not kind.startswith(("comment", "whitespace")) and not kind.endswith("_begin"):
                inside.append((kind, text))
    except TemplateSyntaxError as error:
        raise _Doubt from error
    return _Template("".join(pieces), parts)


def _marked(number: int) -> str:
    return f"{_MARK}{number}Z"


def _refuse_halves(parts: Iterable[tuple[tuple[str, str], ...]], dialect: str | None) -> None:
    """What comes out as half a text in quotes, or as the start of a comment, changes what the blanks behind it are."""
    for part in parts:
        if _names(part) & _OPAQUE:
            raise _Doubt
        if part[0][1] in _QUIET_CALLS and part[-1][0] == "variable_end":
            continue
        for kind, text in part:
            if kind == "string" and _QUOTING.search(text[1:-1]):
                _whole(text[1:-1], dialect)


def _names(part: tuple[tuple[str, str], ...]) -> set[str]:
    """Names in it. Of the adapter's methods, those that only call a macro or put quotes around a name are none."""
    found = set()
    for number, (kind, text) in enumerate(part):
        method = part[number + 2][1] if number + 2 < len(part) else ""
        if kind == "name" and not (text == "adapter" and method in ("dispatch", "quote")):
            found.add(text)
    return found


def _whole(text: str, dialect: str | None) -> None:
    if "\\" in text or any(gap for _, gap in _gaps(text, dialect) if gap.strip()):
        raise _Doubt


def _gaps(sql: str, dialect: str | None) -> Iterator[tuple[str, str]]:
    """Each word with what stands before it: white space and comments. The last word is empty."""
    try:
        from sqlglot import tokenize as words_of
    except ImportError as error:
        raise _Doubt from error
    if dialect is None and _UNKNOWN_DIALECT.search(sql):
        raise _Doubt
    try:
        tokens: list[Any] = list(words_of(sql, read=dialect))
    except Exception as error:
        raise _Doubt from error
    end = 0
    for token in tokens:
        if token.start < end:
            raise _Doubt
        word = sql[token.start : token.end + 1]
        if _QUOTING.search(word) and not _QUOTED.fullmatch(word) and word not in ("#", "//", "/"):
            raise _Doubt
        if word.startswith("$") and re.search(r"\$\w*\$", sql) and not _QUOTED.fullmatch(word):
            raise _Doubt
        yield word, sql[end : token.start]
        end = token.end + 1
    yield "", sql[end:]


def _sql(sql: str, dialect: str | None) -> list[tuple[str, str]]:
    """Words, each with what of the text before it means something."""
    found: list[tuple[str, str]] = []
    before = ""
    for word, gap in _gaps(sql, dialect):
        found.append((word, _meaning(before, gap, word, dialect)))
        before = word
    return found


def _meaning(before: str, gap: str, word: str, dialect: str | None) -> str:
    """What of white space and comments between two words means something."""
    comments = _comments(gap, dialect)
    if any(_MARK in comment or comment.startswith(("/*+", "/*!", "/*M!", "--+")) for comment in comments):
        return gap.strip()
    if before[-1:] in "'\"" and word[:1] in "'\"" and before and word:
        # PostgreSQL joins two texts when a line ends between them.
        return "\n" if "\n" in gap else " " if gap else ""
    return " " if gap and _touch(before[-1:], word[:1], dialect) else ""


def _comments(gap: str, dialect: str | None) -> list[str]:
    found, end = [], 0
    for hit in _COMMENT.finditer(gap):
        if hit.start() != end:
            break
        end = hit.end()
        if not hit[0].isspace():
            found.append(hit[0])
    # A comment in a comment ends in one warehouse at the first mark, in another at the second.
    if end != len(gap) or any("/*" in comment[2:] for comment in found if comment.startswith("/*")):
        raise _Doubt
    if dialect in _LIKE_MYSQL and any(re.match(r"--\S", comment) for comment in found):
        raise _Doubt
    return found


def _touch(left: str, right: str, dialect: str | None) -> bool:
    """Whether two words would be read as something else without the blank between them."""
    if not left or not right:
        return False
    if right == "(" and (dialect is None or dialect in _LIKE_MYSQL):
        return _is_word(left)
    apart = "(),;"
    return left not in apart and right not in apart and _is_word(left) == _is_word(right)


def _is_word(character: str) -> bool:
    return character.isalnum() or character in "_$'\"`]["
