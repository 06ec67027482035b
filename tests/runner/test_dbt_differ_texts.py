"""What the differ calls "only white space or comments": where the language's lexer says so, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from dagctl_provider.runner.steps import INNER


@pytest.fixture(autouse=True, scope="module")
def importable() -> Iterator[None]:
    """As in dbt's environment, where the inner program stands for itself."""
    sys.path.insert(0, str(INNER))
    yield
    sys.path.remove(str(INNER))
    for name in [name for name in sys.modules if name.startswith("dagctl_dbt")]:
        del sys.modules[name]


LOOP = """def model(dbt, session):
    total = 0
    for row in rows:
        total += row
        df['t'] = total
    return df
"""

LAYOUT = [
    ("duckdb", "select 1", "select\n  1 -- one"),
    ("duckdb", "select 1", "{# one #} select /* x */ 1"),
    ("duckdb", "select a,b from {{ ref('x') }}", "select a , b\nfrom {{ref( 'x' )}}\n"),
    ("duckdb", "select {{ dbt_utils.star(ref('x')) }} from t", "select\n{{ dbt_utils.star( ref('x') ) }}\nfrom t"),
    ("duckdb", "{% if is_incremental() %}where x{% endif %} limit 1", "{%- if is_incremental() -%}where x{% endif %}\n limit 1"),
    ("duckdb", "{% for m in ['a', 'b'] %}{{ m }}, {% endfor %} x", "{% for m in ['a','b'] %}{{ m }},{% endfor %}  x"),
    ("postgres", "select $$a  b$$ as x", "select $$a  b$$\nas x"),
    ("bigquery", r"select 'it\'s', `a  b`", "select 'it\\'s',\n `a  b` # note"),
    ("snowflake", "select 1 // one", "select 1"),
    ("tsql", "select [a  b] from t", "select  [a  b]\nfrom t"),
    (None, "select a from b", "select a\n from b"),
]

CODE = [
    ("duckdb", "select 'a  b'", "select 'a b'"),
    ("duckdb", "select '--a'", "select '--b'"),
    ("duckdb", "select 1", "select 11"),
    ("duckdb", r"select 'it\'s', 'a  b'", r"select 'it\'s', 'a b'"),
    ("bigquery", r"select 'it\'s', 'a  b'", r"select 'it\'s', 'a b'"),
    ("snowflake", r"select 'it\'s', 'a  b'", r"select 'it\'s', 'a b'"),
    ("postgres", "select $$a  b$$", "select $$a b$$"),
    ("postgres", "select $t$a  b$t$", "select $t$a b$t$"),
    ("snowflake", "select $$a  b$$", "select $$a b$$"),
    ("spark", "select $$a  b$$", "select $$a b$$"),
    ("bigquery", "select `a  b`", "select `a b`"),
    ("duckdb", "select `a  b`", "select `a b`"),
    ("tsql", "select [a  b]", "select [a b]"),
    ("oracle", "select 1 /*+ HASH */", "select 1"),
    ("postgres", "select 1 /* a /* b */ - 1 */", "select 1 /* a /* b */ - 2 */"),
    ("mysql", "select a--1", "select a--2"),
    ("mysql", "select count(x)", "select count (x)"),
    ("postgres", "select 'a'\n'b'", "select 'a' 'b'"),
    ("duckdb", "select a - -1", "select a --1"),
    ("duckdb", "select a < b", "select a <b <"),
    ("duckdb", "{{ x }}{{ y }}", "{{ x }} {{ y }}"),
    ("duckdb", "select 1{{ x }}", "select 1 {{ x }}"),
    ("duckdb", "select a {{- x }}", "select a {{ x }}"),
    ("duckdb", "select '{{ x }}  b'", "select '{{ x }} b'"),
    ("duckdb", "select {{ 'a  b' }}", "select {{ 'a b' }}"),
    ("duckdb", "{% set q %}select 'a{% endset %}  --x'", "{% set q %}select 'a{% endset %} --y'"),
    ("duckdb", '{% set q = "\'" %}select {{ q }}a  b{{ q }}', '{% set q = "\'" %}select {{ q }}a b{{ q }}'),
    ("duckdb", "select {{ '--' }} a\nb", "select {{ '--' }} a b"),
    ("duckdb", "-- {{ x }}  a\nselect 1", "-- {{ x }} a\nselect 1"),
    ("duckdb", "select {{ env_var('Q') }}a  b", "select {{ env_var('Q') }}a b"),
    ("duckdb", "select {{ x }", "select  {{ x }"),
    (None, r"select 'it\'s'", r"select  'it\'s'"),
]


@pytest.mark.parametrize(("dialect", "old", "new"), LAYOUT)
def test_layout_and_comments_alone(dialect: str | None, old: str, new: str) -> None:
    from dagctl_dbt.differ_texts import only_layout

    assert only_layout(old, new, dialect)
    assert only_layout(new, old, dialect)


@pytest.mark.parametrize(("dialect", "old", "new"), CODE)
def test_a_change_of_the_code_or_a_doubt(dialect: str | None, old: str, new: str) -> None:
    from dagctl_dbt.differ_texts import only_layout

    assert not only_layout(old, new, dialect)
    assert not only_layout(new, old, dialect)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (LOOP, LOOP.replace("total = 0", "total = 0  # nothing yet").replace("    return", "\n    return"), True),
        (LOOP, LOOP.replace("    ", "  "), True),
        (LOOP, LOOP.replace("        df['t']", "    df['t']"), False),
        (LOOP, LOOP.replace("0", "1"), False),
        ("x = 'a  b'\n", "x = 'a b'\n", False),
        ('x = f"{y}"\n', 'x = f"{y }"\n', True),
        ('x = f"{y=}"\n', 'x = f"{y = }"\n', False),
        ("x = (\n", "x =  (\n", False),
    ],
)
def test_python(old: str, new: str, same: bool) -> None:
    from dagctl_dbt.differ_texts import only_layout

    if 'f"{y}"' in old and sys.version_info < (3, 12):
        same = False  # Before 3.12, a text with places in it is one word.
    assert only_layout(old, new, "duckdb", "python") is same


def test_what_macros_and_variables_put_in_may_be_half_a_text_in_quotes() -> None:
    from dagctl_dbt.differ_texts import only_layout

    old, new = "select {{ m() }} a  b {{ m() }}", "select {{ m() }} a b {{ m() }}"

    assert only_layout(old, new, "duckdb", inserted=["{% macro m() %}cast(x as int){% endmacro %}", "plain"])
    assert only_layout(
        old, new, "duckdb", inserted=["{% macro m(c) %}{{ return(adapter.dispatch('m', 'shop')(c)) }}{% endmacro %}"]
    )
    assert not only_layout(old, new, "duckdb", inserted=["{% macro m() %}'{% endmacro %}"])
    assert not only_layout(old, new, "duckdb", inserted=['{% macro m() %}{{ return("\'") }}{% endmacro %}'])
    assert not only_layout(old, new, "duckdb", inserted=["{% macro m() %}{{ adapter.get_relation('a') }}{% endmacro %}"])
    assert not only_layout(old, new, "duckdb", inserted=["it's"])


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("select 1 -- a", "select\n1", True),
        ("select a /*+ HASH */ from t", "select a from t", False),
        ("select 'a  b'", "select 'a b'", False),
        ("select (1)", "select 1", False),
    ],
)
def test_compiled_sql(old: str, new: str, same: bool) -> None:
    from dagctl_dbt.differ_texts import same_statement

    assert same_statement(old, new, "duckdb") is same


def test_how_alike_two_models_are_is_not_a_matter_of_layout() -> None:
    from dagctl_dbt.differ_texts import skeleton

    assert skeleton("select  a -- x\nfrom {{ ref( 'b' ) }}", "duckdb") == skeleton("select a from {{ref('b')}}", "duckdb")
    assert skeleton("select 'a", "duckdb") == "select 'a"
