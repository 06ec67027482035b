"""Which gateways a SQLMesh project declares, found out without running anything of the project.

SQLMesh itself renders `config.yaml` with an unsandboxed Jinja and imports `config.py`; both run whatever the repository
holds. Here the text is only ever read: YAML as a stream of parser events, in which aliases and merge keys are never
expanded, and Python as a syntax tree. What cannot be told by reading is answered with "unknown", not with a guess.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

CONFIG_FILE_NAMES = ("config.py", "config.yml", "config.yaml", "sqlmesh.yml", "sqlmesh.yaml")
"""The names SQLMesh tries in a project's directory, in its order."""

MAX_CONFIG_BYTES = 1_000_000
MAX_PYTHON_BYTES = 100_000
MAX_GATEWAYS = 200
MAX_DEPTH = 50
UNNAMED_GATEWAY = ""

_MARKER = "__dagctl_env_var__"
_ENV_VAR = re.compile(r"[-+]?\s*env_var\s*\([^()]*\)\s*(?:\|[^{}]*)?[-+]?")
_JINJA_ENDS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE = "<<"


class NoProjectFound(LookupError):
    """None of SQLMesh's configuration files stands in the project's directory."""

    code = "no_project_found"


@dataclass(frozen=True)
class Gateways:
    """What a project's configuration says about gateways.

    :param names: the declared gateways in file order, `""` for the unnamed one; None when reading cannot tell.
    :param default: the gateway used when none is named; None when it is not given or depends on the environment.
    :param source: the file this was read from.
    """

    names: tuple[str, ...] | None
    default: str | None
    source: str | None


NO_GATEWAYS = Gateways(None, None, None)


def detect_gateways(files: Mapping[str, str]) -> Gateways:
    """Read the gateways out of a SQLMesh project's configuration file; nothing is executed.

    :param files: text by file name; names other than `CONFIG_FILE_NAMES` are ignored.
    :raises NoProjectFound: when none of the configuration files is there.
    """
    source = next((name for name in CONFIG_FILE_NAMES if name in files), None)
    if source is None:
        raise NoProjectFound("The directory holds none of SQLMesh's configuration files.")
    text = files[source]
    if len(text) > MAX_CONFIG_BYTES:
        return Gateways(None, None, source)
    names, default = _read_python(text) if source.endswith(".py") else _read_yaml(text)
    if names is not None and len(names) > MAX_GATEWAYS:
        names = None
    return Gateways(names, default, source)


def neutralise_jinja(text: str) -> str:
    """Replace Jinja by plain text: calls of `env_var` by a marker, everything else by nothing.

    Time is linear in the text's length, also for text made of opening braces only.
    """
    parts: list[str] = []
    position = 0
    unclosed: set[str] = set()
    while (start := text.find("{", position)) != -1:
        opening = text[start : start + 2]
        closing = _JINJA_ENDS.get(opening)
        end = -1 if closing is None or opening in unclosed else text.find(closing, start + 2)
        if closing is None or end == -1:
            if closing is not None:
                unclosed.add(opening)
            parts.append(text[position : start + 1])
            position = start + 1
            continue
        body = text[start + 2 : end].strip()
        parts.append(text[position:start])
        parts.append(_MARKER if opening == "{{" and len(body) < 1000 and _ENV_VAR.fullmatch(body) else "")
        position = end + 2
    parts.append(text[position:])
    return "".join(parts)


def _read_yaml(text: str) -> tuple[tuple[str, ...] | None, str | None]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    names: tuple[str, ...] | None = ()
    default = None
    try:
        events = _shallow(yaml.parse(neutralise_jinja(text), Loader=loader))
        root = next((event for event in events if isinstance(event, yaml.NodeEvent)), None)
        if not isinstance(root, yaml.MappingStartEvent):
            return None, None
        for key, value in _pairs(events):
            if key == "gateways":
                names = _gateway_names(value, events)
                continue
            if key == "default_gateway":
                default = _plain_text(value)
            _skip(value, events)
    except (yaml.YAMLError, ValueError):
        return None, None
    return names, default


def _shallow(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    # The parser's time grows with the square of the depth: half a megabyte of braces would keep it busy for an hour.
    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        yield event


def _pairs(events: Iterator[yaml.Event]) -> Iterator[tuple[str | None, yaml.Event]]:
    """Yield each key of the mapping just entered with its value's first event; who takes it consumes the value.

    A key that is not plain text, such as an alias, is None.
    """
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            return
        _skip(event, events)
        yield (event.value if isinstance(event, yaml.ScalarEvent) else None), next(events)


def _skip(first: yaml.Event, events: Iterator[yaml.Event]) -> None:
    """Consume the rest of the node that `first` begins, however deep it is."""
    depth = 0
    event = first
    while True:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth == 0:
            return
        event = next(events)


def _gateway_names(value: yaml.Event, events: Iterator[yaml.Event]) -> tuple[str, ...] | None:
    if not isinstance(value, yaml.MappingStartEvent):
        _skip(value, events)
        return () if isinstance(value, yaml.ScalarEvent) and value.value in _NULLS else None
    names: list[str] = []
    for key, inner in _pairs(events):
        # An alias, a merge key or an environment variable: the names stand somewhere else.
        names.append(_MARKER if key is None or key == _MERGE else key)
        _skip(inner, events)
    if any(_MARKER in name for name in names):
        return None
    return (UNNAMED_GATEWAY,) if "connection" in names else tuple(dict.fromkeys(names))


def _plain_text(value: yaml.Event) -> str | None:
    if not isinstance(value, yaml.ScalarEvent) or _MARKER in value.value:
        return None
    return None if value.value in _NULLS else str(value.value)


def _read_python(text: str) -> tuple[tuple[str, ...] | None, str | None]:
    if len(text) > MAX_PYTHON_BYTES:
        return None, None
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, None
    values = _module_values(module)
    call = _config_call(module, values)
    if call is None or any(keyword.arg is None for keyword in call.keywords):
        return None, None
    keywords = {keyword.arg: _follow(keyword.value, values) for keyword in call.keywords}
    default = keywords.get("default_gateway")
    known_default = isinstance(default, ast.Constant) and isinstance(default.value, str) and default.value
    names = _python_names(keywords["gateways"], values) if "gateways" in keywords else ()
    return names, str(known_default) if known_default else None


def _module_values(module: ast.Module) -> dict[str, ast.expr]:
    """Module-level names that are assigned exactly once, in the open; others could be anything."""
    values: dict[str, ast.expr] = {}
    times: Counter[str] = Counter()
    for statement in module.body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        for target in targets:
            name = target.id if isinstance(target, ast.Name) else ""
            times[name] += 1
            values[name] = value
    return {name: value for name, value in values.items() if name and times[name] == 1}


def _config_call(module: ast.Module, values: Mapping[str, ast.expr]) -> ast.Call | None:
    """The one `Config(...)` call: the value of `config`, which is the name SQLMesh looks for, or the only one there."""
    named = _follow(values["config"], values) if "config" in values else None
    if isinstance(named, ast.Call) and _is_config(named):
        return named
    calls = [node for node in ast.walk(module) if isinstance(node, ast.Call) and _is_config(node)]
    return calls[0] if len(calls) == 1 else None


def _is_config(call: ast.Call) -> bool:
    function = call.func
    return (function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)) == "Config"


def _follow(value: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """Follow plain names to what they stand for, a few steps at most."""
    for _ in range(10):
        if not isinstance(value, ast.Name) or value.id not in values:
            break
        value = values[value.id]
    return value


def _python_names(value: ast.expr, values: Mapping[str, ast.expr]) -> tuple[str, ...] | None:
    if isinstance(value, ast.Constant) and value.value is None:
        return ()
    if isinstance(value, ast.Call):
        return _called_names(value)
    if not isinstance(value, ast.Dict):
        return None
    names: list[str] = []
    for key in value.keys:
        plain = _follow(key, values) if key is not None else None
        if not isinstance(plain, ast.Constant) or not isinstance(plain.value, str):
            return None
        names.append(plain.value)
    return tuple(dict.fromkeys(names))


def _called_names(call: ast.Call) -> tuple[str, ...] | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
    if name == "GatewayConfig":
        return (UNNAMED_GATEWAY,)
    keywords = [keyword.arg for keyword in call.keywords]
    if name != "dict" or call.args or None in keywords:
        return None
    return tuple(keyword for keyword in keywords if keyword is not None)
