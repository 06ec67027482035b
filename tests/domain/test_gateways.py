"""Gateways are read out of hostile configuration files without running them and without losing time or memory."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.gateways import (
    CONFIG_FILE_NAMES,
    MAX_CONFIG_BYTES,
    Gateways,
    NoProjectFound,
    detect_gateways,
    neutralise_jinja,
)

YAML = {
    "two gateways": (
        "gateways:\n  local:\n    connection: {type: duckdb}\n  prod:\n    connection: {type: postgres}\ndefault_gateway: prod\n",
        ("local", "prod"),
        "prod",
    ),
    "the unnamed gateway": ("gateways:\n  connection: {type: duckdb}\n  state_connection: {}\n", ("",), None),
    "none declared": ("model_defaults: {dialect: duckdb}\n", (), None),
    "an empty value": ("gateways:\ndefault_gateway: null\n", (), None),
    "environment variables as values": (
        "gateways:\n  prod:\n    connection:\n      password: {{ env_var('PW', 'x') }}\n"
        "      user: \"{{ env_var('U') }}\"\ndefault_gateway: {{ env_var('GATEWAY', 'prod') }}\n",
        ("prod",),
        None,
    ),
    "an environment variable as a name": ("gateways:\n  {{ env_var('N') }}:\n    connection: {}\n", None, None),
    "blocks and comments": (
        "{% set x = 1 %}\n{# gateways: {nope: {}} #}\ngateways:\n  a: {connection: {}}\n{% if x %}\n{% endif %}\n",
        ("a",),
        None,
    ),
    "an alias as a value": ("x: &g {a: {}}\ngateways: *g\n", None, None),
    "an alias as a name": ("x: &g a\ngateways:\n  *g : {}\n", None, None),
    "a merge key": ("x: &g {a: {}}\ngateways:\n  <<: *g\n  b: {}\n", None, None),
    "anchors inside a gateway": ("gateways:\n  a: &a {connection: {}}\n  b: *a\n", ("a", "b"), None),
    "a list": ("gateways: [a, b]\n", None, None),
    "text": ("gateways: local\n", None, None),
    "the last of two": ("gateways: {a: {}}\ngateways: {b: {}}\n", ("b",), None),
    "a list as key": ("? [x, y]\n: 1\ngateways: {a: {}}\n", ("a",), None),
    "a default that is no text": ("gateways: {a: {}}\ndefault_gateway: [a]\n", ("a",), None),
    "a nested key of the same name": ("x:\n  gateways: {no: {}}\n  default_gateway: no\n", (), None),
    "only the first document": ("gateways: {a: {}}\n---\ngateways: {b: {}}\n", ("a",), None),
    "a document that is a list": ("- gateways\n", None, None),
    "nothing": ("", None, None),
    "broken": ("gateways: {a: [}\n", None, None),
    "broken after the gateways": ("gateways: {a: {}}\nx: [\n", None, None),
    "a tag that would build an object": ("x: !!python/object/apply:os.system ['id']\ngateways: {a: {}}\n", ("a",), None),
    "control characters": ("gateways: {a\x00: {}}\n", None, None),
}

PYTHON = {
    "a literal": (
        "from sqlmesh import Config\nconfig = Config(gateways={'a': 1, 'b': 2}, default_gateway='b')\n",
        ("a", "b"),
        "b",
    ),
    "names": (
        "A = 'a'\nG: dict = {A: 1, 'b': 2}\nD = 'b'\nc = config.Config(gateways=G, default_gateway=D)\nconfig = c\n",
        ("a", "b"),
        "b",
    ),
    "one gateway": ("config = Config(gateways=GatewayConfig(connection=None))\n", ("",), None),
    "one gateway through its module": ("config = Config(gateways=s.GatewayConfig())\n", ("",), None),
    "the dict constructor": ("config = Config(gateways=dict(a=1, b=2))\n", ("a", "b"), None),
    "a dict constructor with more": ("config = Config(gateways=dict(x, a=1))\n", None, None),
    "a dict constructor with stars": ("config = Config(gateways=dict(a=1, **x))\n", None, None),
    "a function": ("config = Config(gateways=make())\n", None, None),
    "none declared": ("config = Config()\n", (), None),
    "a literal none": ("config = Config(gateways=None)\n", (), None),
    "a spread": ("config = Config(gateways={**x, 'a': 1})\n", None, None),
    "a computed name": ("config = Config(gateways={f(): 1})\n", None, None),
    "a name that is assigned twice": ("G = {'a': 1}\nG = {'b': 1}\nconfig = Config(gateways=G)\n", None, None),
    "a comprehension": ("config = Config(gateways={x: 1 for x in y})\n", None, None),
    "keywords from elsewhere": ("config = Config(**x)\n", None, None),
    "a computed default": ("config = Config(gateways={'a': 1}, default_gateway=f())\n", ("a",), None),
    "an empty default": ("config = Config(gateways={'a': 1}, default_gateway='')\n", ("a",), None),
    "a call under another name": ("settings = Config(gateways={'a': 1})\n", ("a",), None),
    "the call named config among several": (
        "other = Config(gateways={'x': 1})\nconfig = Config(gateways={'a': 1})\n",
        ("a",),
        None,
    ),
    "several calls under other names": ("x = Config()\ny = Config()\n", None, None),
    "tuple assignments": ("a, config = 1, Config(gateways={'a': 1})\n", ("a",), None),
    "an annotation alone": ("config: Config\n", None, None),
    "no call": ("x = 1\n", None, None),
    "a syntax error": ("config = Config(\n", None, None),
    "a NUL": ("config = Config()\x00", None, None),
    "names in a circle": ("a = b\nb = a\nconfig = Config(gateways=a)\n", None, None),
}


@pytest.mark.parametrize(("text", "names", "default"), YAML.values(), ids=YAML.keys())
def test_yaml_configurations_are_read(text, names, default):
    assert detect_gateways({"config.yaml": text}) == Gateways(names, default, "config.yaml")


@pytest.mark.parametrize(("text", "names", "default"), PYTHON.values(), ids=PYTHON.keys())
def test_python_configurations_are_read(text, names, default):
    assert detect_gateways({"config.py": text}) == Gateways(names, default, "config.py")


@pytest.mark.parametrize("name", CONFIG_FILE_NAMES)
def test_every_name_sqlmesh_tries_is_read(name):
    text = "config = Config(gateways={'a': 1})" if name.endswith(".py") else "gateways: {a: {}}"

    assert detect_gateways({name: text, "README.md": "x"}) == Gateways(("a",), None, name)


@pytest.mark.parametrize("files", [{}, {"dbt_project.yml": "name: x"}, {"sub/config.yaml": "x: 1"}])
def test_a_directory_without_configuration_is_no_project(files):
    with pytest.raises(NoProjectFound) as raised:
        detect_gateways(files)

    assert raised.value.code == "no_project_found"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.yaml", "# {{{{ cycler.__init__.__globals__.os.system('touch {target}') }}}}\ngateways: {{a: {{}}}}\n"),
        ("config.yaml", "x: !!python/object/apply:os.system ['touch {target}']\ngateways: {{a: {{}}}}\n"),
        ("config.py", "import os\nos.system('touch {target}')\nconfig = Config(gateways={{'a': 1}})\n"),
        ("config.py", "config = Config(gateways={{'a': __import__('os').system('touch {target}')}})\n"),
    ],
)
def test_nothing_of_the_project_is_executed(tmp_path, name, text):
    target = tmp_path / "owned"

    assert detect_gateways({name: text.format(target=target)}).names == ("a",)
    assert not target.exists()


BILLION_LAUGHS = "\n".join(
    ["l0: &l0 [lol, lol]", *(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}, *l{n - 1}]" for n in range(1, 60)), "gateways: {a: {}}"]
)
MERGE_BOMB = "\n".join(
    ["m0: &m0 {k: v}", *(f"m{n}: &m{n}\n  <<: [*m{n - 1}, *m{n - 1}]" for n in range(1, 60)), "gateways: {a: {}}"]
)


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("config.yaml", BILLION_LAUGHS, ("a",)),
        ("config.yaml", MERGE_BOMB, ("a",)),
        ("config.yaml", "{{" * 490_000, None),
        ("config.yaml", "{" * 990_000, None),
        ("config.yaml", "[" * 990_000, None),
        ("config.yaml", "- " * 400_000, None),
        ("config.yaml", "{%" * 490_000, None),
        ("config.yaml", "{{ env_var(" + " " * 900_000 + "}}", None),
        ("config.yaml", "gateways: {" + ",".join(f"g{n}: 1" for n in range(1000)) + "}", None),
        ("config.yaml", "gateways: {a: {}}\n#" + "x" * MAX_CONFIG_BYTES, None),
        ("config.py", "config = Config()\n#" + "x" * 100_000, None),
        ("config.py", "(" * 90_000, None),
        ("config.py", "-" * 90_000 + "1", None),
        ("config.py", "x = " + "[0]+" * 20_000 + "[0]", None),
        ("config.py", "".join(f"x{n}=x{n + 1}\n" for n in range(7_000)), None),
    ],
    ids=range(15),
)
def test_bombs_cost_little_time(name, text, names):
    started = time.process_time()

    assert detect_gateways({name: text}).names == names
    assert time.process_time() - started < 5


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "{", "env_var('X')", "a: ", "\n", "gateways"])))
def test_jinja_disappears_and_nothing_raises(parts):
    text = "".join(parts)

    plain = neutralise_jinja(text)

    assert len(plain) <= len(text) + 20 * len(parts)
    if not {"{{", "{%", "{#", "{"} & set(parts):
        assert plain == text
    detect_gateways({"config.yaml": text})
    detect_gateways({"config.py": text})
