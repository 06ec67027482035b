"""What dagctl does with dbt, inside the environment that has dbt."""
