{{ config(materialized='view') }}
select customer_id, name, dbt_valid_from, dbt_valid_to from {{ ref('customers_snapshot') }}
