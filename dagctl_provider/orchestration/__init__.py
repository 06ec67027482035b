"""Everything said to Airflow's own tables, one function each: the only importer of ``airflow.models``.

A new Airflow minor is work here first; what else depends on one inherits from a class of Airflow's or reads ``version_compat``.
Callers hand in the session; nothing here commits.
"""
