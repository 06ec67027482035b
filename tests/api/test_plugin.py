"""What Airflow loads in every process costs nothing in those that serve no API."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys, time
import airflow.plugins_manager
before, began = set(sys.modules), time.process_time()
from dagctl_provider.plugin import DagctlPlugin
plugin = DagctlPlugin()
plugin.on_load()
plugin.validate()
others = [plugin.macros, plugin.listeners, plugin.timetables, plugin.external_views, plugin.operator_extra_links]
print(json.dumps({"new": sorted(set(sys.modules) - before), "seconds": time.process_time() - began}))
"""


def test_loading_the_plugin_imports_no_web_framework():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout.splitlines()[-1])
    links = {f"dagctl_provider.{name}" for name in ("domain", "domain.names", "operators", "operators.links")}
    operator_link = {"airflow.sdk.bases", "airflow.sdk.bases.operatorlink"}
    assert set(report["new"]) <= {"dagctl_provider", "dagctl_provider.plugin", *operator_link, *links}
    assert report["seconds"] < 0.05


def test_the_class_and_its_instances_offer_the_same():
    from fastapi import FastAPI

    from dagctl_provider.api.registry import RESOURCES
    from dagctl_provider.plugin import DagctlPlugin
    from dagctl_provider.ui.views import VIEWS

    plugin = DagctlPlugin()
    assert plugin.appbuilder_views is DagctlPlugin.appbuilder_views
    assert [type(entry["view"]) for entry in plugin.appbuilder_views] == [*RESOURCES, *VIEWS]
    api, keys, events = plugin.fastapi_apps
    assert isinstance(api["app"], FastAPI)
    assert [app["url_prefix"] for app in (api, keys, events)] == ["/api/v1", "/dagctl/trust", "/dagctl"]


def test_the_one_line_plugin_file_is_the_same_plugin():
    import importlib.util
    from pathlib import Path

    from dagctl_provider.plugin import DagctlPlugin

    path = Path(__file__).parents[2] / "plugins" / "dagctl_plugin.py"
    spec = importlib.util.spec_from_file_location("dagctl_plugin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.DagctlPlugin is DagctlPlugin
