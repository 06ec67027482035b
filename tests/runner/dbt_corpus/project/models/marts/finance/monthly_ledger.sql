{{ config(materialized='view') }}
select sum(amount) as amount, sum(fee) as fee from {{ ref('ledger') }}
