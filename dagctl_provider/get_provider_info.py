"""What Airflow learns about this package: settings, tables, command line, operators. The plugin is an entry point."""

from __future__ import annotations

from dagctl_provider import __version__
from dagctl_provider.domain.settings import SECTION, SETTINGS


def get_provider_info() -> dict[str, object]:
    """Provider information in the form of Airflow's ``provider_info.schema.json``."""
    name = "dagctl"
    return {
        "package-name": "airflow-provider-dagctl",
        "name": name,
        "description": "Review, approve and apply SQLMesh and dbt commits inside Airflow.",
        "versions": [__version__],
        "integrations": [{"integration-name": name, "external-doc-url": "https://docs.dagctl.io/", "tags": ["software"]}],
        "operators": [
            {
                "integration-name": name,
                "python-modules": ["dagctl_provider.operators.process", "dagctl_provider.operators.pod"],
            }
        ],
        "sensors": [{"integration-name": name, "python-modules": ["dagctl_provider.sensors.approval"]}],
        "hooks": [{"integration-name": name, "python-modules": ["dagctl_provider.hooks.project"]}],
        "connection-types": [
            {
                "connection-type": "dagctl",
                "hook-class-name": "dagctl_provider.hooks.project.DagctlProjectHook",
                "hook-name": "dagctl project",
            }
        ],
        "db-managers": ["dagctl_provider.store.manager.DagctlDBManager"],
        "cli": ["dagctl_provider.cli.definition.get_dagctl_cli_commands"],
        "config": {
            SECTION: {
                "description": "Settings of airflow-provider-dagctl.",
                "options": {
                    key: {
                        "description": row.description + "\n",
                        "version_added": "0.1.0",
                        "type": row.kind,
                        "example": row.example,
                        "default": row.default,
                    }
                    for key, row in SETTINGS.items()
                },
            }
        },
    }
