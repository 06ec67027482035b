"""The slips are those that matter, each differs from the program, and what is only for readers stays."""

from __future__ import annotations

import ast

from tests.mutants.__main__ import ROOT, TESTS, files_of, modules_of
from tests.mutants.mutations import count, mutant

PROGRAM = '''"""A docstring."""
LIMITS = {"small": 1, "large": 20}
def fits(size: "int", limit="small", *, strict=True) -> "bool":
    """Another."""
    if not size:
        raise ValueError(f"no {size} at all")
    return size < LIMITS[limit] and note(size, kind="a b")
'''


def test_each_slip_is_another_program() -> None:
    made = [mutant(PROGRAM, number) for number in range(count(PROGRAM))]
    texts = {ast.unparse(one.tree) for one in made}
    assert len(texts) == len(made)
    assert ast.unparse(ast.parse(PROGRAM)) not in texts
    for one in made:
        compile(one.tree, "mutant", "exec")
        assert "docstring" in ast.unparse(one.tree)
        assert "no {size} at all" in ast.unparse(one.tree) or "pass" in ast.unparse(one.tree)


def test_the_slips_that_a_person_would_make_are_among_them() -> None:
    changes = " | ".join(mutant(PROGRAM, number).change for number in range(count(PROGRAM)))
    for slip in (
        "size <=",
        "or note",
        "if not not size",
        "return None",
        "True  ->  False",
        "21",
        "smallXX",
        "{'large'",
        "{'small': 1}",
        "->  pass",
    ):
        assert slip in changes, changes


def test_every_row_of_the_table_fits_a_module_and_names_tests_that_exist() -> None:
    for pattern, files in TESTS:
        assert modules_of([pattern]), pattern
        assert all((ROOT / file).exists() for file in files)
    for module in modules_of(["domain/*", "services/*", "operators/steps"]):
        assert all((ROOT / file).exists() for file in files_of(module)), module
