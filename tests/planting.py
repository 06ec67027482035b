"""A project that uses an organization's variables carelessly, and a search for their values in all that is left of it.

The project's code prints them whenever it is loaded, and uses them when it builds; nothing of that is a secret of its own.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.airflow.site import Shop, Site

# Its configuration, which every step loads; models are not loaded by a run.
CONFIG = """
import os

from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

key = open(os.environ["PLANTED_KEY"]).read()
mode = os.stat(os.environ["PLANTED_KEY"]).st_mode & 0o7777
print("file", os.environ["PLANTED_KEY"], oct(mode), key, flush=True)
print("token", os.environ["PLANTED_TOKEN"], len(os.environ["PLANTED_TOKEN"]), len(key), flush=True)
config = Config(
    gateways={{"warehouse": GatewayConfig(connection=DuckDBConnectionConfig(database={warehouse!r}))}},
    default_gateway="warehouse",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2026-01-01"),
)
"""
CARELESS = """
import os

import pandas as pd
from sqlmesh import model


@model("shop.careless", columns={"token": "int", "key": "int"}, kind="FULL")
def execute(context, start, end, execution_time, **kwargs):
    token, key = os.environ["PLANTED_TOKEN"], open(os.environ["PLANTED_KEY"]).read()
    print("built with", token, key, flush=True)
    return pd.DataFrame({"token": [len(token)], "key": [len(key)]})
"""
_FAILS = "    raise ValueError(f'cannot log in with {token} or {key}')\n"
FAILING = CARELESS.replace("    return pd.DataFrame", f"{_FAILS}    return pd.DataFrame")
PATH = "/secrets/warehouse/key.pem"
_FOLDERS = ("/tmp/dagctl-*", f"{tempfile.gettempdir()}/dagctl-step-*", f"{tempfile.gettempdir()}/dagctl-new-*")
_LARGEST = 512 * 1024 * 1024


def planted(mark: str) -> dict[str, str]:
    """Values that occur nowhere else, by the variable's name; of the file each line has one.

    :param mark: Random text.
    """
    lines = "\n".join(f"planted-line-{number}-{mark}" for number in range(3))
    return {"PLANTED_TOKEN": f"planted token {mark}", "PLANTED_KEY": f"-----BEGIN KEY-----\n{lines}\n-----END KEY-----\n"}


def make_variables(site: Site, values: Mapping[str, str]) -> None:
    """Make both, one as a file, with the mode 0400."""
    file = {"mount_as_file": True, "file_mount_path": PATH, "file_permissions": 0o400}
    for name, value in values.items():
        more = file if name == "PLANTED_KEY" else {}
        site.ask("POST", "/environment-variables", {"name": name, "value": value, **more}, status=201)


def pieces(values: Mapping[str, str]) -> list[bytes]:
    """What nobody may find: each value, and each line of it that is its own."""
    return [line.encode() for value in values.values() for line in value.splitlines() if "planted" in line]


def said(site: Site, steps: Iterable[str], project: Mapping[str, Any]) -> dict[str, bytes]:
    """All that is told of plans over REST, on pages and in Airflow, and all that its database holds, by where it is."""
    found: dict[str, bytes] = {}
    own = [f"plans/{step}{rest}" for step in steps for rest in ("", "/logs")]
    groups = {site.plan(step)["plan_id"] for step in steps}
    runs = f"projects/{project['id']}/runs"
    for path in (
        "projects",
        "environment-variables",
        "audit",
        "audit/export",
        runs,
        *own,
        *(f"plans/group/{one}/steps" for one in groups),
    ):
        found[f"REST {path}"] = site.http.get(f"/{path}").content
    login = site.stack.airflow_login()
    pages = [
        "organization/audit",
        "organization/variables",
        "organization/variables/PLANTED_TOKEN",
        f"projects/{project['id']}",
        *(f"plans/{one}" for one in groups),
    ]
    for path in pages:
        answer = httpx.get(f"{site.stack.base_url}/pluginsv2/dagctl/{path}", headers=login, timeout=60)
        assert answer.status_code == 200, (path, answer.status_code)
        found[f"page {path}"] = answer.content
    for path in (
        "variables",
        "connections",
        "eventLogs?limit=1000",
        f"dags/{project['dag_id']}/dagRuns",
        f"dags/{project['run_dag_id']}/dagRuns",
    ):
        found[f"Airflow {path}"] = httpx.get(f"{site.stack.base_url}/api/v2/{path}", headers=login, timeout=60).content
    # What is searched is what was meant: names are there, and so would values be.
    assert all(
        b"PLANTED_TOKEN" in found[place] for place in ("REST environment-variables", "page organization/variables", "REST audit")
    )
    for (table,) in site.sql("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
        found[f"table {table}"] = b"\n".join(_bytes(cell) for row in site.sql(f'SELECT * FROM "{table}"') for cell in row)
    return found


def _bytes(cell: object) -> bytes:
    return bytes(cell) if isinstance(cell, (bytes, memoryview)) else str(cell).encode()


def caches(site: Site) -> list[Path]:
    """What tools keep between steps."""
    return [
        path
        for path in ((site.stack.home / "cache").resolve() / name for name in ("tools/projects", "projects"))
        if path.is_dir()
    ]


def left_on_disk(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below some folders and where steps have theirs; of the database its own files, too."""
    places = [*map(str, folders), *(place for pattern in _FOLDERS for place in glob.glob(pattern))]
    for place in places:
        for folder, _, names in os.walk(place):
            for name in names:
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink() and path.stat().st_size < _LARGEST:
                    yield str(path), path.read_bytes()


def found_in(values: Mapping[str, str], texts: Iterable[tuple[str, bytes]]) -> set[tuple[str, str]]:
    """Which piece was found where."""
    wanted = pieces(values)
    return {(piece.decode()[:24], where) for where, text in texts for piece in wanted if piece in text}


def write_careless(shop: Shop, message: str = "Careless", *, fails: bool = False) -> None:
    """Commit what prints and uses them."""
    (shop.path / "config.yaml").unlink(missing_ok=True)
    shop.write("config.py", CONFIG.format(warehouse=str(shop.warehouse)))
    shop.write("models/careless.py", FAILING if fails else CARELESS)
    shop.commit(message)
