"""Generates the Dags of all dagctl projects. Copy this file into a Dag bundle of your Airflow."""

from dagctl_provider.dag_factory import build_dags

globals().update(build_dags())
