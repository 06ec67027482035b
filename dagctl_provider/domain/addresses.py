"""Where Airflow serves what this package brings, below whatever path Airflow itself is served at."""

from __future__ import annotations

FLASK_PREFIX = "/pluginsv2"
"""Airflow mounts the Flask views of plugins here."""

PAGES_ROUTE = "/dagctl"
"""The pages, among those views."""

PAGES = FLASK_PREFIX + PAGES_ROUTE
