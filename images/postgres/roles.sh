#!/bin/bash
# Run once, by the PostgreSQL image, when the data folder is made: the two roles of docker-compose.yaml, neither a superuser.
set -euo pipefail
psql --username "$POSTGRES_USER" --dbname postgres --set ON_ERROR_STOP=1 <<'SQL'
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv state_admin_password STATE_ADMIN_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE DATABASE airflow OWNER airflow;
REVOKE ALL ON DATABASE airflow FROM PUBLIC;
CREATE ROLE dagctl_state_admin LOGIN CREATEDB CREATEROLE PASSWORD :'state_admin_password';
SQL
