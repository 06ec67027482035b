"""The product's own tables in Airflow's database: definitions, queries, migrations. Rows leave as domain records."""
