"""``airflow dagctl …``: organizations, API tokens and the record of decisions, from a shell that reaches Airflow's database."""
