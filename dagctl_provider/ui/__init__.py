"""The pages: what people see of projects and plans inside Airflow, rendered on the server, refreshed by small scripts."""
