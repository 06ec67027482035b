"""What Airflow is told about the package, in the form Airflow asks for, and true."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema
import pytest

from dagctl_provider.domain.settings import SETTINGS
from dagctl_provider.get_provider_info import get_provider_info

INFO = get_provider_info()


def test_it_fits_airflows_schema() -> None:
    jsonschema.validate(INFO, json.loads(files("airflow").joinpath("provider_info.schema.json").read_text()))


def test_it_is_announced() -> None:
    (point,) = [p for p in entry_points(group="apache_airflow_provider") if p.value.startswith("dagctl_provider.")]
    assert point.load()() == INFO


@pytest.mark.parametrize(
    "path",
    [*INFO["db-managers"], *INFO["cli"], *(c["hook-class-name"] for c in INFO["connection-types"])]
    + [module for kind in ("operators", "sensors", "hooks") for row in INFO[kind] for module in row["python-modules"]],
)
def test_everything_named_exists(path: str) -> None:
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        module, name = path.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), name)


def test_every_setting_can_be_read_with_its_default() -> None:
    from dagctl_provider.config import setting

    kinds = {"string": str, "boolean": bool, "integer": int, "float": float}
    for name, row in SETTINGS.items():
        assert isinstance(setting(name), kinds[row.kind]), name
