"""Airflow's serialiser of Dags, whatever the Airflow."""

from __future__ import annotations

try:
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    # Its name before Airflow 3.2.
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

__all__ = ["DagSerialization"]
