"""Review, approve and apply SQLMesh and dbt commits inside Airflow 3.

This module stays free of imports: the runner inside a pod has neither Airflow nor SQLAlchemy.
"""

__version__ = "0.1.0"
