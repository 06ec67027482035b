"""``airflow dagctl …``: organizations, tokens, projects, from a shell on the API server's machine."""
