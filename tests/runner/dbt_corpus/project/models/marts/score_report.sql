{{ config(materialized='view') }}
select max(score) as best from {{ ref('customer_score') }}
