"""What of a project comes out differently each time it is loaded: found by loading the doubtful part of it twice.

Place and hash seed are the same in every step, so what is left to differ is the clock, chance and the outside. Only projects
whose Python code can see these are loaded a second time, and of them only the models that depend on Python code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagctl_common.digests import hash_of
from dagctl_common.twice import Twice

from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.outside import model_looks_outside, project_looks_outside
from dagctl_sqlmesh.projects import load_configs, make_context
from dagctl_sqlmesh.rendering import render

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.model import Model

REPRESENTATIVES = 2
"""Models of a group that are loaded again."""
Facts = dict[str, str]
"""Of one model: hashes of what its fingerprint and its SQL are made of, by what people call it."""
RENDERED = "rendered"
_METADATA = (
    "dialect", "owner", "description", "column_descriptions", "cron", "start", "end", "retention", "tags", "grains", "audits",
    "signals", "session_properties_", "virtual_properties_", "project", "stamp",
)  # fmt: skip


def load_again(step: Step, context: Context) -> Twice | None:
    """Begin the second computation; ``None`` where nothing can differ.

    :param step: The step.
    :param context: The project is loaded in it.
    """
    if not hasattr(os, "fork") or not project_looks_outside(Path(step.job["project"])):
        return None
    chosen = {name for names in groups(context).values() for name in names[:REPRESENTATIVES]}
    if not chosen:
        return None
    kept = {str(context.models[name]._path) for name in chosen}
    ignored = sorted({path for model in context.models.values() if (path := str(model._path)).endswith(".sql")} - kept)
    catalogs = _catalogs(context)
    return Twice(lambda: _load(step, chosen, ignored, catalogs))


def groups(context: Context) -> dict[str, list[str]]:
    """Full names of models that depend on Python code, those together that depend on the same: one stands for all.

    :param context: The project is loaded in it.
    """
    found: dict[str, list[str]] = {}
    for name, model in sorted(context.models.items()):
        if _is_doubtful(model):
            found.setdefault(hash_of(sorted((key, item.payload) for key, item in model.python_env.items())), []).append(name)
    return found


def unstable(context: Context, again: Mapping[str, Facts]) -> list[tuple[str, list[str]]]:
    """Models whose two computations differ: full names, and what of them differs.

    :param context: The first computation.
    :param again: Facts of the second one, of those that stand for the others.
    """
    rows: dict[str, list[str]] = {}
    for names in groups(context).values():
        differing = sorted({word for name in names if name in again for word in _differing(context.models[name], again[name])})
        if differing:
            rows.update(dict.fromkeys(names, differing))
    known = {name for names in groups(context).values() for name in names}
    return sorted({**rows, **{key: ["whether it is there"] for key in set(again) - known}}.items())


def _differing(model: Model, facts: Facts) -> list[str]:
    ours = facts_of(model)
    found = [key for key in ours if key in facts and ours[key] != facts[key]]
    return found + [key for key in {*ours} ^ {*facts} if key != RENDERED]


def _is_doubtful(model: Model) -> bool:
    """Anything of Python in it; plain SQL comes out as it is written."""
    return bool(model.python_env) or type(getattr(model, "query", None)).__name__ == "JinjaQuery"


def facts_of(model: Model) -> Facts:
    """What of a model can differ, hashed.

    :param model: The model.
    """
    # SQLMesh's hash of metadata takes in columns of what the model reads, which are not loaded here.
    facts = {"the definition": hash_of([model.data_hash, *(str(getattr(model, name, None)) for name in _METADATA)])}
    for name, executable in model.python_env.items():
        kind = str(getattr(executable.kind, "value", executable.kind))
        facts[_called(name, kind == "value")] = hash_of(executable.payload)
    if model_looks_outside(model):
        try:
            facts[RENDERED] = render(model)
        except Exception:
            # One that asks the warehouse cannot be rendered without it; an execute compares it anyway.
            facts.pop(RENDERED, None)
    return facts


def _called(name: str, is_value: bool) -> str:
    if name.startswith("__sqlmesh__") and "vars" in name:
        return f"the variables of {'its blueprint' if 'blueprint' in name else 'the configuration'}"
    return f"the {'value' if is_value else 'code'} of {name}"


def _load(step: Step, chosen: set[str], ignored: list[str], catalogs: Mapping[str, object]) -> dict[str, Facts]:
    """In the other process: load what is in doubt, as if for the first time."""
    from sqlmesh.core import constants
    from sqlmesh.core.context import Context
    from sqlmesh.core.model import cache

    constants.MAX_FORK_WORKERS = 1
    step.channel.mute()
    step.reads.recording = False
    # What was loaded a moment ago must not be the answer.
    cache.ModelCache.get_or_load = lambda self, name, entry_id="", *, loader: loader()
    for attribute in ("get", "put"):
        if hasattr(cache.ModelCache, attribute):
            setattr(cache.ModelCache, attribute, lambda self, *args, **kwargs: [])
    _forget_modules(step.job["checkout"])
    configs = load_configs(step)
    for config in configs.values():
        config.ignore_patterns = [*config.ignore_patterns, *ignored]
    # The connections belong to the first process, and a second one is not needed for this.
    for name, value in catalogs.items():
        setattr(Context, name, property(_constant(value)))
    context = make_context(step, configs)
    context.load()
    # One that there was not the first time is told as well.
    files = {str(model._path) for name, model in context.models.items() if name in chosen}
    return {name: facts_of(model) for name, model in context.models.items() if name in chosen or str(model._path) in files}


def _catalogs(context: Context) -> dict[str, object]:
    names = ("default_catalog", "default_catalog_per_gateway")
    return {name: getattr(context, name) for name in names if isinstance(getattr(type(context), name, None), property)}


def _constant(value: object) -> Callable[[object], object]:
    return lambda _self: value


def _forget_modules(checkout: str) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(checkout + os.sep):
            del sys.modules[name]
