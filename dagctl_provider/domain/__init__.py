"""What a plan, a project and a decision are, in plain Python: no Airflow, no database, no I/O."""
