"""What differs between Airflow minors, as constants; everything that depends on a version reads them from here."""

from __future__ import annotations

from airflow import __version__

_MINOR = tuple(int(part) for part in __version__.split(".")[:2])

AIRFLOW_V_3_2_PLUS = _MINOR >= (3, 2)
"""``SimpleAuthManager.get_users`` gives user objects; before, dictionaries with the fields of one."""

AIRFLOW_V_3_3_PLUS = _MINOR >= (3, 3)
"""Approvals wait in ``awaiting_input`` and are resumed directly; before, a trigger polls for the answer."""

AIRFLOW_V_3_4_PLUS = _MINOR >= (3, 4)
"""Each try of a task is a row of ``task_instance``, and what is left for a task belongs to one try; before, earlier tries had a
table of their own, and what is left belonged to a Dag run and a task's name."""
