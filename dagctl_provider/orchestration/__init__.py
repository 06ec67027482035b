"""Everything said to Airflow's own tables, one function each: the only importer of ``airflow.models``.

A new Airflow minor is work in this package and nowhere else. Callers hand in the session; nothing here commits.
"""
