"""What a text of Jinja reads: variables by key, and macros that are handed on instead of called.

dbt notes the macros that a text calls. It notes neither variables nor a macro that stands there as a value, nor one that a model
calls only while it runs. These are found here, in the tree that Jinja parses.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from dagctl_dbt.differ_jinja_reader import Reader
from dagctl_dbt.differ_jinja_values import UNKNOWN, Reading, Value

_BLOCKS = ("test", "data_test", "materialization", "snapshot", "docs")
_WORD = re.compile(r"\bvar\b")
_NAMED = re.compile(r"""\bvar\(\s*(['"])(\w+)\1\s*[,)]""")


@functools.lru_cache(maxsize=20_000)
def reading_of(text: str) -> Reading:
    """What a text reads.

    :param text: Jinja.
    """
    found = Reading()
    if "{" not in text:
        return found
    try:
        tree = _environment().parse(text)
    except Exception:
        # dbt understands it, or the project would not be here: what is in it stays unknown.
        hits = _NAMED.findall(text)
        found.paths = {(name,) for _, name in hits}
        found.computed = [UNKNOWN] if len(_WORD.findall(text)) > len(hits) else []
        found.values, found.looks_up, found.sound = set(re.findall(r"[A-Za-z_]\w*", text)), True, False
        return found
    names: dict[str, Value] = {}
    # Names may be given later in the text than they stand in it, in a loop for example.
    for _ in range(2):
        found = Reading()
        Reader(found, names, reading_of).body(tree.body)
    return found


@functools.cache
def _environment() -> Any:
    from jinja2 import Environment
    from jinja2 import nodes as tree
    from jinja2.ext import Extension

    class Blocks(Extension):
        """dbt's own blocks, as far as they have a body: what they are called with does not matter here."""

        tags = set(_BLOCKS)

        def parse(self, parser: Any) -> Any:
            token = next(parser.stream)
            macro = tree.Macro(lineno=token.lineno)
            macro.name = parser.stream.expect("name").value
            macro.args, macro.defaults = [], []
            if token.value in ("test", "data_test"):
                parser.parse_signature(macro)
            while parser.stream.current.type != "block_end":
                next(parser.stream)
            ends = tuple(f"name:end{name}" for name in {token.value, "test", "data_test"})
            macro.body = parser.parse_statements(ends, drop_needle=True)
            return macro

    return Environment(autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols", Blocks])
