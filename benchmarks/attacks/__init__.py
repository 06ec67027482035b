"""The attack table: what each role can make dagctl do through Airflow's own REST, and what it could not."""
